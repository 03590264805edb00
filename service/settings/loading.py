"""Reading the configuration: one TOML file, then the environment, then the command line."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import SettingsInvalid
from service.settings.whole import Settings

ENVIRONMENT_PREFIX = "ANNOGATE__"


def _environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The tree that ``ANNOGATE__SECTION__KEY`` variables describe; JSON where the value is JSON, else text."""
    tree: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        *sections, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        try:
            branch[key] = json.loads(text)
        except ValueError:
            branch[key] = text
    return tree


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _words(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such setting"
        lines.append(f"{place}: {message}" if place else message)
    return "\n".join(lines)


def load_settings(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the configuration.

    Parameters
    ----------
    file : TOML; without one the defaults hold
    environ : where ``ANNOGATE__…`` variables are looked up; the process's own by default
    overrides : what the command line says; wins over both

    Raises
    ------
    SettingsInvalid : names every key that is unknown or wrong
    """
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsInvalid(f"{file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{file}: {error}") from error
    tree = _merge(tree, _environment(os.environ if environ is None else environ))
    tree = _merge(tree, overrides or {})
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsInvalid(_words(error)) from None


def config_directory(settings: Settings) -> Path:
    """Where the data under ``config/`` lies: as configured, beside the source tree, or inside the installed wheel."""
    if settings.storage.config_dir is not None:
        return settings.storage.config_dir
    beside = Path(__file__).resolve().parents[2] / "config"
    return beside if beside.is_dir() else Path(__file__).resolve().parents[1] / "_config"
