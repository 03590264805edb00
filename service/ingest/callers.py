"""Who may call the node and where a call lands: called AE titles are projects' own, callers are known by AE title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from dicom_nodes.callers import Rejection


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """One caller that the configuration names; empty ``networks`` and ``projects`` stand for any."""

    ae_title: str
    networks: Sequence[str] = ()
    projects: Sequence[str] = ()


class ProjectCallers:
    """Admits callers to projects, and finds the project of a called AE title; fills ``dicom_nodes.CallerPolicy``.

    Parameters
    ----------
    project_titles : called AE title → name of the project that it belongs to
    callers : the callers that are known
    reject_unknown : whether others are turned away
    """

    def __init__(
        self, project_titles: Mapping[str, str], callers: Sequence[KnownCaller], *, reject_unknown: bool
    ) -> None:
        self._project_titles = dict(project_titles)
        self._callers = tuple(callers)
        self._reject_unknown = reject_unknown

    def admit(self, calling: str, called: str, address: str) -> Rejection | None:
        """None if the caller may come in, otherwise why not."""
        project = self._project_titles.get(called)
        if project is None:
            return Rejection.CALLED_UNKNOWN
        known = [caller for caller in self._callers if caller.ae_title == calling]
        if not known:
            return Rejection.CALLING_UNKNOWN if self._reject_unknown else None
        reaching = [caller for caller in known if not caller.projects or project in caller.projects]
        if not reaching:
            return Rejection.CALLING_UNKNOWN
        if any(_near(address, caller.networks) for caller in reaching):
            return None
        return Rejection.ADDRESS_NOT_ALLOWED

    def project_of(self, called: str) -> str | None:
        """The project that a called AE title belongs to."""
        return self._project_titles.get(called)


def _near(address: str, networks: Sequence[str]) -> bool:
    if not networks:
        return True
    caller = ip_address(address.partition("%")[0])
    # A dual-stack socket shows an IPv4 caller as ::ffff:192.0.2.1.
    mapped = getattr(caller, "ipv4_mapped", None) or caller
    return any(mapped in ip_network(network, strict=False) for network in networks)
