"""A PostgreSQL of Debian's for tests, on a free loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Connection, create_engine, text

from tests.patience import PATIENCE_S

TEMPLATE = "annogate_template"
# What a test writes need not outlive a power cut.
OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off -c max_connections=400"


class PostgresqlServer:
    """A running server; it is not root's, since PostgreSQL refuses that."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="annogate-postgresql-"))
        # Where only the client is installed there is no initdb.
        servers = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        self._programs = max(servers, key=lambda path: int(path.parent.name))
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self._port = free.getsockname()[1]
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            shutil.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._run("initdb", "--auth=trust", "--username=annogate", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"{OPTIONS} -c port={self._port} -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder}/log", f"--options={options}")

    def kill(self) -> None:
        """End it without a shutdown, as a power cut would; what it holds stays."""
        self._run("pg_ctl", "stop", "--mode=immediate", "--silent")

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://annogate@127.0.0.1:{self._port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection that commits each statement, to be closed."""
        return psycopg.connect(host="127.0.0.1", port=self._port, user="annogate", dbname=database, autocommit=True)

    def create(self, database: str, template: str = "template1") -> None:
        """Make a database, unless it is there."""
        known = text("SELECT 1 FROM pg_database WHERE datname = :name")
        with self._administrator() as connection:
            if connection.execute(known, {"name": database}).scalar_one_or_none() is None:
                connection.execute(text(f"CREATE DATABASE {database} TEMPLATE {template}"))

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        with self._administrator() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))

    @contextmanager
    def _administrator(self) -> Iterator[Connection]:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.getuid() == 0 else ()
        command = [*as_nobody, str(self._programs / program), f"--pgdata={self._folder}/data", *arguments]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A fresh one."""
    server = PostgresqlServer()
    try:
        yield server
    finally:
        server.remove()
