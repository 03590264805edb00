"""Tables on a terminal, and plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click


def moment(seconds: float | None) -> str:
    """A time for people: UTC, to the second."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "None.") -> None:
    """Print a titled table; tab-separated lines when standard output is no terminal."""
    if not rows:
        click.echo(f"{title}: {empty}")
        return
    if not sys.stdout.isatty():
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
