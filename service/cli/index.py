"""``annogate index``: where what the archive holds is looked up."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap.index_copy import copy_index
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.search_attributes import add, list_attributes, remove
from service.cli.tables import print_table
from service.data_directory import DataDirectory
from service.errors import SettingsInvalid
from service.runtime.supervisor_lock import SupervisorLock

SQLITE = "sqlite"


@click.group()
def index() -> None:
    """The index: a file of SQLite's in the data directory, or a database of PostgreSQL's."""


for _command in (add, remove, list_attributes):
    index.add_command(_command)


@index.command("copy")
@with_settings
@with_json
@click.option(
    "--to",
    "destination",
    required=True,
    metavar="URL",
    envvar="ANNOGATE_INDEX_COPY_TO",
    help="postgresql://USER@HOST/DATABASE, or sqlite for the data directory's own file. With a password in it, give it "
    "as ANNOGATE_INDEX_COPY_TO.",
)
def copy(config_file: Path | None, data_dir: Path | None, as_json: bool, destination: str) -> None:
    """Copy the index to an empty database, while no gateway runs on it.

    Every table is read back and compared before the copy stays; when anything fails, nothing is there. The index that
    is copied stays as it is. What to change in the configuration is said at the end.
    """
    settings = settings_of(config_file, data_dir)
    url = "" if destination == SQLITE else destination
    target = settings_of(config_file, data_dir, storage={"index_url": url})
    if settings.storage.index_url == target.storage.index_url:
        raise SettingsInvalid("--to: the index is there already")
    with _alone_on(DataDirectory(settings.storage.data_dir)), _counting(silent=as_json) as tell:
        copied = copy_index(settings, target, getpass.getuser(), tell)
    if as_json:
        echo_json({"tables": [asdict(table) for table in copied], "rows": sum(table.rows for table in copied)})
        return
    rows = [(table.name, f"{table.rows:,}", table.digest) for table in copied if table.rows]
    print_table("Copied, read back and found the same", ("table", "rows", "digest"), rows, empty="There was no row.")
    click.echo(_what_to_change(url))


def _what_to_change(url: str) -> str:
    if not url:
        return "From now on: remove storage.index_url (also ANNOGATE__STORAGE__INDEX_URL), and start the gateway."
    return (
        "From now on: set storage.index_url to this address on every host (with a password in it: as "
        "ANNOGATE__STORAGE__INDEX_URL), and start the gateway. The old index ages from now on; remove it when the new "
        "one has proved itself."
    )


@contextmanager
def _alone_on(directory: DataDirectory) -> Iterator[None]:
    """Keep every gateway off a data directory.

    Raises
    ------
    SettingsInvalid : there is none, or a gateway runs on it
    """
    if not directory.run.is_dir():
        raise SettingsInvalid(f"storage.data_dir: no gateway has run on {directory.root}")
    lock = SupervisorLock(directory)
    try:
        lock.acquire(timeout_s=0)
        yield
    finally:
        lock.release()


@contextmanager
def _counting(*, silent: bool) -> Iterator[Callable[[str, int, int], None]]:
    """The rows of each table, on a terminal."""
    if silent or not sys.stderr.isatty():
        yield lambda _table, _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def tell(table: str, done: int, total: int) -> None:
            if total and table not in bars:
                bars[table] = progress.add_task(table, total=total)
            if table in bars:
                progress.update(bars[table], completed=done)

        yield tell
