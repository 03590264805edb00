"""What is malformed in a call of DICOMweb is refused with a problem document that names the rule.

Bodies of STOW-RS that are cut short, too many or too long have tests of their own (test_dicomweb_store,
test_dicomweb_store_metadata, test_store_memory), and calls drawn at random too (tests/faults/test_fuzzed_dicomweb).
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from service.core.records import Outcome
from tests.datasets import ct_slice
from tests.dicomweb_gateway import DicomWebGateway, address

JSON = "application/dicom+json"
LONG = "x" * 5000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    gateway = DicomWebGateway(tmp_path_factory.mktemp("malformed"))
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def stored(gateway: DicomWebGateway) -> Outcome:
    return gateway.store(ct_slice(1))


def refusal(gateway: DicomWebGateway, path: str, method: str = "GET", **call: object) -> tuple[int, str]:
    """The status and the words of a refusal."""
    answer = gateway.client().open(f"/dicom-web{path}", method=method, **call)
    assert answer.content_type == "application/problem+json"
    document = answer.get_json(force=True)
    assert (document["status"], document["title"]) == (answer.status_code, HTTPStatus(answer.status_code).phrase)
    return answer.status_code, document["detail"]


@pytest.mark.parametrize("what", ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/pixeldata"])
@pytest.mark.parametrize(
    ("accept", "words"),
    [
        ("nonsense", "RFC 9110 12.5.1"),
        (";;;", "RFC 9110 12.5.1"),
        ('multipart/related; type="', "RFC 9110|multipart/related|to be had as"),
        ("application/dicom+json, image/png", "PS3.18 8.7.4"),
    ],
)
def test_accept_that_is_none(gateway: DicomWebGateway, stored: Outcome, what: str, accept: str, words: str) -> None:
    status, detail = refusal(gateway, address(stored) + what, headers={"Accept": accept})
    assert status in (400, 406)
    assert any(word in detail for word in words.split("|")), detail


@pytest.mark.parametrize(
    "uid",
    ["..%2F..%2Fetc%2Fpasswd", "%2E%2E%5C", "%00", "1.2%00", "1.2.3%0D%0AX:%20y", "PAT-4711", "1" * 5000, "%D9%A1.2"],
)
@pytest.mark.parametrize("place", ["/studies/{}", "/studies/1.2/series/{}", "/studies/1.2/series/1.3/instances/{}"])
@pytest.mark.parametrize("what", ["", "/metadata", "/rendered"])
def test_uid_that_is_none(gateway: DicomWebGateway, uid: str, place: str, what: str) -> None:
    status, detail = refusal(gateway, place.format(uid) + what)
    assert (status, "UID" in detail) == (400, True) or (status == 404 and "%2F" in uid)
    assert "passwd" not in detail


@pytest.mark.parametrize(
    ("frames", "status", "words"),
    [
        ("0", 400, "from 1"),
        ("-1", 400, "from 1"),
        ("1,", 400, "from 1"),
        ("%EF%BC%91", 400, "from 1"),
        ("1000000000", 400, "from 1"),
        ("999999999", 404, "frame"),
    ],
)
@pytest.mark.parametrize("what", ["", "/rendered", "/thumbnail"])
def test_frames_that_are_none(
    gateway: DicomWebGateway, stored: Outcome, frames: str, status: int, words: str, what: str
) -> None:
    answered, detail = refusal(gateway, f"{address(stored)}/frames/{frames}{what}")
    assert (answered, words in detail) == (status, True)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"PatientName={LONG}", "PatientName"),
        (f"StudyInstanceUID={LONG}", "StudyInstanceUID"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=-1", "offset"),
        ("PatientName=%00", "PatientName"),
        ("StudyDate=20230229", "StudyDate"),
        ("StudyDate=yesterday", "StudyDate"),
        ("fuzzymatching=maybe", "fuzzymatching"),
    ],
    ids=lambda value: value[:20],
)
@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_query_that_is_none(gateway: DicomWebGateway, level: str, query: str, words: str) -> None:
    status, detail = refusal(gateway, f"/{level}?{query}")
    assert (status, words.lower() in detail.lower()) == (400, True), detail
    assert len(detail) < 500


@pytest.mark.parametrize("query", [f"{LONG}=1", f"includefield={LONG}", "%F0%9F%98%80=1", "PatientName.PatientName=x"])
def test_key_that_there_is_not_is_passed_over_with_a_warning(gateway: DicomWebGateway, query: str) -> None:
    """PS3.18 8.3.4.1 and 8.3.4.3: it is ignored; the warning repeats nothing that could be somebody's name."""
    answer = gateway.client().get(f"/dicom-web/studies?{query}")
    assert answer.status_code == 200
    assert "299" in answer.headers["Warning"]
    assert len(answer.headers["Warning"]) < 500


@pytest.mark.parametrize(("header", "query"), [("klingon", ""), ("", "klingon"), ("iso-8859-1;q=1, utf-8;q=0", "")])
def test_charset_that_is_not_made(gateway: DicomWebGateway, stored: Outcome, header: str, query: str) -> None:
    asked = {"charset": query} if query else {}
    headers = {"Accept-Charset": header, "Accept": JSON}
    status, detail = refusal(gateway, f"{address(stored)}/metadata", query_string=asked, headers=headers)
    assert (status, "utf-8" in detail.lower()) == (406, True)


@pytest.mark.parametrize(
    "asked",
    ["bytes=999999999-", "bytes=-0", "bytes=a", "bytes=5-1", "bytes=" + "9" * 5000 + "-", "bytes=" + "0-0," * 99],
)
def test_range_that_is_outside_or_none(gateway: DicomWebGateway, stored: Outcome, asked: str) -> None:
    headers = {"Range": asked, "Accept": "application/octet-stream"}
    status, detail = refusal(gateway, f"{address(stored)}/bulkdata/7FE00010", headers=headers)
    assert (status, "RFC 9110 14" in detail) == (416, True)


@pytest.mark.parametrize(
    ("content_type", "status", "words"),
    [
        ("", 400, "Content-Type"),
        ("/", 415, "application/dicom"),
        ("text/plain", 415, "application/dicom"),
        ("application/zip", 415, "application/dicom"),
        ("multipart/related", 400, "boundary"),
        ("multipart/related; boundary=", 400, "boundary"),
        ('multipart/related; boundary="a\u00e9b"', 400, "boundary"),
        ("multipart/related; boundary=" + "B" * 500, 400, "boundary"),
        ('multipart/related; type="text/plain"; boundary=B', 415, "application/dicom"),
    ],
)
def test_content_type_that_is_none(gateway: DicomWebGateway, content_type: str, status: int, words: str) -> None:
    call = {"data": b"--B\r\n\r\n\r\n--B--", "content_type": content_type}
    answered, detail = refusal(gateway, "/studies", "POST", **call)
    assert (answered, words in detail) == (status, True), detail
