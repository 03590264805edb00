"""An index with rows in every table, whatever tables there are: made from what each column may hold."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, String, Table, insert

from service.archive.audit import AuditEvent, AuditTrail
from service.archive.database import Database
from service.archive.schema import audit, metadata

ROWS = 3
AUDIT_KEY = bytes(range(32))
TEXT = "Größe 'α' \\ \" 漢字\n%s :name "


def value_of(column: Column[Any], number: int) -> object:
    """What the row of this number holds in a column; another one in each row, and what it refers to is there."""
    if column.foreign_keys:
        (reference,) = column.foreign_keys
        return value_of(reference.column, number)
    kind = column.type
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, BigInteger):
        return 2**40 + number
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, Float):
        return 1.0 if number == 1 else 1_750_000_000.1 + number / 3
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number]) * (number * 100)
    assert isinstance(kind, String)
    text = f"{number}{TEXT}{column.name}"
    return text[: kind.length] if kind.length else text * 50


def fill(database: Database, rows: int = ROWS, audit_key: bytes = AUDIT_KEY) -> None:
    """Put so many rows into each table; those of the audit trail are a chain that holds."""
    with database.write() as connection:
        for table in metadata.sorted_tables:
            if table is not audit:
                connection.execute(insert(table), [row_of(table, number) for number in range(1, rows + 1)])
    AuditTrail(database, lambda: 1_750_000_000.25, audit_key).record_all([AuditEvent("somebody", "study.read")] * rows)


def row_of(table: Table, number: int) -> dict[str, object]:
    """The row of this number; a column that may be empty is so in the last one."""
    return {
        column.name: None if column.nullable and number == ROWS else value_of(column, number)
        for column in table.columns
    }
