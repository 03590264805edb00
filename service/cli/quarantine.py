"""``annogate quarantine``: what could not be processed, and what becomes of it."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path

import click

from service.archive.quarantine_rows import HELD
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.archived import QuarantineRow
from service.core.records import OutcomeKind
from service.deident.pixels.pixel_outcome import Region
from service.errors import IdentityNotRemovable


@click.group()
def quarantine() -> None:
    """What could not be processed, kept encrypted with its reason."""


def _plain(row: QuarantineRow) -> dict[str, object]:
    fields = asdict(row)
    del fields["content_digest"]
    return fields


@quarantine.command("list")
@with_settings
@with_json
@click.option("--project", help="Only this project's.")
@click.option("--all", "every", is_flag=True, help="What was decided on as well.")
def list_held(config_file: Path | None, data_dir: Path | None, as_json: bool, project: str | None, every: bool) -> None:
    """List what is held, the last received first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        rows = gateway.quarantine.list(project, state=None if every else "held")
    if as_json:
        echo_json([_plain(row) for row in rows])
        return
    print_table(
        "Quarantine",
        ("id", "received", "project", "from", "state", "reason"),
        [(row.id, moment(row.received_at), row.project, row.calling_ae_title, row.state, row.reason) for row in rows],
        empty="Nothing is held.",
    )


@quarantine.command("show")
@with_settings
@with_json
@click.argument("quarantine_id")
def show(config_file: Path | None, data_dir: Path | None, as_json: bool, quarantine_id: str) -> None:
    """Show one object's row, and where something was found in its pixels; never what is in the object."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        row = _plain(gateway.quarantine.show(quarantine_id))
        case = gateway.quarantine.pixel_case(quarantine_id) if row["state"] == HELD else None
    if case is not None:
        row["frames"], row["regions"] = case.frames, [_region(region) for region in case.regions]
    if as_json:
        echo_json(row)
        return
    for key, value in row.items():
        if key == "regions":
            continue
        click.echo(f"{key}: {moment(value) if isinstance(value, float) else value}")
    if case is not None:
        print_table(
            "What was found in its pixels",
            ("x", "y", "width", "height", "frame", "found as"),
            [
                [str(value if value is not None else "all") for value in _region(region).values()]
                for region in case.regions
            ],
            empty="Nothing was found in its pixels, or nobody could look.",
        )


def _region(region: Region) -> dict[str, object]:
    names = ("x", "y", "width", "height", "frame")
    return {name: getattr(region, name) for name in names} | {"origin": region.origin.value}


@quarantine.command("release")
@with_settings
@click.option("--cut", is_flag=True, help="Without the bytes behind the last frame, which are gone then.")
@click.argument("quarantine_ids", nargs=-1, required=True)
def release(config_file: Path | None, data_dir: Path | None, cut: bool, quarantine_ids: tuple[str, ...]) -> None:
    """Process objects again from the bytes that were kept."""
    refused = []
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        for quarantine_id in quarantine_ids:
            desk = gateway.quarantine_desk
            outcome = (desk.release_cut if cut else desk.release)(quarantine_id, getpass.getuser())
            click.echo(f"{quarantine_id}: {outcome.kind} {outcome.reason}".rstrip())
            if outcome.kind is OutcomeKind.QUARANTINED:
                refused.append(quarantine_id)
    if refused:
        raise IdentityNotRemovable(f"{len(refused)} of {len(quarantine_ids)} stay in quarantine")


@quarantine.command("discard")
@with_settings
@click.argument("quarantine_ids", nargs=-1, required=True)
@click.confirmation_option(prompt="The objects are erased. Go on?")
def discard(config_file: Path | None, data_dir: Path | None, quarantine_ids: tuple[str, ...]) -> None:
    """Erase objects; their rows stay."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        for quarantine_id in quarantine_ids:
            gateway.quarantine_desk.discard(quarantine_id, getpass.getuser())
            click.echo(f"{quarantine_id}: discarded")
