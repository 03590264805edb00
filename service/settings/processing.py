"""Sections of what runs inside: stores, jobs, pixels, text, the log."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from service.settings.values import Section

_POSTGRESQL = ("postgresql://", "postgresql+psycopg://")


class StorageSettings(Section):
    """Where data lies."""

    data_dir: Path = Path("annogate-data")
    config_dir: Path | None = None
    index_url: SecretStr = SecretStr("")
    spool_segment_mib: int = Field(64, ge=1, le=4096)
    spool_recycled_segments: int = Field(4, ge=0, le=1024)
    spool_limit_gib: float = Field(50.0, gt=0)
    disk_reserve_gib: float = Field(1.0, ge=0)
    quarantine_days: int = Field(30, ge=1)
    trash_days: int = Field(30, ge=0, le=36500)
    header_memory_mib: int = Field(1024, ge=8, le=65536)

    @field_validator("index_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and not url.startswith(_POSTGRESQL):
            raise ValueError("the index is SQLite's, in data_dir, or at a postgresql:// address")
        return SecretStr(url.replace(*_POSTGRESQL, 1) if url.startswith(_POSTGRESQL[0]) else url)


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


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
