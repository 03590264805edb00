"""Retrieve whole instances and metadata (WADO-RS, PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Response, request

from service.archive import metadata_cache
from service.core.archived import InstanceRow
from service.errors import InstanceNotFound, NotAcceptable
from service.web.dicomweb.answers import (
    accepted,
    answer_multipart,
    answer_single,
    entity_tag,
    finish,
    json_media_type,
    takes_gzip,
    unchanged,
)
from service.web.dicomweb.media_types import DICOM, EXPLICIT_VR_LITTLE_ENDIAN, MediaRange
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.whole_object import ObjectFile, ObjectFiles


class RetrieveViews:
    """Whole instances and metadata, at each level."""

    def __init__(self, services: DicomWebServices, resources: Resources, files: ObjectFiles) -> None:
        self._services = services
        self._resources = resources
        self._files = files

    def instances(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET /studies/{study}[/series/{series}[/instances/{instance}]]``."""
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag([(row.blob.key, row.blob.size) for row in rows], request.headers.get("Accept"), request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        media_range, files = self._choose(rows)
        root = self._services.links.service_root(request, project)
        parts = [_part(row, file, root) for row, file in zip(rows, files, strict=True)]
        if media_range.multipart is False:
            part = parts[0]
            response = answer_single(part.content_type, part.body, length=part.length, location=part.location)
        else:
            response = answer_multipart(parts, DICOM, self._services.boundary())
        response.set_etag(tag, weak=True)
        return response

    def metadata(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/metadata`` below a study, a series or an instance: joined from what is kept, compressed as it is."""
        self._resources.check_project(project)
        check_uids(study_uid, series_uid, sop_instance_uid)
        media_type = json_media_type(request)
        if sop_instance_uid:
            self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        blobs = self._services.index.metadata_of(
            project,
            study_uid,
            series_uid or None,
            sop_instance_uid or None,
            visible_only=not sop_instance_uid,
        )
        if not blobs:
            raise InstanceNotFound("Nothing is held under this address")
        root = self._services.links.service_root(request, project)
        gzipped = takes_gzip(request)
        tag = entity_tag(root, gzipped, media_type, *blobs)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        response = Response(metadata_cache.assemble(blobs, root, gzip=gzipped), content_type=media_type)
        if gzipped:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept, Accept-Encoding"
        response.set_etag(tag, weak=True)
        return finish(response)

    def _choose(self, rows: Sequence[InstanceRow]) -> tuple[MediaRange, list[ObjectFile]]:
        """The first of the caller's ranges in which every instance can go out."""
        problems: list[str] = []
        for media_range in accepted(request):
            if not media_range.covers(DICOM) or (media_range.multipart is False and len(rows) > 1):
                continue
            try:
                # The first object is proved to be decodable before the answer begins; the others are like it.
                return media_range, [self._file(row, media_range, first=index == 0) for index, row in enumerate(rows)]
            except NotAcceptable as error:
                problems.append(str(error))
        raise NotAcceptable(
            "; ".join(problems)
            or f'Instances are to be had as multipart/related; type="{DICOM}", also with transfer-syntax=* '
            f"for what is stored{'' if len(rows) > 1 else f', or as {DICOM}'}"
        )

    def _file(self, row: InstanceRow, media_range: MediaRange, *, first: bool) -> ObjectFile:
        if not media_range.transfer_syntax:
            return self._files.by_default(row, prove=first)
        if media_range.takes_as_stored(row.transfer_syntax_uid):
            return self._files.as_stored(row)
        if media_range.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN:
            return self._files.explicit(row, prove=first)
        raise NotAcceptable(
            f"An instance is stored in {row.transfer_syntax_uid}; it is to be had so, with transfer-syntax=*, "
            f"or in {EXPLICIT_VR_LITTLE_ENDIAN}"
        )


def _part(row: InstanceRow, file: ObjectFile, root: str) -> OutgoingPart:
    location = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"

    def body() -> Iterator[bytes]:
        yield from file.open()

    return OutgoingPart(f"{DICOM}; transfer-syntax={file.transfer_syntax_uid}", body, file.length, location)
