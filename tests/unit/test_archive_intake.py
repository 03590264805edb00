from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.database import Database
from service.archive.intake import Arrival, IntakeTable
from service.core.records import OutcomeKind
from tests.archived import NOW, SetClock

ARRIVALS = [Arrival(f"seg-1/{number}", "default", NOW + number) for number in range(3)]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def intake(tmp_path: Path, clock: SetClock) -> Iterator[IntakeTable]:
    with Database.open(tmp_path / "index.db") as database:
        yield IntakeTable(database, clock)


def ids(intake: IntakeTable) -> list[int]:
    return [row.id for row in intake.pending(100)]


def test_registered_objects_wait_in_the_order_received(intake: IntakeTable) -> None:
    assert intake.register(reversed(ARRIVALS)) == 3
    assert [row.source_key for row in intake.pending(2)] == ["seg-1/0", "seg-1/1"]


def test_registering_again_changes_nothing(intake: IntakeTable, clock: SetClock) -> None:
    intake.register(ARRIVALS)
    intake.finish(ids(intake)[0], OutcomeKind.ARCHIVED)
    before = intake.find([arrival.source_key for arrival in ARRIVALS])
    clock.now += 1
    assert intake.register([*ARRIVALS, Arrival("seg-2/0", "default", NOW)]) == 1
    assert intake.find([arrival.source_key for arrival in ARRIVALS]) == before


def test_registering_nothing_is_harmless(intake: IntakeTable) -> None:
    assert intake.register([]) == 0


def test_pending_can_be_asked_by_project(intake: IntakeTable) -> None:
    intake.register([*ARRIVALS, Arrival("seg-1/9", "research", NOW)])
    assert [row.source_key for row in intake.pending(10, "research")] == ["seg-1/9"]
    assert intake.pending_count("research") == 1
    assert intake.pending_count() == 4


def test_finished_object_keeps_its_outcome_and_waits_no_more(intake: IntakeTable, clock: SetClock) -> None:
    intake.register(ARRIVALS)
    clock.now += 1
    intake.finish(ids(intake)[0], OutcomeKind.QUARANTINED, "no pixel data")
    row = intake.find(["seg-1/0"])["seg-1/0"]
    assert (row.state, row.reason, row.updated_at) == ("quarantined", "no pixel data", NOW + 1)
    assert [row.source_key for row in intake.pending(10)] == ["seg-1/1", "seg-1/2"]


def test_many_are_finished_at_once(intake: IntakeTable) -> None:
    intake.register(ARRIVALS)
    intake.finish_all([(row_id, OutcomeKind.ARCHIVED, "") for row_id in ids(intake)])
    assert intake.pending_count() == 0


def test_attempts_are_counted_before_they_are_made(intake: IntakeTable) -> None:
    intake.register(ARRIVALS)
    first = ids(intake)[0]
    intake.begin([first])
    intake.begin([first])
    assert [row.attempts for row in intake.pending(10)] == [2, 0, 0]


def test_oldest_pending_is_the_first_received_of_its_project(intake: IntakeTable) -> None:
    assert intake.oldest_pending_at("default") is None
    intake.register([*ARRIVALS, Arrival("seg-1/9", "research", NOW - 9)])
    assert intake.oldest_pending_at("default") == NOW
    assert intake.oldest_pending_at() == NOW - 9
    intake.finish(intake.find(["seg-1/0"])["seg-1/0"].id, OutcomeKind.ARCHIVED)
    assert intake.oldest_pending_at("default") == NOW + 1


def test_released_segment_forgets_its_own_objects_only(intake: IntakeTable) -> None:
    intake.register([*ARRIVALS, Arrival("seg-10/0", "default", NOW), Arrival("seg_1/0", "default", NOW)])
    assert intake.pending_in_segment("seg-1") == 3
    assert intake.delete_for_segment("seg-1") == 3
    assert {row.source_key for row in intake.pending(10)} == {"seg-10/0", "seg_1/0"}


def test_name_with_a_wildcard_matches_itself_only(intake: IntakeTable) -> None:
    intake.register([*ARRIVALS, Arrival("seg_1/0", "default", NOW)])
    assert intake.delete_for_segment("seg_1") == 1
