"""Instances of a store request whose metadata and bulk data come in parts of their own (PS3.18 8.6.1.2, 10.5.1).

Metadata comes before the bulk data that it refers to. A part is bulk data of every element whose BulkDataURI equals its
Content-Location; native pixels come in one part or frame by frame, compressed ones frame by frame, videos in one part.
No address is ever followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.assembled_data_set import BulkValue, assemble
from service.core.dicom_json_reading import BulkPlace, JsonInstance
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes
from service.ingest.part10 import DicomFile
from service.web.dicomweb.bulk_parts import BulkPart, named_frame, pixel_syntax
from service.web.dicomweb.media_types import EXPLICIT_VR_LITTLE_ENDIAN

IN_MEMORY_TOGETHER: Final = 32 << 20
"""Bytes of bulk data that wait in memory for the rest of their instances; what comes after waits on the disk."""


@dataclass(frozen=True, slots=True)
class Built:
    """An instance that is complete, or why it cannot be.

    Parameters
    ----------
    number : of the part that its metadata came in
    """

    number: int
    instance: JsonInstance
    file: DicomFile | GatewayError


@dataclass(slots=True, eq=False)
class _Value:
    """What came for one place so far, by frame from 1; ``syntaxes`` of pixels alone."""

    place: BulkPlace
    uri: str
    frames: int
    parts: dict[int, BulkPart] = field(default_factory=dict)
    syntaxes: set[str] = field(default_factory=set)

    def add(self, part: BulkPart, fallback: str) -> None:
        number = part.frame or len(self.parts) + 1
        if number in self.parts:
            raise InstanceUnreadable("A frame came twice")
        if self.place.is_pixel_data:
            self.syntaxes.add(pixel_syntax(part, fallback))
        elif part.is_compressed:
            raise InstanceUnreadable("Only Pixel Data of the instance itself may be compressed (PS3.5 A.4)")
        self.parts[number] = part

    @property
    def is_complete(self) -> bool:
        return len(self.parts) == self._awaited

    @property
    def _awaited(self) -> int:
        """How many parts there are to be: one, or one for each frame."""
        first = next(iter(self.parts.values()), None)
        if first is None or not self.place.is_pixel_data or first.is_video:
            return 1
        return 1 if first.frame == 0 and not first.is_compressed else self.frames

    def finished(self, bits_allocated: int | None) -> BulkValue:
        """All parts in order.

        Raises
        ------
        InstanceUnreadable : they do not make one value
        """
        if sorted(self.parts) != list(range(1, len(self.parts) + 1)):
            raise InstanceUnreadable("A frame's number is larger than Number of Frames (0028,0008)")
        if len(self.syntaxes) > 1:
            raise InstanceUnreadable("The frames of one instance are in several transfer syntaxes")
        encapsulated = bool(self.syntaxes - {EXPLICIT_VR_LITTLE_ENDIAN})
        if self.place.is_pixel_data and len(self.parts) > 1 and not encapsulated and bits_allocated == 1:
            # Frames of single bits do not begin on bytes of their own (PS3.5 8.1.1).
            raise InstanceUnreadable("With Bits Allocated 1, native Pixel Data comes in one part")
        return BulkValue([self.parts[number].body for number in sorted(self.parts)], encapsulated)


@dataclass(slots=True, eq=False)
class _Waiting:
    """An instance whose bulk data has not come yet, or not all of it."""

    number: int
    instance: JsonInstance
    values: list[_Value]
    open: int
    in_memory: int = 0
    error: GatewayError | None = None

    def add(self, value: _Value, part: BulkPart) -> None:
        """Take what belongs to one of its values; an error is its own."""
        try:
            value.add(part, self.instance.transfer_syntax_uid)
            self.open -= value.is_complete
            self.in_memory += len(part.body) if isinstance(part.body, bytes) else 0
        except GatewayError as error:
            self.error = error

    def file(self) -> DicomFile:
        """The instance in one piece."""
        if self.error is not None:
            raise self.error
        given = [value.finished(self.instance.bits_allocated) for value in self.values]
        syntaxes = [syntax for value in self.values for syntax in value.syntaxes]
        return DicomFile(
            self.instance.sop_class_uid,
            self.instance.sop_instance_uid,
            syntaxes[0] if syntaxes else EXPLICIT_VR_LITTLE_ENDIAN,
            assemble(self.instance, given),
        )


class StoreAssembly:
    """Brings metadata and bulk data together.

    Parameters
    ----------
    absolute : makes an address of the request absolute
    keep : keeps bulk data; the second argument says how much of it may stay in memory
    """

    def __init__(
        self, absolute: Callable[[str], str], keep: Callable[[Iterable[bytes | memoryview], int], EncodedBytes]
    ) -> None:
        self._absolute = absolute
        self._keep = keep
        self._awaited: dict[str, list[tuple[_Waiting, _Value]]] = {}
        self._unfinished: dict[int, _Waiting] = {}
        self._in_memory = 0

    def keep(self, parts: Iterable[bytes | memoryview]) -> EncodedBytes:
        """Keep the body of a part that is bulk data."""
        return self._keep(parts, max(0, min(IN_MEMORY_BYTES, IN_MEMORY_TOGETHER - self._in_memory)))

    def add_metadata(self, number: int, instance: JsonInstance) -> Iterator[Built]:
        """Take one instance's metadata; yields it at once where nothing more is to come."""
        values = [
            _Value(place, named_frame(self._absolute(place.uri))[0], instance.frames) for place in instance.places
        ]
        waiting = _Waiting(number, instance, values, len(values))
        if not values:
            yield _built(waiting)
            return
        self._unfinished[id(waiting)] = waiting
        for value in values:
            self._awaited.setdefault(value.uri, []).append((waiting, value))

    def add_bulk(self, part: BulkPart) -> Iterator[Built]:
        """Take one part of bulk data; yields the instances that it completes.

        Raises
        ------
        InstanceUnreadable : nothing refers to it
        """
        found = self._awaited.get(part.uri)
        if not found:
            raise InstanceUnreadable(
                "Bulk data that nothing refers to: its Content-Location is the BulkDataURI of no metadata before it"
            )
        for waiting, value in list(found):
            if id(waiting) not in self._unfinished:
                continue  # another of its values was wrong a moment ago
            before = waiting.in_memory
            waiting.add(value, part)
            self._in_memory += waiting.in_memory - before
            if value.is_complete:
                self._forget([value])
            if not waiting.open or waiting.error is not None:
                del self._unfinished[id(waiting)]
                self._forget(waiting.values)
                self._in_memory -= waiting.in_memory
                yield _built(waiting)

    def unfinished(self) -> Iterator[Built]:
        """What is still not complete when the request ends."""
        for waiting in self._unfinished.values():
            words = (
                f"{waiting.open} of its {len(waiting.values)} values did not come: a part for each is due whose "
                "Content-Location is the BulkDataURI; of compressed Pixel Data, a part for each frame"
            )
            yield Built(waiting.number, waiting.instance, InstanceUnreadable(words))
        self._unfinished.clear()
        self._awaited.clear()

    def _forget(self, values: Iterable[_Value]) -> None:
        """Await no more for these."""
        for value in values:
            left = [pair for pair in self._awaited.get(value.uri, ()) if pair[1] is not value]
            if left:
                self._awaited[value.uri] = left
            else:
                self._awaited.pop(value.uri, None)


def _built(waiting: _Waiting) -> Built:
    try:
        return Built(waiting.number, waiting.instance, waiting.file())
    except GatewayError as error:
        return Built(waiting.number, waiting.instance, error)
