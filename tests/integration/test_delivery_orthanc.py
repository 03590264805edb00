"""Results come to Orthanc as the hospital knows their patient, and nothing goes out twice or in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import requests
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.deliveries import DeliveryState, ItemState
from service.delivery.peer_rules import PeerRules
from tests.datasets import STUDY_UID, as_file
from tests.delivery_house import DeliveryHouse, delivering, dimse, original_slices
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.xdist_group("orthanc")]

ASKING = PeerRules("pacs")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    with OrthancProcess(tmp_path_factory.mktemp("orthanc"), "ANNOGATE", "127.0.0.1", 11112) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path, orthanc: OrthancProcess) -> Iterator[DeliveryHouse]:
    for study in orthanc.studies():
        requests.delete(f"{orthanc.http}/studies/{study}", timeout=PATIENCE_S).raise_for_status()
    with delivering(tmp_path) as house:
        yield house


def upload(orthanc: OrthancProcess, data_sets: list[Dataset]) -> None:
    for data_set in data_sets:
        requests.post(f"{orthanc.http}/instances", data=as_file(data_set), timeout=PATIENCE_S).raise_for_status()


def objects_of(orthanc: OrthancProcess) -> dict[str, Dataset]:
    """What Orthanc has, by modality; images are left out."""
    found = {}
    for identifier in requests.get(f"{orthanc.http}/instances", timeout=PATIENCE_S).json():
        content = requests.get(f"{orthanc.http}/instances/{identifier}/file", timeout=PATIENCE_S).content
        data_set = dcmread(BytesIO(content))
        if data_set.Modality != "CT":
            found[str(data_set.Modality)] = data_set
    return found


def test_released_result_arrives_with_its_patient_study_and_references(
    house: DeliveryHouse, orthanc: OrthancProcess
) -> None:
    upload(orthanc, original_slices())
    house.make_results()
    house.release_all()
    house.courier(dimse("127.0.0.1", orthanc.dicom_port), rules=ASKING).turn()
    (delivery,) = house.deliveries()
    assert (delivery.state, delivery.last_error) == (DeliveryState.SENT, "")
    found = objects_of(orthanc)
    assert sorted(found) == ["SEG", "SR"]
    for one in found.values():
        assert (one.StudyInstanceUID, one.PatientID, str(one.PatientName)) == (STUDY_UID, "PAT-4711", "Doe^Jane")
        assert (one.AccessionNumber, one.StudyID, str(one.ReferringPhysicianName)) == ("ACC-99", "77", "House^Gregory")
        assert one.StudyDate == "20240317"
        assert "PatientIdentityRemoved" not in one
    images = {one.SOPInstanceUID for one in original_slices()}
    sources = {
        source.ReferencedSOPInstanceUID
        for frame in found["SEG"].PerFrameFunctionalGroupsSequence
        for source in frame.DerivationImageSequence[0].SourceImageSequence
    }
    assert sources
    assert sources <= images
    assert house.outbox_files() == []


def test_study_that_the_peer_does_not_know_is_held_for_a_person(house: DeliveryHouse, orthanc: OrthancProcess) -> None:
    house.make_results()
    house.release_all()
    courier = house.courier(dimse("127.0.0.1", orthanc.dicom_port), rules=ASKING)
    courier.turn()
    (delivery,) = house.deliveries()
    assert (delivery.state, delivery.last_error) == (DeliveryState.HELD, "the peer does not know the study (any more)")
    assert objects_of(orthanc) == {}
    house.outbox_desk.accept(delivery.id, "lead")
    courier.turn()
    assert house.deliveries()[0].state is DeliveryState.SENT
    assert objects_of(orthanc)["SR"].PatientID == "PAT-4711"


def test_patient_who_was_merged_meanwhile_holds_the_result_until_a_person_accepts(
    house: DeliveryHouse, orthanc: OrthancProcess
) -> None:
    upload(orthanc, original_slices(patient_id="PAT-1", patient_name="Doe^Jane^Anne"))
    house.make_results()
    house.release_all()
    courier = house.courier(dimse("127.0.0.1", orthanc.dicom_port), rules=ASKING)
    courier.turn()
    (delivery,) = house.deliveries()
    assert delivery.state is DeliveryState.HELD
    assert delivery.last_error == "the peer knows the study under another PatientID than it came with"
    assert "PAT-1" not in str(delivery)
    house.outbox_desk.accept(delivery.id, "lead")
    courier.turn()
    found = objects_of(orthanc)
    assert {(one.PatientID, str(one.PatientName)) for one in found.values()} == {("PAT-1", "Doe^Jane^Anne")}
    assert house.decisions[-1].action == "accept"


def test_patient_who_changes_again_after_being_accepted_holds_the_result_again(
    house: DeliveryHouse, orthanc: OrthancProcess
) -> None:
    upload(orthanc, original_slices(patient_id="PAT-1"))
    house.make_results()
    house.release_all()
    courier = house.courier(dimse("127.0.0.1", orthanc.dicom_port), rules=ASKING)
    courier.turn()
    house.outbox_desk.accept(house.deliveries()[0].id, "lead")
    for study in orthanc.studies():
        requests.delete(f"{orthanc.http}/studies/{study}", timeout=PATIENCE_S).raise_for_status()
    upload(orthanc, original_slices(patient_id="PAT-2"))
    courier.turn()
    assert house.deliveries()[0].state is DeliveryState.HELD
    assert objects_of(orthanc) == {}


def test_object_that_a_kill_left_in_doubt_is_asked_for_and_not_sent_again(
    house: DeliveryHouse, orthanc: OrthancProcess
) -> None:
    upload(orthanc, original_slices())
    house.make_results()
    house.release_all()
    target = dimse("127.0.0.1", orthanc.dicom_port)
    courier = house.courier(target, rules=ASKING)
    courier.turn()
    (delivery,) = house.deliveries()
    _, report = house.outbox.items(delivery.id)
    # As the index stands when the process was killed after the peer had the first object.
    identifier = requests.post(f"{orthanc.http}/tools/lookup", data=report.sop_instance_uid, timeout=PATIENCE_S).json()[
        0
    ]["ID"]
    requests.delete(f"{orthanc.http}/instances/{identifier}", timeout=PATIENCE_S).raise_for_status()
    house.reopen(delivery.id)
    courier.turn()
    (first, second) = house.outbox.items(delivery.id)
    assert (first.state, first.words) == (ItemState.SENT, "the peer had it when it was asked after a restart")
    assert (second.state, second.words) == (ItemState.SENT, "")
    assert sorted(objects_of(orthanc)) == ["SEG", "SR"]
