"""Retrieve frames and bulk data (WADO-RS, PS3.18 10.4.1.1.5 and .6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from flask import Response, request

from service.archive.bulk_data import read_bulk
from service.core.archived import InstanceRow
from service.errors import InstanceNotFound
from service.web.dicomweb.answers import (
    accepted,
    answer_multipart,
    answer_single,
    entity_tag,
    unchanged,
)
from service.web.dicomweb.frame_negotiation import PixelForm, choose_pixel_form
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.media_types import OCTET_STREAM, is_video
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.pixel_decoding import can_decode
from service.web.dicomweb.resources import Resources, parse_frames
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.stored_object import StoredObject


class PixelViews:
    """Frames and bulk data of one instance."""

    def __init__(self, services: DicomWebServices, resources: Resources, layouts: FrameLayouts) -> None:
        self._services = services
        self._resources = resources
        self._layouts = layouts

    def frames(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, frames: str) -> Response:
        """``GET …/instances/{instance}/frames/{list}``: one part a frame, in the order asked for."""
        numbers = parse_frames(frames)
        row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag(row.blob.key, numbers, request.headers.get("Accept"), request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        stored = StoredObject(row, self._services.blobs)
        try:
            response = self._answer_frames(stored, numbers, self._address(project, row))
        except BaseException:
            stored.close()
            raise
        response.call_on_close(stored.close)
        response.set_etag(tag, weak=True)
        return response

    def bulk_data(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, path: str) -> Response:
        """``GET …/instances/{instance}/bulkdata/{path}``: the value behind a BulkDataURI of the metadata."""
        row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag(row.blob.key, path, request.headers.get("Accept"), request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        location = f"{self._address(project, row)}/bulkdata/{path}"
        stored = StoredObject(row, self._services.blobs)
        try:
            if stored.pixels is not None and path == f"{stored.pixels.tag:08X}":
                response = self._answer_pixel_data(stored, location)
            else:
                response = self._answer_value(row, path, location)
        except BaseException:
            stored.close()
            raise
        response.call_on_close(stored.close)
        response.set_etag(tag, weak=True)
        return response

    def _address(self, project: str, row: InstanceRow) -> str:
        root = self._services.links.service_root(request, project)
        return f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"

    def _answer_frames(self, stored: StoredObject, numbers: list[int], address: str) -> Response:
        reader = FrameReader(stored, self._layouts)
        for number in numbers:
            reader.check(number)
        form = self._form(stored, single=len(numbers) == 1)
        parts = [_frame_part(reader, number, form, f"{address}/frames/{number}") for number in numbers]
        if not form.stored and reader.encapsulated:
            # Decoded before the answer begins, so that a frame that no codec reads is answered in words.
            parts[0] = _filled(parts[0])
        return self._answer(parts, form)

    def _answer_pixel_data(self, stored: StoredObject, location: str) -> Response:
        """The pixels as a whole: native ones in one part, compressed ones frame by frame, video in one stream."""
        pixels = stored.pixels
        if pixels is None:
            raise InstanceNotFound("This instance has no pixel data")
        video = is_video(stored.row.transfer_syntax_uid)
        if video:
            form = self._form(stored, single=True)
            return self._answer([_video_part(stored, form, location)], form)
        reader = FrameReader(stored, self._layouts)
        count = reader.format.frames
        form = self._form(stored, single=not reader.encapsulated or count == 1)
        if not reader.encapsulated:
            body, length = _native_body(stored, reader)
            return self._answer([OutgoingPart(form.content_type, body, length, location)], form)
        numbers = range(1, count + 1)
        parts = [
            _frame_part(reader, number, form, f"{location.removesuffix(f'/bulkdata/{pixels.tag:08X}')}/frames/{number}")
            for number in numbers
        ]
        if not form.stored:
            parts[0] = _filled(parts[0])
        return self._answer(parts, form)

    def _answer_value(self, row: InstanceRow, path: str, location: str) -> Response:
        """Any other value, as the bytes that it is."""
        form = choose_pixel_form(
            accepted(request), row.transfer_syntax_uid, encapsulated=False, decodable=True, single=True
        )
        with self._services.blobs.open(row.blob.key) as stream:
            data = read_bulk(stream, row, path).read(stream)
        return self._answer([OutgoingPart(OCTET_STREAM, lambda: (data,), len(data), location)], form)

    def _form(self, stored: StoredObject, *, single: bool) -> PixelForm:
        uid = stored.row.transfer_syntax_uid
        encapsulated = stored.pixels is not None and stored.pixels.encapsulated
        decodable = encapsulated and not is_video(uid) and can_decode(uid, stored.row.bits_allocated)
        return choose_pixel_form(accepted(request), uid, encapsulated=encapsulated, decodable=decodable, single=single)

    def _answer(self, parts: list[OutgoingPart], form: PixelForm) -> Response:
        if form.multipart:
            return answer_multipart(parts, form.media_type, self._services.boundary())
        part = parts[0]
        return answer_single(part.content_type, part.body, length=part.length, location=part.location)


def _frame_part(reader: FrameReader, number: int, form: PixelForm, location: str) -> OutgoingPart:
    def body() -> Iterator[bytes]:
        yield reader.stored(number) if form.stored else reader.native(number)

    known = form.stored or not reader.encapsulated
    return OutgoingPart(form.content_type, body, reader.stored_length(number) if known else None, location)


def _filled(part: OutgoingPart) -> OutgoingPart:
    """The part with its bytes made now."""
    data = b"".join(part.body())
    return OutgoingPart(part.content_type, lambda: (data,), len(data), part.location)


def _native_body(stored: StoredObject, reader: FrameReader) -> tuple[Callable[[], Iterable[bytes]], int | None]:
    """All native pixels in little endian, frames packed as they are stored."""
    pixels = stored.pixels
    if pixels is None:
        raise InstanceNotFound("This instance has no pixel data")
    if reader.in_place:
        return lambda: stored.chunks(pixels.value_start, pixels.length), pixels.length
    size = reader.format.native_frame_bytes * reader.format.frames
    numbers = range(1, reader.format.frames + 1)
    return lambda: chain.from_iterable((reader.native(number),) for number in numbers), size


def _video_part(stored: StoredObject, form: PixelForm, location: str) -> OutgoingPart:
    """The stream of a video without its item heads (PS3.18 8.7.3.3)."""
    spans = FrameLayouts.stream_of(stored)

    def body() -> Iterator[bytes]:
        for span in spans:
            yield from stored.chunks(span.offset, span.length)

    return OutgoingPart(form.content_type, body, sum(span.length for span in spans), location)
