"""The section of the web edge."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from service.settings.values import Origin, Port, Section


class StoreSettings(Section):
    """What one store request (STOW-RS) may bring; beyond it the rest is not read."""

    part_gib: float = Field(8.0, gt=0)
    parts: int = Field(20_000, ge=1, le=1_000_000)
    metadata_mib: int = Field(32, ge=1, le=1024)
    inflated_gib: float = Field(4.0, gt=0)
    helpers: int = Field(2, ge=0, le=64)


class HttpSettings(Section):
    """The web edge."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    trusted_proxy: bool = False
    workers: int = Field(1, ge=1, le=64)
    threads: int = Field(8, ge=1, le=256)
    stall_s: float = Field(60.0, ge=1)
    viewer_dir: Path | None = None
    cors_origins: tuple[Origin, ...] = ()
    store: StoreSettings = StoreSettings()
