"""Retrieve one object by an address with parameters (WADO-URI, PS3.18 9)."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, request

from service.core.archived import InstanceRow
from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.answers import answer_single, entity_tag, finish, unchanged
from service.web.dicomweb.drawing import FrameDrawer, attributes_read, is_image
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.media_types import DICOM, EXPLICIT_VR_LITTLE_ENDIAN, MediaRange
from service.web.dicomweb.presentation_state import PRESENTATION_STATES, references
from service.web.dicomweb.rendered_text import PDF, TEXT_FORMS, answer_text, is_text
from service.web.dicomweb.rendering import GIF, IMAGE_TYPES
from service.web.dicomweb.resources import Resources
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.wado_uri_parameters import UriRequest, parse_uri_request
from service.web.dicomweb.whole_object import ObjectFile, ObjectFiles
from service.web.problems import register_problem_handlers


def wado_uri_blueprint(services: DicomWebServices) -> Blueprint:
    """Build the blueprint; its view takes ``project``, from the address or from ``url_defaults``."""
    blueprint = Blueprint("wado_uri", __name__)
    register_problem_handlers(blueprint)
    blueprint.add_url_rule("", "retrieve", UriViews(services).retrieve)
    return blueprint


class UriViews:
    """One object, as a DICOM file or rendered."""

    def __init__(self, services: DicomWebServices) -> None:
        layouts = FrameLayouts()
        self._services = services
        self._resources = Resources(services.index, services.projects, services.trash)
        self._files = ObjectFiles(services.blobs, layouts)
        self._drawer = FrameDrawer(services.blobs, layouts)

    def retrieve(self, project: str) -> Response:
        """``GET /wado?requestType=WADO&studyUID=…&seriesUID=…&objectUID=…``."""
        wanted = parse_uri_request(request.args)
        row = self._resources.instance(project, wanted.study_uid, wanted.series_uid, wanted.sop_instance_uid)
        self._services.note(f"{row.study_uid}/{row.series_uid}/{row.sop_instance_uid}", project=project)
        media_type = _media_type(row, wanted.content_types)
        if wanted.anonymize and project not in self._services.deidentified:
            raise NotAcceptable("anonymize: this project keeps its objects as they came; ask one that de-identifies")
        state = self._state_of(row, wanted)
        shown_by = state.blob.key if state is not None else ""
        tag = entity_tag(row.blob.key, shown_by, media_type, request.args, request.headers.get("Accept-Charset"))
        if (answer := unchanged(request, tag)) is not None:
            return answer
        if media_type == DICOM:
            response = self._file(row, wanted)
        elif is_text(row):
            response = answer_text(request, row, self._services.blobs, [MediaRange(media_type, multipart=False)])
        else:
            response = self._image(row, state, wanted, media_type)
        response.set_etag(tag, weak=True)
        return finish(response)

    def _file(self, row: InstanceRow, wanted: UriRequest) -> Response:
        if wanted.drawing_keys:
            raise BadRequest(f"{', '.join(wanted.drawing_keys)}: only for what is rendered, not for {DICOM}")
        file = self._in_syntax(row, wanted.transfer_syntax_uid)
        content_type = f"{DICOM}; transfer-syntax={file.transfer_syntax_uid}"
        return answer_single(content_type, file.stretch or file.open, length=file.length)

    def _in_syntax(self, row: InstanceRow, uid: str) -> ObjectFile:
        if not uid:
            return self._files.by_default(row, prove=True)
        if uid == row.transfer_syntax_uid:
            return self._files.as_stored(row)
        if uid == EXPLICIT_VR_LITTLE_ENDIAN:
            return self._files.explicit(row, prove=True)
        encodings = self._files.encodings(row)
        if uid in encodings:
            return self._files.encoded(row, uid, prove=True)
        offered = dict.fromkeys((row.transfer_syntax_uid, EXPLICIT_VR_LITTLE_ENDIAN, *encodings))
        raise NotAcceptable(f"transferSyntax: this object is to be had in {', '.join(offered)}")

    def _image(self, row: InstanceRow, state: InstanceRow | None, wanted: UriRequest, media_type: str) -> Response:
        if wanted.transfer_syntax_uid:
            raise BadRequest(f"transferSyntax: only for {DICOM}")
        if state is not None:
            drawn, warnings = self._presented(row, state, wanted, media_type)
            return finish(answer_single(media_type, drawn, length=len(drawn)), warnings)
        if wanted.frame:
            self._drawer.check_frames(row, [wanted.frame])
        rendering = wanted.rendering(row)
        if media_type == GIF and not wanted.frame and (frames := self._drawer.frames_of(row)) > 1:
            moving = self._drawer.animate(row, range(1, frames + 1), rendering)
            return answer_single(media_type, lambda: moving)
        image = self._drawer.draw(row, wanted.frame, media_type, rendering)
        return answer_single(media_type, image, length=len(image))

    def _state_of(self, row: InstanceRow, wanted: UriRequest) -> InstanceRow | None:
        """The presentation state of the image's study that is to be applied, where one is."""
        if wanted.presentation is None:
            return None
        found = self._resources.instance(row.project, row.study_uid, *wanted.presentation)
        if found.sop_class_uid not in PRESENTATION_STATES:
            raise NotAcceptable("presentationUID: no softcopy presentation state that is applied here")
        return found

    def _presented(
        self, row: InstanceRow, found: InstanceRow, wanted: UriRequest, media_type: str
    ) -> tuple[bytes, tuple[str, ...]]:
        """The image as the state shows it, and what it lacks."""
        if wanted.region is not None:
            raise BadRequest("region: a presentation state brings its own")
        state = self._drawer.read_header(found)
        with attributes_read():
            referenced = {reference.sop_instance_uid for reference in references(state)}
        if row.sop_instance_uid not in referenced:
            raise BadRequest("presentationUID: this presentation state is not for this image")
        return self._drawer.draw_presented(row, wanted.frame, state, media_type, wanted.rendering(row))


def _media_type(row: InstanceRow, ranges: Sequence[MediaRange]) -> str:
    """The first of the caller's media types that this object comes in; its category's default where none is named.

    Raises
    ------
    NotAcceptable : none of them
    """
    offered = _offered(row)
    if not ranges:
        return offered[0]
    for media_range in ranges:
        for media_type in offered:
            if media_range.covers(media_type) and media_range.allows(media_type, multipart=False):
                return media_type
    raise NotAcceptable(f"contentType: this object is to be had as {', '.join(offered)}")


def _offered(row: InstanceRow) -> tuple[str, ...]:
    """The media types of an object, its category's default first (PS3.18 8.7.3, 8.7.4, URI services)."""
    if is_image(row):
        single = (row.number_of_frames or 1) == 1
        return (*IMAGE_TYPES, DICOM) if single else (DICOM, *IMAGE_TYPES)
    if is_text(row) and row.sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.88."):
        return (*TEXT_FORMS, DICOM)
    return (DICOM, PDF) if is_text(row) else (DICOM,)
