"""``annogate import images``, ``masks`` and ``coco``: the way back in from the formats of training code."""

from __future__ import annotations

import getpass
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from service.archive.audit import AuditEvent
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.progress import counting
from service.cli.tables import print_table
from service.errors import BadRequest, FormatRefused

if TYPE_CHECKING:
    from service.formats.annotation_import import AnnotationImport
    from service.formats.annotation_objects import Origin
    from service.formats.intake import ImportedItem
    from service.formats.labels import LabelMapping
    from service.formats.mask_files import LabelOf

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PROJECT = click.option("--project", default="default", show_default=True)


def _with_maker(command: Command) -> Command:
    """Add who made what is imported."""
    for option in (
        click.option("--title", default="Imported", show_default=True, help="Stands in Series Description."),
        click.option("--by-person", is_flag=True, help="It was drawn by hand, not by a program."),
        click.option("--version", "made_version", default="1", show_default=True, help="Of what made it."),
        click.option("--maker", default="not stated", show_default=True, help="Whose product that is."),
        click.option("--made-by", required=True, help="The program or model that made it; how it was drawn by hand."),
        click.option("--reader", help="The user whose annotations they are; nobody's by default."),
    ):
        command = option(command)
    return command


def _with_origin(command: Command) -> Command:
    """Add who made what is imported, by which labels it is read, and what it takes the place of."""
    for option in (
        click.option("--reason", default="", help="Why it replaces that; kept with the version."),
        click.option(
            "--replace",
            default="",
            help="The SEG or SR, by its SOP Instance UID, whose next version this is; latest: the newest of the series "
            "by the same reader, or by the same --made-by.",
        ),
        _with_maker,
        click.option(
            "--labels", default="default", show_default=True, help="A TOML file of labels, or one in config/labels."
        ),
    ):
        command = option(command)
    return command


@click.command("images")
@with_settings
@with_json
@PROJECT
@click.argument("files", nargs=-1, type=FILE)
@click.option("--list", "list_file", type=FILE, help="CSV: file and any of patient_id, study, modality, description.")
@click.option("--patient-id", default="", help="Whose images they are; a pseudonym is given for it as for any.")
@click.option("--study", default="", help="Files of one patient and this word become one study; each its own without.")
@click.option(
    "--modality", default="OT", show_default=True, help="CT and MR become such images, any other a Secondary Capture."
)
@click.option("--description", default="", help="Series Description.")
def import_images(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    files: tuple[Path, ...],
    list_file: Path | None,
    **words: str,
) -> None:
    """Make DICOM series of NIfTI volumes.

    The same file always gets the same UIDs, so importing it again changes nothing. The project's rules hold as for
    what any sender sends: de-identification, quarantine, annotators.
    """
    from service.formats.image_import import ImageFile, listed_files

    if not (files or list_file):
        raise click.UsageError("name files, or a list of them (--list)")
    if files and not words["patient_id"]:
        raise click.UsageError("say whose images they are (--patient-id), or name each file's patient in a --list")
    wanted = [ImageFile(file, **words) for file in files]
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        if list_file is not None:
            wanted += _usage(lambda: _listed(list_file, listed_files, ImageFile(Path(), **words)))
        importer = gateway.image_import(project)
        items = _counted(importer.run(wanted), len(wanted), "files", as_json=as_json)
        _note(gateway, "images.import", project, items)
    _end(items, as_json=as_json)


def _listed(list_file: Path, read: Callable[..., list[Any]], defaults: object) -> list[Any]:
    with list_file.open(encoding="utf-8-sig", newline="") as stream:
        found: list[Any] = _read_list(stream, list_file, read, defaults)
    return found


def _read_list(stream: TextIO, list_file: Path, read: Callable[..., list[Any]], defaults: object) -> list[Any]:
    try:
        return read(stream, list_file.parent, defaults)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{list_file} is not UTF-8") from error


