"""A copy of an index has every row of it, goes on with its numbers, and is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, delete, func, insert, select, update

from service.archive import index_copy
from service.archive.audit import AuditTrail
from service.archive.database import Database
from service.archive.index_copy import IndexCopy, IndexNotCopied, check_source, check_target
from service.archive.schema import counters, metadata, workitems
from service.errors import SettingsInvalid
from tests.filled_index import AUDIT_KEY, ROWS, fill, row_of


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "source.sqlite") as database:
        fill(database)
        yield database


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "target.sqlite") as database:
        yield database


def rows(database: Database) -> dict[str, list[Row[Any]]]:
    with database.read() as connection:
        found = {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}
    return {name: sorted(of_table, key=repr) for name, of_table in found.items()}


def test_copy_has_every_row_of_every_table(source: Database, target: Database) -> None:
    copied = IndexCopy(source, target).run()
    assert {table.name: table.rows for table in copied} == dict.fromkeys(metadata.tables, ROWS)
    assert rows(target) == rows(source)
    assert AuditTrail(target, lambda: 0.0, AUDIT_KEY).verify().intact


def test_digest_tells_tables_apart_that_differ_in_one_value(source: Database, target: Database) -> None:
    before = {table.name: table.digest for table in IndexCopy(source, target).run()}
    with source.write() as connection, target.write() as emptied:
        connection.execute(update(counters).where(counters.c.name == row_of(counters, 1)["name"]).values(value=7))
        for table in reversed(metadata.sorted_tables):
            if table.name != "audit":
                emptied.execute(delete(table))
    with source.read() as connection:
        after = {table.name: index_copy._summed(connection, table).digest for table in metadata.sorted_tables}
    assert {name for name in before if before[name] != after[name]} == {"counters"}


@pytest.mark.sqlite  # there numbers that a test gives itself count as given
def test_number_of_a_row_that_has_gone_is_not_given_again(source: Database, target: Database) -> None:
    with source.write() as connection:
        connection.execute(delete(workitems).where(workitems.c.id == ROWS))
    IndexCopy(source, target).run()
    values = row_of(workitems, ROWS + 1)
    del values["id"]
    with target.write() as connection:
        values["run_id"] = 1
        given = connection.execute(insert(workitems).returning(workitems.c.id), values).scalar_one()
    assert given == ROWS + 1


def test_target_with_rows_is_refused_by_its_tables(source: Database, target: Database) -> None:
    with target.write() as connection:
        connection.execute(insert(counters), {"project": "p", "name": "n", "value": 1})
    with pytest.raises(SettingsInvalid, match=r"not empty \(counters have rows\)"):
        IndexCopy(source, target).run()


def test_copy_that_comes_out_otherwise_leaves_nothing(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a disk or a driver had changed a row on its way back."""
    read = index_copy._rows

    def lossy(connection: Any, table: Any) -> Iterator[Row[Any]]:
        found = list(read(connection, table))
        yield from found[1:] if connection.engine.url == target._engine.url and table is counters else found

    monkeypatch.setattr(index_copy, "_rows", lossy)
    with pytest.raises(IndexNotCopied, match="counters"):
        IndexCopy(source, target).run()
    assert not any(rows(target).values())


def test_large_rows_go_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Any = [("12345", 1), ("12345", 2), (b"1", 3), (None, 4), ("1", 5)]
    monkeypatch.setattr(index_copy, "_BYTES", 10)
    assert [len(batch) for batch in index_copy._batches(iter(rows))] == [2, 3]
    monkeypatch.setattr(index_copy, "_ROWS", 1)
    assert [batch[0][1] for batch in index_copy._batches(iter(rows))] == [1, 2, 3, 4, 5]


def test_progress_is_told_by_table(source: Database, target: Database) -> None:
    told: list[tuple[str, int, int]] = []
    IndexCopy(source, target).run(lambda *progress: told.append(progress))
    assert [one for one in told if one[0] == "studies"] == [("studies", 0, ROWS), ("studies", ROWS, ROWS)]


def test_place_without_an_index_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="no index"):
        check_source(tmp_path / "nothing.sqlite")
    check_target(tmp_path / "nothing.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_snapshot_of_the_source_is_not_written_to(source: Database, target: Database) -> None:
    with source.read() as connection:
        before = connection.execute(select(func.count()).select_from(counters)).scalar_one()
    IndexCopy(source, target).run()
    with source.read() as connection:
        assert connection.execute(select(func.count()).select_from(counters)).scalar_one() == before
