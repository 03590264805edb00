"""The indexes of tests as databases of PostgreSQL: lent to a test, emptied behind it, lent to the next.

To make a database and to remove it takes longer than most tests; to empty one takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from service.archive.database import Database
from tests.postgresql_server import TEMPLATE, PostgresqlServer, postgresql_server

# Which index stands where is kept in the server: processes that a test forks open the same.
LENT = "CREATE TABLE lent (name text PRIMARY KEY, location text UNIQUE, round integer NOT NULL)"
TAKE = """
    UPDATE lent SET location = %s, round = %s
    WHERE name = (SELECT name FROM lent WHERE location IS NULL LIMIT 1) RETURNING name
"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
# A test may have dropped a trigger, or more: what it leaves is lent to nobody.
SHAPE = """
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'),
        (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped),
        (SELECT version_num FROM alembic_version)
"""
# As a replica: without triggers (the audit trail's refuse) and foreign keys, so that the tables come in any order.
EMPTY = """
    DO $$
    DECLARE found record;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR found IN
            SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP
            EXECUTE format('DELETE FROM %I', found.tablename);
        END LOOP;
        FOR found IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
            PERFORM setval(found.sequencename::regclass, 1, false);
        END LOOP;
    END $$
"""


class LentIndexes:
    """Lends databases by the place where an index would have its file."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._rounds = count(1)
        self._round = 0
        self._lent_in: set[int] = set()
        with closing(server.connect()) as connection:
            connection.execute(LENT)
        with closing(server.connect(TEMPLATE)) as connection:
            self._shape = connection.execute(SHAPE).fetchone()

    def url(self, location: str) -> str:
        """The database that keeps the index of a place until the round ends in which it was asked for first."""
        self._lent_in.add(self._round)
        with closing(self._server.connect()) as connection:
            connection.execute("SELECT pg_advisory_lock(1)")  # until the connection is closed
            held = connection.execute("SELECT name FROM lent WHERE location = %s", [location]).fetchone()
            held = held or connection.execute(TAKE, [location, self._round]).fetchone()
            if held is None:
                (number,) = connection.execute("SELECT count(*) FROM lent").fetchone() or (0,)
                held = (f"index_{number}",)
                connection.execute(f"CREATE DATABASE {held[0]} TEMPLATE {TEMPLATE}".encode())
                connection.execute("INSERT INTO lent VALUES (%s, %s, %s)", [held[0], location, self._round])
        return self._server.url(str(held[0]))

    @contextmanager
    def round(self) -> Iterator[None]:
        """What is lent while this is open comes back when it ends; rounds may stand in each other."""
        around, self._round = self._round, next(self._rounds)
        try:
            yield
        finally:
            ended, self._round = self._round, around
            if ended in self._lent_in:
                self._take_back(ended)

    def _take_back(self, ended: int) -> None:
        with closing(self._server.connect()) as connection:
            for (name,) in connection.execute("SELECT name FROM lent WHERE round = %s", [ended]).fetchall():
                if self._empty(name):
                    connection.execute("UPDATE lent SET location = NULL, round = 0 WHERE name = %s", [name])
                else:
                    connection.execute("UPDATE lent SET location = name, round = 0 WHERE name = %s", [name])
                    self._server.drop(name)

    def _empty(self, name: str) -> bool:
        """Whether there is an empty index now: one of another shape is left alone."""
        with closing(self._server.connect(name)) as connection:
            connection.execute(END_OTHERS)
            if connection.execute(SHAPE).fetchone() != self._shape:
                return False
            connection.execute(EMPTY)
        return True


@contextmanager
def indexes_in_postgresql() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """While this is open, each index of this process that would be a file is a database of its own.

    What it gives is opened round each test and each module.
    """
    with postgresql_server() as server, pytest.MonkeyPatch.context() as patch:
        server.create(TEMPLATE)
        Database.open(server.url(TEMPLATE)).close()
        lent = LentIndexes(server)
        opened = Database.open

        def open_there(location: str | Path) -> Database:
            if "://" in str(location):
                return opened(location)
            place = Path(location)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.touch(mode=0o600)  # the commands ask by the file whether a gateway ran there
            return opened(lent.url(str(location)))

        patch.setattr(Database, "open", open_there)
        yield lent.round
