"""Searching over HTTP, through real ingest and a real index."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from pydicom.sequence import Sequence

from service.archive.search_attribute_table import SearchAttributeTable
from service.core.search import Level
from tests.datasets import ct_slice
from tests.dicomweb_gateway import DicomWebGateway, address, parts_of
from tests.small_archive import item

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"
STUDY_DATES_AND_NAMES = ["00080020", "00080030", "00080050", "00080061", "00080090", "00081190", "00100010", "00100020"]
REQUIRED = {
    "study": [*STUDY_DATES_AND_NAMES, "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"],
    "series": ["00080060", "0020000E", "00200011", "00201209", "00081190"],
    "instance": ["00080016", "00080018", "00200013", "00081190"],
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path)
    yield held
    held.close()


@pytest.fixture
def client(gateway: DicomWebGateway) -> FlaskClient:
    """Over one study of two series with three instances."""
    for number, series in ((1, SERIES), (2, SERIES), (1, f"{STUDY}.2")):
        gateway.store(ct_slice(number, series_uid=series))
    return gateway.client()


@pytest.mark.parametrize(
    ("path", "count", "levels"),
    [
        ("/studies", 1, ["study"]),
        ("/series", 2, ["study", "series"]),
        ("/instances", 3, ["study", "series", "instance"]),
        (f"/studies/{STUDY}/series", 2, ["series"]),
        (f"/studies/{STUDY}/instances", 3, ["series", "instance"]),
        (f"/studies/{STUDY}/series/{SERIES}/instances", 2, ["instance"]),
    ],
)
def test_every_resource_returns_what_its_levels_require(
    client: FlaskClient, path: str, count: int, levels: list[str]
) -> None:
    response = client.get(f"/dicom-web{path}")
    assert (response.status_code, response.content_type) == (200, "application/dicom+json")
    results = response.get_json(force=True)
    assert len(results) == count
    required = {tag for level in levels for tag in REQUIRED[level]}
    assert all(required <= result.keys() for result in results)


def test_attributes_ascend(client: FlaskClient) -> None:
    for result in client.get("/dicom-web/instances?includefield=all").get_json(force=True):
        assert list(result) == sorted(result)


def test_attributes_of_upper_levels_are_left_out_within_a_study(client: FlaskClient) -> None:
    (result, _) = client.get(f"/dicom-web/studies/{STUDY}/series").get_json(force=True)
    assert "00100010" not in result
    assert result["0020000D"]["Value"] == [STUDY]


@pytest.mark.parametrize("fields", ["00081030,PatientSex", "00081030%2CPatientSex", "00081030&includefield=00100040"])
def test_fields_are_included_however_they_are_listed(client: FlaskClient, fields: str) -> None:
    path = f"/dicom-web/studies/{STUDY}/series?includefield={fields}"
    result = client.get(path).get_json(force=True)[0]
    assert (result["00081030"]["Value"], result["00100040"]["Value"]) == (["Thorax"], ["F"])


def test_field_of_the_instance_s_own_metadata_is_included(client: FlaskClient) -> None:
    path = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances?includefield=ImagePositionPatient&InstanceNumber=2"
    (result,) = client.get(path).get_json(force=True)
    assert result["00200032"]["Value"] == [-50, -50, 4.0]


def test_counts_are_included_below_the_study_when_asked_for(client: FlaskClient) -> None:
    path = f"/dicom-web/studies/{STUDY}/series?includefield=NumberOfStudyRelatedInstances"
    assert client.get(path).get_json(force=True)[0]["00201208"]["Value"] == [3]


def test_address_of_a_result_can_be_retrieved(client: FlaskClient) -> None:
    (result, *_) = client.get("/dicom-web/instances").get_json(force=True)
    assert client.get(result["00081190"]["Value"][0]).status_code == 200


def test_nothing_found_is_204_without_a_body(client: FlaskClient) -> None:
    response = client.get("/dicom-web/studies?PatientID=nobody")
    assert (response.status_code, response.data, response.content_type) == (204, b"", None)


def test_offset_past_the_end_is_204(client: FlaskClient) -> None:
    assert client.get("/dicom-web/studies?offset=5").status_code == 204


def test_rest_behind_a_limit_is_counted_in_the_standard_s_words(client: FlaskClient) -> None:
    response = client.get("/dicom-web/instances?limit=1")
    assert response.headers["Warning"] == "299 annogate: There are 2 additional results that can be requested"


def test_page_without_a_rest_has_no_warning(client: FlaskClient) -> None:
    assert "Warning" not in client.get("/dicom-web/instances?limit=3").headers


def test_key_that_is_not_supported_is_ignored_and_named(client: FlaskClient) -> None:
    response = client.get("/dicom-web/studies?PatientAge=063Y&PatientID=PAT-4711")
    assert response.status_code == 200
    assert "PatientAge" in response.headers["Warning"]
    assert "063Y" not in response.headers["Warning"]


@pytest.mark.parametrize("query", ["StudyDate=yesterday", "limit=all", "PatientID=1&PatientID=2"])
def test_bad_query_is_a_problem_in_words(client: FlaskClient, query: str) -> None:
    response = client.get(f"/dicom-web/studies?{query}")
    assert (response.status_code, response.content_type) == (400, "application/problem+json")
    assert response.get_json(force=True)["detail"]


@pytest.mark.parametrize("path", ["/studies/abc/series", "/studies/1.2/series/..1x/instances"])
def test_address_without_a_uid_is_a_bad_request(client: FlaskClient, path: str) -> None:
    assert client.get(f"/dicom-web{path}").status_code == 400


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("*/*", "application/dicom+json"),
    ],
)
def test_both_names_of_the_media_type_are_taken(client: FlaskClient, accept: str, content_type: str) -> None:
    assert client.get("/dicom-web/studies", headers={"Accept": accept}).content_type == content_type


def test_other_media_types_are_refused_with_what_could_be_had(client: FlaskClient) -> None:
    response = client.get("/dicom-web/studies", headers={"Accept": "application/dicom+xml"})
    assert response.status_code == 406
    assert "application/dicom+json" in response.get_json(force=True)["detail"]


def test_query_parameter_takes_the_place_of_the_header(client: FlaskClient) -> None:
    response = client.get("/dicom-web/studies?accept=application/json", headers={"Accept": "text/html"})
    assert (response.status_code, response.content_type) == (200, "application/json")


def test_long_answer_is_compressed_for_who_takes_it(client: FlaskClient) -> None:
    response = client.get("/dicom-web/instances", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(response.data))) == 3


def test_unknown_project_is_not_found(client: FlaskClient) -> None:
    response = client.get("/projects/elsewhere/dicom-web/studies")
    assert (response.status_code, response.content_type) == (404, "application/problem+json")


def test_other_project_s_studies_are_not_found(client: FlaskClient) -> None:
    assert client.get("/projects/research/dicom-web/studies").status_code == 204


def test_de_identified_study_is_found_by_what_is_served(gateway: DicomWebGateway) -> None:
    outcome = gateway.store(ct_slice(), "research")
    client = gateway.client()
    (result,) = client.get("/projects/research/dicom-web/studies").get_json(force=True)
    assert result["0020000D"]["Value"] == [outcome.study_uid]
    assert result["00081190"]["Value"][0].endswith(f"/projects/research/dicom-web/studies/{outcome.study_uid}")
    assert b"Doe" not in client.get("/projects/research/dicom-web/instances?includefield=all").data


def test_answers_stay_out_of_shared_caches_and_other_origins(client: FlaskClient) -> None:
    headers = client.get("/dicom-web/studies").headers
    assert headers["Cache-Control"].startswith("private")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_head_has_no_body(gateway: DicomWebGateway) -> None:
    outcome = gateway.store(ct_slice())
    response = gateway.client().head(f"/dicom-web{address(outcome)}")
    assert (response.status_code, response.data) == (200, b"")
    assert int(response.headers["Content-Length"]) > 1000


def found(client: FlaskClient, path: str) -> list[dict[str, dict[str, Any]]]:
    response = client.get(f"/dicom-web{path}")
    assert response.status_code in (200, 204), response.get_data(as_text=True)
    return response.get_json(force=True) if response.status_code == 200 else []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("PatientName=jane%20doe", 0),
        ("PatientName=jane%20doe&fuzzymatching=true", 1),
        ("fuzzymatching=true&PatientName=J%20Doe", 1),
        ("PatientName=D%C3%B6e%5EJan%C3%A9", 1),
        ("PatientID=%22%22&emptyvaluematching=true", 0),
        ("ModalitiesInStudy=CT%5CPT", 1),
        ("ModalitiesInStudy=CT%5CPT&multiplevaluematching=true", 0),
        ("StudyDate=20240316-20240317&StudyTime=0900-0800", 0),
        ("StudyDate=20240316-20240317&StudyTime=0900-0900", 1),
    ],
)
def test_studies_are_matched_as_asked(client: FlaskClient, query: str, count: int) -> None:
    response = client.get(f"/dicom-web/studies?{query}")
    assert response.status_code == (200 if count else 204)
    assert "Warning" not in response.headers


def test_results_come_as_xml_in_parts(client: FlaskClient) -> None:
    accept = 'multipart/related; type="application/dicom+xml"'
    response = client.get("/dicom-web/instances?limit=2", headers={"Accept": accept})
    assert response.content_type.startswith(f"{accept}; boundary=")
    assert "There are 1 additional" in response.headers["Warning"]
    parts = parts_of(response.data, response.content_type)
    assert [head["Content-Type"] for head, _ in parts] == ["application/dicom+xml"] * 2
    for head, content in parts:
        root = ElementTree.fromstring(content)
        held = {element.get("keyword"): "".join(element.itertext()) for element in root}
        assert head["Content-Location"].endswith(f"/instances/{held['SOPInstanceUID']}")
        assert held["PatientName"] == "DoeJane"


def test_only_what_a_path_names_is_included_of_a_sequence(gateway: DicomWebGateway) -> None:
    header = ct_slice()
    header.ViewCodeSequence = Sequence([item(CodeValue="R-10202", CodingSchemeDesignator="SRT", CodeMeaning="frontal")])
    gateway.store(header)
    (result,) = found(gateway.client(), "/instances?includefield=ViewCodeSequence.CodeValue")
    assert result["00540220"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["R-10202"]}}]


def test_attribute_that_was_added_is_searched_without_a_restart(client: FlaskClient, gateway: DicomWebGateway) -> None:
    path = f"/dicom-web/studies/{STUDY}/instances?KVP=120"
    assert "not supported" in client.get(path).headers["Warning"]
    table = SearchAttributeTable(gateway.house.database, gateway.house.clock, pause=lambda _: None)
    key = table.add("KVP")
    response = client.get(path)
    assert re.search("gathered.* KVP$", response.headers["Warning"])
    table.fill(key)
    response = client.get(path)
    assert ("Warning" in response.headers, len(response.get_json(force=True))) == (False, 3)
    assert response.get_json(force=True)[0]["00180060"]["Value"] == [120]
    assert client.get(path.replace("120", "80")).status_code == 204
    assert client.get(path.replace("120", "high")).status_code == 400


def test_attribute_that_was_added_higher_up_is_returned_there(client: FlaskClient, gateway: DicomWebGateway) -> None:
    table = SearchAttributeTable(gateway.house.database, gateway.house.clock, pause=lambda _: None)
    table.fill(table.add("KVP", Level.STUDY))
    (result,) = found(client, "/studies?KVP=120")
    assert result["00180060"]["Value"] == [120]
    assert found(client, "/studies?KVP=80") == []


def test_de_identified_values_alone_are_gathered(gateway: DicomWebGateway) -> None:
    table = SearchAttributeTable(gateway.house.database, gateway.house.clock, pause=lambda _: None)
    gateway.store(ct_slice(1), "research")
    table.fill(table.add("OtherPatientNames"))
    table.fill(table.add("FrameOfReferenceUID"))
    header = ct_slice(2)
    header.OtherPatientNames = "Roe^Jane"
    gateway.store(header, "research")
    client = gateway.client()
    original = f"/projects/research/dicom-web/series?FrameOfReferenceUID={header.FrameOfReferenceUID}"
    assert client.get(original).status_code == 204
    (series,) = client.get("/projects/research/dicom-web/series?includefield=FrameOfReferenceUID").get_json(force=True)
    served = series["00200052"]["Value"][0]
    assert client.get(original.replace(header.FrameOfReferenceUID, served)).status_code == 200
    names = "/projects/research/dicom-web/instances?OtherPatientNames=roe*"
    assert client.get(names).status_code == 204


def test_instance_says_in_what_it_can_be_had(gateway: DicomWebGateway) -> None:
    gateway.store(ct_slice())
    (result,) = found(gateway.client(), "/instances")
    assert result["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
