"""Retrieve whole instances (WADO-RS, PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Response, request

from service.core.archived import InstanceRow
from service.errors import NotAcceptable
from service.web.dicomweb.answers import accepted, entity_tag, unchanged
from service.web.dicomweb.media_types import DICOM, EXPLICIT_VR_LITTLE_ENDIAN, MediaRange
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.partial_answers import answer_parts
from service.web.dicomweb.resources import Resources
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.whole_object import ObjectFile, ObjectFiles


class RetrieveViews:
    """Whole instances, at each level."""

    def __init__(self, services: DicomWebServices, resources: Resources, files: ObjectFiles) -> None:
        self._services = services
        self._resources = resources
        self._files = files

    def instances(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET /studies/{study}[/series/{series}[/instances/{instance}]]``."""
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag([(row.blob.key, row.blob.size) for row in rows], request.headers.get("Accept"), request.args)
        modified = rows[0].indexed_at if sop_instance_uid else None
        if (answer := unchanged(request, tag, modified)) is not None:
            return answer
        files, multipart = self._choose(rows)
        root = self._services.links.service_root(request, project)
        parts = [_part(row, file, root) for row, file in zip(rows, files, strict=True)]
        boundary = self._services.boundary()
        return answer_parts(request, parts, DICOM, multipart=multipart, tag=tag, modified=modified, boundary=boundary)

    def _choose(self, rows: Sequence[InstanceRow]) -> tuple[list[ObjectFile], bool]:
        """For each instance the first of the caller's ranges in which it can go out, and whether as multipart."""
        ranges = [media_range for media_range in accepted(request) if media_range.covers(DICOM)]
        if len(rows) > 1:
            ranges = [media_range for media_range in ranges if media_range.multipart is not False]
        # The first object is proved to be decodable before the answer begins; the others are like it.
        chosen = [self._first_fitting(row, ranges, proved=index == 0) for index, row in enumerate(rows)]
        return [file for file, _ in chosen], chosen[0][1].multipart is not False

    def _first_fitting(
        self, row: InstanceRow, ranges: Sequence[MediaRange], *, proved: bool
    ) -> tuple[ObjectFile, MediaRange]:
        problems: dict[str, None] = {}
        for media_range in ranges:
            try:
                file = self._file(row, media_range, proved=proved)
            except NotAcceptable as error:
                problems[str(error)] = None
                continue
            if media_range.allows(DICOM, file.transfer_syntax_uid, multipart=media_range.multipart is not False):
                return file, media_range
        raise NotAcceptable(
            "; ".join(problems)
            or f'Instances are to be had as multipart/related; type="{DICOM}", also with transfer-syntax=* '
            f"for what is stored; a single one also as {DICOM}"
        )

    def _file(self, row: InstanceRow, media_range: MediaRange, *, proved: bool) -> ObjectFile:
        if not media_range.transfer_syntax:
            return self._files.by_default(row, prove=proved)
        if media_range.takes_as_stored(row.transfer_syntax_uid):
            return self._files.as_stored(row)
        if media_range.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN:
            return self._files.explicit(row, prove=proved)
        encodings = self._files.encodings(row)
        if media_range.transfer_syntax in encodings:
            return self._files.encoded(row, media_range.transfer_syntax, prove=proved)
        others = [uid for uid in (EXPLICIT_VR_LITTLE_ENDIAN, *encodings) if uid != row.transfer_syntax_uid]
        raise NotAcceptable(
            f"An instance is stored in {row.transfer_syntax_uid}; it is to be had so, with transfer-syntax=*, "
            f"or in {', '.join(others)}"
        )


def _part(row: InstanceRow, file: ObjectFile, root: str) -> OutgoingPart:
    location = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"

    def body() -> Iterator[bytes]:
        yield from file.open()

    content_type = f"{DICOM}; transfer-syntax={file.transfer_syntax_uid}"
    return OutgoingPart(content_type, body, file.length, location, file.stretch)
