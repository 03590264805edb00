"""The work items of annotators' runs say where the runs are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.database import Database
from service.core.archived import RunRow, RunState
from service.core.records import ObjectKind
from service.core.workitem import FILTERED_SUBSCRIPTION, Workitem, WorkitemState, code
from service.core.workitem_states import WorkitemRefused
from service.worklist.shown_workitem import ShownWorkitems
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.referring_objects import SR
from tests.worklist_house import CLAIM_S, WorklistHouse, coded, element, given_up, performed, value

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = list(WorkitemState)
STUDY, SERIES = "1.2.3", "1.2.3.9"
ROOT = "http://localhost/dicom-web"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[WorklistHouse]:
    with Database.open(tmp_path / "index.sqlite") as database:
        house = WorklistHouse(database, clock, codes={"reader": code("110005", "DCM", "Interpretation")})
        for number in (1, 2):
            header = ct_slice(number, study_uid=STUDY, series_uid=SERIES, patient_name="ANON-1")
            header.PatientID = "ANON-1"
            house.index.add(new_instance(header))
        yield house


def enqueue(house: WorklistHouse, performer: str = "", annotator: str = "nodules", digest: str = "d1") -> RunRow:
    study = house.index.study("default", STUDY)
    assert study is not None
    return house.runs.enqueue("default", study.id, annotator, SERIES, digest, performer=performer)[0]


def workitems(house: WorklistHouse) -> list[Workitem]:
    return list(house.table.scan("default", {}))


def states(house: WorklistHouse) -> list[WorkitemState]:
    return [one.state for one in workitems(house)]


def run_of(house: WorklistHouse, run: RunRow) -> RunRow:
    row = house.runs.get(run.id)
    assert row is not None
    return row


def test_queued_run_is_scheduled_with_what_it_looks_at(house: WorklistHouse) -> None:
    enqueue(house)
    (workitem,) = workitems(house)
    shown = ShownWorkitems(house.index).show(workitem, ROOT, with_instances=True)
    assert value(shown, "00741000") == "SCHEDULED"
    assert value(shown, "00741202") == "default/nodules"
    assert shown["00404018"] == coded("110004", meaning="Computer Aided Detection")
    assert (value(shown, "00404041"), value(shown, "00100020")) == ("READY", "ANON-1")
    source = value(shown, "00404021")
    assert (value(source, "0020000D"), value(source, "0020000E")) == (STUDY, SERIES)
    assert value(value(source, "0040E025"), "00081190") == f"{ROOT}/studies/{STUDY}/series/{SERIES}"
    assert len(source["00081199"]["Value"]) == 2


def test_same_inputs_make_no_second_work_item(house: WorklistHouse) -> None:
    enqueue(house)
    enqueue(house)
    assert states(house) == [SCHEDULED]


def test_work_item_follows_the_gateways_own_run(house: WorklistHouse, clock: SetClock) -> None:
    run = enqueue(house)
    assert house.runs.lease("worker", 60) is not None
    assert states(house) == [IN_PROGRESS]
    clock.now += 5
    house.runs.finish(run.id, "worker", RunState.DONE, summary="nothing")
    (workitem,) = workitems(house)
    header = ct_slice(7, study_uid=STUDY, series_uid="1.2.3.10", patient_name="ANON-1")
    house.index.add(new_instance(header, kind=ObjectKind.RESULT, annotator="nodules", run_id=run.id))
    shown = ShownWorkitems(house.index).show(workitem, ROOT, with_instances=True)
    assert value(shown, "00741000") == "COMPLETED"
    done = value(shown, "00741216")
    assert value(value(done, "00404033"), "0020000E") == "1.2.3.10"
    assert value(done, "00404051") > value(done, "00404050")


def test_nobody_else_touches_the_gateways_own(house: WorklistHouse) -> None:
    enqueue(house)
    (workitem,) = workitems(house)
    for call in (
        lambda: house.desk.change_state("default", workitem.workitem_uid, "1.9", IN_PROGRESS),
        lambda: house.desk.update("default", workitem.workitem_uid, "", {"00741200": element("CS", "LOW")}),
    ):
        with pytest.raises(WorkitemRefused) as refused:
            call()
        assert refused.value.code == 0xC314


def test_worker_that_dies_leaves_its_work_item_in_progress(house: WorklistHouse, clock: SetClock) -> None:
    enqueue(house)
    house.runs.lease("worker", 60)
    clock.now += 61
    house.runs.requeue_expired(3)
    assert states(house) == [IN_PROGRESS]
    house.runs.lease("another", 60)
    assert states(house) == [IN_PROGRESS]


@pytest.mark.parametrize("end", [RunState.REFUSED, RunState.FAILED])
def test_run_that_comes_to_nothing_is_cancelled_with_its_reason(house: WorklistHouse, end: RunState) -> None:
    run = enqueue(house)
    house.runs.lease("worker", 60)
    house.runs.finish(run.id, "worker", end, reason="the series holds no volume")
    (workitem,) = workitems(house)
    assert workitem.state is CANCELED
    assert value(value(workitem.attributes, "00741002"), "00741238") == "the series holds no volume"


def test_run_that_is_tried_again_has_another_work_item(house: WorklistHouse) -> None:
    run = enqueue(house)
    house.runs.lease("worker", 60)
    house.runs.finish(run.id, "worker", RunState.FAILED, reason="trouble")
    house.runs.retry(run.id)
    before, after = workitems(house)
    assert (before.state, after.state) == (CANCELED, SCHEDULED)
    assert value(value(after.attributes, "00741224"), "00081155") == before.workitem_uid


def test_stopped_run_is_cancelled(house: WorklistHouse) -> None:
    enqueue(house)
    assert house.runs.stop("default", STUDY, [SERIES], "the images were rejected") == 1
    assert states(house) == [CANCELED]


def test_request_for_cancellation_stops_the_gateways_run(house: WorklistHouse) -> None:
    run = enqueue(house)
    house.runs.lease("worker", 60)
    house.desk.request_cancel("default", workitems(house)[0].workitem_uid, {}, "requester")
    assert states(house) == [CANCELED]
    assert run_of(house, run).state is RunState.REFUSED
    assert not house.runs.finish(run.id, "worker", RunState.DONE)


# Annotators that live elsewhere


def test_run_for_somebody_outside_is_nothing_for_the_gateways_workers(house: WorklistHouse) -> None:
    enqueue(house, "ups", "reader")
    assert house.runs.lease("worker", 60) is None
    assert not house.runs.any_waiting()
    (workitem,) = workitems(house)
    assert value(value(workitem.attributes, "00404018"), "00080100") == "110005"


def test_outside_performer_claims_and_completes_the_run(house: WorklistHouse) -> None:
    run = enqueue(house, "ups", "reader")
    header = ct_slice(7, study_uid=STUDY, series_uid="1.2.3.10", sop_instance_uid="1.2.3.10.1")
    header.SOPClassUID = SR
    house.index.add(new_instance(header, kind=ObjectKind.ANNOTATION, stored_by="model"))
    uid = workitems(house)[0].workitem_uid
    house.desk.change_state("default", uid, "1.9", IN_PROGRESS)
    assert run_of(house, run).state is RunState.RUNNING
    house.desk.update("default", uid, "1.9", performed(STUDY, "1.2.3.10", "1.2.3.10.1"))
    house.desk.change_state("default", uid, "1.9", COMPLETED, stores_as="model")
    assert (run_of(house, run).state, states(house)) == (RunState.DONE, [COMPLETED])


def test_outside_performer_gives_the_run_up(house: WorklistHouse) -> None:
    run = enqueue(house, "ups", "reader")
    uid = workitems(house)[0].workitem_uid
    house.desk.change_state("default", uid, "1.9", IN_PROGRESS)
    house.desk.update("default", uid, "1.9", given_up())
    house.desk.change_state("default", uid, "1.9", CANCELED)
    assert (run_of(house, run).state, states(house)) == (RunState.FAILED, [CANCELED])


def test_performer_that_falls_silent_loses_the_run_to_whoever_comes(house: WorklistHouse, clock: SetClock) -> None:
    run = enqueue(house, "ups", "reader")
    uid = workitems(house)[0].workitem_uid
    house.subscribers.subscribe(
        "default", FILTERED_SUBSCRIPTION, "MODEL", "model", wanted=(("WorklistLabel", "default/reader"),)
    )
    house.desk.change_state("default", uid, "1.9", IN_PROGRESS)
    clock.now += CLAIM_S - 1
    house.desk.update("default", uid, "1.9", {"00741200": element("CS", "LOW")})
    clock.now += CLAIM_S - 1
    assert house.runs.requeue_expired(3) == (0, 0)
    clock.now += 2
    assert house.runs.requeue_expired(3) == (1, 0)
    assert states(house) == [CANCELED, SCHEDULED]
    assert [state for _, state in house.told("MODEL")] == ["SCHEDULED", "IN PROGRESS", "CANCELED", "SCHEDULED"]
    house.desk.change_state("default", workitems(house)[1].workitem_uid, "1.8", IN_PROGRESS)
    with pytest.raises(WorkitemRefused):
        house.desk.change_state("default", uid, "1.9", COMPLETED)
    assert run_of(house, run).attempts == 2
