"""Rendered over HTTP: images, frames, presentation states, reports and documents."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
)

from tests.datasets import as_file, ct_slice
from tests.dicomweb_gateway import PIXELS, DicomWebGateway, address, compressed, document, get, parts_of


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path)
    yield held
    held.close()


@pytest.fixture
def client(gateway: DicomWebGateway) -> FlaskClient:
    return gateway.client()


@pytest.mark.parametrize("accept", ["", "image/jpeg", "image/png", "image/gif"])
def test_instance_is_drawn_in_each_form(gateway: DicomWebGateway, client: FlaskClient, accept: str) -> None:
    response = get(client, gateway.store(ct_slice(pixels=PIXELS)), "/rendered", accept)
    assert response.content_type == (accept or "image/jpeg")
    assert Image.open(BytesIO(response.data)).size == (16, 16)


def test_window_is_applied(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice(pixels=PIXELS))
    response = get(client, outcome, "/rendered?window=1000,10,linear", "image/png")
    assert Image.open(BytesIO(response.data)).getextrema() == (0, 0)


def test_thumbnail_is_small_at_every_level(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice(rows=300, columns=200))
    study = f"/dicom-web/studies/{outcome.study_uid}"
    instance = f"/dicom-web{address(outcome)}"
    for path in (study, f"{study}/series/{outcome.series_uid}", instance, f"{instance}/frames/1"):
        assert Image.open(BytesIO(client.get(f"{path}/thumbnail").data)).size == (85, 128)


def test_series_is_drawn_image_by_image(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome, *_ = [gateway.store(ct_slice(number)) for number in (1, 2, 3)]
    response = client.get(f"/dicom-web/studies/{outcome.study_uid}/series/{outcome.series_uid}/rendered")
    parts = parts_of(response.data, response.content_type)
    assert [headers["Content-Type"] for headers, _ in parts] == ["image/jpeg"] * 3


def test_frames_are_drawn_as_parts(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store_file(compressed(RLELossless, frames=3))
    response = get(client, outcome, "/frames/1,3/rendered", 'multipart/related; type="image/png"')
    assert len(parts_of(response.data, response.content_type)) == 2


def test_bad_rendering_parameter_is_a_problem(gateway: DicomWebGateway, client: FlaskClient) -> None:
    assert get(client, gateway.store(ct_slice()), "/rendered?quality=0").status_code == 400


def test_annotation_is_burned_in(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice(rows=128, columns=128))
    plain, named = (
        np.asarray(Image.open(BytesIO(get(client, outcome, f"/rendered?{query}", "image/png").data)))
        for query in ("", "annotation=patient")
    )
    assert (plain[:40] != named[:40]).any()
    assert (plain[64:] == named[64:]).all()


def test_annotation_of_a_thumbnail_is_answered_with_a_warning(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store(ct_slice()), "/thumbnail?annotation=patient")
    assert (response.status_code, response.headers["Warning"][:12]) == (200, "299 annogate")


def test_frames_move_where_a_gif_is_asked_for(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store_file(compressed(RLELossless, frames=3))
    for path, frames in (("/rendered", 3), ("/frames/1,3/rendered", 2), ("/frames/2/rendered", 1)):
        moving = Image.open(BytesIO(get(client, outcome, path, "image/gif").data))
        assert (getattr(moving, "n_frames", 1), moving.size) == (frames, (16, 16))


def test_presentation_state_is_drawn_as_its_image(gateway: DicomWebGateway, client: FlaskClient) -> None:
    shown = gateway.store(ct_slice(pixels=PIXELS))
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CTImageStorage, shown.sop_instance_uid
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = shown.series_uid, Sequence([image])
    state = document(
        GrayscaleSoftcopyPresentationStateStorage,
        SOPInstanceUID="1.2.3.4.6",
        SeriesInstanceUID="1.2.3.4.7",
        Modality="PR",
        ReferencedSeriesSequence=Sequence([series]),
        PresentationLUTShape="INVERSE",
    )
    outcome = gateway.store(state)
    plain, inverted = (
        np.asarray(Image.open(BytesIO(get(client, one, "/rendered", "image/png").data))).astype(int)
        for one in (shown, outcome)
    )
    assert (plain + inverted == 255).all()
    for query in ("window=1,2,linear", "viewport=10,10,0,0,5,5"):
        assert get(client, outcome, f"/rendered?{query}").status_code == 400
    gateway.store(document(GrayscaleSoftcopyPresentationStateStorage, SOPInstanceUID="1.2.3.4.8"))
    lone = f"/dicom-web/studies/{outcome.study_uid}/series/{shown.series_uid}/instances/1.2.3.4.8/rendered"
    assert client.get(lone).status_code == 406


def test_report_is_drawn_as_a_page(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(document(BasicTextSRStorage, CompletionFlag="COMPLETE"))
    response = get(client, outcome, "/rendered")
    assert response.content_type == "text/html; charset=utf-8"
    assert b"Complete" in response.data
    xml = get(client, outcome, "/rendered?charset=iso-8859-1", "text/xml")
    assert xml.content_type == "text/xml; charset=iso-8859-1"
    assert "Complete" in "".join(ElementTree.fromstring(xml.data).itertext())
    assert get(client, outcome, "/rendered?charset=ebcdic").status_code == 406


def test_report_as_an_image_is_refused_in_words(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store(document(BasicTextSRStorage)), "/rendered", "image/jpeg")
    assert response.status_code == 406
    assert "text/html" in response.get_json(force=True)["detail"]


def test_encapsulated_document_is_handed_out(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(document(EncapsulatedPDFStorage, EncapsulatedDocument=b"%PDF-1.7 x"))
    response = get(client, outcome, "/rendered")
    assert (response.content_type, response.data) == ("application/pdf", b"%PDF-1.7 x")


def test_instance_without_an_image_cannot_be_drawn(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(document("1.2.840.10008.5.1.4.1.1.481.5"))
    assert get(client, outcome, "/rendered").status_code == 406
    assert get(client, outcome, "/thumbnail").status_code == 406


def test_broken_attributes_are_told_in_words_when_rendered(gateway: DicomWebGateway, client: FlaskClient) -> None:
    ds = ct_slice()
    ds.VOILUTSequence = Sequence([Dataset()])
    ds.KVP = None
    outcome = gateway.store(ds)
    response = get(client, outcome, "/rendered")
    assert (response.status_code, "attribute" in response.get_json(force=True)["detail"]) == (406, True)


def test_claimed_frames_without_pixels_are_not_rendered(gateway: DicomWebGateway, client: FlaskClient) -> None:
    ds = dcmread(BytesIO(compressed(RLELossless)))
    ds.NumberOfFrames = 2147483647
    outcome = gateway.store_file(as_file(ds, RLELossless))
    for accept in ("image/gif", 'multipart/related; type="image/png"'):
        assert get(client, outcome, "/rendered", accept).status_code == 400
