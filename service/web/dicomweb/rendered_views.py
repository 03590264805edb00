"""Rendered and thumbnail resources (WADO-RS, PS3.18 10.4.1.1.3 and .4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flask import Response, request
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.errors import BadRequest, InstanceNotFound, NotAcceptable
from service.web.dicomweb.answers import (
    accepted,
    answer_multipart,
    answer_single,
    entity_tag,
    finish,
    unchanged,
)
from service.web.dicomweb.drawing import FrameDrawer, attributes_read, check_drawable, is_image
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.presentation_state import PRESENTATION_STATES, references
from service.web.dicomweb.render_parameters import RenderRequest, parse_rendering
from service.web.dicomweb.rendered_text import answer_text, is_text
from service.web.dicomweb.rendering import GIF, check_profile, choose_image_type
from service.web.dicomweb.resources import Resources, parse_frames
from service.web.dicomweb.services import DicomWebServices

_MOST_FRAMES: Final = 10_000


class RenderedViews:
    """Images and reports as a browser shows them."""

    def __init__(self, services: DicomWebServices, resources: Resources, layouts: FrameLayouts) -> None:
        self._services = services
        self._resources = resources
        self._drawer = FrameDrawer(services.blobs, layouts)

    def frames(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, frames: str) -> Response:
        """``GET …/frames/{list}/rendered``."""
        return self._frames(project, study_uid, series_uid, sop_instance_uid, frames, thumbnail=False)

    def frames_thumbnail(
        self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, frames: str
    ) -> Response:
        """``GET …/frames/{list}/thumbnail``."""
        return self._frames(project, study_uid, series_uid, sop_instance_uid, frames, thumbnail=True)

    def instances(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/rendered`` of a study, a series or an instance.

        One instance is one image, its representative frame, or as multipart or GIF every frame. A study or series is
        multipart, one image an instance.
        """
        wanted = parse_rendering(request.args)
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        if sop_instance_uid:
            return self._instance(project, rows[0], wanted)
        shown = [row for row in rows if is_image(row)]
        if not shown:
            raise NotAcceptable("Nothing here can be drawn as an image")
        image_type, multipart = choose_image_type(accepted(request), single=len(shown) == 1)
        return self._images(project, [(row, 0) for row in shown], image_type, wanted, multipart=multipart)

    def thumbnail(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/thumbnail`` of a study, a series or an instance: one small image of the middle of what is there."""
        wanted = parse_rendering(request.args, thumbnail=True)
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        shown = [row for row in rows if is_image(row)]
        if not shown:
            raise NotAcceptable("Nothing here can be drawn as an image")
        first_series = [row for row in shown if row.series_uid == shown[0].series_uid]
        row = first_series[len(first_series) // 2]
        image_type, multipart = choose_image_type(accepted(request), single=True)
        return self._images(project, [(row, 0)], image_type, wanted, multipart=multipart)

    def _frames(
        self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str, frames: str, *, thumbnail: bool
    ) -> Response:
        wanted = parse_rendering(request.args, thumbnail=thumbnail)
        numbers = parse_frames(frames)
        row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
        self._drawer.check_frames(row, numbers)
        single = len(numbers) == 1
        image_type, multipart = choose_image_type(accepted(request), single=single, animated=not thumbnail)
        return self._images(project, [(row, number) for number in numbers], image_type, wanted, multipart=multipart)

    def _instance(self, project: str, row: InstanceRow, wanted: RenderRequest) -> Response:
        if is_text(row):
            return answer_text(request, row, self._services.blobs, accepted(request))
        if row.sop_class_uid in PRESENTATION_STATES:
            return self._presented(project, row, wanted)
        check_drawable(row)
        image_type, multipart = choose_image_type(accepted(request), single=True)
        # As multipart every frame; as a GIF they move; in the other forms one stands for all.
        if not multipart and image_type != GIF:
            return self._images(project, [(row, 0)], image_type, wanted, multipart=False)
        count = self._drawer.frames_of(row)
        if count > _MOST_FRAMES:
            raise NotAcceptable(f"At most {_MOST_FRAMES} frames are rendered at once; ask for some of them")
        frames = [(row, number) for number in range(1, count + 1)]
        return self._images(project, frames, image_type, wanted, multipart=multipart)

    def _presented(self, project: str, row: InstanceRow, wanted: RenderRequest) -> Response:
        """A presentation state: the first image that it is for, as it shows it."""
        if wanted.window is not None:
            raise BadRequest("window: a presentation state brings its own")
        if wanted.viewport is not None and not wanted.viewport.is_whole:
            raise BadRequest("viewport: only vw,vh for a presentation state")
        image_type, multipart = choose_image_type(accepted(request), single=True)
        check_profile(image_type, wanted)
        state = self._drawer.read_header(row)
        image, number = self._referenced(project, row, state)
        tag = entity_tag(row.blob.key, image.blob.key, image_type, multipart, request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        drawn, warnings = self._drawer.draw_presented(image, number, state, image_type, wanted)
        if multipart:
            part = OutgoingPart(image_type, lambda: (drawn,), len(drawn))
            response = answer_multipart([part], image_type, self._services.boundary())
        else:
            response = answer_single(image_type, drawn, length=len(drawn))
        response.set_etag(tag, weak=True)
        return finish(response, warnings)

    def _referenced(self, project: str, row: InstanceRow, state: Dataset) -> tuple[InstanceRow, int]:
        """The first image of a state that is held here, and the frame of it that is meant, 0 for the representative."""
        with attributes_read():
            referenced = list(references(state))
        for reference in referenced:
            try:
                image = self._resources.instance(
                    project, row.study_uid, reference.series_uid, reference.sop_instance_uid
                )
            except (BadRequest, InstanceNotFound):
                continue
            if is_image(image):
                return image, reference.frames[0] if reference.frames else 0
        raise NotAcceptable("None of the images that this presentation state is for is held here")

    def _images(
        self,
        project: str,
        frames: Sequence[tuple[InstanceRow, int]],
        image_type: str,
        wanted: RenderRequest,
        *,
        multipart: bool,
    ) -> Response:
        """Draw frames of instances; frame 0 stands for the representative one.

        Several that are no multipart are frames of one instance, and become a moving image.
        """
        check_profile(image_type, wanted)
        tag = entity_tag([(row.blob.key, number) for row, number in frames], image_type, multipart, request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        if multipart:
            root = self._services.links.service_root(request, project)
            parts = [self._part(row, number, image_type, wanted, root) for row, number in frames]
            response = answer_multipart(parts, image_type, self._services.boundary())
        elif len(frames) > 1:
            moving = self._drawer.animate(frames[0][0], [number for _, number in frames], wanted)
            response = answer_single(image_type, lambda: moving)
        else:
            row, number = frames[0]
            image = self._drawer.draw(row, number, image_type, wanted)
            response = answer_single(image_type, image, length=len(image))
        response.set_etag(tag, weak=True)
        return finish(response, wanted.warnings)

    def _part(self, row: InstanceRow, number: int, image_type: str, wanted: RenderRequest, root: str) -> OutgoingPart:
        address = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"
        frame = f"/frames/{number}" if number else ""

        def body() -> Iterator[bytes]:
            yield self._drawer.draw(row, number, image_type, wanted)

        return OutgoingPart(image_type, body, location=f"{address}{frame}/rendered")
