"""``annogate audit``: who did what, and whether the trail is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from service.archive.audit import AuditQuery
from service.bootstrap import Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.errors import GatewayError


@click.group()
def audit() -> None:
    """The audit trail: one row for each access and decision, append-only."""


@audit.command("list")
@with_settings
@with_json
@click.option("--actor", help="Only this user, token or AE title.")
@click.option("--action", help="Only this action; a name that ends in a dot is a family.")
@click.option("--project", help="Only this project.")
@click.option("--failures", is_flag=True, help="Only what was refused or failed.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100000))
def list_rows(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    actor: str | None,
    action: str | None,
    project: str | None,
    failures: bool,
    limit: int,
) -> None:
    """List rows, the newest first."""
    query = AuditQuery(actor=actor, action=action, project=project, failures_only=failures, limit=limit)
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        rows = gateway.audit.search(query)
    if as_json:
        echo_json([asdict(row) for row in rows])
        return
    print_table(
        "Audit trail",
        ("at", "actor", "address", "action", "outcome", "project", "object"),
        [
            (moment(row.at), row.actor, row.address, row.action, row.outcome.name, row.project, row.target)
            for row in rows
        ],
    )


@audit.command("verify")
@with_settings
@with_json
def verify(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Recompute the chain: whether a row was changed, inserted, or removed before another."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        verdict = gateway.audit.verify()
    if as_json:
        echo_json(asdict(verdict))
    else:
        click.echo(f"{verdict.rows} rows hold; newest link {verdict.head}")
    if not verdict.intact:
        raise GatewayError(f"the audit trail is broken at row {verdict.first_broken_id}")
