"""Storing instances whose metadata and bulk data come in parts of their own (PS3.18 10.5.1, 8.7.3)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    MPEG4HP41,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    VideoEndoscopicImageStorage,
)
from werkzeug.test import TestResponse

from service.core.native_dicom_model import to_xml
from service.ingest.scratch import Scratch
from service.web.dicomweb.store_body import Keeping, StoreLimits
from tests.datasets import STUDY_UID, as_file, ct_slice, encode
from tests.dicomweb_gateway import DicomWebGateway

Part = tuple[Mapping[str, str], bytes]
JSON_TYPE = "application/dicom+json"
XML_TYPE = "application/dicom+xml"
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    """One for all: each test stores instances of its own."""
    folder = tmp_path_factory.mktemp("store")
    scratch = Scratch(folder, in_memory_bytes=100)
    held = DicomWebGateway(folder, keeping=Keeping(scratch.keep, scratch.shelf))
    yield held
    held.close()


@pytest.fixture
def client(gateway: DicomWebGateway) -> FlaskClient:
    return gateway.client()


def post(
    client: FlaskClient, parts: Sequence[Part], root: str = JSON_TYPE, path: str = "/dicom-web/studies"
) -> TestResponse:
    pieces = []
    for headers, content in parts:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(b"\r\n--part\r\n" + head.encode() + b"\r\n" + content)
    data = b"".join(pieces) + b"\r\n--part--"
    return client.post(path, data=data, content_type=f'multipart/related; type="{root}"; boundary=part')


def metadata(*data_sets: Dataset, **uris: str) -> Part:
    """One part of JSON; Pixel Data refers to ``bulk/`` and the instance number, unless said otherwise."""
    documents = [document(data_set, **uris) for data_set in data_sets]
    return {"Content-Type": JSON_TYPE}, json.dumps(documents).encode()


def document(data_set: Dataset, pixels: str = "") -> dict[str, Any]:
    without = copy.deepcopy(data_set)
    vr = without["PixelData"].VR
    del without.PixelData
    uri = pixels or f"bulk/{data_set.InstanceNumber}"
    return without.to_json_dict() | {"7FE00010": {"vr": vr, "BulkDataURI": uri}}


def bulk(location: str, content: bytes, media_type: str = OCTETS) -> Part:
    return {"Content-Type": media_type, "Content-Location": location}, content


def told(response: TestResponse) -> Dataset:
    return Dataset.from_json(response.get_json(force=True))


def words(item: Dataset) -> str:
    return str(item.private_block(0x0099, "ANNOGATE")[0x01].value)


def stored(gateway: DicomWebGateway, data_set: Dataset) -> Dataset:
    return gateway.house.stored(gateway.house.index.find("clinical", str(data_set.SOPInstanceUID)))


def enhanced(number: int, frames: int, rows: int = 16) -> Dataset:
    pixels = np.arange(frames * rows * 16, dtype="i2")
    ds = ct_slice(number, rows=rows, pixels=pixels)
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.NumberOfFrames = frames
    return ds


def compressed(data_set: Dataset, syntax: str) -> list[bytes]:
    frames = int(data_set.get("NumberOfFrames", 1))
    pixels = np.frombuffer(data_set.PixelData, "<i2").reshape(frames, data_set.Rows, data_set.Columns)
    options = {
        "rows": data_set.Rows, "columns": data_set.Columns, "samples_per_pixel": 1, "bits_allocated": 16,
        "bits_stored": 16, "pixel_representation": 1, "photometric_interpretation": "MONOCHROME2",
        "number_of_frames": 1,
    }  # fmt: skip
    return [get_encoder(syntax).encode(frame, **options) for frame in pixels]


def test_metadata_and_bulk_data_become_the_instance_that_they_describe(
    gateway: DicomWebGateway, client: FlaskClient
) -> None:
    slices = [ct_slice(number, rows=32) for number in (1, 2)]
    parts = [metadata(*slices), *(bulk(f"bulk/{one.InstanceNumber}", one.PixelData) for one in slices)]
    response = post(client, parts)
    assert (response.status_code, len(told(response).ReferencedSOPSequence)) == (200, 2)
    for one in slices:
        row = gateway.house.index.find("clinical", str(one.SOPInstanceUID))
        assert row.transfer_syntax_uid == ExplicitVRLittleEndian
        assert gateway.house.stored_bytes(row) == encode(one)


def test_each_instance_may_have_its_own_part_of_metadata(gateway: DicomWebGateway, client: FlaskClient) -> None:
    slices = [ct_slice(number) for number in (11, 12)]
    parts: list[Part] = []
    for one in slices:
        parts += [metadata(one), bulk(f"bulk/{one.InstanceNumber}", one.PixelData)]
    assert post(client, parts).status_code == 200
    assert stored(gateway, slices[1]) == slices[1]


def test_addresses_are_compared_as_absolute_ones(client: FlaskClient) -> None:
    one = ct_slice(13)
    parts = [metadata(one, pixels="http://localhost/dicom-web/bulk/x"), bulk("bulk/x", one.PixelData)]
    assert post(client, parts).status_code == 200


def test_xml_says_the_same(gateway: DicomWebGateway, client: FlaskClient) -> None:
    slices = [ct_slice(number) for number in (21, 22)]
    parts: list[Part] = [({"Content-Type": XML_TYPE}, to_xml(document(one))) for one in slices]
    parts += [bulk(f"bulk/{one.InstanceNumber}", one.PixelData) for one in slices]
    assert post(client, parts, XML_TYPE).status_code == 200
    row = gateway.house.index.find("clinical", str(slices[0].SOPInstanceUID))
    assert gateway.house.stored_bytes(row) == encode(slices[0])


@pytest.mark.parametrize("media_type", [JSON_TYPE, XML_TYPE])
def test_instance_without_bulk_data_needs_no_multipart(client: FlaskClient, media_type: str) -> None:
    one = ct_slice(31 if media_type == JSON_TYPE else 32)
    document = one.to_json_dict()
    content = json.dumps([document]).encode() if media_type == JSON_TYPE else to_xml(document)
    response = client.post(f"/dicom-web/studies/{STUDY_UID}", data=content, content_type=media_type)
    assert (response.status_code, len(told(response).ReferencedSOPSequence)) == (200, 1)


@pytest.mark.parametrize(
    ("number", "named", "syntax"),
    [
        (41, f"image/jls; transfer-syntax={JPEGLSLossless}", JPEGLSLossless),
        (42, "image/jls", JPEGLSLossless),
        (43, f"image/dicom-rle; transfer-syntax={RLELossless}", RLELossless),
        (44, "image/x-dicom-rle", RLELossless),
        (45, f"{OCTETS}; transfer-syntax={RLELossless}", RLELossless),
    ],
)
def test_compressed_frame_is_kept_as_it_came(
    gateway: DicomWebGateway, client: FlaskClient, number: int, named: str, syntax: str
) -> None:
    one = ct_slice(number)
    (stream,) = compressed(one, syntax)
    assert post(client, [metadata(one), bulk(f"bulk/{number}", stream, named)]).status_code == 200
    found = stored(gateway, one)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert next(generate_frames(found.PixelData, number_of_frames=1)).removesuffix(b"\0") == stream.removesuffix(b"\0")


@pytest.mark.parametrize(("number", "form"), [(51, "bulk/{}"), (52, "bulk/{}/frames/{frame}")])
def test_compressed_frames_come_one_in_a_part(
    gateway: DicomWebGateway, client: FlaskClient, number: int, form: str
) -> None:
    one = enhanced(number, 3)
    streams = compressed(one, RLELossless)
    parts = [
        bulk(form.format(number, frame=frame), stream, "image/dicom-rle") for frame, stream in enumerate(streams, 1)
    ]
    if "frames" in form:
        parts.reverse()
    assert post(client, [metadata(one), *parts]).status_code == 200
    frames = generate_frames(stored(gateway, one).PixelData, number_of_frames=3)
    assert [frame.removesuffix(b"\0") for frame in frames] == [stream.removesuffix(b"\0") for stream in streams]


@pytest.mark.parametrize("number", [61, 62])
def test_native_frames_come_together_or_one_by_one(gateway: DicomWebGateway, client: FlaskClient, number: int) -> None:
    one = enhanced(number, 2)
    half = len(one.PixelData) // 2
    whole = [bulk(f"bulk/{number}", one.PixelData)]
    apart = [bulk(f"bulk/{number}/frames/{frame + 1}", one.PixelData[frame * half :][:half]) for frame in range(2)]
    assert post(client, [metadata(one), *(whole if number == 61 else apart)]).status_code == 200
    assert stored(gateway, one).PixelData == one.PixelData


def test_video_is_one_fragment(gateway: DicomWebGateway, client: FlaskClient) -> None:
    one = enhanced(63, 5)
    one.SOPClassUID = VideoEndoscopicImageStorage
    stream = b"\0\0\0\x18ftypmp42" + bytes(200)
    named = f"video/mp4; transfer-syntax={MPEG4HP41}"
    assert post(client, [metadata(one), bulk("bulk/63", stream, named)]).status_code == 200
    found = stored(gateway, one)
    assert (found.file_meta.TransferSyntaxUID, found.PixelData) == (MPEG4HP41, encapsulate([stream], has_bot=False))


@pytest.mark.parametrize(
    ("media_type", "content", "status", "said"),
    [
        ("image/png", b"\x89PNG", 415, "not taken as image/png"),
        ("image/gif", b"GIF89a", 415, "not taken as image/gif"),
        (f"image/jls; transfer-syntax={RLELossless}", b"x", 400, "not one of its media type"),
        ("image/jls", b"\xff\xd8junk", 400, "cannot be read"),
        ("image/jp2", b"\0\0\0\x0cjP  \r\n\x87\n", 400, "without the boxes"),
        ("image/jls; transfer-syntax=x", b"x", 400, "not one of its media type"),
    ],
)
def test_pixels_in_a_form_that_is_not_taken_are_refused(
    client: FlaskClient, media_type: str, content: bytes, status: int, said: str
) -> None:
    response = post(client, [metadata(ct_slice(71)), bulk("bulk/71", content, media_type)])
    answered = told(response)
    items = [*answered.get("FailedSOPSequence", []), *answered.get("OtherFailuresSequence", [])]
    assert response.status_code == status
    assert any(said in words(item) for item in items)


def test_code_stream_of_another_syntax_than_is_named_is_refused(client: FlaskClient) -> None:
    one = ct_slice(72)
    (stream,) = compressed(one, JPEGLSLossless)
    response = post(
        client, [metadata(one), bulk("bulk/72", stream, "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70")]
    )
    assert "another transfer syntax" in words(told(response).FailedSOPSequence[0])


def test_one_wrong_instance_costs_only_its_own_place(client: FlaskClient) -> None:
    right, wrong, missing = ct_slice(81), ct_slice(82), ct_slice(83)
    documents = [document(one) for one in (right, wrong, missing)]
    documents[1]["00280010"] = {"vr": "US", "Value": [70_000]}
    parts: list[Part] = [
        ({"Content-Type": JSON_TYPE}, json.dumps(documents).encode()),
        bulk("bulk/81", right.PixelData),
    ]
    response = post(client, parts)
    answered = told(response)
    assert response.status_code == 202
    assert [item.ReferencedSOPInstanceUID for item in answered.ReferencedSOPSequence] == [right.SOPInstanceUID]
    failed = {item.ReferencedSOPInstanceUID: words(item) for item in answered.FailedSOPSequence}
    assert "out of range at (0028,0010)" in failed[wrong.SOPInstanceUID]
    assert "1 of its 1 values did not come" in failed[missing.SOPInstanceUID]


def test_bulk_data_that_nothing_refers_to_is_told(client: FlaskClient) -> None:
    one = ct_slice(84)
    response = post(client, [metadata(one), bulk("bulk/84", one.PixelData), bulk("bulk/other", b"x"), ({}, b"y")])
    other = [words(item) for item in told(response).OtherFailuresSequence]
    assert response.status_code == 202
    assert ["nothing refers to" in other[0], "no Content-Location" in other[1]] == [True, True]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"[{", JSON_TYPE),
        (b"[NaN]", JSON_TYPE),
        (b"<x", XML_TYPE),
        (b"<!DOCTYPE a><a/>", XML_TYPE),
        (b"[1]", JSON_TYPE),
    ],
)
def test_metadata_that_is_none_is_a_bad_request_in_words(client: FlaskClient, content: bytes, media_type: str) -> None:
    response = post(client, [({"Content-Type": media_type}, content)], media_type)
    assert response.status_code == 400
    assert words(told(response).OtherFailuresSequence[0])


def test_metadata_over_the_limit_is_refused(tmp_path: Path) -> None:
    gateway = DicomWebGateway(tmp_path, store_limits=StoreLimits(metadata_bytes=100))
    response = post(gateway.client(), [metadata(ct_slice())])
    assert (response.status_code, response.content_type) == (413, "application/problem+json")
    gateway.close()


def test_number_with_too_many_digits_is_stored_with_a_warning(gateway: DicomWebGateway, client: FlaskClient) -> None:
    one = ct_slice(91)
    described = document(one)
    described["00180050"] = {"vr": "DS", "Value": [0.1 + 0.2]}
    response = post(
        client, [({"Content-Type": JSON_TYPE}, json.dumps([described]).encode()), bulk("bulk/91", one.PixelData)]
    )
    (item,) = told(response).ReferencedSOPSequence
    assert (response.status_code, item.WarningReason) == (200, 0xB000)
    assert float(stored(gateway, one).SliceThickness) == pytest.approx(0.3)


def test_instances_and_metadata_may_come_in_one_request(client: FlaskClient) -> None:
    whole, apart = ct_slice(92), ct_slice(93)
    parts = [({"Content-Type": "application/dicom"}, as_file(whole)), metadata(apart), bulk("bulk/93", apart.PixelData)]
    assert len(told(post(client, parts, "application/dicom")).ReferencedSOPSequence) == 2


def test_part_in_a_transfer_encoding_is_refused(client: FlaskClient) -> None:
    parts = [({"Content-Type": "application/dicom", "Content-Transfer-Encoding": "base64"}, b"AAAA")]
    response = post(client, parts, "application/dicom")
    assert response.status_code == 400
    assert "send its bytes as they are" in words(told(response).OtherFailuresSequence[0])


def test_metadata_is_de_identified_like_any_other_instance(client: FlaskClient) -> None:
    one = ct_slice(94)
    response = post(
        client, [metadata(one), bulk("bulk/94", one.PixelData)], path="/projects/research/dicom-web/studies"
    )
    answered = told(response)
    assert response.status_code == 200
    assert STUDY_UID not in str(answered)
    served = client.get(f"{answered.RetrieveURL}/metadata").get_data(as_text=True)
    assert "Doe" not in served
