"""The audit trail is appended to, found again, and shows what was changed afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from dicom_nodes.errors import GatewayError
from service.archive.audit import AuditEvent, AuditQuery, AuditTrail, Outcome
from service.archive.database import Database

KEY = bytes(range(32))


class Setting:
    """A trail with a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1_000_000.0
        self.database = Database.open(path)
        self.trail = AuditTrail(self.database, lambda: self.now, KEY)

    def fill(self, count: int) -> None:
        self.trail.record_all([AuditEvent("ada", "study.read", target=f"1.2.{number}") for number in range(count)])

    def tamper(self, statement: str) -> None:
        """Change the index as somebody would who can write to it, triggers or not."""
        triggers = {
            "sqlite": ("audit_refuses_update", "audit_refuses_delete"),
            "postgresql": ("audit_append_only ON audit",),
        }
        with self.database.write() as connection:
            for trigger in triggers[self.database.dialect]:
                connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
            connection.exec_driver_sql(statement)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    setting = Setting(tmp_path / "index.sqlite")
    yield setting
    setting.database.close()


def test_event_is_found_with_all_it_said(setting: Setting) -> None:
    event = AuditEvent(
        "ada", "quarantine.release", Outcome.MINOR_FAILURE, "default", "abc", "192.0.2.1", {"status": 409}
    )
    setting.trail.record(event)
    (row,) = setting.trail.search(AuditQuery())
    assert (row.actor, row.action, row.outcome, row.project, row.target, row.address, row.detail, row.at) == (
        "ada",
        "quarantine.release",
        Outcome.MINOR_FAILURE,
        "default",
        "abc",
        "192.0.2.1",
        {"status": 409},
        1_000_000.0,
    )


def test_events_own_time_is_kept(setting: Setting) -> None:
    setting.trail.record(AuditEvent("ada", "study.read", at=5.25))
    assert setting.trail.search(AuditQuery())[0].at == 5.25


def test_rows_come_newest_first(setting: Setting) -> None:
    setting.fill(3)
    assert [row.target for row in setting.trail.search(AuditQuery())] == ["1.2.2", "1.2.1", "1.2.0"]


@pytest.mark.parametrize(
    ("query", "actors"),
    [
        (AuditQuery(actor="ada"), {"ada"}),
        (AuditQuery(action="quarantine.release"), {"grace"}),
        (AuditQuery(action="quarantine."), {"grace", "alan"}),
        (AuditQuery(action="quarantine"), set()),
        (AuditQuery(project="b"), {"alan"}),
        (AuditQuery(target="1.2"), {"ada", "edsger"}),
        (AuditQuery(target="1.2/3.4"), {"edsger"}),
        (AuditQuery(failures_only=True), {"alan"}),
        (AuditQuery(since=20, until=40), {"grace", "alan"}),
        (AuditQuery(before_id=2), {"ada"}),
        (AuditQuery(limit=1), {"edsger"}),
    ],
)
def test_search_narrows(setting: Setting, query: AuditQuery, actors: set[str]) -> None:
    setting.trail.record_all(
        [
            AuditEvent("ada", "study.read", project="a", target="1.2", at=10),
            AuditEvent("grace", "quarantine.release", project="a", at=20),
            AuditEvent("alan", "quarantine.discard", Outcome.SERIOUS_FAILURE, project="b", target="1.23", at=30),
            AuditEvent("edsger", "study.read", project="a", target="1.2/3.4", at=40),
        ]
    )
    assert {row.actor for row in setting.trail.search(query)} == actors


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_index_refuses_to_change_or_remove_rows(setting: Setting, statement: str) -> None:
    setting.fill(1)
    with pytest.raises((IntegrityError, GatewayError)) as refused, setting.database.write() as connection:
        connection.exec_driver_sql(statement)
    assert "append-only" in f"{refused.value} {refused.value.__cause__}"
    assert setting.trail.verify().rows == 1


def test_untouched_chain_holds(setting: Setting) -> None:
    setting.fill(5)
    setting.fill(5)
    verdict = setting.trail.verify()
    assert verdict.intact
    assert verdict.rows == 10


def test_empty_chain_holds(setting: Setting) -> None:
    assert setting.trail.verify().intact


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'eve'",
        "at = at + 1",
        "action = 'study.list'",
        "outcome = 4",
        "project = 'x'",
        "object = ''",
        "detail = '{\"a\":1}'",
        "address = 'x'",
        "chain = 'x'",
    ],
)
def test_changed_row_breaks_the_chain(setting: Setting, change: str) -> None:
    setting.fill(5)
    setting.tamper(f"UPDATE audit SET {change} WHERE id = 3")
    assert setting.trail.verify().first_broken_id == 3


def test_removed_row_breaks_the_chain(setting: Setting) -> None:
    setting.fill(5)
    setting.tamper("DELETE FROM audit WHERE id = 3")
    assert setting.trail.verify().first_broken_id == 4


def test_removed_beginning_breaks_the_chain(setting: Setting) -> None:
    setting.fill(5)
    setting.tamper("DELETE FROM audit WHERE id < 3")
    assert setting.trail.verify().first_broken_id == 3


def test_chain_of_another_key_does_not_hold(setting: Setting) -> None:
    setting.fill(2)
    assert AuditTrail(setting.database, lambda: 0.0, bytes(32)).verify().first_broken_id == 1


def test_removed_end_shows_in_the_count(setting: Setting) -> None:
    setting.fill(5)
    setting.tamper("DELETE FROM audit WHERE id > 3")
    assert setting.trail.verify().rows == setting.trail.count() == 3


def test_chain_holds_over_many_threads_and_two_openings(setting: Setting) -> None:
    with Database.open(setting.path) as other:
        trails = [setting.trail, AuditTrail(other, lambda: 1.0, KEY)]

        def write(trail: AuditTrail) -> None:
            for _ in range(10):
                trail.record(AuditEvent("ada", "study.read"))

        threads = [threading.Thread(target=write, args=(trails[number % 2],)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    verdict = setting.trail.verify()
    assert (verdict.intact, verdict.rows) == (True, 60)


def test_long_words_are_cut_and_the_chain_holds(setting: Setting) -> None:
    setting.trail.record(AuditEvent("a" * 100, "b" * 100, project="c" * 100, target="d" * 300, address="e" * 100))
    assert len(setting.trail.search(AuditQuery())[0].target) == 200
    assert setting.trail.verify().intact
