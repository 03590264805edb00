"""The section of the web edge."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from service.settings.values import Port, Section


class HttpSettings(Section):
    """The web edge."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    trusted_proxy: bool = False
    workers: int = Field(1, ge=1, le=64)
    threads: int = Field(8, ge=1, le=256)
    viewer_dir: Path | None = None
