"""The ground that the shapes of the API stand on; the OpenAPI document is made from them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from service.errors import InstanceNotFound

# Numbers of rows are 32 bits wide in PostgreSQL.
GREATEST_NUMBER = 2**31 - 1
NO_NUL = r"^[^\x00]*$"
_NUMBER = re.compile(r"[0-9]{1,10}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _read_moment(value: object) -> object:
    """A time as RFC 3339 5.6 writes it; one without an offset would be read by the clock of whatever host this is."""
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("a time is to be written with its offset, such as 2024-03-01T12:00:00Z")
    try:
        at = datetime.fromisoformat(value.upper())
        return moment(at.timestamp())
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None


def _read_whole(value: object) -> object:
    """JSON has one kind of number: 7.0 is as whole as 7 (RFC 8259 6)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_read_whole)]
# Text of a caller: PostgreSQL keeps no NUL.
Text = Annotated[str, Field(pattern=NO_NUL)]
AskedMoment = Annotated[datetime, BeforeValidator(_read_moment)]
Moment = Annotated[datetime, PlainSerializer(lambda at: at.isoformat().replace("+00:00", "Z"), return_type=str)]


def moment(at: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    """The same where there may be none."""
    return None if at is None else moment(at)


def row_number(text: str) -> int:
    """The number of a row as an address names it.

    Raises
    ------
    InstanceNotFound : it is no number, or greater than any
    """
    if not _NUMBER.fullmatch(text) or int(text) > GREATEST_NUMBER:
        raise InstanceNotFound("this is no number")
    return int(text)


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

    project: Text | None = Field(None, max_length=64, description="The project; the first that you may see otherwise")
