"""``annogate annotations``: versions of what was marked, and what one says otherwise than another."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.results import PROJECT
from service.cli.tables import moment, print_table
from service.core.access import CallerKind
from service.core.versions import VersionOrigin, VersionRow
from service.errors import InstanceNotFound

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_VERSION = click.argument("version_id", type=click.IntRange(1))
_KINDS = ("gsps", "key-object", "rtstruct", "summary", "bulk-annotations")
"""As ``service.versions.conversion`` has them; that is loaded when it is needed."""
_TO = click.option("--to", type=click.IntRange(1), help="The version to compare with, else the one it was made from.")


@click.group("annotations")
def annotations_group() -> None:
    """Versions of annotations: nothing that somebody marked is overwritten."""


@annotations_group.command("list")
@with_settings
@with_json
@PROJECT
@click.argument("study_uid")
def list_versions(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, study_uid: str) -> None:
    """List the versions of a study, by line, the newest first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.version_desk.of_study(project, study_uid)
        lines = [_told(gateway, row) for row in found]
    if as_json:
        echo_json(lines)
        return
    print_table(
        f"Versions of annotations in {study_uid}",
        ("id", "line", "version", "by", "made from", "objects", "shown", "came in", "why"),
        [
            (
                str(line["id"]),
                str(line["line"]),
                str(line["number"]) + (" (newest)" if line["newest"] else ""),
                line["author"] or line["annotator"] or line["stored_by"] or line["sender"],
                str(line["parent"] or ""),
                " ".join(one["modality"] for one in line["objects"]),
                f"{sum(one['shown'] for one in line['objects'])} of {len(line['objects'])}",
                moment(line["created_at"]),
                line["reason"],
            )
            for line in lines
        ],
        empty="Nothing was marked yet.",
    )


@annotations_group.command("fetch")
@with_settings
@with_json
@PROJECT
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the files go.")
@click.option(
    "--as",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="Write what it says as this kind of object in place of its own; may be given several times.",
)
@_VERSION
def fetch(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    out: Path,
    kinds: tuple[str, ...],
    version_id: int,
) -> None:
    """Write the objects of a version as DICOM files, whether DICOMweb shows them or not."""
    left_out: list[str] = []
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        files: Iterable[tuple[str, bytes | Dataset]] = _own_files(gateway, project, version_id)
        if kinds:
            converted = gateway.version_conversion.convert(project, version_id, kinds)
            left_out = converted.left_out
            files = (
                (f"{kind}.{one.SOPInstanceUID}.dcm", one) for kind, found in converted.objects.items() for one in found
            )
        written = [_written(out / name, content) for name, content in files]
    if as_json:
        echo_json({"version": version_id, "files": written} | ({"left_out": left_out} if kinds else {}))
    else:
        for words in left_out:
            click.echo(f"left out: {words}", err=True)
        for path in written:
            click.echo(path)
    if kinds and not written:
        raise click.exceptions.Exit(1)


def _own_files(gateway: Gateway, project: str, version_id: int) -> Iterator[tuple[str, bytes | Dataset]]:
    desk = gateway.version_desk
    for one in desk.get(project, version_id).objects:
        content = desk.file_of(project, version_id, one.sop_instance_uid)[1]
        yield f"{one.modality or 'object'}.{one.sop_instance_uid}.dcm", content


def _converted_files(found: Mapping[str, Sequence[Dataset]]) -> Iterator[tuple[str, Dataset]]:
    for kind, objects in found.items():
        yield from ((f"{kind}.{one.SOPInstanceUID}.dcm", one) for one in objects)


def _written(path: Path, content: bytes | Dataset) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save_as(path, enforce_file_format=True)
    return str(path)


@annotations_group.command("compare")
@with_settings
@with_json
@PROJECT
@_TO
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw both outlines of each mask that changed, on the slice that differs most, into this folder.",
)
@_VERSION
def compare(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    to: int | None,
    pictures: Path | None,
    version_id: int,
) -> None:
    """Say what a version says otherwise than another, finding by finding."""
    from service.web.api.version_shapes import ComparisonShape

    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        desk = gateway.version_desk
        found = ComparisonShape.of(desk.compare(project, version_id, to))
        drawn = {} if pictures is None else _draw(gateway, project, found, pictures)
    if as_json:
        echo_json(found.model_dump(mode="json") | {"pictures": drawn})
        return
    rows = [
        (
            one.label,
            one.change,
            "" if one.overlap is None else f"{one.overlap.dice:.3f}",
            "" if one.overlap is None or one.overlap.hausdorff_mm is None else f"{one.overlap.hausdorff_mm:.1f} mm",
            "; ".join(_words(difference) for difference in one.differences),
        )
        for one in found.findings
    ]
    rows += [("the reading", "changed", "", "", _words(one)) for one in found.reading]
    title = f"Version {found.after}, compared with {found.before}"
    print_table(title, ("finding", "what became of it", "Dice", "Hausdorff", "what is otherwise"), rows)
    for path in drawn.values():
        click.echo(path)


@annotations_group.command("restore")
@with_settings
@with_json
@PROJECT
@click.option("--reason", default="", help="Why, for colleagues. No name of a patient.")
@_VERSION
def restore(
    config_file: Path | None, data_dir: Path | None, as_json: bool, project: str, reason: str, version_id: int
) -> None:
    """Add a version that says what an earlier one said; it is shown from then on."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        by = VersionOrigin(stored_by=str(CallerKind.LOCAL))
        row = gateway.version_restoring.restore(project, version_id, by, reason, name=getpass.getuser())
        told = _told(gateway, row)
    if as_json:
        echo_json(told)
        return
    click.echo(f"version {row.id}, number {row.number} of line {row.line}, says what version {version_id} said")


def _draw(gateway: Gateway, project: str, found: Any, folder: Path) -> dict[str, str]:
    """The pictures of masks that changed, by tracking UID."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for one in found.findings:
        if one.overlap is None or one.overlap.dice >= 1:
            continue
        try:
            picture = gateway.version_desk.picture(project, found.after, one.tracking_uid, earlier_id=found.before)
        except InstanceNotFound as error:
            click.echo(f"{one.label}: {error}", err=True)
            continue
        path = folder / f"{found.before}-{found.after}.{one.tracking_uid}.png"
        path.write_bytes(picture)
        drawn[one.tracking_uid] = str(path)
    return drawn


def _words(difference: Any) -> str:
    moved = "" if difference.distance_mm is None else f" ({difference.distance_mm:.1f} mm apart)"
    return f"{difference.what}: {difference.before or 'nothing'} → {difference.after or 'nothing'}{moved}"


def _told(gateway: Gateway, row: VersionRow) -> dict[str, Any]:
    from service.web.api.version_shapes import VersionShape

    told: dict[str, Any] = VersionShape.of(row, gateway.author_name).model_dump(mode="json")
    return told | {"created_at": row.created_at}
