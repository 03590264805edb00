"""Section of the worklist: work items, subscribers, event channels."""

from __future__ import annotations

from pydantic import Field

from service.settings.values import Section


class WorklistSettings(Section):
    """How much the worklist of each project holds, and for how long."""

    workitems: int = Field(100_000, ge=1)
    keep_days: float = Field(90.0, gt=0)
    lock_days: float = Field(365.0, gt=0)
    claim_hours: float = Field(24.0, gt=0)
    subscribers: int = Field(100, ge=1)
    events: int = Field(10_000, ge=1)
    event_days: float = Field(7.0, gt=0)
    channels: int = Field(32, ge=1, le=1000)
