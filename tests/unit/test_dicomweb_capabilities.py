"""Retrieve Capabilities (PS3.18 8.9): what the document says is what the addresses do."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage

from service.web.dicomweb.capabilities import ENDPOINT, resources
from service.web.dicomweb.transactions import TRANSACTIONS, transaction_of
from service.web.dicomweb.wadl import Element, as_json, as_xml
from tests.datasets import ct_slice
from tests.dicomweb_gateway import DicomWebGateway

WADL = "{http://wadl.dev.java.net/2009/02}"
ROOT = "/dicom-web"
STUDY = "1.2.3"


def document(sop_class_uid: str, number: int, **values: object) -> Dataset:
    """Something without pixels, in a series of its own."""
    made = ct_slice(number, study_uid=STUDY, series_uid=f"{STUDY}.{number}")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(made, keyword)
    made.SOPClassUID = sop_class_uid
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    """An image, a report and a document of one study, each in a series of its own."""
    gateway = DicomWebGateway(tmp_path_factory.mktemp("gateway"))
    gateway.store(ct_slice(1, study_uid=STUDY, series_uid=f"{STUDY}.1"))
    gateway.store(document(BasicTextSRStorage, 2, Modality="SR", ValueType="CONTAINER", ContentSequence=[]))
    gateway.store(document(EncapsulatedPDFStorage, 3, Modality="DOC", EncapsulatedDocument=b"%PDF-1.7 x"))
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def client(gateway: DicomWebGateway) -> FlaskClient:
    return gateway.client()


def described(client: FlaskClient, path: str = "") -> ET.Element:
    answer = client.options(f"{ROOT}{path}")
    assert answer.status_code == 200
    return ET.fromstring(answer.data)


def methods_of(element: ET.Element, path: str = "") -> Iterator[tuple[str, str, ET.Element]]:
    """Each method with its address."""
    for resource in element.findall(f"{WADL}resource"):
        below = f"{path}/{resource.get('path')}"
        for method in resource.findall(f"{WADL}method"):
            yield below, str(method.get("name")), method
        yield from methods_of(resource, below)


def filled(path: str, number: int) -> str:
    """An address of one of the three instances."""
    values = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.{number}",
        "SOPInstanceUID": f"{STUDY}.{number}.{number}",
        "framelist": "1",
        "BulkdataReference": "7FE00010" if number == 1 else "00420011",
    }
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    return f"{ROOT}{path}"


def test_every_address_and_method_is_described(gateway: DicomWebGateway, client: FlaskClient) -> None:
    told = {(path, method) for path, method, _ in methods_of(described(client).find(f"{WADL}resources"))}
    there = {
        (path.count("/"), method)
        for path, methods in resources(gateway.app.url_map, ROOT).items()
        for method in methods
    }
    routes = [
        (rule.rule, method)
        for rule in gateway.app.url_map.iter_rules()
        if rule.endpoint.startswith("dicomweb.") and rule.endpoint != f"dicomweb.{ENDPOINT}"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    assert len(told) == len(routes)
    assert {(path.count("/"), method) for path, method in told} == there


def test_every_endpoint_has_its_transaction(gateway: DicomWebGateway) -> None:
    endpoints = {endpoint for methods in resources(gateway.app.url_map, ROOT).values() for endpoint in methods.values()}
    assert sorted(endpoints - set(TRANSACTIONS)) == []


def test_every_media_type_that_is_told_can_be_had(client: FlaskClient) -> None:
    told = described(client).find(f"{WADL}resources")
    missing = []
    for path, method, element in methods_of(told):
        if method != "GET":
            continue
        for representation in {one.get("mediaType") for one in element.iter(f"{WADL}representation")}:
            answers = [client.get(filled(path, number), headers={"Accept": representation}) for number in (1, 2, 3)]
            fits = [
                answer.status_code == 204 or answer.headers["Content-Type"].startswith(representation.split(";")[0])
                for answer in answers
                if answer.status_code in (200, 204)
            ]
            if not any(fits):
                missing.append((path, representation, [answer.status_code for answer in answers]))
    assert missing == []


def test_every_query_parameter_of_a_search_is_understood(client: FlaskClient) -> None:
    for path, method, element in methods_of(described(client).find(f"{WADL}resources")):
        if method != "GET" or not str(element.get("id")).startswith("Search"):
            continue
        names = [param.get("name") for param in element.iter(f"{WADL}param") if param.get("style") == "query"]
        keys = [str(name) for name in names if str(name)[0].isupper()]
        answer = client.get(filled(path, 1), query_string=dict.fromkeys(keys, ""))
        assert (answer.status_code, answer.headers.get("Warning")) == (200, None), path


def test_every_media_type_that_is_taken_is_not_refused(client: FlaskClient) -> None:
    for path, method, element in methods_of(described(client).find(f"{WADL}resources")):
        if method != "POST":
            continue
        for representation in element.find(f"{WADL}request").findall(f"{WADL}representation"):
            content_type = f"{representation.get('mediaType')}; boundary=x"
            answer = client.post(filled(path, 1), data=b"--x--", headers={"Content-Type": content_type})
            assert answer.status_code not in (404, 415), (path, content_type)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "OPTIONS"),
        ("/", "OPTIONS"),
        ("/studies", "GET, HEAD, OPTIONS, POST"),
        ("/studies/1.2.3", "GET, HEAD, OPTIONS, POST"),
        ("/studies/1.2.3/metadata", "GET, HEAD, OPTIONS"),
    ],
)
def test_methods_of_an_address_are_told(client: FlaskClient, path: str, allowed: str) -> None:
    assert client.options(f"{ROOT}{path}").headers["Allow"] == allowed


def test_method_that_an_address_does_not_take_is_refused_with_those_it_does(client: FlaskClient) -> None:
    answer = client.delete(f"{ROOT}/studies/1.2.3")
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "POST"]


def test_document_of_a_resource_tells_of_it_and_what_lies_below(client: FlaskClient) -> None:
    told = described(client, "/studies/1.2.3/series/1.2.3.1").find(f"{WADL}resources")
    assert told.get("base") == "http://localhost/dicom-web"
    (resource,) = told.findall(f"{WADL}resource")
    assert resource.get("path") == "studies/{StudyInstanceUID}/series/{SeriesInstanceUID}"
    places = [param.get("name") for param in resource.findall(f"{WADL}param")]
    assert places == ["StudyInstanceUID", "SeriesInstanceUID"]
    below = {one.get("path") for one in resource.findall(f"{WADL}resource")}
    assert {"instances", "metadata", "rendered", "thumbnail"} <= below


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/vnd.sun.wadl+xml"),
        ("*/*", "application/vnd.sun.wadl+xml"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, application/vnd.sun.wadl+xml;q=0.4", "application/json"),
    ],
)
def test_document_comes_in_the_form_that_is_asked_for(client: FlaskClient, accept: str | None, media_type: str) -> None:
    answer = client.options(f"{ROOT}/", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.content_type) == (200, media_type)


def test_form_that_there_is_not_is_refused_in_words(client: FlaskClient) -> None:
    answer = client.options(f"{ROOT}/", headers={"Accept": "text/html"})
    assert answer.status_code == 406
    assert "application/json" in answer.json["detail"]


def test_json_says_what_the_xml_does(client: FlaskClient) -> None:
    told = client.options(f"{ROOT}/studies", headers={"Accept": "application/json"}).json["application"]["resources"]
    assert told["@base"] == "http://localhost/dicom-web"
    (studies,) = told["resource"]
    assert [(method["@name"], method["@id"]) for method in studies["method"]] == [
        ("GET", "SearchForStudies"),
        ("POST", "StoreInstances"),
    ]
    params = {param["@name"]: param for param in studies["method"][0]["request"]["param"]}
    assert params["StudyDate"]["@style"] == "query"
    assert {"@value": "application/dicom+json"} in params["Accept"]["option"]


def test_project_has_a_document_of_its_own(client: FlaskClient) -> None:
    told = ET.fromstring(client.options("/projects/research/dicom-web/").data)
    assert told.find(f"{WADL}resources").get("base") == "http://localhost/projects/research/dicom-web"


def test_text_is_escaped() -> None:
    element = Element("application", {}, [Element("doc", {"title": 'a "b" & <c>'}, text="<d> & e")])
    assert ET.fromstring(as_xml(element)).find(f"{WADL}doc").text == "<d> & e"
    assert as_json(element)["application"]["doc"] == [{"@title": 'a "b" & <c>', "value": "<d> & e"}]


def test_endpoint_that_is_not_described_is_named_by_itself() -> None:
    assert transaction_of("do_something_new").name == "DoSomethingNew"
