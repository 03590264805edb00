"""The ground that the shapes of the API stand on; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Moment = Annotated[datetime, PlainSerializer(lambda at: at.isoformat().replace("+00:00", "Z"), return_type=str)]


def moment(at: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    """The same where there may be none."""
    return None if at is None else moment(at)


class Shape(BaseModel):
    """A JSON object that holds what it says and nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Shape):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(description="Always about:blank; the status and the words say it")
    title: str = Field(description="The phrase of the status")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What went wrong this time, in words")


class Page(Shape):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=10_000_000, description="How many to pass over")


class ProjectPage(Page):
    """Which part of a project's list."""

    project: str | None = Field(None, max_length=64, description="The project; the first that you may see otherwise")
