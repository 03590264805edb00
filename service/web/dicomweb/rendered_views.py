"""Rendered and thumbnail resources (WADO-RS, PS3.18 10.4.1.1.3 and .4)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Final

from flask import Response, request
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_nodes.errors import GatewayError
from service.archive.bulk_data import read_bulk
from service.core.archived import InstanceRow
from service.errors import NotAcceptable
from service.web.dicomweb.answers import (
    accepted,
    answer_multipart,
    answer_single,
    entity_tag,
    finish,
    unchanged,
)
from service.web.dicomweb.display import displayed
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.media_types import ANY, is_video
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.render_parameters import RenderRequest, parse_rendering
from service.web.dicomweb.rendering import choose_image_type, encode_image
from service.web.dicomweb.report_text import as_html, as_plain_text
from service.web.dicomweb.resources import Resources, parse_frames
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.stored_object import StoredObject

_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_PDF: Final = "application/pdf"
_ENCAPSULATED_DOCUMENT: Final = "00420011"
_REPRESENTATIVE_FRAME: Final = "RepresentativeFrameNumber"


class RenderedViews:
    """Images and reports as a browser shows them."""

    def __init__(self, services: DicomWebServices, resources: Resources, layouts: FrameLayouts) -> None:
        self._services = services
        self._resources = resources
        self._layouts = layouts

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

        One instance is one image, its representative frame, or as multipart every frame. A study or series is
        multipart, one image an instance.
        """
        wanted = parse_rendering(request.args)
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        if sop_instance_uid:
            return self._instance(project, rows[0], wanted)
        shown = [row for row in rows if _is_image(row)]
        if not shown:
            raise NotAcceptable("Nothing here can be drawn as an image")
        image_type, multipart = choose_image_type(accepted(request), single=len(shown) == 1)
        return self._images(project, [(row, 0) for row in shown], image_type, wanted, multipart=multipart)

    def thumbnail(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/thumbnail`` of a study, a series or an instance: one small image of the middle of what is there."""
        wanted = parse_rendering(request.args, thumbnail=True)
        rows = self._resources.instances(project, study_uid, series_uid, sop_instance_uid)
        shown = [row for row in rows if _is_image(row)]
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
        _check_drawable(row)
        with StoredObject(row, self._services.blobs) as stored:
            reader = FrameReader(stored, self._layouts)
            for number in numbers:
                reader.check(number)
        image_type, multipart = choose_image_type(accepted(request), single=len(numbers) == 1)
        return self._images(project, [(row, number) for number in numbers], image_type, wanted, multipart=multipart)

    def _instance(self, project: str, row: InstanceRow, wanted: RenderRequest) -> Response:
        if row.sop_class_uid.startswith(_REPORTS):
            return self._report(row)
        if row.sop_class_uid == _ENCAPSULATED_PDF:
            return self._document(row)
        _check_drawable(row)
        count = row.number_of_frames or 1
        image_type, multipart = choose_image_type(accepted(request), single=True)
        frames = [(row, number) for number in range(1, count + 1)] if multipart else [(row, 0)]
        return self._images(project, frames, image_type, wanted, multipart=multipart)

    def _images(
        self,
        project: str,
        frames: Sequence[tuple[InstanceRow, int]],
        image_type: str,
        wanted: RenderRequest,
        *,
        multipart: bool,
    ) -> Response:
        """Draw frames of instances; frame 0 stands for the representative one."""
        tag = entity_tag([(row.blob.key, number) for row, number in frames], image_type, multipart, request.args)
        if (answer := unchanged(request, tag)) is not None:
            return answer
        if multipart:
            root = self._services.links.service_root(request, project)
            parts = [self._part(row, number, image_type, wanted, root) for row, number in frames]
            response = answer_multipart(parts, image_type, self._services.boundary())
        else:
            row, number = frames[0]
            image = self._draw(row, number, image_type, wanted)
            response = answer_single(image_type, image, length=len(image))
        response.set_etag(tag, weak=True)
        return finish(response, wanted.warnings)

    def _part(self, row: InstanceRow, number: int, image_type: str, wanted: RenderRequest, root: str) -> OutgoingPart:
        address = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"
        frame = f"/frames/{number}" if number else ""
        return OutgoingPart(
            image_type,
            lambda: (self._draw(row, number, image_type, wanted),),
            location=f"{address}{frame}/rendered",
        )

    def _draw(self, row: InstanceRow, number: int, image_type: str, wanted: RenderRequest) -> bytes:
        with StoredObject(row, self._services.blobs) as stored:
            reader = FrameReader(stored, self._layouts)
            header = _header(stored)
            number = number or _representative(header, reader.format.frames)
            pixels = displayed(reader.decoded(number), header, number, wanted.window)
        return encode_image(pixels, image_type, wanted)

    def _report(self, row: InstanceRow) -> Response:
        """A Structured Report as text."""
        forms: dict[str, Callable[[Dataset], str]] = {"text/html": as_html, "text/plain": as_plain_text}
        for media_range in accepted(request):
            for media_type, write in forms.items():
                if not media_range.multipart and (media_range.media_type == ANY or media_range.covers(media_type)):
                    with StoredObject(row, self._services.blobs) as stored:
                        body = write(_header(stored)).encode("utf-8")
                    return answer_single(f"{media_type}; charset=utf-8", body, length=len(body))
        raise NotAcceptable(f"A report is to be had rendered as {', '.join(forms)}")

    def _document(self, row: InstanceRow) -> Response:
        """An encapsulated document as it is."""
        for media_range in accepted(request):
            if not media_range.multipart and (media_range.media_type == ANY or media_range.covers(_PDF)):
                with self._services.blobs.open(row.blob.key) as stream:
                    body = read_bulk(stream, row, _ENCAPSULATED_DOCUMENT).read(stream)
                return answer_single(_PDF, body, length=len(body))
        raise NotAcceptable(f"An encapsulated document is to be had rendered as {_PDF}")


def _is_image(row: InstanceRow) -> bool:
    return row.blob.pixels is not None and bool(row.rows) and not is_video(row.transfer_syntax_uid)


def _check_drawable(row: InstanceRow) -> None:
    if row.blob.pixels is None:
        raise NotAcceptable("This instance holds no image that could be drawn")
    if is_video(row.transfer_syntax_uid):
        raise NotAcceptable("A video is not drawn here; ask for its bulk data")


def _header(stored: StoredObject) -> Dataset:
    """The attributes up to the pixels.

    Raises
    ------
    GatewayError : what is stored cannot be read
    """
    try:
        return read_dataset(
            io.BytesIO(stored.header()),
            is_implicit_VR=stored.encoding.implicit_vr,
            is_little_endian=stored.encoding.little_endian,
        )
    except Exception as error:
        raise GatewayError("A stored header cannot be read") from error


def _representative(header: Dataset, frames: int) -> int:
    """The frame that stands for the instance: the one that it names, else the one in the middle."""
    named = header.get(_REPRESENTATIVE_FRAME)
    if isinstance(named, int) and 1 <= named <= frames:
        return named
    return frames // 2 + 1 if frames > 1 else 1
