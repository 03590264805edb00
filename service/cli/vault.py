"""``annogate vault``: the key file, its copies, and the rotation of the vault's key."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from service.archive.audit import AuditEvent, Outcome
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.errors import KeysMissing


@click.group()
def vault() -> None:
    """The only way back from what is served to what came, and the keys that seal it."""


@vault.command("rotate")
@with_settings
@with_json
def rotate(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Seal the vault with a new key, while the gateway runs; a rotation that was interrupted is ended.

    What stands behind pseudonyms, UIDs and dates does not change. Back the key file up afterwards, and keep its earlier
    copies for as long as backups of the index from before the rotation are kept.
    """
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        with _counting(silent=as_json) as on_page:
            done = gateway.key_rotation.rotate(on_page)
        outcome = Outcome.MINOR_FAILURE if done.unopened else Outcome.SUCCESS
        detail: dict[str, str | int] = {
            "key": done.key_id,
            "resealed": done.resealed,
            "unopened": done.unopened,
            "resumed": done.resumed,
        }
        gateway.audit.record(AuditEvent(getpass.getuser(), "vault.rotate", outcome, detail=detail))
    if as_json:
        echo_json(asdict(done))
    else:
        begun = "a rotation begun before was ended; " if done.resumed else ""
        click.echo(f"{begun}{done.resealed} entries are sealed with key {done.key_id}; back the key file up")
    if done.unopened:
        raise KeysMissing(f"{done.unopened} entries do not open; the key that they name stays in the key file")


@vault.command("backup-key")
@with_settings
@click.argument("destination", type=click.Path(path_type=Path))
def backup_key(config_file: Path | None, data_dir: Path | None, destination: Path) -> None:
    """Copy the key file to another place, read the copy back, and note when it was made.

    DESTINATION is a file that is not there yet, or a directory. Keep it apart from the data: whoever has both can undo
    the de-identification; whoever has lost it cannot find a patient again.
    """
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        place = gateway.key_backups.make(destination)
        gateway.audit.record(AuditEvent(getpass.getuser(), "vault.backup-key"))
    click.echo(f"{place}: written and read back")
    if place.stat().st_mode & 0o077:
        click.echo(f"{place}: others may read it, or its file system knows no modes; guard it", err=True)


@vault.command("status")
@with_settings
@with_json
def status(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Say which keys the file holds and what is to be done about it."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        held, used = gateway.key_file.vault_key_ids, gateway.vault_keys.key_ids()
        notice = gateway.key_backups.notice()
    if as_json:
        echo_json({"keys": held, "used": sorted(used), "missing": sorted(used - set(held)), "notice": notice})
        return
    for key_id in held:
        role = "seals" if key_id == held[-1] else "opens what a rotation has still to move"
        click.echo(f"{key_id}: {role}")
    for key_id in sorted(used - set(held)):
        click.echo(f"{key_id}: missing; entries were sealed with it")
    click.echo(notice or "the key file is backed up as it is")


@contextmanager
def _counting(*, silent: bool) -> Iterator[Callable[[int], None]]:
    """How many entries were sealed so far, on a terminal."""
    if silent or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.completed:,.0f} entries sealed anew"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("reseal", total=None)
        yield lambda count: progress.update(task, completed=count)
