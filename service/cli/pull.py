"""``annogate pull``: fetch studies from a peer, and see how far earlier requests came."""

from __future__ import annotations

import csv
import getpass
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.pulls import PullRow, PullState
from service.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.fetching.desk import PullReport
    from service.fetching.puller import Progress

# Columns of a list file, and the options of the same meaning.
COLUMNS = {"accession": "AccessionNumber", "patient_id": "PatientID", "study_uid": "StudyInstanceUID"}


@click.group(invoke_without_command=True)
@with_settings
@with_json
@click.option("--project", default="default", show_default=True, help="Where the studies go.")
@click.option("--peer", help="Name of the peer in [peers].")
@click.option("--accession", help="Accession number.")
@click.option("--patient-id", help="The peer's patient ID.")
@click.option("--study-uid", help="Study Instance UID, as the peer has it.")
@click.option(
    "--query", "queries", multiple=True, metavar="KEY=VALUE", help="Further keys, such as StudyDate=20240101-."
)
@click.option("--list", "list_file", type=click.File("r", encoding="utf-8-sig"), help="CSV with one request a line.")
@click.option("--priors-of", metavar="UID", help="Earlier studies of the patient of a study that is here, as served.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 100), help="How many priors.")
@click.option("--detach", is_flag=True, help="Leave the work to the running gateway.")
@click.pass_context
def pull(
    context: click.Context,
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    peer: str | None,
    accession: str | None,
    patient_id: str | None,
    study_uid: str | None,
    queries: tuple[str, ...],
    list_file: TextIO | None,
    priors_of: str | None,
    count: int,
    detach: bool,
) -> None:
    """Fetch studies of a peer; what was begun goes on where it stopped."""
    if context.invoked_subcommand is not None:
        return
    if peer is None:
        raise click.UsageError("--peer names the peer to fetch from")
    from service.fetching.desk import Priors
    from service.fetching.request import PullRequest

    options = {"accession": accession, "patient_id": patient_id, "study_uid": study_uid}
    common = {COLUMNS[name]: value for name, value in options.items() if value} | _keys(queries)
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        desk, by = gateway.pull_desk, getpass.getuser()
        if priors_of is not None:
            asked = [desk.request_priors(project, priors_of, Priors(peer, count), by)]
        else:
            requests = [PullRequest(common | row) for row in (_rows(list_file) if list_file is not None else [{}])]
            asked = [desk.request(project, peer, request, by) for request in requests]
        if not detach:
            _work(gateway, asked)
        reports = [desk.report(number) for number in dict.fromkeys(one.id for one in asked)]
    _show(reports, as_json=as_json)
    if not detach and any(report.pull.state is not PullState.DONE for report in reports):
        sys.exit(1)


@pull.command("list")
@with_settings
@with_json
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000))
def list_pulls(config_file: Path | None, data_dir: Path | None, as_json: bool, limit: int) -> None:
    """List requests, the newest first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        _show([gateway.pull_desk.report(row.id) for row in gateway.pull_desk.newest(limit=limit)], as_json=as_json)


@pull.command("show")
@with_settings
@with_json
@click.argument("number", type=int)
def show(config_file: Path | None, data_dir: Path | None, as_json: bool, number: int) -> None:
    """Show one request with its studies."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        report = gateway.pull_desk.report(number)
    if as_json:
        echo_json(plain(report))
        return
    _show([report], as_json=False)
    print_table(
        "Studies",
        ("study", "state", "here", "at the peer", "reason"),
        [
            (
                study.study_uid,
                study.state,
                str(study.held),
                "" if study.expected is None else str(study.expected),
                study.reason,
            )
            for study in report.studies
        ],
    )


@pull.command("cancel")
@with_settings
@click.argument("number", type=int)
def cancel(config_file: Path | None, data_dir: Path | None, number: int) -> None:
    """End a request; what was fetched stays."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        report = gateway.pull_desk.report(number)
        if not gateway.pull_desk.cancel(report.pull.project, number):
            raise BadRequest(f"pull {number} is over: {report.pull.state}")
    click.echo(f"pull {number} is cancelled")


def plain(report: PullReport) -> dict[str, object]:
    """A request for a script; what was asked for is identity and stays sealed."""
    hidden = {"sealed", "digest", "lease_owner", "lease_until"}
    fields = {name: value for name, value in asdict(report.pull).items() if name not in hidden}
    studies = [
        {name: value for name, value in asdict(study).items() if name not in {"sealed", "digest", "pull_id"}}
        for study in report.studies
    ]
    return fields | {"studies": studies}


def _show(reports: list[PullReport], *, as_json: bool) -> None:
    if as_json:
        echo_json([plain(report) for report in reports])
        return
    print_table(
        "Pulls",
        ("id", "asked for", "by", "project", "peer", "state", "studies", "here", "reason"),
        [
            (
                str(report.pull.id),
                moment(report.pull.requested_at),
                report.pull.requested_by,
                report.pull.project,
                report.pull.peer,
                report.pull.state,
                str(len(report.studies)),
                str(sum(study.state == "here" for study in report.studies)),
                report.pull.reason,
            )
            for report in reports
        ],
    )


def _keys(queries: tuple[str, ...]) -> dict[str, str]:
    pairs = [query.partition("=") for query in queries]
    if not all(separator for _, separator, _ in pairs):
        raise click.BadParameter("a query is KEY=VALUE, such as StudyDate=20240101-20240131")
    return {key.strip(): value for key, _, value in pairs}


def _rows(file: TextIO) -> Iterator[dict[str, str]]:
    """The requests of a list file: a column each of accession, patient_id, study_uid, or a DICOM keyword."""
    reader = csv.DictReader(file)
    for row in reader:
        keys = {
            COLUMNS.get(name, name): value.strip() for name, value in row.items() if name and value and value.strip()
        }
        if keys:
            yield keys


def _work(gateway: Gateway, asked: list[PullRow]) -> None:
    """Fetch until nothing of what was asked for is due any more; an interrupt leaves the rest for another time."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with _told(sys.stderr.isatty()) as told:
            while not stopped.is_set() and _open(gateway, asked) and gateway.puller.turn(stopped.is_set, told):
                pass
    finally:
        signal.signal(signal.SIGINT, before)


def _open(gateway: Gateway, asked: list[PullRow]) -> bool:
    return any(gateway.pull_desk.report(one.id).pull.state is PullState.WAITING for one in asked)


@contextmanager
def _told(is_terminal: bool) -> Iterator[Callable[[Progress], None]]:
    """Shows progress on a terminal, and nothing elsewhere."""
    if not is_terminal:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        studies, objects = bars.add_task("studies", total=None), bars.add_task("objects of this one", total=None)

        def tell(progress: object) -> None:
            bars.update(studies, total=progress.studies, completed=progress.studies_done)  # type: ignore[attr-defined]
            bars.update(objects, total=progress.objects, completed=progress.objects_here)  # type: ignore[attr-defined]

        yield tell
