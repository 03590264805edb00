"""``annogate import patients`` and ``annogate export crosswalk``: who is who, in and out of the vault."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from service.archive.audit import AuditEvent, Outcome
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.custody.crosswalk import CrosswalkLevel
from service.errors import BadRequest, ContentConflict

LEVEL = click.Choice([level.value for level in CrosswalkLevel])


@click.command("patients")
@with_settings
@with_json
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--project", default="default", show_default=True)
def import_patients(config_file: Path | None, data_dir: Path | None, as_json: bool, file: Path, project: str) -> None:
    """Say which identifiers are the same patient's: one pseudonym and one shift of dates for all of them.

    FILE is CSV in UTF-8 with the columns id, issuer, id_of and issuer_of; the issuers may be absent. All of it is taken
    in, or nothing.
    """
    from service.deident.patient_mapping import LARGEST_BYTES, mapping_rows

    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        importer = gateway.patient_import(project)
        with file.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        note = partial(AuditEvent, getpass.getuser(), "patients.import", project=project)
        try:
            done = importer.run(mapping_rows(content))
        except (BadRequest, ContentConflict):
            gateway.audit.record(note(Outcome.MINOR_FAILURE))
            raise
        gateway.audit.record(note(detail=asdict(done)))
    if as_json:
        echo_json(asdict(done))
    else:
        click.echo(f"{done.persons} patients with {done.identifiers} identifiers, {done.changed} of them new")


@click.command("crosswalk")
@with_settings
@click.option("--project", default="default", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file that is not there yet.")
@click.option("--level", type=LEVEL, default="patient", show_default=True, help="Whose identifiers.")
@click.option("--issuers", is_flag=True, help="A third column: the issuer of the original Patient ID.")
def export_crosswalk(
    config_file: Path | None, data_dir: Path | None, project: str, out: Path, level: str, issuers: bool
) -> None:
    """Write which original identifier stands behind which of the project's: CSV with id_old and id_new.

    The file holds identity. It is made for its owner alone (mode 0600), and the audit trail says who asked.
    """
    from service.custody.crosswalk_file import write_crosswalk

    if str(out) == "-":
        raise click.UsageError("a crosswalk is identity: it goes into a file, not to a terminal or a pipe")
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        rows = gateway.crosswalk(project).rows(CrosswalkLevel(level))

        def note(count: int) -> None:
            detail: dict[str, str | int] = {"level": level, "rows": count}
            gateway.audit.record(AuditEvent(getpass.getuser(), "crosswalk.export", project=project, detail=detail))

        count = write_crosswalk(out, rows, note, issuers=issuers)
    click.echo(f"{out}: {count} rows")
