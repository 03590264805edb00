"""``annogate study delete`` and ``trash``: what is deleted, and for how long it can be restored."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.results import PROJECT
from service.cli.tables import moment, print_table
from service.core.deletion import DeletedPlace, DeletionRow, DeletionState


@click.command("delete")
@with_settings
@with_json
@PROJECT
@click.option("--series", "series_uid", default="", help="Only this series, by its UID as served.")
@click.option("--instance", "sop_instance_uid", default="", help="Only this instance of the series.")
@click.option("--reason", default="", help="Why, for colleagues. No name of a patient.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("study_uid")
def delete(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    series_uid: str,
    sop_instance_uid: str,
    reason: str,
    yes: bool,
    study_uid: str,
) -> None:
    """Move a study, a series or an instance into the trash, where nobody finds it.

    It can be restored until its time is over (storage.trash_days); then it is removed for good. What peers were sent is
    not recalled by it.
    """
    if sop_instance_uid and not series_uid:
        raise click.UsageError("an instance is named with its series: --series")
    place = DeletedPlace(study_uid, series_uid, sop_instance_uid)
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        if not yes:
            click.confirm(f"Delete this {place.level} of project {project}?", abort=True, err=True)
        row = gateway.deletion_desk.delete(project, place, getpass.getuser(), reason)
    if as_json:
        echo_json(asdict(row))
        return
    click.echo(f"deletion {row.id}: {row.instances} instances are in the trash until {moment(row.remove_at)}")


@click.command("trash")
@with_settings
@with_json
@PROJECT
@click.option("--state", type=click.Choice([state.value for state in DeletionState]), help="Only those in this state.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000))
def trash(
    config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, state: str | None, limit: int
) -> None:
    """List what was deleted, the newest first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.deletion_desk.page(project, state=DeletionState(state) if state else None, limit=limit)
    if as_json:
        echo_json([asdict(row) for row in found])
        return
    print_table(
        f"Deletions of {project}",
        ("deletion", "what, as served", "instances", "state", "deleted", "by", "until"),
        [_line(row) for row in found],
        empty="Nothing was deleted.",
    )


def _line(row: DeletionRow) -> tuple[str, ...]:
    named = "/".join(uid for uid in (row.study_uid, row.series_uid, row.sop_instance_uid) if uid)
    what = f"{row.place.level} {named}"
    return (
        str(row.id),
        what,
        str(row.instances),
        row.state.value,
        moment(row.at),
        row.deleted_by,
        moment(row.remove_at),
    )
