"""``annogate study results``, ``release`` and ``reject``: which results of a study leave."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.deliveries import ReleaseRow, ReleaseState
from service.errors import InstanceNotFound

PROJECT = click.option("--project", default="default", show_default=True)
ANNOTATOR = click.option("--annotator", help="Only the results of this one.")


@click.command("results")
@with_settings
@with_json
@PROJECT
@click.argument("study_uid")
def results(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, study_uid: str) -> None:
    """List the versions of a study's results, and what keeps each from leaving."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.release_desk.of_study(project, study_uid)
        words = {row.id: _words(gateway, row) for row in found}
    if as_json:
        echo_json([asdict(row) | {"held": words[row.id]} for row in found])
        return
    print_table(
        "Results",
        ("id", "annotator", "version", "made", "state", "what keeps it, or why"),
        [
            (str(row.id), row.annotator, str(row.version), moment(row.created_at), row.state, words[row.id])
            for row in found
        ],
        empty="None yet.",
    )


@click.command("release")
@with_settings
@with_json
@PROJECT
@ANNOTATOR
@click.argument("study_uid")
def release(
    config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, annotator: str | None, study_uid: str
) -> None:
    """Let the results of a study that wait leave for the peers of its project."""

    def act(gateway: Gateway, row: ReleaseRow) -> ReleaseRow:
        return gateway.release_desk.release(row.id, getpass.getuser())

    _decide(config_file, data_dir, as_json, (project, study_uid, annotator), act)


@click.command("reject")
@with_settings
@with_json
@PROJECT
@ANNOTATOR
@click.option("--reason", required=True, help="Why, for colleagues; no name of a patient.")
@click.argument("study_uid")
def reject(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    annotator: str | None,
    reason: str,
    study_uid: str,
) -> None:
    """Keep the results of a study that wait in the house."""

    def act(gateway: Gateway, row: ReleaseRow) -> ReleaseRow:
        return gateway.release_desk.reject(row.id, getpass.getuser(), reason)

    _decide(config_file, data_dir, as_json, (project, study_uid, annotator), act)


def _decide(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    of: tuple[str, str, str | None],
    act: Callable[[Gateway, ReleaseRow], ReleaseRow],
) -> None:
    project, study_uid, annotator = of
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        waiting = [
            row
            for row in gateway.release_desk.of_study(project, study_uid)
            if row.state is ReleaseState.WAITING and annotator in (None, row.annotator)
        ]
        if not waiting:
            raise InstanceNotFound("no result of this study waits for a decision")
        done = [act(gateway, row) for row in waiting]
    if as_json:
        echo_json([asdict(row) for row in done])
        return
    for row in done:
        click.echo(f"{row.annotator}, version {row.version}: {row.state}")


def _words(gateway: Gateway, row: ReleaseRow) -> str:
    if row.state is ReleaseState.WAITING:
        return str(gateway.release_desk.why_held(row) or "is released in a moment")
    return row.reason
