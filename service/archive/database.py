"""The index's database: one engine, snapshots for readers, one writer at a time.

SQLite runs in WAL mode with ``synchronous=FULL``: what a transaction committed survives a power cut. The SQL of this
package is written for PostgreSQL too.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy import Connection as Connection  # noqa: PLC0414  # other rooms that join a transaction name it from here
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive.migration import current_revision, upgrade
from service.archive.postgresql_address import refuse_misread, unreadable, wrong_option
from service.errors import SettingsInvalid

BUSY_TIMEOUT_S = 30.0
_BEGIN = "annogate_begin"
_AWAY = ("08", "57P")  # connection exceptions, operator intervention (PostgreSQL, Appendix A)
_FULL, _BUSY = sqlite3.SQLITE_FULL, {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Database:
    """The index; open it with `open`, close it with `close` or as a context manager.

    A `Database` belongs to the process that opened it: after a fork the child opens its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._reader_engine: Engine = engine
        self._writer_engine: Engine = engine
        if engine.dialect.name == "sqlite":
            self._writer_engine = engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        else:
            self._reader_engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @classmethod
    def open(cls, location: str | Path) -> Self:
        """Open the index at a path or a database URL, create it or bring its schema up to date.

        Raises
        ------
        SettingsInvalid : the location is none that is supported, or was written by a newer version
        GatewayError : there is something else than an index, or it cannot be reached
        """
        url = _url(location)
        if url.get_backend_name() == "sqlite":
            _create_private(Path(str(url.database)))
        engine = _engine(url)
        try:
            with _translated():
                upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @classmethod
    def look(cls, location: str | Path) -> tuple[str | None, set[str]]:
        """The schema of the index at a path or URL, None where there is none, and what tables are there.

        Nothing is made and nothing brought up to date.

        Raises
        ------
        SettingsInvalid : the location is none that is supported
        GatewayError : it cannot be reached or read
        """
        url = _url(location)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            return None, set()
        engine = _engine(url)
        try:
            with _translated(), engine.connect() as connection:
                return current_revision(connection), set(inspect(connection).get_table_names())
        finally:
            engine.dispose()

    @property
    def dialect(self) -> str:
        """The dialect's name: "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent snapshot until the block ends."""
        self._refuse_after_fork()
        with _translated(), self._reader_engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, committed when the block ends and rolled back when it raises; keep it short.

        Raises
        ------
        StorageExhausted : the disk is full, or another process kept the index locked for 30 s
        """
        self._refuse_after_fork()
        if self._writer == threading.get_ident():
            raise RuntimeError("this thread is inside a write transaction; hand its connection on")
        with self._writing:
            self._writer = threading.get_ident()
            try:
                with _translated(), self._writer_engine.begin() as connection:
                    yield connection
            finally:
                self._writer = None

    @contextmanager
    def write_or_join(self, connection: Connection | None) -> Iterator[Connection]:
        """The transaction that the caller is in, or one of its own."""
        if connection is not None:
            yield connection
        else:
            with self.write() as own:
                yield own

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("the index was opened before this process was forked; open it again here")


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT into ``table`` that takes ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def lean_on(connection: Connection, table: Table) -> None:
    """Say that what this transaction stores rests on what it reads of a table from here on; `hold_alone` waits for it.

    In SQLite there is one writer at a time anyhow.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN ROW SHARE MODE"))


def hold_alone(connection: Connection, table: Table) -> None:
    """Wait for whoever writes to a table or leans on it, and keep others from that until this transaction ends.

    Who only reads is not waited for, and waits for nobody: a dump of the database may take hours.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def _url(location: str | Path) -> URL:
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=str(Path(location).absolute()))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        # The error quotes a piece of the address, which may be one of the password.
        raise unreadable() from None
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise SettingsInvalid(f"the index runs on SQLite or PostgreSQL, not on {url.get_backend_name()}")
    if url.get_backend_name() == "sqlite" and not url.database:
        raise SettingsInvalid("the index is a file; an SQLite database in memory would be forgotten")
    refuse_misread(url)
    return url


def _create_private(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the database file.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _engine(url: URL) -> Engine:
    # Parameters are hidden from messages and logs: they carry attributes of patients.
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=8, max_overflow=24)
        except ModuleNotFoundError as error:
            raise SettingsInvalid(f"an index in PostgreSQL needs {error.name}: install annogate[postgresql]") from error
    engine = create_engine(
        url, hide_parameters=True, pool_size=8, max_overflow=24, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own BEGIN comes too late (at the first write) and is deferred; ours is emitted below.
    connection.isolation_level = None
    try:
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-8192"):
            connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.Error:
        connection.close()  # the pool never came to own it
        raise


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # for the caller: a unique key is an answer, not a failure of the index
    except DBAPIError as error:
        raise _gateway_error(error) from error
    except PoolTimeout as error:
        raise StorageExhausted("every connection to the index is in use") from error


def _gateway_error(error: DBAPIError) -> GatewayError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    state = getattr(error.orig, "sqlstate", None) or ""
    if code == _FULL or state == "53100":
        return StorageExhausted("the disk of the index is full")
    if code in _BUSY or state in {"55P03", "40001", "40P01"}:
        return StorageExhausted("the index stayed locked by another process")
    if not (code or state) and (wrong := wrong_option(str(error.orig))):
        return wrong
    if state.startswith(_AWAY) or (isinstance(error, OperationalError) and not (code or state)):
        return StorageExhausted("the index cannot be reached")
    return GatewayError(f"the index failed: {type(error.orig).__name__} {code or state}".rstrip())
