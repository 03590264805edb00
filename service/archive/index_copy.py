"""Copies an index from one database into another: SQLite to PostgreSQL and back, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, String, Table, func, insert, select, text

from dicom_nodes.errors import GatewayError
from service.archive.database import Database
from service.archive.migration import REVISION_TABLE, revisions
from service.archive.schema import metadata
from service.errors import SettingsInvalid

_ROWS: Final = 500
_BYTES: Final = 8 << 20
_DIGEST_BYTES: Final = 16
_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)

Tell = Callable[[str, int, int], None]
"""Told the table, how many of its rows are done, and how many there are."""


class IndexNotCopied(GatewayError):
    """What was read does not fit, or is not what was written; the target is as it was."""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """One table: how many rows, and a digest over them in any order, the same on both sides."""

    name: str
    rows: int
    digest: str


@dataclass(slots=True)
class _Sum:
    """Rows and their digest so far: the sum of each row's own, so that no order is needed."""

    rows: int = 0
    digest: int = 0

    def add(self, row: Row[Any]) -> None:
        one = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(one)) % (1 << 8 * _DIGEST_BYTES)

    def of(self, table: Table) -> CopiedTable:
        return CopiedTable(table.name, self.rows, f"{self.digest:0{2 * _DIGEST_BYTES}x}")


def check_source(location: str | Path) -> None:
    """Hold an index that is to be copied against what this version knows.

    Raises
    ------
    SettingsInvalid : there is none, or it is of another schema
    """
    revision, _ = Database.look(location)
    if revision is None:
        raise SettingsInvalid("there is no index to be copied")
    if revision != revisions()[-1]:
        raise SettingsInvalid(
            f"the index to be copied has schema {revision}, this version has {revisions()[-1]}: start the gateway "
            "once, which brings it up to date, and stop it again"
        )


def check_target(location: str | Path) -> None:
    """Hold the place of a copy against what may be there: nothing, or an index of this version's schema.

    Raises
    ------
    SettingsInvalid : there is something else
    """
    revision, tables = Database.look(location)
    if revision is None and not tables:
        return
    if revision is None or tables - metadata.tables.keys() - {REVISION_TABLE}:
        raise SettingsInvalid("the database to copy to holds tables that are none of ours: take an empty one")
    if revision != revisions()[-1]:
        raise SettingsInvalid(
            f"the database to copy to has schema {revision}, this version has {revisions()[-1]}: take an empty one"
        )


class IndexCopy:
    """Copies every table, as one snapshot of the source has it, in one transaction of the target.

    Meanwhile nobody else writes to a source that is SQLite, and nobody sees half of the target.

    Parameters
    ----------
    source, target : open, of the same schema
    """

    def __init__(self, source: Database, target: Database) -> None:
        self._source = source
        self._target = target

    def run(self, tell: Tell = lambda _table, _done, _all: None) -> list[CopiedTable]:
        """Copy, read back what was written, and only then let it stay; table by table.

        Raises
        ------
        SettingsInvalid : the target is not empty, or others are connected to either database
        IndexNotCopied : the target did not give back what it was given, or cannot take it
        GatewayError : one of the databases failed
        """
        snapshot = self._source.write if self._source.dialect == "sqlite" else self._source.read
        with snapshot() as source, self._target.write() as target:
            _refuse_company(source, "index to be copied")
            _refuse_company(target, "database to copy to")
            _refuse_rows(target)
            copied = [_copy(table, source, target, tell) for table in metadata.sorted_tables]
            for table, sent in zip(metadata.sorted_tables, copied, strict=True):
                if _summed(target, table) != sent:
                    raise IndexNotCopied(f"the database gave back other rows of {table.name} than it was given")
                _carry_numbers(table, source, target)
            if target.dialect.name == "postgresql":
                target.execute(text("ANALYZE"))  # its first queries would be planned for empty tables
        return copied


def _copy(table: Table, source: Connection, target: Connection, tell: Tell) -> CopiedTable:
    total = source.execute(select(func.count()).select_from(table)).scalar_one()
    summed = _Sum()
    tell(table.name, 0, total)
    for batch in _batches(_rows(source, table)):
        for row in batch:
            summed.add(row)
        if target.dialect.name == "postgresql":
            _refuse_unfit(table, batch)
        target.execute(insert(table), [dict(row._mapping) for row in batch])
        tell(table.name, summed.rows, total)
    return summed.of(table)


def _rows(connection: Connection, table: Table) -> Iterator[Row[Any]]:
    yield from connection.execute(select(table), execution_options={"yield_per": _ROWS})


def _batches(rows: Iterator[Row[Any]]) -> Iterator[list[Row[Any]]]:
    """The rows in pieces that take little memory, however large each of them is."""
    batch: list[Row[Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(batch) == _ROWS or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _summed(connection: Connection, table: Table) -> CopiedTable:
    summed = _Sum()
    for row in _rows(connection, table):
        summed.add(row)
    return summed.of(table)


def _refuse_unfit(table: Table, batch: Sequence[Row[Any]]) -> None:
    """Name a column with a text that PostgreSQL would refuse; SQLite minds neither length nor NUL."""
    for column in table.columns:
        if not isinstance(column.type, String):
            continue
        longest = column.type.length
        for row in batch:
            value = row._mapping[column.name]
            if value is not None and ("\0" in value or (longest is not None and len(value) > longest)):
                raise IndexNotCopied(f"a text of {table.name}.{column.name} is too long for PostgreSQL or has a NUL")


def _refuse_rows(target: Connection) -> None:
    held = [table.name for table in metadata.sorted_tables if target.execute(select(table).limit(1)).first()]
    if held:
        raise SettingsInvalid(f"the database to copy to is not empty ({', '.join(held)} have rows): take an empty one")


def _refuse_company(connection: Connection, name: str) -> None:
    """What others write meanwhile would be lost, or in the way."""
    if connection.dialect.name != "postgresql":
        return
    others = connection.execute(text(_OTHERS)).scalar_one()
    if others:
        raise SettingsInvalid(f"somebody else is connected to the {name} ({others}): stop every gateway that uses it")


def _carry_numbers(table: Table, source: Connection, target: Connection) -> None:
    """Go on counting where the source is: the number of a row that has gone is not given again."""
    column = table.autoincrement_column
    if column is None:
        return
    highest = target.execute(select(func.max(column))).scalar_one() or 0
    last = max(highest, _last_given(table, source))
    if not last:
        return
    if target.dialect.name == "postgresql":
        given = text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)")
        target.execute(given, {"table": table.name, "column": column.name, "last": last})
    elif _never_repeats(table):
        target.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        values = {"name": table.name, "last": last}
        target.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def _last_given(table: Table, source: Connection) -> int:
    """The last number that was given to a row of a table; 0 where nothing but its rows tells."""
    column = table.autoincrement_column
    if column is None:
        return 0
    if source.dialect.name == "postgresql":
        named = text("SELECT pg_get_serial_sequence(:table, :column)")
        sequence = source.execute(named, {"table": table.name, "column": column.name}).scalar_one()
        # The name is the database's own, quoted where it has to be.
        counted = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608
        return int(source.execute(counted).scalar_one())
    if not _never_repeats(table):
        return 0
    kept = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(source.execute(kept, {"name": table.name}).scalar_one_or_none() or 0)


def _never_repeats(table: Table) -> bool:
    """Whether SQLite keeps the last number of a table apart from its rows."""
    return bool(table.dialect_options["sqlite"]["autoincrement"])
