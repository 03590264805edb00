"""Readers see no work item that tells of another reader's work, and hear nothing of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import update

from service.archive.database import Database
from service.archive.schema import instances
from service.core.records import ObjectKind
from service.core.view import EVERYTHING, View
from service.core.workitem import GLOBAL_SUBSCRIPTION, WorkitemState
from service.core.workitem_query import parse_query
from service.core.workitem_states import WorkitemRefused
from service.errors import InstanceNotFound
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.worklist_house import RULES, WorklistHouse, coded, element, given_up, new_workitem, performed, value

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = list(WorkitemState)
ANNA, BERT, BLIND = View("anna"), View("bert"), View("carl", results=False)
STUDY, HIDDEN_STUDY, IMAGES, MARKS = "1.2.3", "1.2.4", "1.2.3.1", "1.2.3.9"
LOCK = "1.9.77"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorklistHouse]:
    """A study with an image and a mark of Anna's, and one of which nothing is left but her mark."""
    with Database.open(tmp_path_factory.mktemp("worklist") / "index.sqlite") as database:
        house = WorklistHouse(database, SetClock())
        house.index.add(new_instance(ct_slice(study_uid=STUDY, series_uid=IMAGES)))
        for study_uid in (STUDY, HIDDEN_STUDY):
            mark = ct_slice(study_uid=study_uid, series_uid=f"{study_uid}.9")
            house.index.add(new_instance(mark, kind=ObjectKind.ANNOTATION))
        hers = update(instances).where(instances.c.kind == str(ObjectKind.ANNOTATION)).values(author="anna")
        with database.write() as connection:
            connection.execute(hers)
        yield house


def created(house: WorklistHouse, **changes: Any) -> str:
    uid = f"2.25.88{next(_numbers)}"
    house.desk.create("default", uid, new_workitem(**changes), "lead")
    return uid


def claimed_by_anna(house: WorklistHouse, **changes: Any) -> str:
    uid = created(house, **changes)
    house.desk.change_state("default", uid, LOCK, IN_PROGRESS, ANNA)
    return uid


def seen(house: WorklistHouse, view: View, uids: list[str]) -> list[str]:
    """Those of some work items that a search finds, and that can be retrieved one by one."""
    page = house.desk.search("default", parse_query([("SOPInstanceUID", ",".join(uids))], RULES), 100, view)
    found = [one.workitem_uid for one in page.found]
    for uid in uids:
        if uid in found:
            assert house.desk.get("default", uid, view).workitem_uid == uid
        else:
            with pytest.raises(InstanceNotFound):
                house.desk.get("default", uid, view)
    return found


def naming(study_uid: str, series_uid: str, **more: Any) -> dict[str, Any]:
    """Input Information that names a series."""
    item = {"0020000D": element("UI", study_uid), "0020000E": element("UI", series_uid)}
    return element("SQ", item | {"0040E020": element("CS", "DICOM")} | more)


def listing(sop_instance_uid: str) -> dict[str, Any]:
    listed = {"00081150": element("UI", "1.2.840.10008.5.1.4.1.1.66.4"), "00081155": element("UI", sop_instance_uid)}
    return {"00081199": element("SQ", listed)}


def addressed(address: str) -> dict[str, Any]:
    return {"0040E025": element("SQ", {"00081190": element("UR", address)})}


def test_what_another_reader_has_claimed_is_not_seen(house: WorklistHouse) -> None:
    free, hers = created(house), claimed_by_anna(house)
    house.desk.update("default", hers, LOCK, performed(), ANNA)
    for state in (IN_PROGRESS, COMPLETED):
        if state is COMPLETED:
            house.desk.change_state("default", hers, LOCK, COMPLETED, ANNA)
        assert seen(house, BERT, [free, hers]) == [free]
        for view in (ANNA, EVERYTHING):
            assert seen(house, view, [free, hers]) == [free, hers]


def test_pages_and_what_remains_are_those_of_the_view(house: WorklistHouse) -> None:
    uids = [claimed_by_anna(house), created(house), claimed_by_anna(house), created(house), claimed_by_anna(house)]
    for view, own in ((BERT, [uids[1], uids[3]]), (EVERYTHING, uids)):
        for offset, uid in enumerate(own):
            parameters = [("SOPInstanceUID", ",".join(uids)), ("offset", str(offset))]
            page = house.desk.search("default", parse_query(parameters, RULES), 1, view)
            assert ([one.workitem_uid for one in page.found], page.is_cut) == ([uid], uid != own[-1])


def test_claim_that_comes_too_late_is_told_so_and_no_more(house: WorklistHouse) -> None:
    hers = claimed_by_anna(house)
    with pytest.raises(WorkitemRefused) as refused:
        house.desk.change_state("default", hers, "1.9.78", IN_PROGRESS, BERT)
    assert refused.value.code == 0xC302
    calls: list[Callable[[], object]] = [
        lambda: house.desk.change_state("default", hers, "1.9.78", CANCELED, BERT),
        lambda: house.desk.update("default", hers, "1.9.78", given_up(), BERT),
        lambda: house.desk.request_cancel("default", hers, {}, "bert", BERT),
        lambda: house.subscribers.subscribe("default", hers, "BERT", "bert", view=BERT),
    ]
    for call in calls:
        with pytest.raises(InstanceNotFound):
            call()


