"""Two processes that write at once: each case holds one transaction at its end while another begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import event, select, text

from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.pulls import PullTable
from service.archive.rejections import RejectionTable
from service.archive.schema import search_attributes
from service.archive.search_attribute_table import SearchAttributeTable
from service.archive.study_routes import StudyRoute, StudyRouteTable
from service.archive.trash import TrashTable
from service.archive.vault_keys import VaultKeyTable
from service.archive.vault_store import VaultStore
from service.core.deletion import DeletedPlace
from service.core.pulls import NewPull
from service.core.records import SealedEntry
from service.core.rejection import RejectionNote
from tests.archived import SetClock, new_instance
from tests.datasets import STUDY_UID, ct_slice
from tests.patience import PATIENCE_S

T = TypeVar("T")
UID = str(ct_slice().SOPInstanceUID)
NOTE = RejectionNote(STUDY_UID, "1.2.9", "113037", (UID,))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class TwoProcesses:
    """The same index, opened twice."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.one = Database.open(folder / "index.sqlite")
        self.other = Database.open(folder / "index.sqlite")

    def at_once(self, first: Callable[[], object], second: Callable[[], T]) -> T:
        """Let ``first`` work on one, and ``second`` begin on the other when all but the commit of that is done."""
        begun: list[Future[T]] = []
        with ThreadPoolExecutor(1) as pool:

            def begin(_: object) -> None:
                if not begun:
                    begun.append(pool.submit(second))
                    self._let_wait(begun[0])

            event.listen(self.one._engine, "commit", begin)
            first()
            return begun[0].result(PATIENCE_S)

    def _let_wait(self, second: Future[T]) -> None:
        """Until it has ended or waits for the first."""
        if self.one.dialect == "sqlite":
            time.sleep(0.05)  # there nobody tells who waits; one writer at a time is the database's own rule
            return
        until = time.monotonic() + PATIENCE_S
        while not second.done() and time.monotonic() < until:
            with self.one.read() as connection:
                if connection.execute(text(WAITING)).scalar_one():
                    return
            time.sleep(0.01)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoProcesses]:
    two = TwoProcesses(tmp_path)
    yield two
    two.one.close()
    two.other.close()


def is_shown(two: TwoProcesses) -> bool:
    found = InstanceIndex(two.one, two.clock).find("default", UID)
    assert found is not None
    return found.visible


def test_key_is_not_retired_while_something_is_stored_under_it(two: TwoProcesses) -> None:
    entry = SealedEntry("uid", "1.2.3", "old", b"sealed")
    retired = two.at_once(
        lambda: VaultStore(two.one).put_all("default", [entry]),
        lambda: VaultKeyTable(two.other, two.clock).retire("old"),
    )
    assert not retired
    assert VaultKeyTable(two.one, two.clock).retired() == set()


def test_same_request_made_twice_at_once_is_one(two: TwoProcesses) -> None:
    new = NewPull("default", "pacs", b"sealed", "digest", "reader")
    tables = [PullTable(database, two.clock) for database in (two.one, two.other)]
    second = two.at_once(lambda: tables[0].add(new), lambda: tables[1].add(new))
    assert [pull.id for pull in tables[0].newest()] == [second.id]


def test_rules_that_speak_at_once_of_a_study_are_all_heard(two: TwoProcesses) -> None:
    tables = [StudyRouteTable(database, two.clock) for database in (two.one, two.other)]
    two.at_once(
        lambda: tables[0].put("default", "1.2", StudyRoute(priority=5)),
        lambda: tables[1].put("default", "1.2", StudyRoute(annotators=("nodules",))),
    )
    assert tables[0].of("default", "1.2") == StudyRoute(5, ("nodules",))


def arrive(two: TwoProcesses, database: Database) -> None:
    with database.write() as transaction:
        InstanceIndex(database, two.clock).add(new_instance(), transaction)
        RejectionTable(database, two.clock).hide_among("default", [UID], transaction)


@pytest.mark.parametrize("note_first", [False, True])
def test_image_that_comes_beside_its_rejection_note_is_hidden(two: TwoProcesses, note_first: bool) -> None:
    if note_first:
        two.at_once(lambda: RejectionTable(two.one, two.clock).obey("default", NOTE), lambda: arrive(two, two.other))
    else:
        two.at_once(lambda: arrive(two, two.one), lambda: RejectionTable(two.other, two.clock).obey("default", NOTE))
    assert not is_shown(two)


@pytest.mark.parametrize("deletion_first", [False, True])
def test_image_that_is_hidden_while_it_is_deleted_stays_hidden_when_restored(
    two: TwoProcesses, deletion_first: bool
) -> None:
    InstanceIndex(two.one, two.clock).add(new_instance())
    one, other = (two.one, two.other) if deletion_first else (two.other, two.one)
    trash, index = TrashTable(one, two.clock), InstanceIndex(other, two.clock)
    place = DeletedPlace(STUDY_UID)
    steps: list[Callable[[], object]] = [
        lambda: trash.put("default", place, by="lead", reason="", remove_at=two.clock.now + 1),
        lambda: index.hide("default", [UID]),
    ]
    two.at_once(*(steps if deletion_first else reversed(steps)))
    (row,) = trash.page("default")
    assert trash.restore(row.id, "lead")
    assert not is_shown(two)


def test_image_that_is_deleted_while_its_note_is_undone_is_not_shown(two: TwoProcesses) -> None:
    InstanceIndex(two.one, two.clock).add(new_instance())
    rejections = RejectionTable(two.other, two.clock)
    rejections.obey("default", NOTE)
    trash = TrashTable(two.one, two.clock)

    def show() -> None:
        with two.other.write() as transaction:
            rejections.show("default", [UID], transaction)

    place = DeletedPlace(STUDY_UID)
    two.at_once(lambda: trash.put("default", place, by="lead", reason="", remove_at=two.clock.now + 1), show)
    assert not is_shown(two)
    (row,) = trash.page("default")
    assert trash.restore(row.id, "lead")
    assert is_shown(two)


def test_attribute_is_made_searchable_while_somebody_reads_for_long(two: TwoProcesses) -> None:
    table = SearchAttributeTable(two.other, two.clock)
    with two.one.read() as dump, ThreadPoolExecutor(1) as pool:
        assert dump.execute(select(search_attributes)).all() == []
        adding = pool.submit(table.add, "KVP")
        wait([adding], timeout=60)
        done_meanwhile = adding.done()
        dump.rollback()
    assert done_meanwhile
    assert [attribute.key.keyword for attribute in table.all()] == ["KVP"]
