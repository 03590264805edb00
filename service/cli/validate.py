"""``annogate validate``: holds objects against the standard and against what viewers need."""

from __future__ import annotations

from pathlib import Path

import click

from service.cli.options import echo_json, with_config_checked, with_json
from service.errors import GatewayError, ObjectInvalid


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_config_checked
@with_json
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Check SEG, SR, parametric map, key object and RTSTRUCT files, each seen by itself."""
    from service.log import configure_logging
    from service.objects.validation import validate_file

    configure_logging("warning", "text", "validate")
    judged, broken = [], 0
    for file in files:
        try:
            problems = [
                {"severity": str(p.severity), "rule": p.rule, "clause": p.clause, "message": p.message}
                for p in validate_file(file)
            ]
        except GatewayError as error:
            problems = [{"severity": "ERROR", "rule": "file", "clause": "PS3.10", "message": str(error)}]
        errors = sum(problem["severity"].upper() == "ERROR" for problem in problems)
        broken += bool(errors)
        judged.append({"file": str(file), "errors": errors, "problems": problems})
        if not as_json:
            click.echo(f"{file}: {'no problem' if not problems else f'{errors} errors'}")
            for problem in problems:
                click.echo(f"  {problem['severity']} {problem['rule']} ({problem['clause']}): {problem['message']}")
    if as_json:
        echo_json(judged)
    if broken:
        raise ObjectInvalid(f"{broken} of {len(files)} files break a rule")
