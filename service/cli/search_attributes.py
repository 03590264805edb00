"""``annogate index add``, ``remove`` and ``list``: attributes that people make searchable."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service.archive.audit import AuditEvent
from service.archive.search_attribute_table import FillProgress
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.search import Level
from service.core.search_attributes import SearchAttribute

_LEVELS = [level.name.lower() for level in Level]


@click.command("add")
@with_settings
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    help="At which it is searched; by default where it is kept. Above that, what any instance or series has counts.",
)
@click.argument("attribute")
def add(config_file: Path | None, data_dir: Path | None, level: str | None, attribute: str) -> None:
    """Make a public attribute searchable in every project, while the gateway runs.

    ATTRIBUTE is a keyword or eight hex digits, with dots into sequences: ViewCodeSequence.CodeValue. The values of what
    is stored already are gathered now, some instances at a time; a search ignores the attribute, and says so, until
    that is through. What broke off goes on from there: when the command is given again, or else in the jobs role.
    """
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        table = gateway.search_attributes
        key = table.add(attribute, None if level is None else Level[level.upper()])
        detail = {"attribute": key.keyword, "level": key.level.name.lower()}
        gateway.audit.record(AuditEvent(getpass.getuser(), "index.add", detail=detail))
        with _counting() as told:
            table.fill(key, told)
    click.echo(f"{key.keyword} can be searched at the level of the {key.level.name.lower()} and below")


@click.command("remove")
@with_settings
@click.argument("attribute")
def remove(config_file: Path | None, data_dir: Path | None, attribute: str) -> None:
    """Search an attribute no more, and forget its values."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        keyword = gateway.search_attributes.remove(attribute)
        gateway.audit.record(AuditEvent(getpass.getuser(), "index.remove", detail={"attribute": keyword}))
    click.echo(f"{keyword} is searched no more")


@click.command("list")
@with_settings
@with_json
def list_attributes(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """List the attributes that were made searchable; docs/dicomweb.md has those that always are."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.search_attributes.all()
    if as_json:
        echo_json([_described(attribute) for attribute in found])
        return
    rows = [
        (
            attribute.key.keyword,
            attribute.key.level.name.lower(),
            attribute.key.held_at.name.lower(),
            attribute.state.value,
            moment(attribute.ready_at),
        )
        for attribute in found
    ]
    print_table("Made searchable", ("attribute", "searched at", "kept at", "state", "since"), rows)


def _described(attribute: SearchAttribute) -> dict[str, object]:
    return {
        "attribute": attribute.key.keyword,
        "level": attribute.key.level.name.lower(),
        "held_at": attribute.key.held_at.name.lower(),
        "state": attribute.state.value,
        "added_at": attribute.added_at,
        "ready_at": attribute.ready_at,
    }


@contextmanager
def _counting() -> Iterator[Callable[[FillProgress], None]]:
    """How far the values are gathered, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("values gathered"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("fill", total=None)

        def tell(progress: FillProgress) -> None:
            bars.update(task, total=progress.last, completed=progress.position)

        yield tell
