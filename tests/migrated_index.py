"""A new SQLite index that begins with a schema which was migrated once, not by Alembic for each test anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect

from service.archive import migration
from service.archive.database import Database

MIGRATE: Callable[[Connection], None] = migration._upgrade


@contextmanager
def migrated_once(folder: Path) -> Iterator[None]:
    """While this is open, an empty SQLite index of this process is given the schema of another."""
    path = folder / "index.sqlite"
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        schema = [one for one in connection.iterdump() if one not in {"BEGIN TRANSACTION;", "COMMIT;"}]

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
            MIGRATE(connection)
            return
        for statement in schema:
            connection.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "_upgrade", upgrade)
        yield
