"""Who is told of which work items, and what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_nodes.errors import CallerNotAllowed
from service.archive.database import Database
from service.core.workitem import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION, WorkitemState
from service.errors import BadRequest, InstanceNotFound
from tests.archived import SetClock
from tests.worklist_house import WorklistHouse, coded, element, new_workitem, performed

STATE, CANCEL_REQUESTED, PROGRESS, ASSIGNED = 1, 2, 3, 5


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WorklistHouse]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield WorklistHouse(database, SetClock())


def create(house: WorklistHouse, uid: str, label: str = "readers") -> None:
    house.desk.create("default", uid, new_workitem(t00741202=element("LO", label)), "requester")


def subscribe(house: WorklistHouse, uid: str, ae_title: str = "WATCHER", **options: object) -> list[str]:
    return house.subscribers.subscribe("default", uid, ae_title, "watcher", **options)  # type: ignore[arg-type]


def uids(house: WorklistHouse, ae_title: str = "WATCHER") -> list[str]:
    events = house.events.pending("default", ae_title, 100)
    return [event.content["00001000"]["Value"][0] for event in events]


def test_subscriber_to_one_is_told_its_whole_life(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    create(house, "2.25.2")
    subscribe(house, "2.25.1")
    house.desk.change_state("default", "2.25.1", "1.9", WorkitemState.IN_PROGRESS)
    house.desk.update("default", "2.25.1", "1.9", {"00741002": element("SQ", {"00741004": element("DS", "50")})})
    house.desk.update("default", "2.25.1", "1.9", {"00404025": coded("STATION", "99TEST")})
    house.desk.update("default", "2.25.1", "1.9", performed())
    house.desk.change_state("default", "2.25.1", "1.9", WorkitemState.COMPLETED)
    house.desk.change_state("default", "2.25.2", "1.9", WorkitemState.IN_PROGRESS)
    assert house.told("WATCHER") == [
        (STATE, "SCHEDULED"),
        (STATE, "IN PROGRESS"),
        (PROGRESS, None),
        (ASSIGNED, None),
        (STATE, "COMPLETED"),
    ]
    assert set(uids(house)) == {"2.25.1"}


def test_cancelled_while_scheduled_is_told_by_way_of_in_progress(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, "2.25.1")
    house.desk.request_cancel("default", "2.25.1", {"00741238": element("LT", "Not needed")}, "requester")
    assert house.told("WATCHER") == [(STATE, "SCHEDULED"), (STATE, "IN PROGRESS"), (STATE, "CANCELED")]
    last = house.events.pending("default", "WATCHER", 10)[-1].content
    assert last["00741238"]["Value"] == ["Not needed"]


def test_event_says_what_it_is_about(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, "2.25.1")
    (event,) = house.events.pending("default", "WATCHER", 10)
    assert event.content == {
        "00000002": element("UI", "1.2.840.10008.5.1.4.34.6.4"),
        "00001000": element("UI", "2.25.1"),
        "00001002": element("US", STATE),
        "00404041": element("CS", "READY"),
        "00741000": element("CS", "SCHEDULED"),
    }


def test_subscriber_to_all_is_told_of_old_and_new(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, GLOBAL_SUBSCRIPTION)
    create(house, "2.25.2")
    assert uids(house) == ["2.25.1", "2.25.2"]
    assert house.rung


def test_filter_takes_what_fits_for_good(house: WorklistHouse) -> None:
    create(house, "2.25.1", "chest")
    create(house, "2.25.2", "head")
    subscribe(house, FILTERED_SUBSCRIPTION, wanted=(("WorklistLabel", "ch*"), ("ProcedureStepState", "SCHEDULED")))
    create(house, "2.25.3", "chest")
    create(house, "2.25.4", "head")
    house.desk.change_state("default", "2.25.3", "1.9", WorkitemState.IN_PROGRESS)
    assert uids(house) == ["2.25.1", "2.25.3", "2.25.3"]


@pytest.mark.parametrize("uid", [GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION])
def test_suspended_subscription_takes_nothing_new(house: WorklistHouse, uid: str) -> None:
    create(house, "2.25.1")
    wanted = (("WorklistLabel", "readers"),) if uid == FILTERED_SUBSCRIPTION else ()
    subscribe(house, uid, wanted=wanted)
    house.subscribers.suspend("default", uid, "WATCHER", "watcher", may_take_over=False)
    create(house, "2.25.2")
    house.desk.change_state("default", "2.25.1", "1.9", WorkitemState.IN_PROGRESS)
    assert uids(house) == ["2.25.1", "2.25.1"]
    with pytest.raises(InstanceNotFound):
        house.subscribers.suspend("default", uid, "WATCHER", "watcher", may_take_over=False)


def test_subscription_to_one_is_not_suspended(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, "2.25.1")
    with pytest.raises(BadRequest):
        house.subscribers.suspend("default", "2.25.1", "WATCHER", "watcher", may_take_over=False)


def test_subscriber_to_all_leaves_one_out(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    create(house, "2.25.2")
    subscribe(house, GLOBAL_SUBSCRIPTION)
    house.subscribers.unsubscribe("default", "2.25.1", "WATCHER", "watcher", may_take_over=False)
    for uid in ("2.25.1", "2.25.2"):
        house.desk.change_state("default", uid, "1.9", WorkitemState.IN_PROGRESS)
    assert uids(house) == ["2.25.1", "2.25.2", "2.25.2"]
    with pytest.raises(InstanceNotFound):
        house.subscribers.unsubscribe("default", "2.25.1", "WATCHER", "watcher", may_take_over=False)


def test_who_leaves_is_forgotten(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, GLOBAL_SUBSCRIPTION)
    house.subscribers.unsubscribe("default", GLOBAL_SUBSCRIPTION, "WATCHER", "watcher", may_take_over=False)
    create(house, "2.25.2")
    assert uids(house) == []
    with pytest.raises(InstanceNotFound):
        house.subscribers.unsubscribe("default", GLOBAL_SUBSCRIPTION, "WATCHER", "watcher", may_take_over=False)


def test_title_belongs_to_who_subscribed_first(house: WorklistHouse) -> None:
    create(house, "2.25.1")
    subscribe(house, "2.25.1")
    with pytest.raises(CallerNotAllowed):
        house.subscribers.subscribe("default", "2.25.1", "WATCHER", "another")
    with pytest.raises(CallerNotAllowed):
        house.subscribers.open_channel("default", "WATCHER", "another", "c1", may_take_over=False)
    house.subscribers.open_channel("default", "WATCHER", "admin", "c1", may_take_over=True)
    assert house.subscriptions.channels([("default", "WATCHER")]) == {("default", "WATCHER"): "c1"}


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "back\\slash", "tab\t", "ümlaut"])
def test_title_that_is_none_is_refused(house: WorklistHouse, title: str) -> None:
    with pytest.raises(BadRequest, match="AE title"):
        subscribe(house, GLOBAL_SUBSCRIPTION, title)


@pytest.mark.parametrize(
    ("uid", "wanted"),
    [
        (FILTERED_SUBSCRIPTION, ()),
        (FILTERED_SUBSCRIPTION, (("Modality", "CT"),)),
        (GLOBAL_SUBSCRIPTION, (("WorklistLabel", "x"),)),
    ],
)
def test_filter_belongs_to_the_filtered_subscription(house: WorklistHouse, uid: str, wanted: tuple) -> None:
    with pytest.raises(BadRequest):
        subscribe(house, uid, wanted=wanted)


def test_subscribers_are_limited(house: WorklistHouse) -> None:
    house.subscribers._most = 2
    for title in ("A", "B"):
        subscribe(house, GLOBAL_SUBSCRIPTION, title)
    with pytest.raises(CallerNotAllowed, match="2 subscribers"):
        subscribe(house, GLOBAL_SUBSCRIPTION, "C")


def test_events_are_kept_until_confirmed(house: WorklistHouse) -> None:
    subscribe(house, GLOBAL_SUBSCRIPTION)
    for number in range(3):
        create(house, f"2.25.{number}")
    first = house.events.pending("default", "WATCHER", 2)
    assert [event.id for event in house.events.pending("default", "WATCHER", 2)] == [event.id for event in first]
    house.events.confirm([event.id for event in first])
    assert uids(house) == ["2.25.2"]


def test_events_nobody_comes_for_are_forgotten_the_oldest_first(house: WorklistHouse) -> None:
    subscribe(house, GLOBAL_SUBSCRIPTION)
    subscribe(house, GLOBAL_SUBSCRIPTION, "OTHER")
    for number in range(5):
        create(house, f"2.25.{number}")
    house.events.confirm([event.id for event in house.events.pending("default", "OTHER", 4)])
    now = house.clock()
    assert house.events.trim(now - 1, 2) == 3
    assert (uids(house), uids(house, "OTHER")) == (["2.25.3", "2.25.4"], ["2.25.4"])
    assert house.events.trim(now + 1, 2) == 3
