"""``annogate deid``: de-identifies files without a server, or says what would become of each element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import print_table
from service.errors import GatewayError
from service.settings import Settings, config_directory

if TYPE_CHECKING:
    from service.deident.offline import FileResult


@click.command()
@with_settings
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the clean files go.")
@click.option("--profile", "profile_name", default="default", show_default=True, help="One of config/profiles.")
@click.option(
    "--keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A key file, made when missing: the same input then gives the same output again. Forgotten without it.",
)
@click.option("--what-if", is_flag=True, help="Write nothing; list element, action, rule, reason, before and after.")
@click.option(
    "--values/--no-values",
    default=None,
    help="Whether the list shows values before cleaning, which are identity. Shown in a table, left out of --json.",
)
@with_json
def deid(
    config_file: Path | None,
    data_dir: Path | None,
    paths: tuple[Path, ...],
    out: Path | None,
    profile_name: str,
    keys: Path | None,
    what_if: bool,
    values: bool | None,
    as_json: bool,
) -> None:
    """De-identify DICOM files and folders by a profile of PS3.15 Annex E."""
    if not what_if and out is None:
        raise click.UsageError("say where the clean files go (--out DIR), or ask only what would happen (--what-if)")
    from service.log import configure_logging

    settings = settings_of(config_file, data_dir)
    configure_logging(settings.log.level, settings.log.format, "deid")
    shows_identity = (not as_json) if values is None else values
    results = _results(settings, paths, None if what_if else out, profile_name, keys, shows_identity=shows_identity)
    counts = _listed(results) if as_json else _shown(results)
    if counts["refused"] or not counts:
        raise GatewayError(f"{counts['refused']} of {counts.total()} files were refused")


def _results(
    settings: Settings,
    paths: tuple[Path, ...],
    out: Path | None,
    profile_name: str,
    keys: Path | None,
    *,
    shows_identity: bool,
) -> Iterator[FileResult]:
    """Clean files, or explain without writing where there is no directory for them."""
    from service.deident.faces.face_finder import FaceFinder
    from service.deident.faces.face_policy import FacePolicy
    from service.deident.offline import Values, deidentify_files, offline_deidentifier, offline_pixel_cleaner
    from service.deident.offline_faces import OfflineFaces
    from service.deident.separate_pixel_cleaner import LookLimits
    from service.deident.text_cleaning.external_recogniser import recogniser_of

    config = config_directory(settings)
    recogniser = recogniser_of(settings.text.name_recogniser, settings.text.name_recogniser_timeout_s)
    deidentifier = offline_deidentifier(config / "profiles", profile_name, keys, recogniser)
    faces = OfflineFaces(FacePolicy.load(config / "faces.toml"), FaceFinder())
    limits = LookLimits(settings.pixels.look_limit_s, int(settings.pixels.memory_limit_gib * (1 << 30)))
    explained = Values.BOTH if shows_identity else Values.AFTER
    with (
        recogniser or nullcontext(),
        closing(offline_pixel_cleaner(config / "devices", limits, settings.pixels.threads)) as pixels,
    ):
        yield from deidentify_files(
            paths,
            deidentifier,
            out,
            pixels=pixels,
            faces=faces,
            explain=out is None,
            values=explained if out is None else Values.NONE,
            header_limit=settings.storage.header_memory_mib << 20,
        )


def _listed(results: Iterable[FileResult]) -> Counter[str]:
    """Print what became of files as JSON; return how many ended how."""
    files = list(map(_plain, results))
    counts = Counter(str(file["status"]) for file in files)
    echo_json({"files": files, "counts": dict(counts)})
    return counts


def _shown(results: Iterable[FileResult]) -> Counter[str]:
    """Print what became of each file, one after the other; return how many ended how."""
    counts: Counter[str] = Counter()
    for result in results:
        counts[str(result.status)] += 1
        _show(result)
    click.echo(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no file", err=True)
    return counts


def _plain(result: FileResult) -> dict[str, Any]:
    return {
        "file": str(result.source),
        "status": str(result.status),
        "written": str(result.written) if result.written else None,
        "reason": result.reason,
        "elements_removed": result.elements_removed,
        "elements_replaced": result.elements_replaced,
        "pixels": str(result.pixels) if result.pixels else None,
        "regions_blackened": result.regions_blackened,
        "decisions": [
            {name: value for name, value in asdict(decision).items() if value is not None}
            for decision in result.decisions
        ],
    }


def _show(result: FileResult) -> None:
    if result.reason:
        click.echo(f"{result.source}: refused: {result.reason}")
    elif result.decisions:
        columns = ["element", "keyword", "action", "rule", "reason", "before", "after"]
        if result.decisions[0].before is None:
            columns.remove("before")
        rows = [asdict(step) | {"element": step.path} for step in result.decisions]
        print_table(str(result.source), columns, [[row[column] or "" for column in columns] for row in rows])
    else:
        count = result.regions_blackened
        blackened = f" ({count} {'region' if count == 1 else 'regions'} blackened)" if count else ""
        click.echo(f"{result.source} → {result.written}{blackened}")
