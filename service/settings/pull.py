"""How studies are fetched from peers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from service.core.hours import hours_of
from service.settings.values import Name, Section


class PriorsSettings(Section):
    """Earlier studies of a patient that a project wants with each new one."""

    peer: Name
    studies: int = Field(1, ge=1, le=100)


class AnnotatorPriorsSettings(PriorsSettings):
    """Earlier studies of a patient that an annotator waits for, for each study that it is to look at."""

    days: int | None = Field(None, ge=1)
    same_modality: bool = True
    same_body_part: bool = False
    wait_s: float = Field(3600.0, gt=0)


class PullSettings(Section):
    """Pull: C-FIND with C-GET or C-MOVE, or QIDO-RS with WADO-RS."""

    retrieve: dict[Name, Literal["auto", "get", "move"]] = Field(default_factory=dict)
    objects_per_minute: dict[str, float] = Field(default_factory=dict)
    attempts: int = Field(8, ge=1, le=100)
    wait_s: float = Field(600.0, gt=0)
    priors: dict[Name, PriorsSettings] = Field(default_factory=dict)

    @field_validator("objects_per_minute")
    @classmethod
    def _hours_are_hours(cls, limits: dict[str, float]) -> dict[str, float]:
        for hours, limit in limits.items():
            hours_of(hours)
            if limit < 0:
                raise ValueError(f"{hours}: {limit} objects a minute are less than none")
        return limits
