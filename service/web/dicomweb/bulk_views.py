"""Retrieve bulk data: one value, every value below a resource, or its pixels alone (PS3.18 10.4.1.1.4 to .6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from flask import Response, request

from service.archive.bulk_data import BulkReader, BulkValue
from service.archive.metadata_cache import bulk_addresses
from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.errors import InstanceNotFound
from service.web.dicomweb.answers import accepted, dated, entity_tag, finish, unchanged
from service.web.dicomweb.file_stretch import FileStretch
from service.web.dicomweb.frame_negotiation import PixelForm, PixelSource, choose_pixel_form
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.media_types import OCTET_STREAM, MediaRange
from service.web.dicomweb.multipart import OutgoingPart, encode
from service.web.dicomweb.partial_answers import answer_from
from service.web.dicomweb.pixel_parts import pixel_data_parts
from service.web.dicomweb.resources import Resources
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.stored_object import StoredObject

_PartsOf = Callable[[InstanceRow], Iterator[OutgoingPart]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a request its parts are made by, once it is not at hand any more.

    Parameters
    ----------
    root : of the service, as the caller addressed it
    ranges : what the caller accepts
    """

    root: str
    ranges: Sequence[MediaRange]

    def address(self, row: InstanceRow) -> str:
        """Of an instance."""
        return f"{self.root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"


