"""``annogate validate``: holds objects against the standard and against what viewers need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from service.cli.options import echo_json, with_config_checked, with_json
from service.cli.tables import print_table
from service.errors import GatewayError, ObjectInvalid

if TYPE_CHECKING:
    from service.objects.rule_catalogue import Problem

_COLUMNS: Final = ("severity", "rule", "what is wrong", "what to do", "clause")
_FIELDS: Final = ("severity", "rule", "message", "remedy", "clause")
Said = dict[str, str]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--sources",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder or file with the images and other objects that are referred to; may be given more than once.",
)
@with_config_checked
@with_json
def validate(paths: tuple[Path, ...], sources: tuple[Path, ...], as_json: bool) -> None:
    """Check annotation objects: SEG, SR, parametric map, key object, presentation state, ANN, RTSTRUCT, and others.

    Of a folder every object that marks images is checked. What refers to each other may stand together; with --sources
    references and geometry are judged as well. Exits 1 where an object has an error, 0 where it has warnings at most.
    """
    from service.core.pydicom_reading import read_leniently
    from service.log import configure_logging
    from service.objects.file_validation import ObjectFiles

    configure_logging("warning", "text", "validate")
    read_leniently()
    files = ObjectFiles(paths, sources)
    chosen = files.paths()
    if not chosen:
        raise click.UsageError("no object that marks images lies there")
    judged = [(file, _said(files.problems, file)) for file in chosen]
    if as_json:
        echo_json([{"file": str(file), "errors": _errors(said), "problems": said} for file, said in judged])
    else:
        for file, said in judged:
            _show(file, said)
    broken = sum(bool(_errors(said)) for _, said in judged)
    if broken:
        raise ObjectInvalid(f"{broken} of {len(judged)} files break a rule")


def _said(problems_of: Callable[[Path], Sequence[Problem]], file: Path) -> list[Said]:
    try:
        return [{name: str(getattr(problem, name)) for name in _FIELDS} for problem in problems_of(file)]
    except GatewayError as error:
        return [dict(zip(_FIELDS, ("ERROR", "file", str(error), "Name a DICOM file", "PS3.10 7.1"), strict=True))]


def _errors(said: Sequence[Said]) -> int:
    return sum(one["severity"] == "ERROR" for one in said)


def _show(file: Path, said: Sequence[Said]) -> None:
    if not said:
        click.echo(f"{file}: no problem")
        return
    errors = _errors(said)
    click.echo(f"{file}: {errors} errors, {len(said) - errors} warnings")
    print_table("", _COLUMNS, [[one[name] for name in _FIELDS] for one in said])
