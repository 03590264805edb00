"""Deletion: at once hidden from everybody, restorable while its grace lasts, removed for good after it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.archive_queries import ArchiveQueries
from service.archive.held_instances import HeldInstances
from service.archive.search import InstanceSearch
from service.core.archive_query import ArchiveQuery, QueryLevel, ServedResults
from service.core.archived import RunState
from service.core.deletion import DeletedPlace, DeletionState
from service.core.deliveries import DeliveryState, ReleaseState
from service.core.records import Outcome, OutcomeKind
from service.core.rejection import RejectionNote
from service.core.search import Level, SearchQuery
from service.errors import DecisionRefused, InstanceInTrash, InstanceNotFound
from tests.datasets import STUDY_UID, ct_slice
from tests.delivery_house import original_slices
from tests.trash_house import GRACE_DAYS, TrashHouse, deleting
from tests.worklist_house import WorklistHouse, element, new_workitem


@pytest.fixture
def house(tmp_path: Path) -> Iterator[TrashHouse]:
    with deleting(tmp_path) as house:
        yield house


def place_of(outcome: Outcome, level: str) -> tuple[str, ...]:
    return (outcome.study_uid, outcome.series_uid, outcome.sop_instance_uid)[
        : ("study", "series", "instance").index(level) + 1
    ]


def shown(house: TrashHouse, study_uid: str) -> int:
    return len(house.jobs.index.instances_of(house.project, study_uid))


def vault_kinds(house: TrashHouse) -> list[str]:
    return [entry.kind for entry in house.jobs.ingest.vault.entries(house.project)]


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_deleted_instances_are_in_no_search_and_no_listing(house: TrashHouse, level: str) -> None:
    outcome = house.jobs.receive(original_slices()[:1])
    house.delete(*place_of(outcome, level))
    index = house.jobs.index
    assert index.instances_of(house.project, outcome.study_uid) == []
    assert index.studies(house.project) == []
    search = InstanceSearch(house.database)
    assert [list(search.search(SearchQuery(house.project, one)).found) for one in Level] == [[], [], []]
    queries = ArchiveQueries(house.database)
    found = [queries.matching(ArchiveQuery(house.project, one, ServedResults())) for one in QueryLevel]
    assert [len(one) for one in found] == [0, 0, 0, 0]


def test_deleted_instance_is_none_that_storage_commitment_knows(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices()[:1])
    held = HeldInstances(house.database)
    assert list(held.of(house.project, [outcome.sop_instance_uid])) == [outcome.sop_instance_uid]
    house.delete(outcome.study_uid)
    assert held.of(house.project, [outcome.sop_instance_uid]) == {}


def test_what_is_restored_is_shown_as_before(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    house.jobs.index.hide(house.project, [outcome.sop_instance_uid])
    row = house.delete(outcome.study_uid, reason="wrong patient")
    assert (row.instances, row.reason, row.remove_at - row.at) == (8, "wrong patient", GRACE_DAYS * 86400)
    house.deletion_desk.restore(house.project, row.id, "lead")
    assert shown(house, outcome.study_uid) == 7
    assert [(one.action, one.by) for one in house.deleted] == [("delete", "lead"), ("restore", "lead")]


def test_deletion_of_one_instance_leaves_the_others(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    house.delete(outcome.study_uid, outcome.series_uid, outcome.sop_instance_uid)
    assert shown(house, outcome.study_uid) == 7


def test_study_that_was_deleted_in_parts_is_restored_part_by_part(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    house.delete(outcome.study_uid, outcome.series_uid, outcome.sop_instance_uid)
    whole = house.delete(outcome.study_uid)
    assert whole.instances == 7
    house.deletion_desk.restore(house.project, whole.id, "lead")
    assert shown(house, outcome.study_uid) == 7
    assert len(house.deletion_desk.restore_study(house.project, outcome.study_uid, "lead")) == 1
    assert shown(house, outcome.study_uid) == 8


@pytest.mark.parametrize("place", [("1.2.3",), ("../etc",), ("",), (STUDY_UID, "", "1.2.3")])
def test_what_is_not_there_is_not_deleted(house: TrashHouse, place: tuple[str, ...]) -> None:
    with pytest.raises(InstanceNotFound):
        house.delete(*place)


def test_what_is_in_the_trash_is_not_deleted_again_nor_restored_twice(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices()[:1])
    row = house.delete(outcome.study_uid)
    with pytest.raises(InstanceNotFound):
        house.delete(outcome.study_uid)
    house.deletion_desk.restore(house.project, row.id, "lead")
    with pytest.raises(DecisionRefused, match="it is restored"):
        house.deletion_desk.restore(house.project, row.id, "lead")


def test_deletion_of_another_project_is_none(house: TrashHouse) -> None:
    row = house.delete(house.jobs.receive(original_slices()[:1]).study_uid)
    with pytest.raises(InstanceNotFound):
        house.deletion_desk.restore("clinical", row.id, "lead")


@pytest.mark.parametrize("restored_first", [False, True])
def test_image_that_a_note_rejected_meanwhile_is_shown_when_both_are_undone(
    house: TrashHouse, restored_first: bool
) -> None:
    outcome = house.jobs.receive(original_slices()[:1])
    row = house.delete(outcome.study_uid)
    note = RejectionNote(outcome.study_uid, "2.25.77", "113037", (outcome.sop_instance_uid,))
    house.jobs.ingest.rejections.obey(house.project, note)
    if restored_first:
        house.deletion_desk.restore(house.project, row.id, "lead")
    else:
        house.jobs.ingest.rejections.restore(house.project, outcome.study_uid, "2.25.77", "lead")
    assert shown(house, outcome.study_uid) == 0
    if restored_first:
        house.jobs.ingest.rejections.restore(house.project, outcome.study_uid, "2.25.77", "lead")
    else:
        house.deletion_desk.restore(house.project, row.id, "lead")
    assert shown(house, outcome.study_uid) == 1


def test_same_instance_sent_again_stays_in_the_trash(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices()[:1])
    house.delete(outcome.study_uid)
    again = house.jobs.receive(original_slices()[:1])
    assert (again.kind, again.failure_reason) == (OutcomeKind.IN_TRASH, InstanceInTrash.dimse_status)
    assert shown(house, outcome.study_uid) == 0
    assert len(house.jobs.ingest.blob_keys()) == 1


def test_other_content_under_a_deleted_uid_waits_in_quarantine(house: TrashHouse) -> None:
    house.delete(house.jobs.receive([ct_slice(1)]).study_uid)
    other = ct_slice(1)
    other.KVP = 140
    again = house.jobs.receive([other])
    assert (again.kind, again.failure_reason) == (OutcomeKind.QUARANTINED, InstanceInTrash.dimse_status)
    assert len(house.jobs.ingest.blob_keys()) == 1


def test_new_instance_of_a_deleted_study_is_shown(house: TrashHouse) -> None:
    study_uid = house.jobs.receive([ct_slice(1)]).study_uid
    house.delete(study_uid)
    assert house.jobs.receive([ct_slice(2)]).kind is OutcomeKind.ARCHIVED
    assert shown(house, study_uid) == 1


def test_nothing_is_left_after_the_grace_but_the_memory_of_it(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    row = house.delete(outcome.study_uid)
    assert house.removal.run() == 0
    assert house.let_grace_end() == 8
    assert house.jobs.index.find(house.project, outcome.sop_instance_uid) is None
    assert house.jobs.index.study(house.project, outcome.study_uid) is None
    assert house.jobs.ingest.blob_keys() == set()
    # A Frame of Reference UID may be that of other studies too: its entry stays.
    assert vault_kinds(house) == ["uid"]
    assert house.deletion_desk.show(house.project, row.id).state is DeletionState.REMOVED
    assert [one.action for one in house.deleted] == ["delete", "remove"]
    with pytest.raises(DecisionRefused, match="it is removed"):
        house.deletion_desk.restore(house.project, row.id, "lead")


def test_what_was_to_be_done_with_a_study_goes_with_it(house: TrashHouse) -> None:
    worklist = WorklistHouse(house.database, house.clock, guards={house.project: None})
    outcome = house.jobs.receive(original_slices()[:1])
    for uid, study_uid in (("2.25.1", outcome.study_uid), ("2.25.2", "1.2.3.4")):
        named = {
            "0020000D": element("UI", study_uid),
            "0020000E": element("UI", "1.2"),
            "0040E020": element("CS", "DICOM"),
        }
        worklist.desk.create(house.project, uid, new_workitem(t00404021=element("SQ", named)), "lead")
    house.delete(outcome.study_uid)
    house.let_grace_end()
    assert [one.workitem_uid for one in worklist.table.scan(house.project, {})] == ["2.25.2"]


def test_instance_that_was_removed_is_taken_in_anew(house: TrashHouse) -> None:
    first = house.jobs.receive(original_slices())
    house.delete(first.study_uid)
    house.let_grace_end()
    again = house.jobs.receive(original_slices())
    assert (again.kind, again.sop_instance_uid) == (OutcomeKind.ARCHIVED, first.sop_instance_uid)
    assert shown(house, first.study_uid) == 8
    assert house.way_back.original_study(first.study_uid).PatientID == "PAT-4711"
    assert house.let_grace_end() == 0


def test_patient_of_two_studies_is_known_until_the_last_is_gone(house: TrashHouse) -> None:
    one = house.jobs.receive([ct_slice(1)])
    two = house.jobs.receive([ct_slice(1, study_uid="1.2.7", series_uid="1.2.7.1")])
    house.delete(one.study_uid)
    house.let_grace_end()
    assert sorted({"patient", "study"} & set(vault_kinds(house))) == ["patient", "study"]
    house.delete(two.study_uid)
    house.let_grace_end()
    assert {"patient", "study"} & set(vault_kinds(house)) == set()


def test_rest_of_a_series_stays_when_an_instance_is_removed(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    house.delete(outcome.study_uid, outcome.series_uid, outcome.sop_instance_uid)
    assert house.let_grace_end() == 1
    assert shown(house, outcome.study_uid) == 7
    assert len(house.jobs.ingest.blob_keys()) == 7
    keys = [entry.key for entry in house.jobs.ingest.vault.entries(house.project, "uid")]
    assert outcome.sop_instance_uid not in keys
    assert {outcome.series_uid, outcome.study_uid} <= set(keys)


def test_removal_goes_on_where_its_bound_stopped_it(house: TrashHouse) -> None:
    house.delete(house.jobs.receive(original_slices()).study_uid)
    house.clock.now += GRACE_DAYS * 86400 + 1
    removal = house.removal_over(house.jobs.ingest.blobs, batch=2, most_at_once=4)
    assert [removal.run(), removal.run(), removal.run()] == [4, 4, 0]
    assert [one.action for one in house.deleted] == ["delete", "remove"]


def test_two_processes_at_one_deletion_tell_of_it_once(house: TrashHouse) -> None:
    house.delete(house.jobs.receive(original_slices()).study_uid)
    house.clock.now += GRACE_DAYS * 86400 + 1
    second = house.removal_over(house.jobs.ingest.blobs)

    class Interrupted(type(house.jobs.ingest.blobs)):
        """Lets the other process have its turn while this one holds a piece."""

        def delete(self, key: str) -> None:
            second.run()
            super().delete(key)

    house.removal_over(Interrupted(house.folder / "blobs")).run()
    assert house.jobs.ingest.blob_keys() == set()
    assert [one.action for one in house.deleted] == ["delete", "remove"]


@pytest.mark.sqlite  # the index of another process is told by its file
def test_kill_in_the_middle_of_a_removal_is_harmless(house: TrashHouse) -> None:
    outcome = house.jobs.receive(original_slices())
    house.delete(outcome.study_uid)
    house.clock.now += GRACE_DAYS * 86400 + 1
    code = f"""
