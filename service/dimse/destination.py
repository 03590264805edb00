"""Where a C-MOVE sends to: an association at a time, for as many forms of objects as its contexts have room for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final

from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import MAXIMUM_CONTEXTS, Requestor, RequestorSettings
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from service.core.archived import InstanceRow
from service.dimse.served_objects import ServedObjects, by_form
from service.dimse.sub_operations import send

Form = tuple[str, str]
"""SOP class and transfer syntax."""

_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_MOST_LOSSES: Final = 3


def groups_of(forms: Collection[Form]) -> Iterator[frozenset[Form]]:
    """Forms that fit one association together, with the uncompressed contexts that each class needs besides."""
    group: set[Form] = set()
    contexts: set[Form] = set()
    for form in sorted(forms):
        needed = contexts | _proposed(form)
        if len(needed) > MAXIMUM_CONTEXTS:
            yield frozenset(group)
            group, needed = set(), _proposed(form)
        group.add(form)
        contexts = needed
    if group:
        yield frozenset(group)


def _proposed(form: Form) -> set[Form]:
    return {form, *((form[0], syntax) for syntax in _UNCOMPRESSED)}


class Destination:
    """A peer that objects of some forms go to; a context manager.

    An association that breaks is opened again for the next object, three times at most.

    Parameters
    ----------
    originator : AE title and Message ID of the C-MOVE
    """

    def __init__(
        self,
        address: PeerAddress,
        settings: RequestorSettings,
        objects: ServedObjects,
        forms: frozenset[Form],
        originator: tuple[str, int],
    ) -> None:
        self._address = address
        self._settings = settings
        self._objects = objects
        self._contexts: Sequence[Form] = sorted({context for form in forms for context in _proposed(form)})
        self._originator = originator
        self._association: Requestor | None = None
        self._accepted: Mapping[Form, int] = {}
        self._losses = 0

    def send(self, row: InstanceRow) -> int | None:
        """Send one object; the status of its answer, None where there is none."""
        try:
            association = self._open()
            carriage = self._objects.carriage(row, self._accepted)
            return None if carriage is None else send(association, carriage, row, self._originator)
        except PeerUnavailable as error:
            self._lose(error)
            return None
        except GatewayError:
            return None

    def __enter__(self) -> Destination:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.__exit__(kind, error, trace)

    def _open(self) -> Requestor:
        if self._association is None:
            if self._losses >= _MOST_LOSSES:
                raise PeerUnavailable(f"{self._address} broke off too often")
            self._association = Requestor(self._address, self._contexts, self._settings)
            self._accepted = by_form(self._association.contexts)
        return self._association

    def _lose(self, error: PeerUnavailable) -> None:
        self._losses += 1
        association, self._association = self._association, None
        if association is not None:
            association.__exit__(type(error), error, error.__traceback__)
