"""Settings: one TOML file and the environment, read once into frozen models.

``ANNOGATE__SECTION__KEY`` in the environment wins over the file. Unknown keys and bad values are refused, each named
in words with the line of thought ("dicom.port: 70000 is not a TCP port (1–65535)"). Each part of the gateway is
handed its own section by ``service.bootstrap``, never the whole.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.errors import SettingsInvalid

ENVIRONMENT_PREFIX = "ANNOGATE__"


def _port(value: object) -> object:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError(f"{value} is not a TCP port (1–65535)")
    return value


def _ae_title(value: str) -> str:
    """Check an AE title: 1 to 16 characters of the default repertoire, no backslash (PS3.5 Table 6.2-1)."""
    title = value.strip()
    if not 1 <= len(title) <= 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise ValueError(f"{value!r} is not an AE title (1 to 16 ASCII characters without a backslash)")
    return title


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value):
        raise ValueError(f"{value!r} is not a name (lower-case letters, digits, - and _, 63 at most)")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address or network") from None
    return value


def _uid(value: str) -> str:
    if len(value) > 64 or not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", value):
        raise ValueError(f"{value!r} is not a UID (PS3.5 9.1)")
    return value


Port = Annotated[int, BeforeValidator(_port)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Network = Annotated[str, AfterValidator(_network)]
Uid = Annotated[str, AfterValidator(_uid)]


class Section(BaseModel):
    """A part of the configuration: frozen, and strict about what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StorageSettings(Section):
    """Where data lies."""

    data_dir: Path = Path("annogate-data")
    config_dir: Path | None = None
    spool_segment_mib: int = Field(64, ge=1, le=4096)
    spool_limit_gib: float = Field(50.0, gt=0)
    disk_reserve_gib: float = Field(1.0, ge=0)
    quarantine_days: int = Field(30, ge=1)


class DicomSettings(Section):
    """The DICOM node."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AeTitle = "ANNOGATE"
    maximum_associations: int = Field(64, ge=1, le=4096)
    maximum_pdu_bytes: int = Field(131072, ge=4096, le=4194304)
    network_timeout_s: float = Field(60.0, gt=0)
    acse_timeout_s: float = Field(30.0, gt=0)
    dimse_timeout_s: float = Field(60.0, gt=0)
    unknown_callers: Literal["accept", "reject"] | None = None
    extra_sop_classes: tuple[Uid, ...] = ()


class CallerSettings(Section):
    """One DIMSE caller that is known: its AE title, where it may call from, and which projects it may reach."""

    ae_title: AeTitle
    addresses: tuple[Network, ...] = ()
    projects: tuple[Name, ...] = ()


class HttpSettings(Section):
    """The web edge."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    trusted_proxy: bool = False
    workers: int = Field(1, ge=1, le=64)
    threads: int = Field(8, ge=1, le=256)
    viewer_dir: Path | None = None


class JobSettings(Section):
    """Where annotators run."""

    workers: int = Field(1, ge=1, le=64)
    attempts: int = Field(3, ge=1, le=20)
    lease_s: float = Field(120.0, gt=1)
    sweep_s: float = Field(30.0, gt=0)


class PixelSettings(Section):
    """How much a look at the pixels of one object may take."""

    look_limit_s: float = Field(300.0, gt=0)
    memory_limit_gib: float = Field(6.0, ge=1)
    idle_s: float = Field(300.0, gt=0)
    threads: int = Field(1, ge=1, le=64)


class TextSettings(Section):
    """What cleans free text besides words and patterns: a program that finds names, by default none."""

    name_recogniser: tuple[str, ...] = ()
    name_recogniser_timeout_s: float = Field(10.0, gt=0)


class ProjectSettings(Section):
    """A project: a dataset with its own keys, rules and readers."""

    ae_titles: tuple[AeTitle, ...] = ()
    deidentify: str = "default"
    annotators: tuple[Name, ...] = ("nodules",)
    study_quiet_s: float = Field(60.0, gt=0)
    on_conflict: Literal["keep-first", "replace", "quarantine"] = "keep-first"
    drop_sop_classes: tuple[Uid, ...] = ()
    approve: Literal["person", "automatic"] = "person"
    allow_demonstrator: bool = False
    deliver_to: tuple[Name, ...] = ()


class PeerSettings(Section):
    """A DIMSE peer."""

    ae_title: AeTitle
    host: str
    port: Port


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Section):
    """The whole configuration."""

    storage: StorageSettings = StorageSettings()
    dicom: DicomSettings = DicomSettings()
    callers: dict[Name, CallerSettings] = {}
    http: HttpSettings = HttpSettings()
    jobs: JobSettings = JobSettings()
    pixels: PixelSettings = PixelSettings()
    text: TextSettings = TextSettings()
    projects: dict[Name, ProjectSettings] = {}
    peers: dict[Name, PeerSettings] = {}
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _one_project_at_least(self) -> Settings:
        projects = dict(self.projects) or {"default": ProjectSettings()}
        if "default" in projects and not projects["default"].ae_titles:
            own = projects["default"].model_copy(update={"ae_titles": (self.dicom.ae_title,)})
            projects["default"] = own
        # Frozen against everyone but the validator that completes it.
        object.__setattr__(self, "projects", projects)
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Settings:
        wrong = []
        owners: dict[str, str] = {}
        for name, project in self.projects.items():
            for title in project.ae_titles:
                if title in owners:
                    wrong.append(f"projects.{name}.ae_titles: {title} is taken by project {owners[title]}")
                owners.setdefault(title, name)
            wrong += [
                f"projects.{name}.deliver_to: there is no peer {peer!r} in [peers]"
                for peer in project.deliver_to
                if peer not in self.peers
            ]
        for name, caller in self.callers.items():
            wrong += [
                f"callers.{name}.projects: there is no project {project!r}"
                for project in caller.projects
                if project not in self.projects
            ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def rejects_unknown_callers(self) -> bool:
        """Whether a calling AE title that is not configured is rejected: by default as soon as one is."""
        if self.dicom.unknown_callers is not None:
            return self.dicom.unknown_callers == "reject"
        return bool(self.callers)


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
    beside = Path(__file__).resolve().parent.parent / "config"
    return beside if beside.is_dir() else Path(__file__).resolve().parent / "_config"
