"""``annogate outbox``: what is on its way to which peer, and what stands in its way."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.deliveries import DeliveryState
from service.delivery.outbox_desk import DeliveryReport, OutboxDesk

STATES = click.Choice([state.value for state in DeliveryState])


@click.group()
def outbox() -> None:
    """Results on their way to peers."""


def _plain(report: DeliveryReport) -> dict[str, object]:
    fields = asdict(report.delivery) | {"words": report.words, "items": [asdict(item) for item in report.items]}
    for name in ("found_identity", "accepted_identity"):
        fields[name] = bool(fields[name])
    return fields


@outbox.command("list")
@with_settings
@with_json
@click.option("--project", help="Only this project's.")
@click.option("--peer", help="Only what goes to this peer.")
@click.option("--state", type=STATES, help="Only what stands there.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000))
def list_deliveries(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    project: str | None,
    peer: str | None,
    state: str | None,
    limit: int,
) -> None:
    """List deliveries, the newest first."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        wanted = None if state is None else DeliveryState(state)
        reports = gateway.outbox_desk.page(project, state=wanted, peer=peer, limit=limit)
    if as_json:
        echo_json([_plain(report) for report in reports])
        return
    print_table(
        "Outbox",
        ("id", "asked for", "project", "peer", "what", "state", "tries", "last error or warning"),
        [
            (
                str(report.delivery.id),
                moment(report.delivery.created_at),
                report.delivery.project,
                report.delivery.peer,
                report.delivery.kind,
                report.delivery.state,
                str(report.delivery.attempts),
                report.words,
            )
            for report in reports
        ],
        empty="Nothing was to be delivered.",
    )


@outbox.command("show")
@with_settings
@with_json
@click.argument("delivery_id", type=int)
def show(config_file: Path | None, data_dir: Path | None, as_json: bool, delivery_id: int) -> None:
    """Show one delivery, object by object."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        report = gateway.outbox_desk.show(delivery_id)
    if as_json:
        echo_json(_plain(report))
        return
    _tell(report)


@outbox.command("retry")
@with_settings
@with_json
@click.argument("delivery_ids", nargs=-1, type=int, required=True)
def retry(config_file: Path | None, data_dir: Path | None, as_json: bool, delivery_ids: tuple[int, ...]) -> None:
    """Try deliveries again at once, those that were given up as well."""
    _decide(config_file, data_dir, as_json, delivery_ids, OutboxDesk.retry)


@outbox.command("accept")
@with_settings
@with_json
@click.argument("delivery_ids", nargs=-1, type=int, required=True)
def accept(config_file: Path | None, data_dir: Path | None, as_json: bool, delivery_ids: tuple[int, ...]) -> None:
    """Send what is held, under the patient that the peer names now; look there first who that is."""
    _decide(config_file, data_dir, as_json, delivery_ids, OutboxDesk.accept)


@outbox.command("discard")
@with_settings
@with_json
@click.argument("delivery_ids", nargs=-1, type=int, required=True)
@click.confirmation_option(prompt="They are not sent. Go on?")
def discard(config_file: Path | None, data_dir: Path | None, as_json: bool, delivery_ids: tuple[int, ...]) -> None:
    """Keep here what waits or is held; the result itself stays in its study."""
    _decide(config_file, data_dir, as_json, delivery_ids, OutboxDesk.discard)


def _decide(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    delivery_ids: tuple[int, ...],
    act: Callable[[OutboxDesk, int, str], DeliveryReport],
) -> None:
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        reports = [act(gateway.outbox_desk, delivery_id, getpass.getuser()) for delivery_id in delivery_ids]
    if as_json:
        echo_json([_plain(report) for report in reports])
        return
    for report in reports:
        click.echo(f"{report.delivery.id}: {report.delivery.state} {report.words}".rstrip())


def _tell(report: DeliveryReport) -> None:
    row = report.delivery
    click.echo(f"{row.kind} for {row.peer}, project {row.project}: {row.state}")
    click.echo(f"study as served: {row.study_uid}")
    click.echo(
        f"asked for {moment(row.created_at)}, tried {row.attempts} times, ended {moment(row.finished_at) or '-'}"
    )
    if row.state is DeliveryState.WAITING:
        click.echo(f"next try not before {moment(row.next_at)}")
    if report.words:
        click.echo(report.words)
    if row.commitment:
        click.echo(f"storage commitment: {row.commitment}")
    print_table(
        "Objects",
        ("SOP Instance UID", "SOP class", "state", "status", "words"),
        [
            (
                item.sop_instance_uid,
                item.sop_class_uid,
                item.state,
                "" if item.status is None else f"{item.status:04X}",
                item.words,
            )
            for item in report.items
        ],
        empty="None was tried yet.",
    )
