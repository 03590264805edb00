from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.projects import ProjectTable
from service.archive.rows import StudyRow
from service.archive.study_states import StudyStates
from service.archive.vault_store import VaultStore
from service.core.records import SealedEntry
from service.errors import KeysMissing
from tests.archived import NOW, SetClock, new_instance
from tests.datasets import STUDY_UID, ct_slice


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "index.db") as database:
        yield database


@pytest.fixture
def index(database: Database, clock: SetClock) -> InstanceIndex:
    return InstanceIndex(database, clock)


@pytest.fixture
def states(database: Database, clock: SetClock) -> StudyStates:
    return StudyStates(database, clock)


def study(index: InstanceIndex) -> StudyRow:
    row = index.study("default", STUDY_UID)
    assert row is not None
    return row


# vault


def entry(key: str, sealed: bytes = b"sealed", kind: str = "uid") -> SealedEntry:
    return SealedEntry(kind, key, "key-1", sealed)


def test_vault_gives_back_what_was_put(database: Database) -> None:
    vault = VaultStore(database)
    vault.put_all("default", [entry("1"), entry("2")])
    assert vault.get_all("default", "uid", ["1", "2", "3"]) == {"1": entry("1"), "2": entry("2")}


def test_later_vault_entry_takes_the_place_of_the_earlier(database: Database) -> None:
    vault = VaultStore(database)
    vault.put_all("default", [entry("1", b"first"), entry("1", b"second")])
    vault.put_all("default", [entry("1", b"third")])
    assert (vault.get("default", "uid", "1"), vault.count("default")) == (entry("1", b"third"), 1)


def test_vault_entry_of_another_project_or_kind_is_not_found(database: Database) -> None:
    vault = VaultStore(database)
    vault.put_all("default", [entry("1")])
    assert vault.get("research", "uid", "1") is None
    assert vault.get("default", "study", "1") is None


def test_vault_entries_come_page_by_page_and_whole(database: Database) -> None:
    vault = VaultStore(database)
    everything = [entry(f"{number:04}", kind=kind) for kind in ("patient", "uid") for number in range(600)]
    vault.put_all("default", reversed(everything))
    assert list(vault.entries("default")) == everything
    assert list(vault.entries("default", "uid")) == everything[600:]


def test_forgotten_vault_entry_is_gone(database: Database) -> None:
    vault = VaultStore(database)
    vault.put_all("default", [entry("1"), entry("2")])
    vault.forget("default", "uid", ["1"])
    assert [held.key for held in vault.entries("default")] == ["2"]


def test_vault_entry_does_not_show_what_it_seals() -> None:
    assert "sealed" not in repr(entry("1"))


# counters and conflicts


def test_counter_adds_up(database: Database) -> None:
    counters = CounterTable(database)
    counters.add("default", "dropped.1.2")
    counters.add_all("default", {"dropped.1.2": 4, "seen": 1})
    assert counters.all("default") == {"dropped.1.2": 5, "seen": 1}
    assert (counters.get("default", "dropped.1.2"), counters.get("default", "other")) == (5, 0)


def test_counts_of_two_openings_are_not_lost(tmp_path: Path, database: Database) -> None:
    def count(opened: Database) -> None:
        for _ in range(25):
            CounterTable(opened).add("default", "seen")

    with Database.open(tmp_path / "index.db") as second:
        threads = [threading.Thread(target=count, args=(opened,)) for opened in (database, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert CounterTable(database).get("default", "seen") == 50


def test_conflicts_are_listed_last_first(database: Database, clock: SetClock) -> None:
    conflicts = ConflictTable(database, clock)
    conflicts.add("default", "1.1", "kept-first", "PACS")
    conflicts.add("default", "1.2", "replaced")
    conflicts.add("research", "1.3", "quarantined")
    assert [(row.sop_instance_uid, row.action) for row in conflicts.list("default")] == [
        ("1.2", "replaced"),
        ("1.1", "kept-first"),
    ]
    assert (conflicts.count("default"), conflicts.count()) == (2, 3)
    assert conflicts.list("default", limit=1, offset=1)[0].at == NOW


# projects


def test_project_keeps_the_fingerprint_of_its_keys(database: Database, clock: SetClock) -> None:
    projects = ProjectTable(database, clock)
    projects.register("default", "abc")
    projects.register("default")
    assert (projects.names(), projects.fingerprint("default"), projects.fingerprint("x")) == (["default"], "abc", "")


def test_other_keys_are_refused_once_there_is_data(database: Database, clock: SetClock, index: InstanceIndex) -> None:
    projects = ProjectTable(database, clock)
    projects.register("default", "abc")
    index.add(new_instance())
    with pytest.raises(KeysMissing):
        projects.register("default", "other")
    assert projects.fingerprint("default") == "abc"


def test_other_keys_are_taken_while_there_is_no_data(database: Database, clock: SetClock) -> None:
    projects = ProjectTable(database, clock)
    projects.register("default", "abc")
    projects.register("default", "other")
    assert projects.fingerprint("default") == "other"


def test_keys_are_taken_by_data_that_came_without(database: Database, clock: SetClock, index: InstanceIndex) -> None:
    projects = ProjectTable(database, clock)
    index.add(new_instance())
    projects.register("default", "abc")
    assert projects.fingerprint("default") == "abc"
    assert projects.has_data("default")
    assert not projects.has_data("research")


# study states


def test_quiet_studies_are_the_receiving_ones_without_later_images(index: InstanceIndex, states: StudyStates) -> None:
    for number in range(3):
        data_set = ct_slice(study_uid=f"1.9.{number}", series_uid=f"1.9.{number}.1")
        index.add(new_instance(data_set, received_at=NOW + number))
    assert [row.study_uid for row in states.receiving("default", NOW + 1)] == ["1.9.0", "1.9.1"]
    assert len(states.receiving("default")) == 3
    assert states.next_quiet_since("default") == NOW
    assert states.next_quiet_since("research") is None


def test_completed_study_counts_its_version(index: InstanceIndex, states: StudyStates, clock: SetClock) -> None:
    index.add(new_instance())
    clock.now += 60
    assert states.complete(study(index)) == 1
    after = study(index)
    assert (after.state, after.version, after.completed_at) == ("complete", 1, NOW + 60)
    assert states.counts("default") == {"complete": 1}


def test_study_is_completed_once(index: InstanceIndex, states: StudyStates) -> None:
    index.add(new_instance())
    seen = study(index)
    assert states.complete(seen) == 1
    assert states.complete(seen) is None


def test_study_that_changed_since_it_was_seen_is_not_completed(index: InstanceIndex, states: StudyStates) -> None:
    index.add(new_instance())
    seen = study(index)
    index.add(new_instance(ct_slice(2)))
    assert states.complete(seen) is None
    assert not states.restore(seen)
    assert study(index).state == "receiving"


def test_restored_study_keeps_its_version(index: InstanceIndex, states: StudyStates) -> None:
    index.add(new_instance())
    states.complete(study(index))
    index.add(new_instance(ct_slice(2)))
    assert states.restore(study(index))
    assert (study(index).state, study(index).version) == ("complete", 1)


def test_conflict_that_comes_again_is_counted_in_its_row(database: Database, clock: SetClock) -> None:
    conflicts = ConflictTable(database, clock)
    for _ in range(3):
        conflicts.add("default", "1.1", "kept-first", "PACS")
    conflicts.add("default", "1.1", "kept-first", "OTHER")
    assert sorted((row.calling_ae_title, row.times_seen) for row in conflicts.list()) == [("OTHER", 1), ("PACS", 3)]
