"""``annogate export dataset``: images and annotations of a project in a format that training code reads."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.archive.audit import AuditEvent
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.progress import counting
from service.cli.tables import print_table
from service.errors import BadRequest, FormatRefused

if TYPE_CHECKING:
    from service.bootstrap.formats import DatasetRequest
    from service.formats.dataset_export import ExportReport

FORMATS = ("nifti", "nrrd", "nnunet", "monai", "coco", "yolo", "yolo-seg", "png", "csv", "parquet")
PARTS = ("train", "validation", "test")


def _numbers(_context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, float] | None:
    """``CENTER,WIDTH``."""
    if text is None:
        return None
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter("it is CENTER,WIDTH, such as 40,400", param=option) from None
    return center, width


def _shares(_context: click.Context, option: click.Parameter, text: str) -> dict[str, float]:
    """``train=0.8,validation=0.1,test=0.1``."""
    shares: dict[str, float] = {}
    for word in text.split(","):
        part, _, share = word.strip().partition("=")
        try:
            shares[part] = float(share)
        except ValueError:
            raise click.BadParameter("it is PART=SHARE,…, such as train=0.8,test=0.2", param=option) from None
    return shares


@click.command("dataset")
@with_settings
@with_json
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="An empty folder, or one of an earlier export, which is brought up to date.",
)
@click.option("--format", "layout", required=True, type=click.Choice(FORMATS))
@click.option("--project", default="default", show_default=True)
@click.option("--study", "studies", multiple=True, metavar="UID", help="Only this study, as served; may be repeated.")
@click.option(
    "--studies",
    "studies_file",
    type=click.File("r", encoding="utf-8-sig"),
    help="Only the studies of this list, a Study Instance UID a line.",
)
@click.option("--annotator", "annotators", multiple=True, help="Only what this annotator found; may be repeated.")
@click.option("--reader", "readers", multiple=True, help="Only what this user marked; may be repeated.")
@click.option("--modality", "modalities", multiple=True, help="Only series of this modality; may be repeated.")
@click.option(
    "--labels", default="default", show_default=True, help="A TOML file of labels, or the name of one in config/labels."
)
@click.option("--label", "only_labels", multiple=True, help="Only this label; may be repeated.")
@click.option("--with-unmarked", is_flag=True, help="Also images that nobody has looked at.")
@click.option(
    "--split",
    "shares",
    default="train=1",
    show_default=True,
    callback=_shares,
    metavar="PART=SHARE,…",
    help=f"Shares of {', '.join(PARTS)}, by patient.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another split.")
@click.option("--each-finding", is_flag=True, help="nifti: a mask for each finding in place of an image of labels.")
@click.option(
    "--window",
    callback=_numbers,
    metavar="CENTER,WIDTH",
    help="Pictures: what becomes grey; the series' own window by default.",
)
@click.option("--all-slices", is_flag=True, help="Pictures: slices without a mark as well.")
@click.option("--name", default="", help="What the dataset is called; the project's name by default.")
@click.option("--description", default="", help="What it is, in a sentence.")
@click.option("--licence", default="", help="Under which it may be used, such as CC-BY-4.0 or an address.")
@click.option("--with-identifiers", is_flag=True, help="Export a project that keeps its objects as they come.")
def export_dataset(
    config_file: Path | None, data_dir: Path | None, as_json: bool, studies_file: Any, **options: Any
) -> None:
    """Write images and annotations for training code, split by patient.

    What was written by an earlier run and has not changed is kept, so a run that was broken off goes on where it
    stopped. What cannot be written is listed with the reason, and the exit code is 1 then; the rest is there.
    """
    if studies_file is not None:
        listed = (line.strip() for line in studies_file)
        options["studies"] = (*options["studies"], *(line for line in listed if line))
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        asked = _request(options)
        try:
            export = gateway.dataset_export(asked)
        except (BadRequest, FormatRefused) as error:
            raise click.UsageError(str(error)) from error
        with counting("studies", silent=as_json) as progress:
            report = export.run(progress)
        detail: dict[str, Any] = {"format": asked.layout, "cases": report.cases, "refused": len(report.refused)}
        gateway.audit.record(AuditEvent(getpass.getuser(), "dataset.export", project=asked.project, detail=detail))
    if as_json:
        echo_json(asdict(report))
    else:
        _show(report)
    if report.refused:
        sys.exit(1)


def _request(options: dict[str, Any]) -> DatasetRequest:
    from service.bootstrap.formats import DatasetRequest
    from service.formats.layouts import LayoutOptions

    of_layout = {name: options.pop(name) for name in ("each_finding", "window", "all_slices")}
    return DatasetRequest(options=LayoutOptions(**of_layout), **options)


def _show(report: ExportReport) -> None:
    if report.refused:
        rows = [(one.study_uid, one.series_uid, one.reason) for one in report.refused]
        print_table("Not in the dataset", ("study", "series", "why"), rows)
    for reason, count in sorted(report.left_out.items()):
        click.echo(f"left out: {count} × {reason}")
    studies = f"{report.studies} studies ({report.written} written, {report.kept} kept)"
    click.echo(f"{report.out}: {report.cases} cases of {studies}, {report.files} files, {report.size / 1e6:.1f} MB")
