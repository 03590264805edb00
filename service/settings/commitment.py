"""The section of storage commitment, both ways."""

from __future__ import annotations

from pydantic import Field

from service.settings.values import Section


class CommitmentSettings(Section):
    """Storage commitment: how long for what."""

    wait_s: float = Field(600.0, ge=0)
    linger_s: float = Field(5.0, ge=0, le=60)
    days: float = Field(7.0, gt=0)
