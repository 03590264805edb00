"""``annogate study recall``, ``rejections`` and ``restore``: what is taken back, and what notes of the hospital hid."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.results import ANNOTATOR, PROJECT
from service.cli.tables import moment, print_table
from service.core.rejection import OUTGOING, PATIENT_SAFETY, TITLES
from service.delivery.recall_desk import RECALLABLE
from service.errors import InstanceNotFound


@click.command("recall")
@with_settings
@PROJECT
@ANNOTATOR
@click.option(
    "--code", type=click.Choice(OUTGOING), default=PATIENT_SAFETY, show_default=True, help="Title of the note."
)
@click.option("--reason", required=True, help="Why; it leaves in the note. No name of a patient.")
@click.argument("study_uid")
def recall(
    config_file: Path | None,
    data_dir: Path | None,
    project: str,
    annotator: str | None,
    code: str,
    reason: str,
    study_uid: str,
) -> None:
    """Take the results of a study back, also from the peers that have them: a rejection note goes there."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = [
            row
            for row in gateway.release_desk.of_study(project, study_uid)
            if row.state in RECALLABLE and annotator in (None, row.annotator)
        ]
        if not found:
            raise InstanceNotFound("no result of this study can be recalled")
        for row in found:
            gateway.recall_desk.recall(row.id, getpass.getuser(), code, reason)
            click.echo(f"{row.annotator}, version {row.version}: recalled")


@click.command("rejections")
@with_settings
@with_json
@PROJECT
@click.argument("study_uid")
def rejections(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, study_uid: str) -> None:
    """List what rejection notes named of a study."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.rejection_desk.of_study(project, study_uid)
    if as_json:
        echo_json([asdict(row) for row in found])
        return
    print_table(
        "Rejected instances",
        ("SOP Instance UID as served", "note", "title", "state", "since", "restored by"),
        [
            (
                row.sop_instance_uid,
                row.note_uid,
                TITLES[row.code].meaning if row.code in TITLES else row.code,
                row.state,
                moment(row.at),
                row.restored_by,
            )
            for row in found
        ],
    )


@click.command("restore")
@with_settings
@PROJECT
@click.option("--note", "note_uid", help="What this rejection note hid, by its SOP Instance UID as served.")
@click.option("--deletion", type=int, help="What this deletion took, by its number.")
@click.argument("study_uid")
def restore(
    config_file: Path | None,
    data_dir: Path | None,
    project: str,
    note_uid: str | None,
    deletion: int | None,
    study_uid: str,
) -> None:
    """Show again what was deleted of a study, or what a rejection note hid, and look at the study anew.

    Without an option all that is in the trash of the study is restored.
    """
    if note_uid is not None and deletion is not None:
        raise click.UsageError("either --note or --deletion")
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        if note_uid is not None:
            count = gateway.rejection_desk.restore(project, study_uid, note_uid, getpass.getuser())
        else:
            count = _undelete(gateway, project, study_uid, deletion)
    click.echo(f"{count} instances are shown again")


def _undelete(gateway: Gateway, project: str, study_uid: str, deletion: int | None) -> int:
    """Take one deletion of a study, or all of them, out of the trash; how many instances."""
    desk, by = gateway.deletion_desk, getpass.getuser()
    if deletion is None:
        return sum(row.instances for row in desk.restore_study(project, study_uid, by))
    if desk.show(project, deletion).study_uid != study_uid:
        raise InstanceNotFound("this deletion is one of another study")
    return desk.restore(project, deletion, by).instances
