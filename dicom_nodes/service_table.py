"""Which services a node offers to which caller, and what negotiation comes to for them (PS3.7 D.3.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.service_port import Caller, DimseService
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, choose_transfer_syntax

# Storage Service Class (PS3.6 Table A-1): a class of its own whose service class this is can be stored like any other.
STORAGE_SERVICE_CLASS: Final = "1.2.840.10008.4.2"
_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Offer:
    """What one association may use of the services.

    Parameters
    ----------
    by_class : service by SOP class, of those that the caller proposed and the service admits
    scu_of : classes in whose contexts we are SCU if the caller selects that role
    stored : classes that only this association stores, each like a storage class that it was said to specialise
    """

    by_class: Mapping[str, DimseService] = field(default_factory=dict)
    scu_of: frozenset[str] = frozenset()
    stored: frozenset[str] = frozenset()

    def takes(self, abstract_syntax: str) -> bool:
        """Whether a context of this class is for one of the services."""
        return abstract_syntax in self.by_class or abstract_syntax in self.scu_of

    def choose(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], *, peer_stores: bool) -> str | None:
        """The transfer syntax for a context of the association.

        Messages of services go uncompressed and in little endian. Where the peer takes objects (``peer_stores``, by
        its role), uncompressed comes first, since every object can be sent so, whatever it is stored in.
        """
        if peer_stores or abstract_syntax in self.by_class:
            if chosen := next((uid for uid in transfer_syntaxes if uid in _UNCOMPRESSED), None):
                return chosen
            if not peer_stores:
                return None
        return choose_transfer_syntax(transfer_syntaxes)

    def negotiate(self, proposed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Answers to SOP Class Extended Negotiation, by class."""
        answers = {}
        for uid, information in proposed.items():
            service = self.by_class.get(uid)
            answer = service.negotiate(uid, information) if service else None
            if answer is not None:
                answers[uid] = answer
        return answers


class ServiceTable:
    """The services of a node.

    Raises
    ------
    ValueError : two of them want the same SOP class
    """

    def __init__(self, services: Iterable[DimseService] = ()) -> None:
        self._by_class: dict[str, DimseService] = {}
        for service in services:
            for uid in service.abstract_syntaxes:
                if uid in self._by_class:
                    raise ValueError(f"two services answer SOP class {uid}")
                self._by_class[uid] = service

    def offered(self, caller: Caller, proposed: Collection[str], stored: frozenset[str] = frozenset()) -> Offer:
        """What a caller who proposes these classes may use."""
        wanted = {uid: self._by_class[uid] for uid in proposed if uid in self._by_class}
        admitted = {id(service): service.admits(caller) for service in wanted.values()}
        by_class = {uid: service for uid, service in wanted.items() if admitted[id(service)]}
        return Offer(by_class, frozenset().union(*(service.scu_of for service in by_class.values())), stored)
