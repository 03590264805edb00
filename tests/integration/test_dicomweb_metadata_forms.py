"""Metadata over HTTP: JSON and XML, content codings, character sets, conditions."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from werkzeug.test import TestResponse

from service.core.native_dicom_model import from_xml
from service.core.records import Outcome
from tests.datasets import STUDY_UID, ct_slice
from tests.dicomweb_gateway import DicomWebGateway, address, parts_of

XML = 'multipart/related; type="application/dicom+xml"'
SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).resolve().parents[1] / "native_dicom_model.rng"))
SERIES = f"/studies/{STUDY_UID}/series/{STUDY_UID}.1"


def image(number: int) -> Dataset:
    ds = ct_slice(number)
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SliceThickness = "2.50"
    ds.private_block(0x0019, "ANNOGATE TEST", create=True).add_new(0x01, "LO", "a & b")
    ds.RequestAttributesSequence = Sequence([Dataset()])
    return ds


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path_factory.mktemp("metadata"))
    yield held
    held.close()


@pytest.fixture(scope="module")
def stored(gateway: DicomWebGateway) -> list[Outcome]:
    return [gateway.store(image(number)) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def client(gateway: DicomWebGateway, stored: list[Outcome]) -> FlaskClient:
    assert stored
    return gateway.client()


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"/dicom-web{path}", headers=named)


def data_set(attributes: dict[str, Any]) -> Dataset:
    return Dataset.from_json(attributes, bulk_data_uri_handler=lambda tag, vr, uri: uri.encode())


def test_xml_says_what_json_says(client: FlaskClient) -> None:
    plain = get(client, f"{SERIES}/metadata")
    answer = get(client, f"{SERIES}/metadata", Accept=XML)
    parts = parts_of(answer.data, answer.content_type)
    assert [head["Content-Type"] for head, _ in parts] == ["application/dicom+xml"] * 3
    for _, body in parts:
        SCHEMA.assertValid(etree.fromstring(body))
    assert [data_set(from_xml(body)) for _, body in parts] == [data_set(item) for item in json.loads(plain.data)]
    assert b">2.50<" in answer.data


def test_each_part_says_where_it_can_be_had_alone(client: FlaskClient) -> None:
    answer = get(client, f"{SERIES}/metadata", Accept=XML)
    for head, body in parts_of(answer.data, answer.content_type):
        where = head["Content-Location"].removeprefix("http://localhost/dicom-web")
        assert get(client, where, Accept="application/dicom+xml").data == body


def test_xml_of_several_needs_multipart(client: FlaskClient) -> None:
    assert get(client, f"{SERIES}/metadata", Accept="application/dicom+xml").status_code == 406


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "application/dicom+json", f"{XML};q=0.5, */*"])
def test_json_comes_unless_xml_is_liked_better(client: FlaskClient, accept: str) -> None:
    assert get(client, f"{SERIES}/metadata", Accept=accept).content_type == "application/dicom+json"


@pytest.mark.parametrize("accept", ["application/dicom+json", XML])
@pytest.mark.parametrize(("coding", "decode"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_content_coding_holds_the_same(client: FlaskClient, accept: str, coding: str, decode: object) -> None:
    plain = get(client, f"{SERIES}/metadata", Accept=accept)
    coded = get(client, f"{SERIES}/metadata", Accept=accept, Accept_Encoding=coding)
    assert coded.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in coded.headers["Vary"]
    assert coded.headers["ETag"] != plain.headers["ETag"]
    body = decode(coded.data)  # type: ignore[operator]
    if accept == XML:
        boundaries = [parts_of(data, answer.content_type) for data, answer in ((body, coded), (plain.data, plain))]
        assert boundaries[0] == boundaries[1]
    else:
        assert body == plain.data


def test_coding_goes_by_quality(client: FlaskClient) -> None:
    answer = get(client, f"{SERIES}/metadata", Accept_Encoding="gzip;q=0.2, deflate;q=0.9, br")
    assert answer.headers["Content-Encoding"] == "deflate"


@pytest.mark.parametrize("query", ["accept=application/dicom%2Bxml", "accept=application/dicom+xml"])
def test_accept_parameter_takes_the_headers_place(client: FlaskClient, stored: list[Outcome], query: str) -> None:
    answer = get(client, f"{address(stored[0])}/metadata?{query}", Accept="application/dicom+json")
    assert answer.content_type == "application/dicom+xml"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("charset=utf-8", 200),
        ("charset=UTF-8,iso-8859-1;q=0.5", 200),
        ("charset=*", 200),
        ("charset=iso-8859-1", 406),
        ("charset=klingon", 406),
        ("charset=utf-8;q=0", 200),
    ],
)
def test_text_is_in_utf_8_only(client: FlaskClient, query: str, status: int) -> None:
    answer = get(client, f"{SERIES}/metadata?{query}")
    assert answer.status_code == status
    if status == 406:
        assert "PS3.18 8.8" in answer.json["detail"]


def test_metadata_that_are_known_are_not_sent_again(client: FlaskClient, stored: list[Outcome]) -> None:
    where = f"{address(stored[0])}/metadata"
    first = get(client, where)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    assert get(client, where, If_None_Match=tag).status_code == 304
    assert get(client, where, If_None_Match=f'"other", {tag.removeprefix("W/")}').status_code == 304
    assert get(client, where, If_None_Match="*").status_code == 304
    assert get(client, where, If_None_Match='"other"', If_Modified_Since=date).status_code == 200
    unchanged = get(client, where, If_Modified_Since=date)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert get(client, where, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 200
    assert get(client, where, If_Modified_Since="nonsense").status_code == 200


def test_head_has_no_body(client: FlaskClient) -> None:
    answer = client.head(f"/dicom-web{SERIES}/metadata", headers={"Accept": XML})
    assert (answer.status_code, answer.data) == (200, b"")


def test_categories_are_not_mixed(client: FlaskClient) -> None:
    answer = get(client, f"{SERIES}/metadata", Accept="application/dicom+json, image/png")
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert "PS3.18 8.7.4" in answer.json["detail"]
