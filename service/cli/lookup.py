"""``annogate study lookup``: which study of a project it is that the hospital calls so."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import print_table
from service.custody.study_lookup import LookupQuestion


@click.command("lookup")
@with_settings
@with_json
@click.option("--project", default="default", show_default=True)
@click.option("--accession", default="", help="The original Accession Number; - asks for it.")
@click.option("--patient-id", default="", help="The original Patient ID; - asks for it.")
@click.option("--issuer", default="", help="The issuer of the Patient ID, where it matters.")
def lookup(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    accession: str,
    patient_id: str,
    issuer: str,
) -> None:
    """Find studies by original accession number or Patient ID; the audit trail says who looked, not for whom.

    A value in a command may stay in the shell's history: give - instead, and it is asked for.
    """
    asked = LookupQuestion(_asked("Accession Number", accession), _asked("Patient ID", patient_id), issuer)
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.look_up(project, asked, getpass.getuser())
    if as_json:
        echo_json([asdict(row) | {"patient_digest": None} for row in found])
        return
    print_table(
        "Studies",
        ("Study Instance UID as served", "patient as served", "state"),
        [(row.study_uid, row.patient_id, row.state) for row in found],
        empty="No study of this project is called so.",
    )


def _asked(name: str, value: str) -> str:
    return click.prompt(name, hide_input=True, err=True) if value == "-" else value
