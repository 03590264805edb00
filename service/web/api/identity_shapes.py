"""The original identifiers behind those of a project: the one answer of the API that holds identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field

from service.custody.crosswalk import CrosswalkLevel, CrosswalkRow
from service.web.api.shapes import Shape, Text


class CrosswalkQuery(Shape):
    """Which part of a crosswalk."""

    level: CrosswalkLevel = Field(CrosswalkLevel.PATIENT, description="Whose identifiers")
    after: Text = Field("", max_length=64, description="The next of the page before")
    limit: int = Field(1000, ge=1, le=10_000, description="How many at most")


class CrosswalkRowShape(Shape):
    """One identifier as it came and as it is served."""

    id_old: str = Field(description="As it came")
    id_new: str = Field(description="As it is served")
    issuer_old: str = Field(description="Issuer of a Patient ID as it came")


class CrosswalkPageShape(Shape):
    """A part of a crosswalk, in the order of the served identifiers."""

    rows: list[CrosswalkRowShape] = Field(description="The identifiers")
    next: str | None = Field(description="What to ask for rows after; none where this is the end")

    @classmethod
    def of(cls, rows: Iterator[CrosswalkRow], limit: int) -> Self:
        """From rows of the crosswalk; all identifiers of the last patient come with it, also beyond the limit."""
        shapes: list[CrosswalkRowShape] = []
        for row in rows:
            if len(shapes) >= limit and row.new != shapes[-1].id_new:
                return cls(rows=shapes, next=shapes[-1].id_new)
            shapes.append(CrosswalkRowShape(id_old=row.old, id_new=row.new, issuer_old=row.issuer))
        return cls(rows=shapes, next=None)
