"""Bulk data over HTTP: every depth and level, whole and in ranges, under conditions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRBigEndian, RLELossless
from werkzeug.test import TestResponse

from service.core.records import Outcome
from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.dicomweb_gateway import DicomWebGateway, address, parts_of

DOCUMENT = b"%PDF" + hashlib.sha256(b"document").digest() * 100
NESTED = hashlib.sha256(b"nested").digest() * 64
PIXELS = np.arange(256, dtype="<i2").reshape(16, 16)
OCTETS = "application/octet-stream"


def compressed(number: int) -> bytes:
    """A file of three frames in RLE."""
    ds = ct_slice(number, pixels=PIXELS)
    ds.NumberOfFrames = 3
    encode = get_encoder(RLELossless).encode
    frame = encode(PIXELS, rows=16, columns=16, samples_per_pixel=1, bits_allocated=16, bits_stored=16,
                   pixel_representation=1, photometric_interpretation="MONOCHROME2", number_of_frames=1)  # fmt: skip
    ds.PixelData = encapsulate([frame] * 3)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return as_file(ds, RLELossless)


def nested(number: int) -> Dataset:
    item = Dataset()
    item.add_new(0x00282000, "OB", NESTED)
    ds = ct_slice(number, pixels=PIXELS)
    ds.OpticalPathSequence = Sequence([Dataset(), item])
    return ds


def swapped(number: int) -> Dataset:
    ds = nested(number)
    ds.PixelData = PIXELS.byteswap().tobytes()
    return ds


def document() -> Dataset:
    ds = ct_slice(9, series_uid=f"{STUDY_UID}.2")
    del ds.PixelData
    ds.SOPClassUID, ds.EncapsulatedDocument, ds.MIMETypeOfEncapsulatedDocument = (
        EncapsulatedPDFStorage,
        DOCUMENT,
        "application/pdf",
    )
    return ds


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path_factory.mktemp("bulk"))
    yield held
    held.close()


@pytest.fixture(scope="module")
def stored(gateway: DicomWebGateway) -> dict[str, Outcome]:
    return {
        "image": gateway.store(ct_slice(1, pixels=PIXELS)),
        "compressed": gateway.store_file(compressed(2)),
        "nested": gateway.store(nested(3)),
        "big endian": gateway.store_file(as_file(swapped(4), ExplicitVRBigEndian)),
        "document": gateway.store(document()),
    }


@pytest.fixture(scope="module")
def client(gateway: DicomWebGateway, stored: dict[str, Outcome]) -> FlaskClient:
    assert stored
    return gateway.client()


def get(client: FlaskClient, path: str, accept: str = OCTETS, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Accept": accept} if accept else {})
    return client.get(f"/dicom-web{path}", headers=named)


def links(data_set: dict[str, dict[str, object]]) -> list[str]:
    """Every BulkDataURI of metadata, at every depth."""
    found: list[str] = []
    for attribute in data_set.values():
        found += [str(attribute["BulkDataURI"])] if "BulkDataURI" in attribute else []
        if attribute["vr"] == "SQ":
            found += [link for item in attribute.get("Value", []) for link in links(item)]  # type: ignore[attr-defined]
    return found


# One value


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("document", "00420011", DOCUMENT),
        ("nested", "00480105/1/00282000", NESTED),
        ("big endian", "00480105/1/00282000", NESTED),
        ("image", "7FE00010", PIXELS.tobytes()),
        ("big endian", "7FE00010", PIXELS.tobytes()),
    ],
    ids=["document", "nested", "nested big endian", "pixels", "big-endian pixels"],
)
def test_value_is_had_whole_and_in_every_range(
    client: FlaskClient, stored: dict[str, Outcome], name: str, path: str, expected: bytes
) -> None:
    where = f"{address(stored[name])}/bulkdata/{path}"
    whole = get(client, where)
    assert (whole.status_code, whole.data, whole.headers["Accept-Ranges"]) == (200, expected, "bytes")
    size = len(expected)
    ranges = {"0-0": (0, 0), "100-199": (100, 199), "500-": (500, size - 1), "-7": (size - 7, size - 1)}
    for asked, (first, last) in ranges.items():
        part = get(client, where, Range=f"bytes={asked}")
        assert part.status_code == 206
        assert part.data == expected[first : last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.content_length == len(part.data)


def test_every_link_of_the_metadata_leads_to_its_value(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    assert stored
    metadata = client.get(f"/dicom-web/studies/{STUDY_UID}/metadata").json
    found = [link for instance in metadata for link in links(instance)]
    assert len(found) == 7
    for link in found:
        assert client.get(link.removeprefix("http://localhost")).status_code == 200


def test_several_ranges_come_as_byteranges(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    answer = get(client, f"{address(stored['document'])}/bulkdata/00420011", Range="bytes=50-59,0-3")
    assert answer.status_code == 206
    assert answer.content_type.startswith("multipart/byteranges")
    parts = parts_of(answer.data, answer.content_type)
    assert [(head["Content-Range"], body) for head, body in parts] == [
        (f"bytes 50-59/{len(DOCUMENT)}", DOCUMENT[50:60]),
        (f"bytes 0-3/{len(DOCUMENT)}", DOCUMENT[:4]),
    ]
    assert answer.content_length == len(answer.data)


@pytest.mark.parametrize("asked", ["bytes=100000-", "bytes=-0", "bytes=2-1", "bytes=x", "bytes=0-9,5-14"])
def test_range_that_cannot_be_served_is_416(client: FlaskClient, stored: dict[str, Outcome], asked: str) -> None:
    answer = get(client, f"{address(stored['document'])}/bulkdata/00420011", Range=asked)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DOCUMENT)}"
    assert answer.content_type == "application/problem+json"
    assert "RFC 9110" in answer.json["detail"]


def test_range_of_anything_is_had_without_multipart(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = f"{address(stored['document'])}/bulkdata/00420011"
    assert get(client, where, "*/*").content_type.startswith("multipart/related")
    part = get(client, where, "*/*", Range="bytes=0-3")
    assert (part.status_code, part.data) == (206, b"%PDF")


def test_multipart_has_no_ranges(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = f"{address(stored['document'])}/bulkdata/00420011"
    assert get(client, where, f'multipart/related; type="{OCTETS}"', Range="bytes=0-3").status_code == 200


def test_range_holds_only_for_the_representation_that_is_meant(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = f"{address(stored['document'])}/bulkdata/00420011"
    whole = get(client, where)
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    assert not tag.startswith("W/")
    statuses = {
        condition: get(client, where, Range="bytes=0-3", If_Range=condition).status_code
        for condition in (tag, date, '"other"', f"W/{tag}", "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense")
    }
    assert list(statuses.values()) == [206, 206, 200, 200, 200, 200]


def test_head_tells_what_get_would(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = f"/dicom-web{address(stored['document'])}/bulkdata/00420011"
    answer = client.head(where, headers={"Accept": OCTETS, "Range": "bytes=0-3"})
    assert (answer.status_code, answer.data, answer.content_length) == (200, b"", len(DOCUMENT))


@pytest.mark.parametrize("path", ["00420012", "00480105/7/00282000", "0042001", "7FE00010/0/7FE00010", "../metadata"])
def test_value_that_is_not_there_is_404(client: FlaskClient, stored: dict[str, Outcome], path: str) -> None:
    assert get(client, f"{address(stored['document'])}/bulkdata/{path}").status_code in (404, 406)


# Whole instances


def test_file_is_had_in_ranges(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = address(stored["document"])
    accept = "application/dicom; transfer-syntax=*"
    whole = get(client, where, accept)
    assert whole.data[128:132] == b"DICM"
    part = get(client, where, accept, Range="bytes=128-131", If_Range=whole.headers["ETag"])
    assert (part.status_code, part.data) == (206, b"DICM")
    assert get(client, where, accept, Range=f"bytes={len(whole.data)}-").status_code == 416


# Every value below a resource


@pytest.mark.parametrize("level", ["instance", "series", "study"])
def test_bulk_data_of_a_level_are_what_its_metadata_links_to(
    client: FlaskClient, stored: dict[str, Outcome], level: str
) -> None:
    pieces = address(stored["nested"]).split("/")
    where = "/".join(pieces[: {"instance": 7, "series": 5, "study": 3}[level]])
    answer = client.get(f"/dicom-web{where}/bulkdata")
    assert answer.status_code == 200
    parts = parts_of(answer.data, answer.content_type)
    for head, body in parts:
        alone = client.get(head["Content-Location"].removeprefix("http://localhost"))
        assert parts_of(alone.data, alone.content_type)[0][1] == body
    metadata = client.get(f"/dicom-web{where}/metadata").json
    linked = {link for instance in metadata for link in links(instance)}
    by_frame = [head["Content-Location"] for head, _ in parts if "/frames/" in head["Content-Location"]]
    named = {head["Content-Location"] for head, _ in parts} - set(by_frame)
    assert named == {link for link in linked if stored["compressed"].sop_instance_uid not in link}
    assert len(by_frame) == (0 if level == "instance" else 3)


@pytest.mark.parametrize(("level", "count"), [("instance", 1), ("series", 6), ("study", 6)])
def test_pixel_data_of_a_level(client: FlaskClient, stored: dict[str, Outcome], level: str, count: int) -> None:
    pieces = address(stored["image"]).split("/")
    where = "/".join(pieces[: {"instance": 7, "series": 5, "study": 3}[level]])
    answer = client.get(f"/dicom-web{where}/pixeldata", headers={"Accept": f'multipart/related; type="{OCTETS}"'})
    parts = parts_of(answer.data, answer.content_type)
    assert [body for _, body in parts] == [PIXELS.tobytes()] * count
    assert {head["Content-Type"] for head, _ in parts} == {f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"}


def test_pixel_data_are_had_as_stored(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    where = f"{address(stored['compressed'])}/pixeldata"
    answer = get(client, where, 'multipart/related; type="image/dicom-rle"')
    parts = parts_of(answer.data, answer.content_type)
    assert [head["Content-Type"] for head, _ in parts] == ["image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"] * 3


def test_document_has_no_pixel_data(client: FlaskClient, stored: dict[str, Outcome]) -> None:
    assert get(client, f"{address(stored['document'])}/pixeldata", "").status_code == 404


@pytest.mark.parametrize("resource", ["bulkdata", "pixeldata"])
def test_what_cannot_be_had_is_refused_before_the_answer_begins(
    client: FlaskClient, stored: dict[str, Outcome], resource: str
) -> None:
    assert stored
    answer = get(client, f"/studies/{STUDY_UID}/{resource}", 'multipart/related; type="image/gif"')
    assert (answer.status_code, answer.content_type) == (406, "application/problem+json")


@pytest.mark.parametrize("resource", ["bulkdata", "pixeldata"])
def test_parts_that_are_known_are_not_sent_again(
    client: FlaskClient, stored: dict[str, Outcome], resource: str
) -> None:
    assert stored
    where = f"/studies/{STUDY_UID}/{resource}"
    tag = get(client, where, "").headers["ETag"]
    assert get(client, where, "", If_None_Match=f'"x", {tag}').status_code == 304
    assert get(client, where, "", If_None_Match='"x"').status_code == 200