@click.command("masks")
@with_settings
@with_json
@PROJECT
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--series", default="", help="The series, as served, that every file belongs to.")
@click.option(
    "--cases", type=FILE, help="CSV with case and series_uid: tables/cases.csv of the dataset they come from."
)
@click.option("--pictures", type=FILE, help="For PNG: tables/pictures.csv of the dataset they come from.")
@click.option(
    "--label",
    help="What every mask marks; each number above 0 is one of it. Without it numbers are those of the labels.",
)
@click.option("--numbers", type=FILE, help="dataset.json of nnU-Net or the Decathlon: which number is which label.")
@_with_origin
def import_masks(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    files: tuple[Path, ...],
    series: str,
    cases: Path | None,
    pictures: Path | None,
    label: str | None,
    numbers: Path | None,
    reader: str | None,
    **options: Any,
) -> None:
    """Make annotations of masks: NIfTI, NRRD (.seg.nrrd of 3D Slicer), PNG; a folder stands for the files in it.

    A mask has to lie on the voxels of its series, whatever the order and direction of its axes; nothing is resampled.
    """
    from service.formats.annotation_import import marks_of_files
    from service.formats.picture_marks import marks_of_pictures
    from service.formats.place_list import CaseList, PictureList

    found = _files(files)
    pngs = [file for file in found if file.suffix.lower() == ".png"]
    volumes = [file for file in found if file.suffix.lower() != ".png"]
    if volumes and bool(series) == bool(cases):
        raise click.UsageError("say which series the masks belong to: --series UID, or a list of --cases")
    if pngs and pictures is None:
        raise click.UsageError("PNG does not say where it lies: give the list of --pictures")
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        mapping = gateway.label_mapping(options["labels"])
        label_of, how = _usage(lambda: _label_of(mapping, label, numbers))
        case_list = CaseList(only=series) if cases is None else _usage(lambda: CaseList.read(cases))
        marks: Iterable[Any] = marks_of_files(volumes, case_list, mapping, label_of, how)
        if pictures is not None:
            listed = _usage(lambda: PictureList.read(pictures))
            marks = chain(marks_of_pictures(pngs, listed, mapping, label_of, how), marks)
        importer = _usage(lambda: _importer(gateway, project, options, reader))
        items = _counted(importer.run(marks), len(volumes) or None, "masks", as_json=as_json)
        _note(gateway, "annotations.import", project, items)
    _end(items, as_json=as_json)


@click.command("coco")
@with_settings
@with_json
@PROJECT
@click.argument("file", type=FILE)
@click.option(
    "--pictures", type=FILE, help="tables/pictures.csv of the dataset, where the file does not name its images."
)
@_with_origin
def import_coco(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    file: Path,
    pictures: Path | None,
    reader: str | None,
    **options: Any,
) -> None:
    """Make annotations of the masks, polygons, boxes and key points of a COCO file.

    The regions of a series are taken in together or not at all. Categories are known by the names of labels.
    """
    from service.formats.coco_marks import marks_of_coco
    from service.formats.place_list import PictureList

    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        mapping = gateway.label_mapping(options["labels"])
        listed = None if pictures is None else _usage(lambda: PictureList.read(pictures))
        importer = _usage(lambda: _importer(gateway, project, options, reader))
        items = _counted(importer.run(marks_of_coco(file, mapping, listed)), None, "series", as_json=as_json)
        _note(gateway, "annotations.import", project, items)
    _end(items, as_json=as_json)


