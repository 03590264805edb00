"""Who may call a node: pure decisions over AE titles and addresses, no sockets."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

CALLING_AE_TITLE_NOT_RECOGNISED = 3
CALLED_AE_TITLE_NOT_RECOGNISED = 7


class Rejection(Enum):
    """Why a caller is turned away.

    The value's first item is Reason/Diag. of the A-ASSOCIATE-RJ, source DICOM UL service-user (PS3.8 Table 9-21). An
    address has no code of its own there; the caller is then one that we do not recognise.
    """

    CALLED_UNKNOWN = (CALLED_AE_TITLE_NOT_RECOGNISED, "called AE title not recognised")
    CALLING_UNKNOWN = (CALLING_AE_TITLE_NOT_RECOGNISED, "calling AE title not recognised")
    ADDRESS_NOT_ALLOWED = (CALLING_AE_TITLE_NOT_RECOGNISED, "the address may not call")

    @property
    def diagnostic(self) -> int:
        """Reason/Diag. of the A-ASSOCIATE-RJ."""
        return self.value[0]

    @property
    def words(self) -> str:
        """The reason for people."""
        return self.value[1]


class CallerPolicy(Protocol):
    """Decides over callers; asked at association and again at each C-STORE, since rights may change between."""

    def admit(self, calling: str, called: str, address: str) -> Rejection | None:
        """None if the caller may come in, otherwise why not."""


class KnownCallers:
    """Admits what is listed.

    Parameters
    ----------
    called_ae_titles : the titles that we answer to
    calling_ae_titles : who may call; None is anybody
    networks : where calls may come from, as ``192.0.2.0/24`` or single addresses; None is anywhere
    """

    def __init__(
        self,
        called_ae_titles: Iterable[str],
        calling_ae_titles: Iterable[str] | None = None,
        networks: Iterable[str] | None = None,
    ) -> None:
        self._called = frozenset(called_ae_titles)
        self._calling = None if calling_ae_titles is None else frozenset(calling_ae_titles)
        self._networks: tuple[IPv4Network | IPv6Network, ...] | None = None
        if networks is not None:
            self._networks = tuple(ip_network(network) for network in networks)

    def admit(self, calling: str, called: str, address: str) -> Rejection | None:
        """None if all three are listed, otherwise the first that is not."""
        if called not in self._called:
            return Rejection.CALLED_UNKNOWN
        if self._calling is not None and calling not in self._calling:
            return Rejection.CALLING_UNKNOWN
        if self._networks is not None and not self._is_near(address):
            return Rejection.ADDRESS_NOT_ALLOWED
        return None

    def _is_near(self, address: str) -> bool:
        caller = ip_address(address.partition("%")[0])
        # A dual-stack socket shows an IPv4 caller as ::ffff:192.0.2.1.
        mapped = getattr(caller, "ipv4_mapped", None)
        return any((mapped or caller) in network for network in self._networks or ())
