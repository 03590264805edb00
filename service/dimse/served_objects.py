"""Objects of the archive on their way to a DIMSE peer: as they are stored, or decoded to what the peer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Protocol

from dicom_nodes.service_port import AcceptedContext
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from service.core.archived import InstanceRow
from service.core.implicit_little_endian import to_implicit_little_endian
from service.core.ports import BlobStore

_CHUNK: Final = 1 << 20


class Renditions(Protocol):
    """Decodes stored objects; never compresses."""

    def can_be_explicit(self, row: InstanceRow) -> bool:
        """Whether a codec for its pixels is at hand; native pixels need none."""

    def explicit_data_set(self, row: InstanceRow) -> Iterator[bytes]:
        """The data set in Explicit VR Little Endian with every length defined.

        Raises
        ------
        GatewayError : it cannot be decoded
        """


@dataclass(frozen=True, slots=True)
class Carriage:
    """How one object goes: in which context, and its data set in pieces."""

    context_id: int
    open: Callable[[], Iterable[bytes]] = field(repr=False)


class ServedObjects:
    """Chooses how objects go, in bounded memory: a header and a frame at a time."""

    def __init__(self, blobs: BlobStore, renditions: Renditions) -> None:
        self._blobs = blobs
        self._renditions = renditions

    def carriage(self, row: InstanceRow, contexts: Mapping[tuple[str, str], int]) -> Carriage | None:
        """As stored where the peer takes that, else uncompressed; None where it takes neither.

        Parameters
        ----------
        contexts : accepted context by SOP class and transfer syntax
        """
        stored = contexts.get((row.sop_class_uid, row.transfer_syntax_uid))
        if stored is not None:
            return Carriage(stored, lambda: self._stored(row))
        explicit = contexts.get((row.sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN))
        implicit = contexts.get((row.sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN))
        if (explicit is None and implicit is None) or not self._renditions.can_be_explicit(row):
            return None
        if explicit is not None:
            return Carriage(explicit, lambda: self._renditions.explicit_data_set(row))
        return Carriage(implicit or 0, lambda: to_implicit_little_endian(self._renditions.explicit_data_set(row)))

    def _stored(self, row: InstanceRow) -> Iterator[bytes]:
        with closing(self._blobs.open(row.blob.key)) as stream:
            stream.seek(row.blob.data_set_offset)
            left = row.blob.size - row.blob.data_set_offset
            while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk


def by_form(contexts: Iterable[AcceptedContext]) -> dict[tuple[str, str], int]:
    """Context IDs by SOP class and transfer syntax."""
    return {(context.abstract_syntax, context.transfer_syntax): context.context_id for context in contexts}
