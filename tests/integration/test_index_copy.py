"""``annogate index copy``: from SQLite to a real PostgreSQL and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, delete, insert, text, update

from service.archive.audit import AuditQuery
from service.archive.database import Database
from service.archive.index_copy import IndexNotCopied
from service.archive.schema import counters, studies, workitems
from service.bootstrap import Gateway
from service.cli.root import annogate
from service.data_directory import DataDirectory
from service.errors import SettingsInvalid
from service.runtime.supervisor_lock import SupervisorLock
from service.settings import Settings, load_settings
from tests.filled_index import ROWS, fill, row_of
from tests.postgresql_server import TEMPLATE, PostgresqlServer, postgresql_server

pytestmark = pytest.mark.peer("postgresql")
NUMBERS = count()


@dataclass
class Moving:
    """A data directory whose index is moved, and a server to move it to."""

    folder: Path
    server: PostgresqlServer

    @property
    def settings(self) -> Settings:
        return load_settings(overrides={"storage": {"data_dir": self.folder}})

    @property
    def directory(self) -> DataDirectory:
        return DataDirectory(self.folder)

    def database(self, template: str = TEMPLATE) -> str:
        """The address of a new database with an empty index."""
        name = f"copy_{next(NUMBERS)}"
        self.server.create(name, template)
        return self.server.url(name)

    def copy(self, to: str, **environment: str) -> Result:
        command = ["index", "copy", "--to", to, "--data-dir", str(self.folder), "--json"]
        return CliRunner().invoke(annogate, command, env=environment)

    def refused(self, to: str) -> str:
        answer = self.copy(to)
        assert isinstance(answer.exception, SettingsInvalid), answer.exception
        return str(answer.exception)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        server.create(TEMPLATE)
        Database.open(server.url(TEMPLATE)).close()
        yield server


@pytest.fixture
def moving(tmp_path: Path, server: PostgresqlServer) -> Moving:
    moving = Moving(tmp_path / "data", server)
    with Gateway(moving.settings) as gateway:
        gateway.prepare()
        fill(gateway.database, audit_key=gateway.key_file.sealing_key("audit"))
    return moving


def tables(answer: Result) -> dict[str, Any]:
    assert answer.exit_code == 0, (answer.output, answer.exception)
    return {table["name"]: (table["rows"], table["digest"]) for table in json.loads(answer.stdout)["tables"]}


def next_number(database: Database) -> int:
    """The number that the next work item is given."""
    values = row_of(workitems, ROWS + 1) | {"run_id": 1}
    del values["id"]
    with database.write() as connection:
        given: int = connection.execute(insert(workitems).returning(workitems.c.id), values).scalar_one()
        connection.execute(delete(workitems).where(workitems.c.id == given))
    return given


def test_index_goes_to_postgresql_and_back(moving: Moving) -> None:
    with Database.open(moving.directory.index) as database, database.write() as connection:
        connection.execute(delete(workitems).where(workitems.c.id == ROWS))
    url = moving.database("template1")  # without any table
    there = tables(moving.copy(url))
    assert there["studies"][0] == ROWS
    with Gateway(load_settings(overrides={"storage": {"data_dir": moving.folder, "index_url": url}})) as gateway:
        assert gateway.audit.verify().intact
        (copied, *_) = gateway.audit.search(AuditQuery(limit=1))
        assert (copied.action, copied.detail["to"]) == ("index.copy", "postgresql")
        assert next_number(gateway.database) == ROWS + 1
    for file in moving.folder.glob("index.sqlite*"):
        file.unlink()
    back = tables(moving.copy("sqlite", ANNOGATE__STORAGE__INDEX_URL=url))
    changed = {name for name in there if there[name] != back[name]}
    assert changed == {"audit"}
    assert back["audit"][0] == there["audit"][0] + 1
    with Gateway(moving.settings) as gateway:
        assert gateway.audit.verify().intact
        assert next_number(gateway.database) == ROWS + 2


def test_target_that_is_none_is_refused_in_words(moving: Moving) -> None:
    assert "is there already" in moving.refused("sqlite")
    assert "storage.index_url" in moving.refused("mysql://db/annogate")
    used = moving.database()
    with Database.open(used) as database, database.write() as connection:
        connection.execute(insert(counters), {"project": "p", "name": "n", "value": 1})
    assert "not empty" in moving.refused(used)
    older = moving.database()
    _execute(older, "UPDATE alembic_version SET version_num = '0001'")
    assert "has schema 0001" in moving.refused(older)
    strange = moving.database("template1")
    _execute(strange, "CREATE TABLE somebody_elses (id integer)")
    assert "none of ours" in moving.refused(strange)


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_index_in_use_is_not_copied(moving: Moving) -> None:
    url = moving.database()
    lock = SupervisorLock(moving.directory)
    lock.acquire()
    try:
        assert "another gateway runs" in moving.refused(url)
    finally:
        lock.release()
    with Database.open(url) as database, database.read() as connection:
        connection.execute(text("SELECT 1"))
        assert "somebody else is connected" in moving.refused(url)


def test_text_that_postgresql_would_refuse_is_named_by_its_column(moving: Moving) -> None:
    with Database.open(moving.directory.index) as database, database.write() as connection:
        connection.execute(update(studies).where(studies.c.id == 2).values(accession_number="9" * 65))
    url = moving.database()
    answer = moving.copy(url)
    assert isinstance(answer.exception, IndexNotCopied)
    assert "studies.accession_number" in str(answer.exception)
    assert "999" not in str(answer.exception)
    with Database.open(url) as database, database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM projects")).scalar_one() == 0


def test_password_of_the_address_is_in_no_answer(moving: Moving) -> None:
    answer = moving.copy("postgresql://annogate:planted@127.0.0.1:1/annogate")
    assert "the index cannot be reached" in str(answer.exception)
    assert "planted" not in f"{answer.output}{answer.exception}"
