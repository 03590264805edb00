"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from service.settings import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def with_settings(command: Command) -> Command:
    """Add ``--config`` and ``--data-dir``."""
    command = click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where data lies; ./annogate-data by default.",
    )(command)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML configuration; config/annogate.toml is the commented example.",
    )(command)


def with_config_checked(command: Command) -> Command:
    """Add ``--config`` to a command that uses none of it: a wrong file is refused as everywhere."""

    def check(_context: click.Context, _option: click.Parameter, file: Path | None) -> None:
        load_settings(file)

    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=check,
        expose_value=False,
        help="TOML configuration; it is checked, nothing of it is used here.",
    )(command)


def with_json(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")(command)


def settings_of(config_file: Path | None, data_dir: Path | None, **sections: dict[str, Any]) -> Settings:
    """The settings that a command runs with; ``sections`` are overrides from its other options."""
    overrides: dict[str, Any] = {name: values for name, values in sections.items() if values}
    if data_dir is not None:
        overrides["storage"] = {**overrides.get("storage", {}), "data_dir": str(data_dir)}
    return load_settings(config_file, overrides=overrides)


def host_and_port(text: str) -> dict[str, Any]:
    """``HOST:PORT`` as settings; brackets round an IPv6 address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return {"host": host.strip("[]"), "port": int(port)}


def echo_json(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