@click.command("map")
@with_settings
@with_json
@PROJECT
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--series", default="", help="The series, as served, that every file belongs to.")
@click.option(
    "--cases", type=FILE, help="CSV with case and series_uid: tables/cases.csv of the dataset they come from."
)
@click.option(
    "--quantity", required=True, help="What the numbers are, as code:scheme:meaning (113041:DCM:Apparent Diffusion …)."
)
@click.option("--unit", required=True, help="Their unit, in UCUM (mm2/s; 1 for a probability).")
@click.option("--label", required=True, help="What viewers call it.")
@_with_maker
def import_map(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str,
    files: tuple[Path, ...],
    series: str,
    cases: Path | None,
    quantity: str,
    unit: str,
    label: str,
    reader: str | None,
    **options: Any,
) -> None:
    """Make Parametric Maps of volumes with a number for each voxel: NIfTI, NRRD; a folder stands for the files in it.

    A file has to lie on the voxels of its series, whatever the order and direction of its axes; nothing is resampled.
    """
    from service.formats.map_import import MapMeaning
    from service.formats.place_list import CaseList

    if bool(series) == bool(cases):
        raise click.UsageError("say which series the maps belong to: --series UID, or a list of --cases")
    meaning = _usage(lambda: MapMeaning.read(label, quantity, unit))
    found = [file for file in _files(files) if file.suffix.lower() != ".png"]
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.prepare()
        case_list = CaseList(only=series) if cases is None else _usage(lambda: CaseList.read(cases))
        importer = _usage(lambda: gateway.map_import(project, _origin(options), reader))
        items = _counted(importer.run(found, case_list, meaning), len(found), "maps", as_json=as_json)
        _note(gateway, "maps.import", project, items)
    _end(items, as_json=as_json)


Made = TypeVar("Made")


def _usage(make: Callable[[], Made]) -> Made:
    """What is wrong with what was asked is wrong usage."""
    try:
        return make()
    except (BadRequest, FormatRefused) as error:
        raise click.UsageError(str(error)) from error


def _importer(gateway: Gateway, project: str, options: dict[str, Any], reader: str | None) -> AnnotationImport:
    replace, reason = options["replace"], options["reason"]
    if reason and not replace:
        raise BadRequest("--reason says why something is replaced: name it with --replace")
    return gateway.annotation_import(project, _origin(options), reader, replace, reason)


def _origin(options: dict[str, Any]) -> Origin:
    from service.formats.annotation_objects import Origin

    return Origin(
        name=options["made_by"],
        version=options["made_version"],
        manufacturer=options["maker"],
        title=options["title"],
        by_person=options["by_person"],
    )


def _label_of(mapping: LabelMapping, label: str | None, numbers: Path | None) -> tuple[LabelOf, str]:
    """What stands behind a number, and in a word how that is known."""
    from service.formats.mask_files import numbers_by_name

    if label is not None and numbers is not None:
        raise BadRequest("--label and --numbers both say which number is which label: give one")
    if label is not None:
        only = mapping.named(label)
        return (lambda _: only), f"label {label}"
    if numbers is None:
        return mapping.numbered, ""
    try:
        names = numbers_by_name(json.loads(numbers.read_bytes()))
    except (ValueError, AttributeError) as error:
        raise BadRequest(f"{numbers.name} is not a dataset.json") from error

    def named(number: int) -> Any:
        if number not in names:
            raise FormatRefused(f"number {number} is no label of {numbers.name}")
        return mapping.named(names[number])

    return named, json.dumps(names, sort_keys=True)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in the folders, by name."""
    suffixes = (".nii", ".nii.gz", ".nrrd", ".png")
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.name.lower().endswith(suffixes))
        else:
            found.append(path)
    return found


def _counted(items: Iterable[ImportedItem], total: int | None, what: str, *, as_json: bool) -> list[ImportedItem]:
    done = []
    with counting(what, silent=as_json) as progress:
        for item in items:
            done.append(item)
            progress(len(done), total or len(done))
    return done


def _note(gateway: Gateway, action: str, project: str, items: Sequence[ImportedItem]) -> None:
    counts: dict[str, Any] = dict(Counter(str(item.status) for item in items))
    gateway.audit.record(AuditEvent(getpass.getuser(), action, project=project, detail=counts))


def _end(items: Sequence[ImportedItem], *, as_json: bool) -> None:
    """Show what became of each; end with 1 where one was refused."""
    from service.formats.intake import ImportStatus

    refused = sum(item.status is ImportStatus.REFUSED for item in items)
    if as_json:
        echo_json({"items": [asdict(item) for item in items], "refused": refused})
    else:
        rows = [
            (item.source, item.status, item.series_uid, "; ".join(filter(None, (item.reason, *item.notes))))
            for item in items
        ]
        print_table("Imported", ("what", "became", "series", "why"), rows, empty="Nothing to import.")
    if refused:
        sys.exit(1)