import os, signal
from pathlib import Path
from service.archive.blobs import FilesystemBlobStore
from tests.trash_house import TrashHouse

class Killed(FilesystemBlobStore):
    left = 5
    def delete(self, key):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        super().delete(key)

house = TrashHouse(Path({str(house.folder)!r}))
house.clock.now = {house.clock.now}
house.removal_over(Killed(house.folder / "blobs"), batch=3).run()
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(house.jobs.ingest.blob_keys()) == 4
    assert shown(house, outcome.study_uid) == 0
    assert house.removal.run() == 5
    assert house.jobs.ingest.blob_keys() == set()
    assert house.jobs.receive(original_slices()).kind is OutcomeKind.ARCHIVED


def test_run_on_deleted_images_is_stopped_and_goes_on_when_they_are_restored(house: TrashHouse) -> None:
    study_uid = house.jobs.receive(original_slices()).study_uid
    assert house.jobs.go_quiet() == 1
    run = house.jobs.runs.lease("worker", 60)
    assert run is not None
    row = house.delete(study_uid)
    assert house.jobs.executor.execute(run, "worker").state != "done"
    assert house.jobs.results(study_uid, visible_only=False) == []
    house.deletion_desk.restore(house.project, row.id, "lead")
    (queued,) = house.jobs.all_runs(study_uid)
    assert queued.state is RunState.QUEUED
    house.jobs.carry_out()
    assert len(house.jobs.results(study_uid)) == 2


