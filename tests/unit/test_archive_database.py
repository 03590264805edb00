from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, create_engine, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive import migration, schema
from service.archive.conflicts import ConflictTable
from service.archive.database import Database, upsert
from service.archive.migration import MIGRATIONS, revisions
from service.archive.schema import counters, metadata, projects
from service.errors import SettingsInvalid
from tests.migrated_index import MIGRATE

ROW = {"name": "default", "created_at": 1.0}


@pytest.fixture(autouse=True)
def _migrating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here each index is migrated, not given the schema of another."""
    monkeypatch.setattr(migration, "_upgrade", MIGRATE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "index.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database.open(path) as database:
        yield database


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(projects.c.name)).scalars())


def test_migrated_schema_equals_the_declared_one(database: Database) -> None:
    def default_differs(*arguments: Any) -> bool:
        held, rendered = arguments[3], arguments[5]
        # SQLite gives '' back as (''), PostgreSQL as ''::text, and '1' as true; its ids come from a sequence.
        held = {"true": "1", "false": "0"}.get(held, re.sub(r"::[a-z ]+$", "", held)) if held else held
        if held and held.startswith("nextval("):
            return False
        return bool((held and held.strip("()'")) != (rendered and rendered.strip("'")))

    options = {"compare_type": True, "compare_server_default": default_differs, "target_metadata": metadata}
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


@pytest.mark.sqlite
@pytest.mark.parametrize("pragma", [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_connections_are_durable_and_checked(database: Database, pragma: tuple[str, object]) -> None:
    name, value = pragma
    with database.write() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() == value


@pytest.mark.sqlite
def test_files_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with Database.open(path) as database, database.write() as connection:
            connection.execute(insert(projects), ROW)
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert {"index.db", "index.db-wal"} <= modes.keys()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_committed_is_there_after_reopening(path: Path) -> None:
    with Database.open(path) as database, database.write() as connection:
        connection.execute(insert(projects), ROW)
    with Database.open(str(path)) as database:
        assert names(database) == ["default"]


@pytest.mark.sqlite
def test_url_opens_the_same_file_as_its_path(path: Path) -> None:
    with Database.open(path) as database, database.write() as connection:
        connection.execute(insert(projects), ROW)
    with Database.open(f"sqlite:///{path}") as database:
        assert names(database) == ["default"]


def test_write_that_raises_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(projects), ROW)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(database) == []


def test_reader_keeps_its_snapshot_while_another_writes(database: Database) -> None:
    with database.read() as reader:
        before = reader.execute(select(projects.c.name)).all()
        with database.write() as writer:
            writer.execute(insert(projects), ROW)
        assert reader.execute(select(projects.c.name)).all() == before
    assert names(database) == ["default"]


@pytest.mark.sqlite
def test_writers_of_two_openings_take_turns(path: Path) -> None:
    def count(database: Database) -> None:
        for _ in range(20):
            with database.write() as connection:
                value = connection.execute(select(counters.c.value)).scalar_one()
                connection.execute(counters.update().values(value=value + 1))

    with Database.open(path) as first, Database.open(path) as second:
        with first.write() as connection:
            connection.execute(insert(counters), {"project": "p", "name": "n", "value": 0})
        threads = [threading.Thread(target=count, args=(database,)) for database in (first, second, first)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with first.read() as connection:
            assert connection.execute(select(counters.c.value)).scalar_one() == 60


def test_write_within_a_write_is_refused(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write(), database.write():
        pass


def test_joined_write_belongs_to_the_outer_one(database: Database) -> None:
    def fail() -> None:
        with database.write() as outer:
            with database.write_or_join(outer) as inner:
                inner.execute(insert(projects), ROW)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(database) == []


@pytest.mark.sqlite
def test_two_processes_that_start_at_once_both_open(path: Path) -> None:
    program = (
        "import sys; from service.archive.database import Database;"
        "sys.stdin.readline(); Database.open(sys.argv[1]).close(); print('open')"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["open\n"] * 3


@pytest.mark.sqlite
def test_newer_schema_is_refused_in_words(path: Path) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(SettingsInvalid, match=r"newer Annogate \(schema 9999\)"):
        Database.open(path)


@pytest.mark.parametrize("url", ["mysql://host/annogate", "sqlite://"])
def test_unsupported_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid):
        Database.open(url)


def test_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read") as refused:
        Database.open("postgresql+psycopg://annogate:planted@db:planted/annogate")
    assert "planted" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("sslmood=planted", "has an option that PostgreSQL does not know: sslmood"),
        ("sslmode=planted", "a value that PostgreSQL does not take: that of sslmode"),
        ("ssl_min_protocol_version=planted", "that of ssl_min_protocol_version"),
        ("keepalives=planted", "that of keepalives"),
        ("connect_timeout=planted", "that of connect_timeout"),
        ("service=planted", "that of service"),
    ],
)
def test_address_with_a_wrong_option_is_refused_with_its_name(option: str, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words) as refused:
        Database.open(f"postgresql+psycopg://annogate@127.0.0.1:1/annogate?{option}")
    assert "planted" not in str(refused.value)


def test_address_that_a_password_tore_apart_is_refused_without_a_piece_of_it() -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read") as refused:
        Database.open("postgresql+psycopg://annogate:a@planted?planted=b@127.0.0.1:1/annogate")
    assert "planted" not in str(refused.value)


def test_server_that_is_away_is_an_error_of_ours() -> None:
    with pytest.raises(GatewayError, match=r"^the index cannot be reached$"):
        Database.open("postgresql+psycopg://annogate:planted@127.0.0.1:1/annogate")


@pytest.mark.sqlite
def test_opening_no_database_is_an_error_of_ours(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but long enough to look at" * 100)
    with pytest.raises(GatewayError):
        Database.open(path)


def test_opened_before_a_fork_is_refused_after_it(database: Database) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            database.read().__enter__()
            os.write(writer, b"read")
        except RuntimeError:
            os.write(writer, b"refused")
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as answers:
        assert answers.read() == b"refused"


@pytest.mark.sqlite
def test_full_disk_is_an_error_of_ours(database: Database) -> None:
    def fill() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            rows = [{"name": f"{number:064}", "created_at": 1.0} for number in range(5000)]
            connection.execute(insert(projects), rows)

    with pytest.raises(StorageExhausted):
        fill()


def test_failing_statement_is_an_error_of_ours_without_its_values(database: Database) -> None:
    with pytest.raises(GatewayError) as caught, database.write() as connection:
        connection.execute(text("SELECT nothing FROM nowhere WHERE a = :b"), {"b": "Doe^Jane"})
    assert "Doe" not in f"{caught.value} {caught.value.__cause__}"


def test_duplicate_key_is_left_to_the_caller(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(projects), [ROW, ROW])


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'other'", "DELETE FROM audit"])
def test_audit_rows_can_only_be_added(database: Database, statement: str) -> None:
    with database.write() as connection:
        row = {"at": 1.0, "actor": "a", "action": "study.read", "outcome": 0, "chain": "0"}
        connection.execute(insert(schema.audit), row)
    with pytest.raises((IntegrityError, GatewayError)) as refused, database.write() as connection:
        connection.exec_driver_sql(statement)
    assert "append-only" in f"{refused.value} {refused.value.__cause__}"


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_can_be_made_in_postgresql(table: Table) -> None:
    assert f"CREATE TABLE {table.name}" in str(CreateTable(table).compile(dialect=postgresql.dialect()))


def test_upsert_speaks_the_dialect_of_its_connection(database: Database) -> None:
    with database.write() as connection:
        for _ in range(2):
            connection.execute(upsert(connection, projects).on_conflict_do_nothing(), ROW)
    assert names(database) == ["default"]


@pytest.mark.sqlite
def test_conflicts_that_an_older_version_listed_one_by_one_are_counted(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        insertion = "INSERT INTO conflicts (project, sop_instance_uid, action, at) VALUES ('p', ?, 'kept-first', ?)"
        for row in (("1.1", 1.0), ("1.2", 2.0), ("1.1", 3.0)):
            connection.exec_driver_sql(insertion, row)
    engine.dispose()
    with Database.open(tmp_path / "index.sqlite") as database:
        found = ConflictTable(database, lambda: 4.0).list()
    assert [(row.sop_instance_uid, row.at, row.times_seen) for row in found] == [("1.1", 3.0, 2), ("1.2", 2.0, 1)]


def test_known_schemas_are_those_of_the_migrations() -> None:
    walked = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert revisions() == walked[::-1]


@pytest.mark.sqlite
def test_index_that_is_up_to_date_is_opened_without_loading_the_migrations(path: Path) -> None:
    Database.open(path).close()
    code = f"""
import sys
from service.archive.database import Database
Database.open({str(path)!r}).close()
sys.exit("alembic" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