def test_lock_lets_its_holder_end_the_work_whoever_they_are(house: WorklistHouse) -> None:
    hers = claimed_by_anna(house)
    house.desk.update("default", hers, LOCK, given_up(), BERT)
    house.desk.change_state("default", hers, LOCK, CANCELED, BERT)
    assert house.desk.get("default", hers).state is CANCELED


def test_what_was_cancelled_before_anybody_claimed_it_is_seen(house: WorklistHouse) -> None:
    uid = created(house)
    house.desk.request_cancel("default", uid, {}, "lead")
    assert seen(house, BERT, [uid]) == [uid]


@pytest.mark.parametrize(
    "names",
    [
        naming(STUDY, MARKS),
        naming(STUDY, IMAGES, **listing(f"{MARKS}.1")),
        naming(STUDY, IMAGES, **addressed(f"http://localhost/dicom-web/studies/{STUDY}/series/{MARKS}")),
    ],
    ids=["series", "instance", "address"],
)
def test_work_item_on_another_readers_annotation_is_not_seen(house: WorklistHouse, names: dict[str, Any]) -> None:
    uid = created(house, t00404021=names)
    assert seen(house, BERT, [uid]) == []
    assert seen(house, ANNA, [uid]) == [uid]


def test_what_is_named_before_it_comes_is_hidden_when_it_has_come(house: WorklistHouse) -> None:
    uid = created(house, t00404021=naming(STUDY, "1.2.3.77"))
    assert seen(house, BERT, [uid]) == [uid]
    late = new_instance(ct_slice(study_uid=STUDY, series_uid="1.2.3.77"), kind=ObjectKind.ANNOTATION)
    house.index.add(late)
    assert seen(house, BERT, [uid]) == []


def test_work_item_on_images_is_everybodys(house: WorklistHouse) -> None:
    uid = created(house, t00404021=naming(STUDY, IMAGES))
    for view in (ANNA, BERT, BLIND, EVERYTHING):
        assert seen(house, view, [uid]) == [uid]


def test_work_item_on_a_study_that_shows_nothing_is_not_seen(house: WorklistHouse) -> None:
    uid = created(house, t00404021=naming(HIDDEN_STUDY, "1.2.4.1"))
    assert seen(house, BERT, [uid]) == []
    assert seen(house, ANNA, [uid]) == [uid]


def test_who_reads_without_models_sees_no_run(house: WorklistHouse) -> None:
    study = house.index.study("default", STUDY)
    assert study is not None
    run, _ = house.runs.enqueue("default", study.id, "nodules", IMAGES, "digest")
    with house.database.write() as connection:
        workitem = house.table.of_run(run.id, connection)
    assert workitem is not None
    assert seen(house, BLIND, [workitem.workitem_uid]) == []
    house.runs.lease("worker", 60)
    for view in (BERT, EVERYTHING):
        assert seen(house, view, [workitem.workitem_uid]) == [workitem.workitem_uid]


def told_of(house: WorklistHouse, title: str, uid: str) -> list[tuple[str | None, set[str]]]:
    """State and further attributes of what somebody is told of one work item."""
    command = {"00000002", "00001000", "00001002"}
    events = [event.content for event in house.events.pending("default", title, 1000)]
    mine = [content for content in events if value(content, "00001000") == uid]
    return [(value(content, "00741000"), set(content) - command - {"00741000"}) for content in mine]


def test_who_loses_sight_of_a_work_item_is_told_that_it_is_taken(house: WorklistHouse) -> None:
    for title, view in (("ANNA", ANNA), ("BERT", BERT), ("LEAD", EVERYTHING)):
        house.subscribers.subscribe("default", GLOBAL_SUBSCRIPTION, title, title, view=view)
    uid = claimed_by_anna(house)
    progress = {"00741002": element("SQ", {"00741004": element("DS", "50"), "00741006": element("ST", "a nodule")})}
    for change in (progress, {"00404025": coded("STATION", "99TEST")}, performed()):
        house.desk.update("default", uid, LOCK, change, ANNA)
    house.desk.change_state("default", uid, LOCK, COMPLETED, ANNA)
    assert told_of(house, "BERT", uid) == [("SCHEDULED", {"00404041"}), ("IN PROGRESS", set())]
    states = ["SCHEDULED", "IN PROGRESS", None, None, "COMPLETED"]
    for title in ("ANNA", "LEAD"):
        assert [state for state, _ in told_of(house, title, uid)] == states


def test_whose_view_has_changed_is_not_told_what_waited_for_them(house: WorklistHouse) -> None:
    house.subscribers.subscribe("default", GLOBAL_SUBSCRIPTION, "CHANGED", "dora")
    uid = claimed_by_anna(house)
    assert [state for state, _ in told_of(house, "CHANGED", uid)] == ["SCHEDULED", "IN PROGRESS"]
    house.subscribers.open_channel("default", "CHANGED", "dora", "c" * 32, may_take_over=False, view=View("dora"))
    assert told_of(house, "CHANGED", uid) == []
    house.desk.update("default", uid, LOCK, performed(), ANNA)
    house.desk.change_state("default", uid, LOCK, COMPLETED, ANNA)
    assert told_of(house, "CHANGED", uid) == []
