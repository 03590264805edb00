"""The life of a work item, in the index."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.archive.database import Database
from service.core.archived import StudyRow
from service.core.workitem import Workitem, WorkitemState
from service.core.workitem_query import parse_query
from service.core.workitem_states import WorkitemRefused
from service.errors import BadRequest, ContentConflict, InstanceNotFound
from service.worklist.shown_workitem import matched_attributes
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.patience import PATIENCE_S
from tests.worklist_house import RULES, WorklistHouse, coded, element, given_up, new_workitem, performed, value

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = list(WorkitemState)
OWN = "Planted"


class Guard:
    """Knows one word of the patient's own, and takes texts in capitals for harmless."""

    def clean_text(self, study: StudyRow | None, text: str) -> str | None:
        return text if text.isupper() else None

    def tells_identity(self, study: StudyRow | None, texts: list[str]) -> bool:
        return any(OWN in text for text in texts)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield database


@pytest.fixture
def house(database: Database, clock: SetClock) -> WorklistHouse:
    return WorklistHouse(database, clock, guards={"default": None, "other": Guard()})


def add_study(house: WorklistHouse, study_uid: str = "1.2.3", patient_id: str = "ANON-1") -> None:
    header = ct_slice(1, study_uid=study_uid, series_uid=f"{study_uid}.9", patient_name="ANON-1")
    header.PatientID = patient_id
    header.SOPInstanceUID = f"{study_uid}.9.1"
    house.index.add(new_instance(header, project="other"))


def create(house: WorklistHouse, uid: str = "2.25.1", project: str = "default", **changes: Any) -> Workitem:
    return house.desk.create(project, uid, new_workitem(**changes), "requester")[0]


def of_study(study_uid: str, **more: Any) -> dict[str, Any]:
    return {
        "t00404021": element("SQ", {"0040E020": element("CS", "DICOM"), "0020000D": element("UI", study_uid)} | more)
    }


def test_work_item_goes_from_scheduled_to_completed(house: WorklistHouse) -> None:
    create(house)
    assert house.desk.change_state("default", "2.25.1", "1.9", IN_PROGRESS) == []
    assert house.desk.update("default", "2.25.1", "1.9", performed()) == []
    assert house.desk.change_state("default", "2.25.1", "1.9", COMPLETED) == []
    held = house.desk.get("default", "2.25.1")
    assert (held.state, held.finished_at) == (COMPLETED, house.clock())


def test_lock_is_never_shown(house: WorklistHouse) -> None:
    create(house)
    house.desk.change_state("default", "2.25.1", "1.9.77", IN_PROGRESS)
    held = house.desk.get("default", "2.25.1")
    assert "1.9.77" not in repr(held)
    assert "00081195" not in held.attributes


def test_work_item_without_a_uid_is_given_one(house: WorklistHouse) -> None:
    assert create(house, "").workitem_uid.startswith("2.25.900")


