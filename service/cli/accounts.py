"""``annogate user`` and ``annogate token``: who may."""

from __future__ import annotations

import getpass
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from service.archive.audit import AuditEvent
from service.bootstrap import DAY_S, Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.cli.tables import moment, print_table
from service.core.access import Role
from service.errors import BadRequest, SettingsInvalid
from service.settings import Settings

ROLE = click.Choice([role.value for role in Role])
PASSWORD_LENGTH = 12


def _open(settings: Settings) -> Gateway:
    """A gateway whose data directory is made if it is new: accounts come before the first start."""
    gateway = Gateway(settings)
    gateway.prepare()
    return gateway


def _refuse_unknown(projects: tuple[str, ...], settings: Settings) -> None:
    """A name that is mistyped would grant nothing, and say so to nobody.

    Raises
    ------
    SettingsInvalid : a project is not configured
    """
    for name in projects:
        if name != "*" and name not in settings.projects:
            known = ", ".join(settings.projects)
            raise SettingsInvalid(f"there is no project {name!r} (there are: {known})")


def _note(gateway: Gateway, action: str, target: str) -> None:
    gateway.audit.record(AuditEvent(getpass.getuser(), action, target=target))


def _password() -> str:
    """The password from a prompt, or a line of standard input where there is no terminal."""
    if sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < PASSWORD_LENGTH:
        raise BadRequest(f"a password has at least {PASSWORD_LENGTH} characters")
    return password


def _hash(password: str) -> str:
    from service.web.passwords import Passwords

    return Passwords(time.monotonic).hash(password)


@click.group()
def user() -> None:
    """People who sign in with a name and a password."""


@user.command("add")
@with_settings
@click.argument("name")
@click.option("--role", type=ROLE, required=True)
@click.option("--project", "projects", multiple=True, default=("*",), help="A project they may reach; all by default.")
def add_user(config_file: Path | None, data_dir: Path | None, name: str, role: str, projects: tuple[str, ...]) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    settings = settings_of(config_file, data_dir)
    _refuse_unknown(projects, settings)
    with _open(settings) as gateway:
        added = gateway.accounts.add_user(name, _hash(_password()), Role(role), projects)
        _note(gateway, "user.add", added.name)
    click.echo(f"user {added.name}: {added.role}")


@user.command("password")
@with_settings
@click.argument("name")
def set_password(config_file: Path | None, data_dir: Path | None, name: str) -> None:
    """Change a user's password."""
    with _open(settings_of(config_file, data_dir)) as gateway:
        gateway.accounts.set_password_hash(name, _hash(_password()))
        _note(gateway, "user.password", name)
    click.echo(f"user {name}: password changed")


@user.command("disable")
@with_settings
@click.argument("name")
@click.option("--enable", is_flag=True, help="Let them in again.")
def disable_user(config_file: Path | None, data_dir: Path | None, name: str, enable: bool) -> None:
    """Let a user in no more."""
    with _open(settings_of(config_file, data_dir)) as gateway:
        gateway.accounts.set_disabled(name, not enable)
        _note(gateway, "user.enable" if enable else "user.disable", name)
    click.echo(f"user {name}: {'enabled' if enable else 'disabled'}")


@user.command("list")
@with_settings
@with_json
def list_users(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """List users; never their passwords."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.accounts.users()
    rows = [
        {
            "name": u.name,
            "role": u.role,
            "projects": sorted(u.projects),
            "disabled": u.disabled,
            "created": u.created_at,
        }
        for u in found
    ]
    if as_json:
        echo_json(rows)
        return
    print_table(
        "Users",
        ("name", "role", "projects", "since", ""),
        [
            (u.name, u.role, " ".join(sorted(u.projects)), moment(u.created_at), "disabled" if u.disabled else "")
            for u in found
        ],
        empty="None: on loopback the caller is the local administrator.",
    )


@click.group()
def token() -> None:
    """Programs that present a bearer token."""


@token.command("add")
@with_settings
@with_json
@click.argument("name")
@click.option("--role", type=ROLE, required=True)
@click.option("--project", "projects", multiple=True, default=("*",), help="A project it may reach; all by default.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Ends after so many days.")
def add_token(
    config_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
    name: str,
    role: str,
    projects: tuple[str, ...],
    days: float | None,
) -> None:
    """Make a token; it is shown once and kept as a hash."""
    settings = settings_of(config_file, data_dir)
    _refuse_unknown(projects, settings)
    with _open(settings) as gateway:
        expires_at = None if days is None else gateway.clock() + days * DAY_S
        made = gateway.accounts.add_token(name, Role(role), projects, expires_at)
        _note(gateway, "token.add", made.token.id)
    if as_json:
        echo_json({"id": made.token.id, "name": name, "secret": made.secret})
    else:
        click.echo(f"token {name} ({made.token.id}), shown only now:\n{made.secret}")


@token.command("revoke")
@with_settings
@click.argument("token_id")
def revoke_token(config_file: Path | None, data_dir: Path | None, token_id: str) -> None:
    """End a token."""
    with _open(settings_of(config_file, data_dir)) as gateway:
        gateway.accounts.revoke_token(token_id)
        _note(gateway, "token.revoke", token_id)
    click.echo(f"token {token_id}: revoked")


@token.command("list")
@with_settings
@with_json
def list_tokens(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """List tokens; never their secrets."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        gateway.require_data()
        found = gateway.accounts.tokens()
    if as_json:
        echo_json([asdict(t) | {"projects": sorted(t.projects)} for t in found])
        return
    print_table(
        "Tokens",
        ("id", "name", "role", "projects", "ends", "revoked"),
        [
            (t.id, t.name, t.role, " ".join(sorted(t.projects)), moment(t.expires_at), moment(t.revoked_at))
            for t in found
        ],
    )
