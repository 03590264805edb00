"""Section of what takes objects from the spool to the archive."""

from __future__ import annotations

from pydantic import Field

from service.settings.values import Section


class IngestSettings(Section):
    """How the spool is worked off."""

    workers: int = Field(2, ge=1, le=64)
