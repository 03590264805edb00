"""Rejection notes of IHE IOCM: obeyed when they come in, written when a result is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from service.core.deliveries import DeliveryKind, DeliveryState, ItemState, ReleaseState
from service.core.rejection import OUTGOING, PATIENT_SAFETY, TITLES, RejectionNote
from service.errors import DecisionRefused, InstanceNotFound
from service.objects.rejection_note import NamedInstance, rejection_notes_in, write_rejection_note
from service.objects.validation import validate
from tests.datasets import SERIES_UID, STUDY_UID, ct_slice
from tests.delivery_house import SLICES, DeliveryHouse, delivering, original_slices
from tests.dicomweb_gateway import DicomWebGateway, address


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path) as house:
        yield house


def note_on(images: Sequence[Dataset], code: str = PATIENT_SAFETY, uid: str = "1.2.9.1") -> Dataset:
    """A note as a PACS sends it, about images by their original UIDs."""
    return write_rejection_note(
        images[0],
        [NamedInstance(one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID) for one in images],
        code=code,
        words="",
        uids=(f"{uid}.9", uid),
        series_number=99,
        created_at=datetime(2024, 3, 18, 9, 0, 0),
        version="test",
    )


def shown(house: DeliveryHouse, study_uid: str) -> int:
    rows = house.jobs.index.instances_of(house.project, study_uid)
    return len([row for row in rows if row.kind.value == "image" and row.instance_number and row.rows])


@pytest.mark.parametrize("code", TITLES)
def test_note_that_is_written_is_valid_and_read_again(code: str) -> None:
    images = original_slices()[:2]
    note = note_on(images, code)
    assert [problem for problem in validate(note) if problem.severity == "ERROR"] == []
    (read,) = rejection_notes_in(note)
    assert (read.study_uid, read.code) == (STUDY_UID, code)
    assert read.instances == (f"{SERIES_UID}.1", f"{SERIES_UID}.2")


def test_key_object_with_another_title_rejects_nothing() -> None:
    note = note_on(original_slices()[:1])
    note.ConceptNameCodeSequence[0].CodeValue = "113000"
    assert rejection_notes_in(note) == []


@pytest.mark.parametrize("code", TITLES)
def test_rejected_images_are_hidden(house: DeliveryHouse, code: str) -> None:
    study_uid = house.jobs.receive(original_slices()).study_uid
    house.jobs.receive([note_on(original_slices()[:3], code)])
    assert shown(house, study_uid) == SLICES - 3
    house.rejection_desk.obey()
    assert [(event.code, event.instances, event.action) for event in house.events] == [(code, 3, "obey")]
    house.rejection_desk.obey()
    assert len(house.events) == 1


def test_note_that_comes_before_its_images_hides_them_when_they_come(house: DeliveryHouse) -> None:
    house.jobs.receive([note_on(original_slices()[:3])])
    study_uid = house.jobs.receive(original_slices()).study_uid
    assert shown(house, study_uid) == SLICES - 3


def test_reader_who_stores_such_a_note_rejects_nothing(house: DeliveryHouse) -> None:
    study_uid = house.jobs.receive(original_slices()).study_uid
    ingest = house.jobs.ingest
    served = [ingest.stored(row) for row in house.jobs.index.instances_of(house.project, study_uid)]
    ingest.pipeline.process(ingest.incoming(note_on(served[:3]), house.project, source="stow"))
    assert shown(house, study_uid) == SLICES


def test_run_on_rejected_images_is_stopped(house: DeliveryHouse) -> None:
    study_uid = house.jobs.receive(original_slices()).study_uid
    assert house.jobs.go_quiet() == 1
    run = house.jobs.runs.lease("worker", 60)
    assert run is not None
    house.jobs.receive([note_on(original_slices()[:3])])
    house.rejection_desk.obey()
    end = house.jobs.executor.execute(run, "worker")
    assert end.state != "done"
    assert house.jobs.results(study_uid) == []
    (stopped,) = house.jobs.all_runs(study_uid)
    assert (stopped.state, "rejected by note" in stopped.reason) == ("refused", True)


def test_result_on_rejected_images_is_recalled_and_a_run_looks_at_the_others(house: DeliveryHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    house.jobs.receive([note_on(original_slices()[SLICES - 1 :])])
    house.rejection_desk.obey()
    (release,) = house.releases.page(house.project)
    assert (release.state, release.recall_code) == (ReleaseState.RECALLED, PATIENT_SAFETY)
    assert house.jobs.results(study_uid) == []
    # It had not left yet: nothing has to be taken back at the PACS.
    assert [(row.state, row.kind) for row in house.deliveries()] == [(DeliveryState.DISCARDED, DeliveryKind.RESULT)]
    assert house.jobs.go_quiet() == 1
    assert [end.state for end in house.jobs.carry_out()] == ["done"]
    assert len(house.jobs.results(study_uid)) == 2


def test_restored_images_are_shown_and_looked_at_again(house: DeliveryHouse) -> None:
    study_uid = house.make_results()
    house.jobs.receive([note_on(original_slices())])
    house.rejection_desk.obey()
    assert shown(house, study_uid) == 0
    note_uid = house.rejection_desk.of_study(house.project, study_uid)[0].note_uid
    with pytest.raises(InstanceNotFound):
        house.rejection_desk.restore(house.project, study_uid, "2.25.1", "lead")
    assert house.rejection_desk.restore(house.project, study_uid, note_uid, "lead") == SLICES
    assert shown(house, study_uid) == SLICES
    assert (house.events[-1].action, house.events[-1].by) == ("restore", "lead")
    assert house.jobs.go_quiet() == 1
    house.jobs.carry_out()
    assert len(house.jobs.results(study_uid)) == 2
    # The same note again, as a PACS resends it, does not undo what a person decided.
    house.jobs.receive([note_on(original_slices())])
    assert shown(house, study_uid) == SLICES


def test_result_on_the_last_of_many_rejected_images_is_recalled(house: DeliveryHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    rows = house.jobs.index.instances_of(house.project, study_uid)
    images = tuple(row.sop_instance_uid for row in rows if row.kind.value == "image")
    many = tuple(f"1.2.{number}" for number in range(1500))
    note = RejectionNote(study_uid, "2.25.1", PATIENT_SAFETY, many + images)
    house.jobs.ingest.rejections.obey(house.project, note)
    house.rejection_desk.obey()
    assert house.releases.page(house.project)[0].state is ReleaseState.RECALLED
    assert [event.instances for event in house.events] == [len(many) + len(images)]


def test_restoring_what_a_note_hid_of_a_study_shows_nothing_of_another(house: DeliveryHouse) -> None:
    table, study_uid = house.jobs.ingest.rejections, house.jobs.receive(original_slices()).study_uid
    rows = house.jobs.index.instances_of(house.project, study_uid)
    table.obey(house.project, RejectionNote(study_uid, "2.25.1", PATIENT_SAFETY, (rows[0].sop_instance_uid,)))
    table.obey(house.project, RejectionNote("2.25.7", "2.25.1", PATIENT_SAFETY, ("2.25.71",)))
    assert house.rejection_desk.restore(house.project, study_uid, "2.25.1", "lead") == 1
    assert [row.state for row in table.of_study(house.project, "2.25.7")] == ["hidden"]


def delivered(house: DeliveryHouse) -> int:
    """Bring the released result to the peer, as the index has it then; the number of its release."""
    (row,) = house.deliveries()
    uids = next(iter(row.objects.values()))
    found = [house.jobs.index.find(house.project, uid) for uid in uids]
    items = house.outbox.set_items(row.id, [(one.sop_class_uid, one.sop_instance_uid) for one in found if one])
    for item in items:
        house.outbox.record(item, ItemState.SENT, 0, "")
    house.outbox.finish(row.id, DeliveryState.SENT)
    return row.release_id


def test_result_that_was_delivered_is_taken_back_by_a_note(house: DeliveryHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    results = {row.sop_instance_uid for row in house.jobs.results(study_uid)}
    house.recall.recall(delivered(house), "lead", PATIENT_SAFETY, "wrong side")
    sent, note = house.deliveries()
    assert (sent.state, note.state, note.kind) == (DeliveryState.SENT, DeliveryState.WAITING, DeliveryKind.REJECTION)
    (uid,) = note.objects["any"]
    row = house.jobs.index.find(house.project, uid)
    assert row is not None
    parcel = house.preparation.parcel(row)
    leaving = parcel.in_implicit_vr()
    assert leaving.transfer_syntax_uid == "1.2.840.10008.1.2"
    (read,) = rejection_notes_in(house.way_back.restore(house.jobs.ingest.stored(row), row.kind).data_set)
    assert (read.study_uid, read.code, set(read.instances)) == (STUDY_UID, PATIENT_SAFETY, results)
    assert b"wrong side" in parcel.data_set
    assert b"PAT-4711" in parcel.data_set
    assert [row.kind.value for row in house.jobs.results(study_uid) if row.annotator] == []
    assert house.decisions[-1].action == "recall"


def test_notes_are_obeyed_although_one_before_them_cannot_be(house: DeliveryHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    delivered(house)
    table, results = house.jobs.ingest.rejections, house.jobs.results(study_uid)
    for row in results:
        house.jobs.ingest.blobs.delete(row.blob.key)
    table.obey(house.project, RejectionNote(study_uid, "2.25.8", PATIENT_SAFETY, (results[0].sop_instance_uid,)))
    # The study of the other has been removed for good: there is nothing to recall.
    house.releases.open(project=house.project, study_uid="9.9", annotator="fixed", objects={"any": ["9.9.1"]})
    table.obey(house.project, RejectionNote("9.9", "2.25.9", PATIENT_SAFETY, ("9.9.1",)))
    house.rejection_desk.obey()
    assert [(event.study_uid, event.recalled) for event in house.events] == [("9.9", 0)]
    assert [note.study_uid for _, note in table.unacted()] == [study_uid]


@pytest.mark.parametrize(("code", "reason"), [("113001", "blurred"), ("113037", " "), ("1", "wrong")])
def test_recall_needs_a_code_and_a_reason(house: DeliveryHouse, code: str, reason: str) -> None:
    house.make_results()
    (release,) = house.release_all()
    with pytest.raises(DecisionRefused, match=", ".join(OUTGOING)):
        house.recall.recall(release.id, "lead", code, reason)


def test_what_was_recalled_is_not_recalled_again(house: DeliveryHouse) -> None:
    house.make_results()
    (release,) = house.release_all()
    house.recall.recall(release.id, "lead", PATIENT_SAFETY, "wrong side")
    with pytest.raises(DecisionRefused, match="it is recalled"):
        house.recall.recall(release.id, "lead", PATIENT_SAFETY, "wrong side")


def test_study_without_rejections_costs_nothing(house: DeliveryHouse) -> None:
    house.jobs.receive([ct_slice(1)])
    house.rejection_desk.obey()
    assert house.events == []


def test_rejected_image_is_not_served_by_its_uid_either(tmp_path: Path) -> None:
    gateway = DicomWebGateway(tmp_path)
    images = original_slices()[:2]
    outcomes = [gateway.store(image, "research") for image in images]
    client = gateway.client()
    places = [f"/projects/research/dicom-web{address(outcome)}" for outcome in outcomes]
    gateway.house.pipeline.process(gateway.house.incoming(note_on(images[:1]), "research"))
    for tail in ("", "/metadata", "/frames/1", "/rendered"):
        assert [client.get(f"{place}{tail}").status_code for place in places] == [404, 200], tail
    gateway.close()
