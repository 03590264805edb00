"""Retrieving over HTTP: whole objects, metadata, frames and bulk data."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG4HP41,
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from service.core.records import Outcome
from tests.datasets import as_file, ct_slice, encode
from tests.dicomweb_gateway import PIXELS, DicomWebGateway, address, compressed, data_sets_of, document, get, parts_of

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
EXPLICIT = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
OHIF_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path)
    yield held
    held.close()


@pytest.fixture
def client(gateway: DicomWebGateway) -> FlaskClient:
    return gateway.client()


# Whole objects


def test_object_comes_back_byte_for_byte_as_stored(gateway: DicomWebGateway, client: FlaskClient) -> None:
    sent = ct_slice(pixels=PIXELS)
    outcome = gateway.store(sent)
    response = get(client, outcome, accept=AS_STORED)
    ((headers, body),) = parts_of(response.data, response.content_type)
    assert body.endswith(encode(sent))
    assert headers["Content-Type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert headers["Content-Location"] == f"http://localhost/dicom-web{address(outcome)}"
    assert response.content_length == len(response.data)


@pytest.mark.parametrize("accept", ["", "*/*", 'multipart/related; type="application/dicom"', EXPLICIT])
def test_implicit_object_comes_in_explicit_vr_by_default(
    gateway: DicomWebGateway, client: FlaskClient, accept: str
) -> None:
    sent = ct_slice(pixels=PIXELS)
    outcome = gateway.store_file(as_file(sent, ImplicitVRLittleEndian))
    response = get(client, outcome, accept=accept)
    (received,) = data_sets_of(response.data, response.content_type)
    assert received.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert received == sent


def test_lossless_object_is_decompressed_by_default(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store_file(compressed(RLELossless, frames=3))
    response = get(client, outcome)
    (received,) = data_sets_of(response.data, response.content_type)
    assert received.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert [int(frame[0, 0]) for frame in received.pixel_array] == [-100, -99, -98]
    assert (received.pixel_array[2][1:] == PIXELS[1:]).all()


def test_compressed_object_comes_as_stored_when_asked(gateway: DicomWebGateway, client: FlaskClient) -> None:
    file = compressed(JPEGLSLossless)
    response = get(client, gateway.store_file(file), accept=AS_STORED)
    (received,) = data_sets_of(response.data, response.content_type)
    assert received.file_meta.TransferSyntaxUID == JPEGLSLossless


def jpeg(gateway: DicomWebGateway) -> Outcome:
    """A lossy colour image."""
    stream = BytesIO()
    Image.new("RGB", (16, 16), (200, 40, 10)).save(stream, "JPEG")
    ds = ct_slice()
    ds.SOPClassUID, ds.SamplesPerPixel, ds.PlanarConfiguration = SecondaryCaptureImageStorage, 3, 0
    ds.PhotometricInterpretation, ds.PixelRepresentation = "YBR_FULL_422", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.LossyImageCompression = 7, "01"
    ds.PixelData = encapsulate([stream.getvalue()])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return gateway.store_file(as_file(ds, JPEGBaseline8Bit))


@pytest.mark.parametrize(("accept", "uid"), [("", JPEGBaseline8Bit), (EXPLICIT, ExplicitVRLittleEndian)])
def test_lossy_object_is_decompressed_only_when_asked(
    gateway: DicomWebGateway, client: FlaskClient, accept: str, uid: str
) -> None:
    response = get(client, jpeg(gateway), accept=accept)
    (received,) = data_sets_of(response.data, response.content_type)
    assert received.file_meta.TransferSyntaxUID == uid


def test_decompressed_colours_are_described_as_they_are(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, jpeg(gateway), accept=EXPLICIT)
    (received,) = data_sets_of(response.data, response.content_type)
    assert (received.PhotometricInterpretation, received.LossyImageCompression) == ("RGB", "01")
    assert np.abs(received.pixel_array[8, 8].astype(int) - [200, 40, 10]).max() < 4


@pytest.mark.parametrize("level", ["series", "study"])
def test_whole_series_and_study_come_part_by_part(gateway: DicomWebGateway, client: FlaskClient, level: str) -> None:
    outcome, *_ = [gateway.store(ct_slice(number)) for number in (1, 2, 3)]
    path = f"/studies/{outcome.study_uid}" + (f"/series/{outcome.series_uid}" if level == "series" else "")
    response = client.get(f"/dicom-web{path}")
    assert [ds.InstanceNumber for ds in data_sets_of(response.data, response.content_type)] == [1, 2, 3]


def test_single_instance_may_come_without_multipart(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store(ct_slice()), accept="application/dicom")
    assert response.content_type == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert response.data[128:132] == b"DICM"


@pytest.mark.parametrize(
    "accept", ["image/tiff", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90']
)
def test_form_that_cannot_be_made_is_refused_in_words(
    gateway: DicomWebGateway, client: FlaskClient, accept: str
) -> None:
    response = get(client, gateway.store(ct_slice()), accept=accept)
    assert (response.status_code, response.content_type) == (406, "application/problem+json")
    assert "transfer-syntax=*" in response.get_json(force=True)["detail"]


@pytest.mark.parametrize("path", ["/studies/1.9", "/studies/1.9/series/1.8", "/studies/1.9/metadata"])
def test_what_is_not_held_is_not_found(client: FlaskClient, path: str) -> None:
    response = client.get(f"/dicom-web{path}")
    assert (response.status_code, response.content_type) == (404, "application/problem+json")


def test_instance_under_another_series_is_not_found(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice())
    path = f"/studies/{outcome.study_uid}/series/1.2/instances/{outcome.sop_instance_uid}"
    assert client.get(f"/dicom-web{path}/frames/1").status_code == 404


# Metadata


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_metadata_is_the_header_with_a_link_to_the_pixels(
    gateway: DicomWebGateway, client: FlaskClient, encoding: str
) -> None:
    sent = ct_slice(pixels=PIXELS)
    outcome = gateway.store(sent)
    response = get(client, outcome, "/metadata", Accept_Encoding=encoding)
    body = gzip.decompress(response.data) if encoding == "gzip" else response.data
    (document,) = json.loads(body)
    link = document.pop("7FE00010")["BulkDataURI"]
    del sent.PixelData
    assert Dataset.from_json(document) == sent
    assert link == f"http://localhost/dicom-web{address(outcome)}/bulkdata/7FE00010"


def test_metadata_of_a_study_lists_every_instance(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome, *_ = [gateway.store(ct_slice(number)) for number in (1, 2, 3)]
    documents = client.get(f"/dicom-web/studies/{outcome.study_uid}/metadata").get_json(force=True)
    assert [document["00200013"]["Value"] for document in documents] == [[1], [2], [3]]


def test_metadata_shows_what_was_added_to_a_series_since(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice(1))
    path = f"/dicom-web/studies/{outcome.study_uid}/series/{outcome.series_uid}/metadata"
    first = client.get(path)
    gateway.store(ct_slice(2))
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, len(again.get_json(force=True))) == (200, 2)


@pytest.mark.parametrize("path", ["", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered"])
def test_unchanged_representation_is_not_sent_again(gateway: DicomWebGateway, client: FlaskClient, path: str) -> None:
    outcome = gateway.store(ct_slice())
    tag = get(client, outcome, path).headers["ETag"]
    again = get(client, outcome, path, If_None_Match=tag)
    assert (again.status_code, again.data) == (304, b"")


# Frames


def test_frame_goes_to_ohif_as_it_reads_it(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store(ct_slice(pixels=PIXELS)), "/frames/1", OHIF_FRAMES)
    assert b"\r\nContent-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n" in response.data
    ((_, body),) = parts_of(response.data, response.content_type)
    assert body == PIXELS.tobytes()


def test_compressed_frame_is_its_code_stream_alone(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store_file(compressed(JPEGLSLossless)), "/frames/1", OHIF_FRAMES)
    ((headers, body),) = parts_of(response.data, response.content_type)
    assert headers["Content-Type"] == f"application/octet-stream; transfer-syntax={JPEGLSLossless}"
    assert body.startswith(b"\xff\xd8")


def test_frames_come_in_the_order_asked_for(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store_file(compressed(RLELossless, frames=3)), "/frames/3,1")
    values = [np.frombuffer(body, "<i2")[0] for _, body in parts_of(response.data, response.content_type)]
    assert values == [-98, -100]


@pytest.mark.parametrize(("frames", "status"), [("2", 404), ("1,2", 404), ("0", 400), ("a", 400), ("1,,2", 400)])
def test_frames_that_are_not_there_or_none_are_refused(
    gateway: DicomWebGateway, client: FlaskClient, frames: str, status: int
) -> None:
    response = get(client, gateway.store(ct_slice()), f"/frames/{frames}")
    assert (response.status_code, response.content_type) == (status, "application/problem+json")


def test_frame_that_cannot_be_decoded_is_refused_before_the_answer_begins(
    gateway: DicomWebGateway, client: FlaskClient
) -> None:
    ds = ct_slice()
    ds.PixelData = encapsulate([b"\xff\xd8 this is no JPEG-LS \xff\xd9"])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    outcome = gateway.store_file(as_file(ds, JPEGLSLossless))
    assert get(client, outcome, "/frames/1").status_code == 406
    assert get(client, outcome, accept=EXPLICIT).status_code == 406
    assert get(client, outcome, "/frames/1", OHIF_FRAMES).status_code == 200
    assert get(client, outcome).status_code == 200


# Bulk data


def test_link_in_metadata_leads_to_the_value(gateway: DicomWebGateway, client: FlaskClient) -> None:
    item = Dataset()
    item.add_new(0x00420011, "OB", bytes(range(256)) * 8)
    ds = ct_slice()
    ds.ReferencedImageSequence = Sequence([Dataset(), item])
    outcome = gateway.store(ds)
    (document,) = get(client, outcome, "/metadata").get_json(force=True)
    link = document["00081140"]["Value"][1]["00420011"]["BulkDataURI"]
    response = client.get(link)
    ((_, body),) = parts_of(response.data, response.content_type)
    assert body == bytes(range(256)) * 8


def test_native_pixels_come_as_one_part(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store(ct_slice(pixels=PIXELS)), "/bulkdata/7FE00010")
    ((_, body),) = parts_of(response.data, response.content_type)
    assert body == PIXELS.tobytes()


def test_compressed_pixels_come_frame_by_frame(gateway: DicomWebGateway, client: FlaskClient) -> None:
    response = get(client, gateway.store_file(compressed(RLELossless, frames=3)), "/bulkdata/7FE00010")
    assert len(parts_of(response.data, response.content_type)) == 3


def test_video_comes_as_one_stream(gateway: DicomWebGateway, client: FlaskClient) -> None:
    ds = ct_slice()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    ds.NumberOfFrames = 25
    ds.PixelData = encapsulate([b"first of the video", b"rest of it"])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    outcome = gateway.store_file(as_file(ds, MPEG4HP41))
    response = get(client, outcome, "/bulkdata/7FE00010")
    ((headers, body),) = parts_of(response.data, response.content_type)
    assert (headers["Content-Type"], body) == (
        f"video/mp4; transfer-syntax={MPEG4HP41}",
        b"first of the videorest of it",
    )
    assert get(client, outcome, "/frames/1").status_code == 406


@pytest.mark.parametrize("path", ["00100010", "7FE00008", "nonsense", "00081140/0/00081150", "../../etc"])
def test_bulk_data_that_is_not_there_is_not_found(gateway: DicomWebGateway, client: FlaskClient, path: str) -> None:
    assert get(client, gateway.store(ct_slice()), f"/bulkdata/{path}").status_code == 404


# Compressed for who asks


@pytest.mark.parametrize(
    ("media_type", "uid"),
    [("image/jls", JPEGLSLossless), ("image/dicom-rle", RLELossless)],
)
def test_frames_are_compressed_for_who_asks(
    gateway: DicomWebGateway, client: FlaskClient, media_type: str, uid: str
) -> None:
    outcome = gateway.store(ct_slice(pixels=PIXELS))
    response = get(client, outcome, "/frames/1", f'multipart/related; type="{media_type}"')
    ((headers, body),) = parts_of(response.data, response.content_type)
    assert headers["Content-Type"] == f"{media_type}; transfer-syntax={uid}"
    decoded, _ = get_decoder(uid).as_array(
        encapsulate([body]), index=0, rows=16, columns=16, samples_per_pixel=1, bits_allocated=16, bits_stored=16,
        pixel_representation=1, photometric_interpretation="MONOCHROME2", number_of_frames=1,
        pixel_keyword="PixelData",
    )  # fmt: skip
    assert (decoded == PIXELS).all()


def test_pixel_data_is_compressed_frame_by_frame(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store_file(compressed(RLELossless, frames=3))
    response = get(client, outcome, "/bulkdata/7FE00010", 'multipart/related; type="image/jls"')
    assert len(parts_of(response.data, response.content_type)) == 3


def test_each_object_of_a_series_goes_in_the_first_form_it_can(gateway: DicomWebGateway, client: FlaskClient) -> None:
    outcome = gateway.store(ct_slice(1, pixels=PIXELS))
    gateway.store(document(BasicTextSRStorage, SOPInstanceUID="1.2.3.4.5"))
    whole = 'multipart/related; type="application/dicom"'
    address = f"/dicom-web/studies/{outcome.study_uid}/series/{outcome.series_uid}"
    accept = f"{whole}; transfer-syntax={JPEGLSLossless}, {whole}; q=0.5"
    response = client.get(address, headers={"Accept": accept})
    received = data_sets_of(response.data, response.content_type)
    assert {ds.file_meta.TransferSyntaxUID for ds in received} == {JPEGLSLossless, ExplicitVRLittleEndian}
    assert client.get(address, headers={"Accept": accept.partition(",")[0]}).status_code == 406
