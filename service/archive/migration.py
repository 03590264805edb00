"""Brings the index's schema up to date, by Alembic, one process at a time."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from service.errors import SettingsInvalid

MIGRATIONS = Path(__file__).with_name("migrations")
REVISION_TABLE = "alembic_version"
# "annogate" as a number: the advisory lock that every process of this program asks PostgreSQL for.
_ADVISORY_LOCK = int.from_bytes(b"annogate", "big") >> 1
# Alembic keeps the running migration in a module global, so one thread at a time.
_alembic = threading.Lock()


def upgrade(engine: Engine) -> None:
    """Create or upgrade the schema in one transaction; a second process that starts at once waits, then finds it done.

    Raises
    ------
    SettingsInvalid : a newer version of the program wrote the index
    """
    if engine.dialect.name == "sqlite":
        with _alembic, _file_lock(Path(str(engine.url.database))):
            with engine.connect() as connection:
                # Outside any transaction: the journal mode cannot change within one. It stays with the file.
                connection.connection.cursor().execute("PRAGMA journal_mode=WAL").close()
            with engine.execution_options(annogate_begin="BEGIN IMMEDIATE").begin() as connection:
                _upgrade(connection)
    else:
        with _alembic, engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            _upgrade(connection)


def revisions() -> list[str]:
    """Every schema that this version knows, the first first; a migration's file is named after its revision."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def current_revision(connection: Connection) -> str | None:
    """The schema that an index has; None where there is no index."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def _upgrade(connection: Connection) -> None:
    known = revisions()
    current = current_revision(connection)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise SettingsInvalid(
            f"the index was written by a newer Annogate (schema {current}); this one knows schemas up to {known[-1]}. "
            "Install that version again, or restore a backup made before the upgrade"
        )
    # Loaded when there is something to migrate: every process opens the index, and hardly any of them has to.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _file_lock(database: Path) -> Iterator[None]:
    lock = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