class BulkViews:
    """Bulk data at every depth and level."""

    def __init__(self, services: DicomWebServices, resources: Resources, layouts: FrameLayouts) -> None:
        self._services = services
        self._resources = resources
        self._layouts = layouts

    def value(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, path: str) -> Response:
        """``GET …/instances/{instance}/bulkdata/{path}``: the value behind a BulkDataURI of the metadata."""
        row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag(row.blob.key, path, request.headers.get("Accept"), request.args)
        if (answer := unchanged(request, tag, row.indexed_at)) is not None:
            return answer
        stored = StoredObject(row, self._services.blobs)
        return answer_from(
            stored,
            request,
            lambda: self._parts_at(stored, path, self._asked(project)),
            tag=tag,
            boundary=self._services.boundary(),
        )

    def bulk_data(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/bulkdata`` below a study, a series or an instance: every value that the metadata has as a link."""
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        metadata = self._services.index.metadata_of(
            project, study_uid, series_uid or None, sop_instance_uid or None, visible_only=not sop_instance_uid
        )
        paths: dict[str, list[str]] = {}
        asked = self._asked(project)
        for instance_uid, path in chain.from_iterable(map(bulk_addresses, metadata)):
            paths.setdefault(instance_uid, []).append(path)

        def parts_of(row: InstanceRow) -> Iterator[OutgoingPart]:
            return self._values(asked, row, paths[row.sop_instance_uid])

        with_bulk = [row for row in rows if row.sop_instance_uid in paths]
        for row in with_bulk:
            if any(path != _pixel_path(row) for path in paths[row.sop_instance_uid]):
                _value_form(row, asked.ranges, single=False)  # refused now: in the middle of an answer it is too late
        return self._answer_all("bulkdata", with_bulk, parts_of, single=bool(sop_instance_uid))

    def pixel_data(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/pixeldata`` below a study, a series or an instance: all pixels, compressed ones frame by frame."""
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        asked = self._asked(project)

        def parts_of(row: InstanceRow) -> Iterator[OutgoingPart]:
            with StoredObject(row, self._services.blobs) as stored:
                yield from self._pixel_parts(stored, asked, single=False)[0]

        with_pixels = [row for row in rows if row.blob.pixels is not None]
        return self._answer_all("pixeldata", with_pixels, parts_of, single=bool(sop_instance_uid))

    def _answer_all(self, resource: str, rows: Sequence[InstanceRow], parts_of: _PartsOf, *, single: bool) -> Response:
        """Stream the parts of one instance after the other; what cannot be had is refused before the answer begins."""
        if not rows:
            raise InstanceNotFound(f"There is no {resource} under this address")
        tag = entity_tag(resource, [row.blob.key for row in rows], request.headers.get("Accept"), request.args)
        modified = rows[0].indexed_at if single else None
        if (answer := unchanged(request, tag, modified)) is not None:
            return answer
        for row in _one_of_each_form(rows):
            next(parts_of(row), None)
        parts = chain.from_iterable(map(parts_of, rows))
        first = next(parts)
        boundary = self._services.boundary()
        part_type = first.content_type.partition(";")[0]
        response = Response(
            encode(chain([first], parts), boundary),
            content_type=f'multipart/related; type="{part_type}"; boundary="{boundary}"',
        )
        response.headers["Vary"] = "Accept"
        response.set_etag(tag, weak=True)
        return dated(finish(response), modified)

    def _values(self, asked: _Asked, row: InstanceRow, paths: Sequence[str]) -> Iterator[OutgoingPart]:
        """A part for each value of an instance, which is read once."""
        with StoredObject(row, self._services.blobs) as stored, self._services.blobs.open(row.blob.key) as file:
            reader = BulkReader(file, row)
            for path in paths:
                if stored.pixels is not None and path == f"{stored.pixels.tag:08X}":
                    yield from self._pixel_parts(stored, asked, single=False)[0]
                else:
                    location = f"{asked.address(row)}/bulkdata/{path}"
                    yield _value_part(row, reader.value(path), self._services.blobs, location)

    def _parts_at(self, stored: StoredObject, path: str, asked: _Asked) -> tuple[Sequence[OutgoingPart], PixelForm]:
        if stored.pixels is not None and path == f"{stored.pixels.tag:08X}":
            return self._pixel_parts(stored, asked, single=True)
        row, blobs = stored.row, self._services.blobs
        form = _value_form(row, asked.ranges, single=True)
        with blobs.open(row.blob.key) as file:
            value = BulkReader(file, row).value(path)
        return [_value_part(row, value, blobs, f"{asked.address(row)}/bulkdata/{path}")], form

    def _pixel_parts(
        self, stored: StoredObject, asked: _Asked, *, single: bool
    ) -> tuple[Sequence[OutgoingPart], PixelForm]:
        return pixel_data_parts(stored, self._layouts, asked.ranges, asked.address(stored.row), single=single)

    def _asked(self, project: str) -> _Asked:
        return _Asked(self._services.links.service_root(request, project), accepted(request))


def _pixel_path(row: InstanceRow) -> str:
    return "" if row.blob.pixels is None else f"{row.blob.pixels.tag:08X}"


def _value_form(row: InstanceRow, ranges: Sequence[MediaRange], *, single: bool) -> PixelForm:
    """How a value that is no pixel data goes out."""
    source = PixelSource(row.transfer_syntax_uid, encapsulated=False)
    return choose_pixel_form(ranges, source, single=single)


def _value_part(row: InstanceRow, value: BulkValue, blobs: BlobStore, location: str) -> OutgoingPart:
    """A value as the bytes that it is: sent from its file, where they lie there as they are served."""
    if value.data is not None:
        data = value.data
        return OutgoingPart(OCTET_STREAM, lambda: (data,), len(data), location)
    lies = FileStretch(lambda: blobs.open(row.blob.key), value.offset or 0, value.length)
    return OutgoingPart(OCTET_STREAM, lies.chunks, value.length, location, lies)


def _one_of_each_form(rows: Sequence[InstanceRow]) -> list[InstanceRow]:
    """The first of the instances whose pixels are stored alike; the rest can be had as it can."""
    found: dict[tuple[str, int | None, bool], InstanceRow] = {}
    for row in rows:
        pixels = row.blob.pixels
        found.setdefault((row.transfer_syntax_uid, row.bits_allocated, bool(pixels and pixels.encapsulated)), row)
    return list(found.values())