def test_deleted_result_does_not_leave_until_it_is_restored(house: TrashHouse) -> None:
    study_uid = house.make_results()
    row = house.delete(study_uid)
    assert [release.state for release in house.release_all()] == [ReleaseState.REJECTED]
    house.deletion_desk.restore(house.project, row.id, "lead")
    assert [release.state for release in house.release_all()] == [ReleaseState.RELEASED]
    assert [one.state for one in house.deliveries()] == [DeliveryState.WAITING]


def test_delivery_that_waits_is_withdrawn_and_given_back(house: TrashHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    row = house.delete(study_uid)
    assert [one.state for one in house.deliveries()] == [DeliveryState.DISCARDED]
    house.deletion_desk.restore(house.project, row.id, "lead")
    assert [one.state for one in house.deliveries()] == [DeliveryState.WAITING]


def test_failed_delivery_of_a_deleted_result_is_not_tried_again(house: TrashHouse) -> None:
    study_uid = house.make_results()
    house.release_all()
    (delivery,) = house.deliveries()
    house.outbox.finish(delivery.id, DeliveryState.FAILED, error="away")
    house.delete(study_uid)
    with pytest.raises(DecisionRefused, match="restore it first"):
        house.outbox_desk.retry(delivery.id, "lead")


@pytest.mark.parametrize(
    ("deleted", "asked", "explained"),
    [
        (("1.1",), ("1.1", "1.2", "1.3"), True),
        (("1.1", "1.2"), ("1.1", "1.2", "1.3"), True),
        (("1.1", "1.2"), ("1.1", "1.9", "1.3"), False),
        (("1.1", "1.2", "1.3"), ("1.1", "1.2", "1.4"), False),
        (("1.1", "1.2", "1.3"), ("1.1", "1.2"), True),
        (("1.1", "1.2", "1.3"), ("1.1", "1.9"), False),
        (("1.1", "1.2", "1.3"), ("1.1",), True),
    ],
)
def test_address_is_gone_where_a_deletion_explains_it(
    house: TrashHouse, deleted: tuple[str, ...], asked: tuple[str, ...], explained: bool
) -> None:
    house.jobs.receive(
        [ct_slice(study_uid="1.1", series_uid="1.2", sop_instance_uid="1.3")],
    )
    rows = house.jobs.index.instances_of(house.project, house.jobs.index.studies(house.project)[0].study.study_uid)
    served = dict(
        zip(("1.1", "1.2", "1.3"), (rows[0].study_uid, rows[0].series_uid, rows[0].sop_instance_uid), strict=True)
    )
    house.delete(*(served[uid] for uid in deleted))
    place = DeletedPlace(*(served.get(uid, uid) for uid in asked))
    assert house.trash.covers(house.project, place) is explained
