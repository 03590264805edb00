"""Who may call a node: pure decisions over AE titles and addresses, no sockets."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

PERMANENT, TRANSIENT = 1, 2
BY_SERVICE_USER, BY_PRESENTATION = 1, 3
NO_REASON_GIVEN = 1
CALLING_AE_TITLE_NOT_RECOGNISED = 3
CALLED_AE_TITLE_NOT_RECOGNISED = 7
TEMPORARY_CONGESTION = 1
LOCAL_LIMIT_EXCEEDED = 2


class Rejection(Enum):
    """Why a caller is turned away, with Result, Source and Reason/Diag. of the A-ASSOCIATE-RJ (PS3.8 Table 9-21).

    An address has no code of its own there; the caller is then one that we do not recognise. Nor has an identity that
    is not believed (PS3.7 D.3.3.7). What may be granted a moment later is rejected as transient.
    """

    CALLED_UNKNOWN = (
        PERMANENT,
        BY_SERVICE_USER,
        CALLED_AE_TITLE_NOT_RECOGNISED,
        "called AE title not recognised",
    )
    CALLING_UNKNOWN = (
        PERMANENT,
        BY_SERVICE_USER,
        CALLING_AE_TITLE_NOT_RECOGNISED,
        "calling AE title not recognised",
    )
    ADDRESS_NOT_ALLOWED = (PERMANENT, BY_SERVICE_USER, CALLING_AE_TITLE_NOT_RECOGNISED, "the address may not call")
    USER_NOT_KNOWN = (PERMANENT, BY_SERVICE_USER, NO_REASON_GIVEN, "the user identity is not accepted")
    USER_MISSING = (PERMANENT, BY_SERVICE_USER, NO_REASON_GIVEN, "a user identity is required")
    TOO_MANY_AT_ONCE = (TRANSIENT, BY_PRESENTATION, LOCAL_LIMIT_EXCEEDED, "local limit exceeded")
    TOO_MANY_A_MINUTE = (TRANSIENT, BY_PRESENTATION, TEMPORARY_CONGESTION, "too many associations a minute")

    @property
    def answer(self) -> tuple[int, int, int]:
        """Result, Source and Reason/Diag. of the A-ASSOCIATE-RJ."""
        result, source, diagnostic, _ = self.value
        return result, source, diagnostic

    @property
    def diagnostic(self) -> int:
        """Reason/Diag. of the A-ASSOCIATE-RJ."""
        return self.value[2]

    @property
    def words(self) -> str:
        """The reason for people."""
        return self.value[3]


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
