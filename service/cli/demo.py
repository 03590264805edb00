"""``annogate demo``: the main job, end to end, through real sockets."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.cli.options import echo_json, with_config_checked, with_json
from service.demo.report import DemoReport
from service.demo.run import Demonstration
from service.demo.run import Progress as Told

WORDS = {
    "generate": "Drawing a phantom",
    "read": "Reading files",
    "start": "Starting a gateway",
    "send": "Sending by C-STORE",
    "ingest": "De-identifying",
    "annotate": "Waiting for the annotators",
    "retrieve": "Fetching everything back",
    "search": "Looking for what was planted",
}


@click.command()
@click.option(
    "--study",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of DICOM files; a phantom with three nodules is generated without it.",
)
@click.option("--seed", default=1, show_default=True, help="Of the phantom.")
@click.option("--once", is_flag=True, help="End when it is done instead of serving on.")
@with_config_checked
@with_json
def demo(study: Path | None, seed: int, once: bool, as_json: bool) -> None:
    """Push a study, have it de-identified and annotated, and show what comes back.

    The gateway runs on a data directory of its own, which is removed at the end.
    """
    # Ended by SIGTERM at any moment, it ends its gateway and removes its data as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _progress() as told, Demonstration(study, seed, told).run() as report:
        if as_json:
            echo_json(report.as_json())
        else:
            show(report)
        sys.stdout.flush()
        if not once:
            _serve_on()
    if not report.succeeded:
        sys.exit(1)


def _serve_on() -> None:
    """Stay until Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    click.echo("Serving until Ctrl-C.", err=True)
    ended.wait()


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar for each step on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def told(step: str, done: int, total: int) -> None:
            if step not in tasks:
                for task in tasks.values():
                    bars.stop_task(task)
                tasks[step] = bars.add_task(WORDS[step], total=None)
            bars.update(tasks[step], completed=done, total=total or None)

        yield told


def show(report: DemoReport) -> None:
    """The report as tables for people."""
    console = Console()
    way = Table(title="What went in, what came out", title_justify="left", show_header=False)
    way.add_row("Study, as served", report.study_uid)
    way.add_row("Instances in / served", f"{report.instances_in} / {report.instances_served}")
    way.add_row("Elements removed / replaced", f"{report.elements_removed} / {report.elements_replaced}")
    identity = "none" if not report.identity_left else f"{len(report.identity_left)}: {', '.join(report.identity_left)}"
    way.add_row(f"Identity left (of {report.searched} values)", identity)
    way.add_row("Seconds", ", ".join(f"{step} {seconds:.1f}" for step, seconds in report.seconds.items()))
    console.print(way)

    findings = Table(title="Nodules (a demonstrator, not for diagnosis)", title_justify="left")
    for column in ("finding", "long axis mm", "truth", "error", "volume mm³", "truth", "confidence"):
        findings.add_column(column, justify="left" if column == "finding" else "right")
    for found in report.findings:
        error = "" if found.truth_mm is None else f"{found.long_axis_mm - found.truth_mm:+.2f}"
        findings.add_row(
            found.label,
            f"{found.long_axis_mm:.1f}",
            "" if found.truth_mm is None else f"{found.truth_mm:.1f}",
            error,
            f"{found.volume_mm3:.0f}",
            "" if found.truth_mm3 is None else f"{found.truth_mm3:.0f}",
            "" if found.confidence is None else f"{found.confidence:.2f}",
        )
    if report.findings:
        console.print(findings)

    runs = Table(title="Annotators", title_justify="left")
    for column in ("annotator", "state", "summary or reason"):
        runs.add_column(column)
    for run in report.runs:
        runs.add_row(run["annotator"], run["state"], run["summary"] or run["reason"])
    console.print(runs)

    objects = Table(title="Objects out", title_justify="left")
    for column in ("annotator", "modality", "SOP Instance UID"):
        objects.add_column(column)
    for made in report.objects_out:
        objects.add_row(made.annotator, made.modality, made.sop_instance_uid)
    console.print(objects)

    addresses = Table(title="Open", title_justify="left", show_header=False)
    for name, address in report.addresses.items():
        addresses.add_row(name, address)
    console.print(addresses)
    for note in report.notes:
        console.print(note, style="dim", markup=False)
    for problem in report.problems:
        console.print(problem, style="bold red", markup=False)
