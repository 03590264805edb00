"""Parts of answers that hold pixels: single frames, or the pixel data of an instance as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import overload

from service.errors import InstanceNotFound
from service.web.dicomweb.frame_negotiation import PixelForm, PixelSource, choose_pixel_form
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.media_types import MediaRange, is_video
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.pixel_decoding import can_decode
from service.web.dicomweb.pixel_encoding import encode_frame, lossless_encodings, lossy_encodings
from service.web.dicomweb.stored_object import StoredObject


class FrameParts(Sequence[OutgoingPart]):
    """A part for each frame, made when its turn comes: there may be more frames than could be held as parts.

    Parameters
    ----------
    numbers : of the frames, from 1
    make : makes the part of a frame
    begun : the first part, where it is made already
    """

    def __init__(
        self, numbers: Sequence[int], make: Callable[[int], OutgoingPart], begun: OutgoingPart | None = None
    ) -> None:
        self._numbers = numbers
        self._make = make
        self._begun = begun

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> OutgoingPart: ...
    @overload
    def __getitem__(self, index: slice) -> FrameParts: ...
    def __getitem__(self, index: int | slice) -> OutgoingPart | FrameParts:
        if isinstance(index, slice):
            return FrameParts(self._numbers[index], self._make)
        number = self._numbers[index]
        return self._begun if index == 0 and self._begun is not None else self._make(number)


def frame_parts(
    reader: FrameReader, numbers: Sequence[int], ranges: Sequence[MediaRange], address: str
) -> tuple[Sequence[OutgoingPart], PixelForm]:
    """A part for each of the frames, in the first form that the caller takes.

    Parameters
    ----------
    address : of the instance

    Raises
    ------
    InstanceNotFound : there is no such frame
    NotAcceptable : with what could be had
    """
    for number in numbers:
        reader.check(number)
    form = _form(reader, ranges, single=len(numbers) == 1)
    return _parts(reader, numbers, form, address), form


def pixel_data_parts(
    stored: StoredObject, layouts: FrameLayouts, ranges: Sequence[MediaRange], address: str, *, single: bool
) -> tuple[Sequence[OutgoingPart], PixelForm]:
    """The pixels as a whole: native ones in one part, compressed ones frame by frame, video in one stream.

    Parameters
    ----------
    address : of the instance
    single : whether one part may go without multipart

    Raises
    ------
    InstanceNotFound : there are no pixels
    NotAcceptable : with what could be had
    """
    if stored.pixels is None:
        raise InstanceNotFound("This instance has no pixel data")
    location = f"{address}/bulkdata/{stored.pixels.tag:08X}"
    if is_video(stored.row.transfer_syntax_uid):
        source = PixelSource(stored.row.transfer_syntax_uid, encapsulated=True, decodable=False)
        form = choose_pixel_form(ranges, source, single=single)
        return [_video_part(stored, form, location)], form
    reader = FrameReader(stored, layouts)
    count = reader.format.frames
    form = _form(reader, ranges, single=single and (not reader.encapsulated or count == 1))
    if not reader.encapsulated and form.native:
        return [_native_part(stored, reader, form, location)], form
    if count > 1 and not form.multipart:
        form = _form(reader, ranges, single=False)  # written anew, native pixels come frame by frame too
    return _parts(reader, range(1, count + 1), form, address), form


def _form(reader: FrameReader, ranges: Sequence[MediaRange], *, single: bool) -> PixelForm:
    uid = reader.transfer_syntax_uid
    layout = reader.format
    source = PixelSource(
        uid,
        encapsulated=reader.encapsulated,
        decodable=not reader.encapsulated or can_decode(uid, layout.bits_allocated),
        lossless=lossless_encodings(layout),
        lossy=lossy_encodings(layout),
    )
    return choose_pixel_form(ranges, source, single=single)


def _frame_part(reader: FrameReader, number: int, form: PixelForm, location: str) -> OutgoingPart:
    def body() -> Iterator[bytes]:
        if form.stored:
            yield reader.stored(number)
        elif form.native:
            yield reader.native(number)
        else:
            yield encode_frame(reader.decoded(number), form.transfer_syntax_uid)

    if not form.stored and (reader.encapsulated or not form.native):
        return OutgoingPart(form.content_type, body, None, location)
    return OutgoingPart(form.content_type, body, reader.stored_length(number), location, reader.stretch(number))


def _parts(reader: FrameReader, numbers: Sequence[int], form: PixelForm, address: str) -> FrameParts:
    """The parts, the first one made before the answer begins: what no codec reads or writes is answered in words."""

    def make(number: int) -> OutgoingPart:
        return _frame_part(reader, number, form, f"{address}/frames/{number}")

    if form.stored or (form.native and not reader.encapsulated):
        return FrameParts(numbers, make)
    first = make(numbers[0])
    data = b"".join(first.body())
    return FrameParts(numbers, make, OutgoingPart(first.content_type, lambda: (data,), len(data), first.location))


def _native_part(stored: StoredObject, reader: FrameReader, form: PixelForm, location: str) -> OutgoingPart:
    """All native pixels in little endian, frames packed as they are stored."""
    pixels = stored.pixels
    if pixels is None:
        raise InstanceNotFound("This instance has no pixel data")
    if reader.in_place:
        stretch = stored.stretch(pixels.value_start, pixels.length)
        chunks = partial(stored.chunks, pixels.value_start, pixels.length)
        return OutgoingPart(form.content_type, chunks, pixels.length, location, stretch)

    def body() -> Iterator[bytes]:
        for number in range(1, reader.format.frames + 1):
            yield reader.native(number)

    size = reader.format.native_frame_bytes * reader.format.frames
    return OutgoingPart(form.content_type, body, size, location)


def _video_part(stored: StoredObject, form: PixelForm, location: str) -> OutgoingPart:
    """The stream of a video without its item heads (PS3.18 8.7.3.3)."""
    spans = FrameLayouts.stream_of(stored)

    def body() -> Iterator[bytes]:
        for span in spans:
            yield from stored.chunks(span.offset, span.length)

    return OutgoingPart(form.content_type, body, sum(span.length for span in spans), location)
