"""WADO-URI: one object by an address with parameters."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEG2000Lossless,
)
from werkzeug.test import TestResponse

from service.core.records import Outcome
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.wado_uri import wado_uri_blueprint
from tests.datasets import ct_slice
from tests.dicomweb_gateway import DEFAULT, DicomWebGateway

PIXELS = np.arange(32 * 48, dtype="i2").reshape(32, 48)
STATE_UID = "1.2.3.9.9"


class Held:
    """A gateway with an image, one of several frames, a report and a presentation state."""

    def __init__(self, folder: Path) -> None:
        self.gateway = DicomWebGateway(folder)
        self.notes: list[str] = []
        house = self.gateway.house
        services = DicomWebServices(
            index=house.index,
            search=None,  # type: ignore[arg-type] - nothing is searched for
            blobs=house.blobs,
            store=house.pipeline.begin_batch,
            projects=("clinical", "research"),
            deidentified=("research",),
            note=lambda target, **_: self.notes.append(target),
        )
        self.gateway.app.register_blueprint(
            wado_uri_blueprint(services), url_prefix="/wado", url_defaults={"project": DEFAULT}
        )
        self.image = self.gateway.store(ct_slice(pixels=PIXELS, rows=32, columns=48))
        several = ct_slice(2, pixels=np.stack([PIXELS[:16, :16]] * 3))
        several.NumberOfFrames = 3
        self.frames = self.gateway.store(several)
        self.report = self.gateway.store(self.without_pixels(BasicTextSRStorage, "1.2.3.9.8"))
        reference = Dataset()
        reference.ReferencedSOPClassUID = CTImageStorage
        reference.ReferencedSOPInstanceUID = self.image.sop_instance_uid
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedImageSequence = self.image.series_uid, Sequence([reference])
        state = self.without_pixels(GrayscaleSoftcopyPresentationStateStorage, STATE_UID)
        state.ReferencedSeriesSequence, state.PresentationLUTShape = Sequence([series]), "INVERSE"
        self.gateway.store(state)

    @staticmethod
    def without_pixels(sop_class_uid: str, uid: str) -> Dataset:
        ds = ct_slice(sop_instance_uid=uid)
        del ds.PixelData
        ds.SOPClassUID = sop_class_uid
        return ds

    def get(self, outcome: Outcome, **parameters: object) -> TestResponse:
        named = {
            "requestType": "WADO",
            "studyUID": outcome.study_uid,
            "seriesUID": outcome.series_uid,
            "objectUID": outcome.sop_instance_uid,
        } | parameters
        return self.gateway.client().get(f"/wado?{urlencode(named)}")

    def drawn(self, outcome: Outcome, **parameters: object) -> Image.Image:
        response = self.get(outcome, contentType="image/png", **parameters)
        assert response.status_code == 200, response.data
        return Image.open(BytesIO(response.data))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    held = Held(tmp_path_factory.mktemp("wado"))
    yield held
    held.gateway.close()


def test_each_kind_of_object_has_its_own_default(held: Held) -> None:
    kinds = (held.image, held.frames, held.report)
    assert [held.get(outcome).content_type.partition(";")[0] for outcome in kinds] == [
        "image/jpeg",
        "application/dicom",
        "text/html",
    ]


def test_object_comes_as_a_file_in_the_syntax_that_is_named(held: Held) -> None:
    for parameters, uid in (({}, ExplicitVRLittleEndian), ({"transferSyntax": JPEG2000Lossless}, JPEG2000Lossless)):
        response = held.get(held.image, contentType="application/dicom", **parameters)
        received = dcmread(BytesIO(response.data))
        assert received.file_meta.TransferSyntaxUID == uid
        assert (received.pixel_array == PIXELS).all()


def test_first_content_type_that_can_be_had_is_sent(held: Held) -> None:
    assert held.get(held.image, contentType="image/jp2,image/png").content_type == "image/png"
    assert held.get(held.report, contentType="text/plain").content_type == "text/plain; charset=utf-8"
    refused = held.get(held.report, contentType="image/png")
    assert (refused.status_code, "text/xml" in refused.get_json(force=True)["detail"]) == (406, True)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({}, (48, 32)),
        ({"rows": 16}, (24, 16)),
        ({"columns": 96}, (96, 64)),
        ({"rows": 10, "columns": 10}, (10, 7)),
        ({"region": "0,0,0.5,0.5"}, (24, 16)),
        ({"region": "0.5,0,1,1", "rows": 64}, (48, 64)),
    ],
)
def test_image_has_the_size_that_is_asked_for(held: Held, parameters: dict[str, object], size: tuple[int, int]) -> None:
    assert held.drawn(held.image, **parameters).size == size


def test_region_and_window_are_applied(held: Held) -> None:
    assert held.drawn(held.image, windowCenter=5000, windowWidth=10).getextrema() == (0, 0)
    corner = np.asarray(held.drawn(held.image, region="0.5,0.5,1,1", windowCenter=0, windowWidth=1))
    assert corner.min() == 255


def test_frame_is_chosen_by_its_number_and_gif_moves(held: Held) -> None:
    assert held.drawn(held.frames, frameNumber=3).size == (16, 16)
    assert held.get(held.frames, contentType="image/gif", frameNumber=4).status_code == 404
    moving = Image.open(BytesIO(held.get(held.frames, contentType="image/gif").data))
    assert moving.n_frames == 3  # type: ignore[attr-defined]


def test_presentation_state_is_applied(held: Held) -> None:
    series = held.image.series_uid
    plain = np.asarray(held.drawn(held.image)).astype(int)
    inverted = held.drawn(held.image, presentationUID=STATE_UID, presentationSeriesUID=series)
    assert (plain + np.asarray(inverted) == 255).all()
    of_another = held.get(held.frames, contentType="image/png", presentationUID=STATE_UID, presentationSeriesUID=series)
    assert of_another.status_code == 400


@pytest.mark.parametrize(
    ("parameters", "status", "word"),
    [
        ({"requestType": "QIDO"}, 400, "requestType"),
        ({"objectUID": ""}, 400, "objectUID"),
        ({"studyUID": "../x"}, 400, "UID"),
        ({"objectUID": "1.2.99"}, 404, "no such"),
        ({"rows": "0"}, 400, "rows"),
        ({"columns": "99999"}, 400, "columns"),
        ({"region": "0,0,2,1"}, 400, "region"),
        ({"region": "0.5,0,0.5,1"}, 400, "region"),
        ({"windowCenter": "1"}, 400, "windowWidth"),
        ({"imageQuality": "0"}, 400, "quality"),
        ({"annotation": "age"}, 400, "annotation"),
        ({"frameNumber": "-1"}, 400, "frameNumber"),
        ({"transferSyntax": "1.2.840.10008.1.2"}, 400, "transferSyntax"),
        ({"transferSyntax": "1.2.840.10008.1.2.4.80"}, 400, "transferSyntax"),
        ({"contentType": "application/dicom", "rows": "5"}, 400, "rows"),
        ({"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.4.91"}, 406, "transferSyntax"),
        ({"contentType": "video/mp4"}, 406, "contentType"),
        ({"anonymize": "perhaps"}, 400, "anonymize"),
        ({"anonymize": "yes"}, 406, "anonymize"),
        ({"presentationUID": "1.2"}, 400, "presentationSeriesUID"),
    ],
)
def test_bad_request_is_refused_by_name(held: Held, parameters: dict[str, object], status: int, word: str) -> None:
    response = held.get(held.image, **parameters)
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert word in response.get_json(force=True)["detail"]


def test_trail_learns_what_was_read_once_it_is_known_to_be_here(held: Held) -> None:
    held.notes.clear()
    held.get(held.image)
    held.get(held.image, objectUID="1.2.99")
    image = held.image
    assert held.notes == [f"{image.study_uid}/{image.series_uid}/{image.sop_instance_uid}"]


def test_unchanged_object_is_not_sent_again(held: Held) -> None:
    named = {"studyUID": held.image.study_uid, "seriesUID": held.image.series_uid}
    query = urlencode({"requestType": "WADO", "objectUID": held.image.sop_instance_uid} | named)
    client = held.gateway.client()
    tag = client.get(f"/wado?{query}").headers["ETag"]
    assert client.get(f"/wado?{query}", headers={"If-None-Match": tag}).status_code == 304
