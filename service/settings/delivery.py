"""The section of what leaves: how long and how often peers are tried."""

from __future__ import annotations

from pydantic import Field, model_validator

from service.settings.values import Section


class DeliverySettings(Section):
    """The outbox."""

    first_pause_s: float = Field(30.0, gt=0)
    longest_pause_s: float = Field(3600.0, gt=0)
    days: float = Field(14.0, gt=0)
    lease_s: float = Field(300.0, gt=1)
    sweep_s: float = Field(30.0, gt=0)
    batch: int = Field(50, ge=1, le=1000)

    @model_validator(mode="after")
    def _pauses_grow(self) -> DeliverySettings:
        if self.longest_pause_s < self.first_pause_s:
            raise ValueError("longest_pause_s is shorter than first_pause_s")
        return self
