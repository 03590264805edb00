"""Annotation objects that nobody could use, sent as others send them: what the sender hears, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from werkzeug.test import Client, TestResponse

from service.archive.audit import AuditQuery
from service.objects.rule_catalogue import shipped_catalogue
from tests.broken_objects import broken
from tests.commitment_house import CommitmentHouse, commitment_house
from tests.datasets import as_file
from tests.dicomweb_gateway import DicomWebGateway
from tests.good_objects import GoodObject, good
from tests.sent_objects import image_of, served_results, served_segmentation, source_of_nobody

RULES = shipped_catalogue().rules
REFUSED = 0xC011
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary="part"'
BAD = {
    "of other geometry": "GEO-SOURCE",
    "in another frame of reference": "VIEW-SEG-FRAME-OF-REFERENCE",
    "overlapping label maps": "SEG-OVERLAP",
    "label of nothing": "SEG-LABELS",
    "mask beyond the images": "GEO-INSIDE",
    "broken tree": "SR-TREE",
    "unknown template": "TID-UNKNOWN",
    "code with no scheme": "CODE-SCHEME",
    "measurement that is no number": "NUMBER-FINITE",
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path, judges=True)
    yield held
    held.close()


def stow(gateway: DicomWebGateway, *objects: Dataset, project: str = "clinical") -> TestResponse:
    parts = b"".join(b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n" + as_file(one) for one in objects)
    return gateway.client().post(
        f"/projects/{project}/dicom-web/studies", data=parts + b"\r\n--part--", content_type=CONTENT_TYPE
    )


def answer(response: TestResponse) -> Dataset:
    return Dataset.from_json(response.get_json(force=True))


def around(one: GoodObject) -> list[Dataset]:
    return [*map(image_of, one.sources), *one.referenced]


@pytest.mark.parametrize("rule", BAD.values(), ids=BAD)
def test_sender_hears_rule_and_remedy_of_what_is_refused_and_the_rest_goes_on(
    gateway: DicomWebGateway, rule: str
) -> None:
    one = broken(rule)
    images = around(one)
    response = stow(gateway, *images, one.data_set)
    assert response.status_code == 202
    assert len(answer(response).ReferencedSOPSequence) == len(images)
    (failed,) = answer(response).FailedSOPSequence
    uid = str(one.data_set.SOPInstanceUID)
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (uid, REFUSED)
    for words in (failed.private_block(0x0099, "ANNOGATE")[0x01].value, response.headers["Warning"]):
        assert f"{rule}: " in words
        assert RULES[rule].remedy in words
    (held,) = gateway.house.quarantine.list()
    assert held.id in failed.private_block(0x0099, "ANNOGATE")[0x01].value
    assert gateway.house.index.find("clinical", uid) is None


def test_only_what_is_refused_is_a_conflict(gateway: DicomWebGateway) -> None:
    one = broken("SEG-LABELS")
    assert stow(gateway, *around(one)).status_code == 200
    assert stow(gateway, one.data_set).status_code == 409


@pytest.mark.parametrize("kind", ["segmentation", "label map", "report", "presentation state", "structure set"])
def test_good_object_comes_with_its_images_in_any_order(gateway: DicomWebGateway, kind: str) -> None:
    one = good(kind)
    assert stow(gateway, one.data_set, *around(one)).status_code == 200
    assert gateway.house.quarantine.list() == []


def test_report_may_come_before_the_segmentation_that_it_refers_to(gateway: DicomWebGateway) -> None:
    """Made on the study as it is served, where nothing may be missing."""
    written = served_results(gateway.house)
    assert written.segmentation is not None
    assert stow(gateway, written.report, written.segmentation, project="research").status_code == 200
    told = {rule for _, _, rules in gateway.house.faults for rule in rules}
    assert told <= {"VIEW-SR-TOOL", "AIR-EQUIPMENT"}, "what de-identification took out of it, and nothing else"


def test_mark_on_images_that_are_not_in_the_project_is_refused(gateway: DicomWebGateway) -> None:
    written = served_segmentation(gateway.house)
    source_of_nobody(written)
    response = stow(gateway, written, project="research")
    assert response.status_code == 409
    (failed,) = answer(response).FailedSOPSequence
    assert failed.FailureReason == REFUSED
    assert RULES["REF-KNOWN"].remedy in failed.private_block(0x0099, "ANNOGATE")[0x01].value


def keeping(**settings: Any) -> dict[str, Any]:
    return {"default": {"deidentify": "none", "annotators": [], "ae_titles": ["ANNOGATE"], **settings}}


def arrive(house: CommitmentHouse, one: GoodObject) -> None:
    """Images first; whatever comes is acknowledged."""
    objects = [*around(one), one.data_set]
    assert house.send(objects) == [0] * len(objects)
    house.ingest()


@pytest.mark.parametrize("rule", BAD.values(), ids=BAD)
def test_what_is_sent_over_dimse_is_acknowledged_and_held_with_the_reason(tmp_path: Path, rule: str) -> None:
    one = broken(rule)
    with commitment_house(tmp_path, projects=keeping()) as house:
        arrive(house, one)
        (held,) = house.gateway.quarantine.list()
        assert held.reason.startswith(f"{rule}: ")
        assert held.reason.endswith(RULES[rule].remedy)
        assert (held.project, held.sop_class_uid) == ("default", one.data_set.SOPClassUID)
        assert house.gateway.instances.count("default") == len(around(one))


def asked(house: CommitmentHouse, address: str) -> Any:
    """What the gateway's interface says to whoever is on this machine."""
    client = Client(house.gateway.web_application())
    return client.get(address, environ_base={"REMOTE_ADDR": "127.0.0.1"}, buffered=True).get_json()


def test_project_may_take_whatever_comes(tmp_path: Path) -> None:
    one = broken("SEG-LABELS")
    uid = str(one.data_set.SOPInstanceUID)
    with commitment_house(tmp_path, projects=keeping(faulty_annotations="list")) as house:
        arrive(house, one)
        assert house.gateway.quarantine.list() == []
        address = f"/api/v1/projects/default/studies/{one.data_set.StudyInstanceUID}/instances/{uid}/problems"
        listed = asked(house, address)["problems"]
        assert [(one["rule"], one["remedy"]) for one in listed] == [("SEG-LABELS", RULES["SEG-LABELS"].remedy)]


def test_fault_that_harms_nobody_is_told_in_the_audit_trail(tmp_path: Path) -> None:
    one = broken("SR-EVIDENCE")
    with commitment_house(tmp_path, projects=keeping()) as house:
        arrive(house, one)
        assert house.gateway.quarantine.list() == []
        house.gateway.audit_buffer.flush()
        (told,) = house.gateway.audit.search(AuditQuery(action="annotation.faults"))
        assert (told.project, told.target) == ("default", str(one.data_set.SOPInstanceUID))
        assert told.detail == {"rules": "SR-EVIDENCE"}
