"""Retrieve frames (WADO-RS, PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from flask import Response, request

from service.web.dicomweb.answers import accepted, entity_tag, unchanged
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.partial_answers import answer_from
from service.web.dicomweb.pixel_parts import frame_parts
from service.web.dicomweb.resources import Resources, parse_frames
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.stored_object import StoredObject


class PixelViews:
    """Frames of one instance."""

    def __init__(self, services: DicomWebServices, resources: Resources, layouts: FrameLayouts) -> None:
        self._services = services
        self._resources = resources
        self._layouts = layouts

    def frames(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, frames: str) -> Response:
        """``GET …/instances/{instance}/frames/{list}``: one part a frame, in the order asked for."""
        numbers = parse_frames(frames)
        row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        tag = entity_tag(row.blob.key, numbers, request.headers.get("Accept"), request.args)
        if (answer := unchanged(request, tag, row.indexed_at)) is not None:
            return answer
        root = self._services.links.service_root(request, project)
        address = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"
        stored = StoredObject(row, self._services.blobs)
        return answer_from(
            stored,
            request,
            lambda: frame_parts(FrameReader(stored, self._layouts), numbers, accepted(request), address),
            tag=tag,
            boundary=self._services.boundary(),
        )