def test_uid_is_taken_once(house: WorklistHouse) -> None:
    create(house)
    with pytest.raises(ContentConflict):
        create(house)
    assert create(house, project="other", t00741204=element("LO", "LOOK")).project == "other"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"t00741000": element("CS", "IN PROGRESS")}, "is SCHEDULED"),
        ({"t00081195": element("UI", "1.2")}, "is empty"),
        ({"t00080016": element("UI", "1.2")}, "UPS Push"),
        ({"t00080018": element("UI", "1.2")}, "not that of the address"),
    ],
)
def test_what_is_no_new_work_item_is_refused(house: WorklistHouse, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        create(house, **changes)


def test_creation_tells_when_it_changed_something(house: WorklistHouse) -> None:
    assert house.desk.create("default", "2.25.1", new_workitem(), "requester")[1] == []
    _, warnings = house.desk.create("default", "2.25.2", new_workitem(t00741202=element("LO")), "requester")
    assert warnings == ["The Workitem was created with modifications."]
    assert value(house.desk.get("default", "2.25.2").attributes, "00741202") == "default"


def test_what_is_not_there_is_not_found(house: WorklistHouse) -> None:
    for call in (
        lambda: house.desk.get("default", "2.25.1"),
        lambda: house.desk.update("default", "2.25.1", "", {}),
        lambda: house.desk.change_state("default", "2.25.1", "1.9", IN_PROGRESS),
        lambda: house.desk.request_cancel("default", "2.25.1", {}, "somebody"),
    ):
        with pytest.raises(InstanceNotFound):
            call()


def test_update_needs_the_lock_once_claimed(house: WorklistHouse) -> None:
    create(house)
    change = {"00741200": element("CS", "LOW")}
    assert house.desk.update("default", "2.25.1", "", change) == []
    assert house.desk.update("default", "2.25.1", "1.9", change) == [
        "The target URI did not reference a claimed Workitem."
    ]
    house.desk.change_state("default", "2.25.1", "1.9", IN_PROGRESS)
    for wrong, warning in (("", "The Transaction UID is missing."), ("1.8", "The Transaction UID is incorrect.")):
        with pytest.raises(WorkitemRefused) as refused:
            house.desk.update("default", "2.25.1", wrong, change)
        assert (refused.value.http_status, refused.value.warning) == (400, warning)


def test_end_is_refused_while_something_is_missing(house: WorklistHouse) -> None:
    create(house)
    house.desk.change_state("default", "2.25.1", "1.9", IN_PROGRESS)
    for end, missing in ((COMPLETED, "Performed Procedure Sequence"), (CANCELED, "Progress Information")):
        with pytest.raises(WorkitemRefused, match=missing) as refused:
            house.desk.change_state("default", "2.25.1", "1.9", end)
        assert refused.value.code == 0xC304
    house.desk.update("default", "2.25.1", "1.9", given_up())
    assert house.desk.change_state("default", "2.25.1", "1.9", CANCELED) == []
    assert house.desk.change_state("default", "2.25.1", "1.9", CANCELED) == [
        "The UPS is already in the requested state of CANCELED."
    ]


def test_nothing_changes_after_the_end(house: WorklistHouse) -> None:
    create(house)
    house.desk.request_cancel("default", "2.25.1", {}, "requester")
    with pytest.raises(WorkitemRefused) as refused:
        house.desk.update("default", "2.25.1", "", {"00741200": element("CS", "LOW")})
    assert refused.value.http_status == 400


def test_cancellation_of_what_nobody_claimed_comes_at_once(house: WorklistHouse) -> None:
    create(house)
    reason = {"00741238": element("LT", "No longer needed")}
    assert house.desk.request_cancel("default", "2.25.1", reason, "requester") == []
    held = house.desk.get("default", "2.25.1")
    assert held.state is CANCELED
    (progress,) = held.attributes["00741002"]["Value"]
    assert value(progress, "00741238") == "No longer needed"
    assert RULES.missing_at_end(matched_attributes(held), CANCELED) == []


def test_cancellation_of_what_somebody_does_needs_somebody_to_tell(house: WorklistHouse) -> None:
    create(house)
    house.desk.change_state("default", "2.25.1", "1.9", IN_PROGRESS)
    with pytest.raises(WorkitemRefused) as refused:
        house.desk.request_cancel("default", "2.25.1", {}, "requester")
    assert refused.value.code == 0xC312
    house.subscribers.subscribe("default", "2.25.1", "PERFORMER", "performer")
    assert house.desk.request_cancel("default", "2.25.1", {}, "requester") == []
    assert house.told("PERFORMER")[-1] == (2, None)
    assert house.desk.get("default", "2.25.1").state is IN_PROGRESS


def test_search_that_looked_at_as_many_as_it_may_says_that_there_may_be_more(
    database: Database, clock: SetClock
) -> None:
    house = WorklistHouse(database, clock, looked_at=2)
    for number in (1, 2, 3):
        create(house, f"2.25.{number}", t00741202=element("LO", f"list {number}"))
    for label, found in (("list 1", ["2.25.1"]), ("list ?", ["2.25.1", "2.25.2"]), ("*3", [])):
        page = house.desk.search("default", parse_query([("WorklistLabel", label)], RULES), 10)
        assert ([one.workitem_uid for one in page.found], page.is_cut) == (found, label != "list 1")


def test_search_finds_by_page(house: WorklistHouse) -> None:
    for number in range(1, 6):
        create(house, f"2.25.{number}", t00741200=element("CS", "LOW" if number % 2 else "HIGH"))
    query = parse_query([("ScheduledProcedureStepPriority", "LOW"), ("offset", "1")], RULES)
    page = house.desk.search("default", query, 1)
    assert [one.workitem_uid for one in page.found] == ["2.25.3"]
    assert page.is_cut
    assert house.desk.search("other", query, 10).found == []


def test_change_that_was_decided_on_an_older_version_takes_no_effect(house: WorklistHouse) -> None:
    held = create(house)
    with house.database.write() as connection:
        assert house.table.change(held, connection, state=IN_PROGRESS) is not None
        assert house.table.change(held, connection, state=CANCELED) is None


def test_what_ended_is_forgotten_later_where_somebody_holds_a_lock(house: WorklistHouse, clock: SetClock) -> None:
    for number in (1, 2, 3):
        create(house, f"2.25.{number}")
    house.subscribers.subscribe("default", "2.25.2", "WATCHER", "watcher", lock=True)
    for number in (1, 2):
        house.desk.request_cancel("default", f"2.25.{number}", {}, "requester")
    assert house.table.forget(clock.now + 1, clock.now) == 1
    assert [one.workitem_uid for one in house.table.scan("default", {})] == ["2.25.2", "2.25.3"]
    assert house.table.forget(clock.now + 1, clock.now + 1) == 1


# In a project that removes identity


def test_patient_is_the_one_that_the_study_is_served_with(house: WorklistHouse) -> None:
    add_study(house)
    sent = {"t00100010": element("PN", {"Alphabetic": "Planted^Name"}), "t00741204": element("LO", "LOOK")}
    _, warnings = house.desk.create("other", "2.25.1", new_workitem(**sent, **of_study("1.2.3")), "requester")
    assert warnings == ["The Workitem was created with modifications."]
    held = house.desk.get("other", "2.25.1")
    assert value(held.attributes, "00100010") == {"Alphabetic": "ANON-1"}
    assert value(held.attributes, "00100020") == "ANON-1"
    assert OWN not in repr(held.attributes)


def test_patient_of_no_study_is_empty(house: WorklistHouse) -> None:
    sent = {
        "t00100010": element("PN", {"Alphabetic": "Planted^Name"}),
        "t00100020": element("LO", "Planted-1"),
        "t00380010": element("LO", "Planted-2"),
        "t00400400": element("LT", "Planted comes at noon"),
        "t0040A370": element("SQ"),
    }
    create(house, project="other", **sent)
    with house.database.read() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM workitems").all()
    assert OWN not in repr(stored)


@pytest.mark.parametrize(
    "changes",
    [
        of_study("1.2.840.99"),
        {"t0020000D": element("UI", "1.2.840.99")},
        of_study("1.2.3", **{"0020000E": element("UI", "1.2.840.99")}),
        {
            "t0040A370": element("SQ", {"0020000D": element("UI", "1.2.840.99")}),
        },
    ],
)
def test_uid_that_is_not_held_is_refused(house: WorklistHouse, changes: dict[str, Any]) -> None:
    add_study(house)
    with pytest.raises(BadRequest) as refused:
        create(house, project="other", **changes)
    assert "1.2.840.99" not in str(refused.value)


def test_own_value_in_a_code_is_refused(house: WorklistHouse) -> None:
    with pytest.raises(BadRequest, match="patient's own"):
        create(house, project="other", t00404018=coded("1", meaning="Planted"))


def test_studies_of_two_patients_are_refused(house: WorklistHouse) -> None:
    add_study(house, "1.2.3", "ANON-1")
    add_study(house, "1.2.4", "ANON-2")
    both = {
        "t00404021": element(
            "SQ", *({"0040E020": element("CS", "DICOM"), "0020000D": element("UI", uid)} for uid in ("1.2.3", "1.2.4"))
        )
    }
    with pytest.raises(BadRequest, match="several patients"):
        create(house, project="other", **both)


def test_output_has_to_be_delivered_before_it_is_named(house: WorklistHouse) -> None:
    add_study(house)
    create(house, project="other", **of_study("1.2.3"))
    house.desk.change_state("other", "2.25.1", "1.9", IN_PROGRESS)
    with pytest.raises(BadRequest, match="nothing here under this UID"):
        house.desk.update("other", "2.25.1", "1.9", performed(instance_uid="1.2.840.99"))
    house.desk.update("other", "2.25.1", "1.9", performed())
    assert house.desk.change_state("other", "2.25.1", "1.9", COMPLETED) == []


# Two processes

WORKITEMS = 20


def claim_all(location: str, owner: str, start: Any, won: Any) -> None:
    """Claim every work item there is, in a process of its own."""
    with Database.open(location) as database:
        house = WorklistHouse(database, SetClock())
        start.wait(PATIENCE_S)
        mine = 0
        for number in range(WORKITEMS):
            try:
                house.desk.change_state("default", f"2.25.{number}", owner, IN_PROGRESS)
            except WorkitemRefused as refused:
                assert refused.code == 0xC302  # noqa: PT017 - not what is raised, but what it says
            else:
                mine += 1
        won.put((owner, mine))


def test_of_two_processes_that_claim_a_work_item_one_wins(house: WorklistHouse, database: Database) -> None:
    for number in range(WORKITEMS):
        create(house, f"2.25.{number}")
    location = database._engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("fork")
    start, won = context.Barrier(2), context.Queue()
    claimers = [context.Process(target=claim_all, args=(location, owner, start, won)) for owner in ("1.1", "1.2")]
    for claimer in claimers:
        claimer.start()
    results = dict(won.get(timeout=PATIENCE_S) for _ in claimers)
    for claimer in claimers:
        claimer.join(PATIENCE_S)
        assert claimer.exitcode == 0
    assert sum(results.values()) == WORKITEMS
    for number in range(WORKITEMS):
        held = house.desk.get("default", f"2.25.{number}")
        owners = [owner for owner in results if held.is_held_by(owner)]
        assert (held.state, len(owners)) == (IN_PROGRESS, 1)


def test_loser_of_a_race_changes_nothing_afterwards(house: WorklistHouse) -> None:
    create(house)
    house.desk.change_state("default", "2.25.1", "1.1", IN_PROGRESS)
    for end in (COMPLETED, CANCELED):
        with pytest.raises(WorkitemRefused) as refused:
            house.desk.change_state("default", "2.25.1", "1.2", end)
        assert refused.value.code == 0xC301
    assert house.desk.get("default", "2.25.1").state is IN_PROGRESS
