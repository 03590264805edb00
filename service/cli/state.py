"""``annogate status`` and ``annogate study``: what happens inside, for the person on call."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.lookup import lookup
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.rejections import recall, rejections, restore
from service.cli.results import reject, release, results
from service.cli.tables import moment, print_table
from service.cli.trash import delete, trash
from service.errors import InstanceNotFound


@click.command()
@with_settings
@with_json
def status(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Say how many of everything there are, and which UIDs came again with other content."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        counts = asdict(gateway.overview.counts())
        conflicts = gateway.conflicts.list(limit=100)
        notices = gateway.notices()
        damaged = gateway.damaged_segments.list()
        kept_days = gateway.settings.storage.quarantine_days
    if as_json:
        listed = [asdict(conflict) for conflict in conflicts]
        aside = [asdict(one) for one in damaged]
        echo_json({"counts": counts, "conflicts": listed, "damaged_spool_segments": aside, "notices": notices})
        return
    rows = [
        (what, tally["project"], tally["state"], str(tally["count"]))
        for what, tallies in counts.items()
        for tally in tallies
    ]
    print_table("Status", ("what", "project", "state", "count"), rows, empty="Nothing has arrived yet.")
    for notice in notices:
        click.echo(f"To do: {notice}")
    if damaged:
        click.echo("The disk has damaged these files of the spool. What could be saved is archived or in quarantine;")
        click.echo(f"they are erased {kept_days} days after they were set aside:")
        for one in damaged:
            click.echo(f"  {one.name}, {one.size} bytes, since {moment(one.since)}")
    if conflicts:
        print_table(
            "The same UID with other content",
            ("last at", "project", "SOP Instance UID as served", "what was done", "from", "times"),
            [
                (
                    moment(row.at),
                    row.project,
                    row.sop_instance_uid,
                    row.action,
                    row.calling_ae_title,
                    str(row.times_seen),
                )
                for row in conflicts
            ],
        )


@click.group()
def study() -> None:
    """Studies, as they are served."""


@study.command("list")
@with_settings
@with_json
@click.option("--project", default="default", show_default=True)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000))
def list_studies(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, limit: int) -> None:
    """List the studies of a project, the last changed first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.instances.studies(project, limit=limit)
    if as_json:
        echo_json([asdict(summary) | {"study": asdict(summary.study) | {"patient_digest": None}} for summary in found])
        return
    print_table(
        f"Studies of {project}",
        ("Study Instance UID", "patient", "date", "modalities", "images", "results", "state"),
        [
            (
                row.study.study_uid,
                row.study.patient_id,
                row.study.study_date,
                " ".join(row.modalities),
                str(row.images),
                str(row.results),
                row.study.state,
            )
            for row in found
        ],
        empty="There is no study yet.",
    )


@study.command("report")
@with_settings
@with_json
@click.option("--project", default="default", show_default=True)
@click.argument("study_uid")
def report_study(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, study_uid: str) -> None:
    """Say what de-identification did to a study, by rule and by element; no value of anybody is in it."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        if gateway.instances.study(project, study_uid) is None:
            raise InstanceNotFound(f"project {project} has no study {study_uid}")
        report = gateway.study_cleaning.of(project, study_uid)
    if report is None:
        raise InstanceNotFound("nothing is known of its cleaning: the project keeps objects as they come, or it is old")
    if as_json:
        rules = [{"action": action, "rule": rule, "count": count} for action, rule, count in report.by_rule()]
        echo_json(asdict(report) | {"by_rule": rules})
        return
    click.echo(", ".join(f"{count} {name}" for name, count in report.counts.items()))
    for profile, edition in sorted({(one.profile, one.edition) for one in report.series}):
        click.echo(f"profile {profile}; PS3.15 Table E.1-1, {edition}")
    first = "in the first object of each series"
    print_table(f"By rule, {first}", ("rule", "action", "count"), [(r, a, str(n)) for a, r, n in report.by_rule()])
    print_table(
        f"By element, {first}",
        ("element", "keyword", "action", "rule", "count"),
        [(one.path, one.keyword, one.action, one.rule, str(one.count)) for one in report.by_element()],
    )


@study.command("show")
@with_settings
@with_json
@click.option("--project", default="default", show_default=True)
@click.argument("study_uid")
def show_study(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, study_uid: str) -> None:
    """Show one study: its instances by series, and the annotator runs on it."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.instances.study(project, study_uid)
        if found is None:
            raise InstanceNotFound(f"project {project} has no study {study_uid}")
        instances = gateway.instances.instances_of(project, study_uid, visible_only=False)
        runs = gateway.runs.of_study(project, study_uid)
    series: dict[str, int] = {}
    for instance in instances:
        series[instance.series_uid] = series.get(instance.series_uid, 0) + 1
    if as_json:
        echo_json(
            {
                "study_uid": found.study_uid,
                "state": found.state,
                "version": found.version,
                "series": series,
                "runs": [asdict(run) for run in runs],
            }
        )
        return
    click.echo(f"{found.study_uid}: {found.state}, version {found.version}")
    print_table("Series", ("Series Instance UID", "instances"), [(uid, str(n)) for uid, n in series.items()])
    print_table(
        "Annotator runs",
        ("annotator", "version", "state", "summary or reason"),
        [(run.annotator, str(run.version), run.state, run.summary or run.reason) for run in runs],
        empty="None yet.",
    )


for command in (results, release, reject, recall, rejections, restore, delete, trash, lookup):
    study.add_command(command)
