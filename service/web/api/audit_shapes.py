"""The audit trail."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from service.archive.audit import AuditRow, AuditVerdict
from service.web.api.shapes import GREATEST_NUMBER, AskedMoment, Moment, Shape, Text, moment


class AuditSearch(Shape):
    """What to look for in the audit trail."""

    actor: Text | None = Field(None, max_length=64, description="User, token or AE title")
    action: Text | None = Field(None, max_length=64, description="An action, or a family of them: quarantine.")
    project: Text | None = Field(None, max_length=64, description="Only rows of this project")
    object: Text | None = Field(None, max_length=200, description="A study's UID as served, or what lies below it")
    since: AskedMoment | None = Field(None, description="Not before this time")
    until: AskedMoment | None = Field(None, description="Before this time")
    failures_only: bool = Field(False, description="Only what was refused or failed")
    before: int | None = Field(
        None, ge=1, le=GREATEST_NUMBER, description="Only rows before this id, to go on in an earlier answer"
    )
    limit: int = Field(100, ge=1, le=1000, description="How many at most")


class AuditShape(Shape):
    """One row of the audit trail."""

    id: int = Field(description="Its number")
    at: Moment = Field(description="When")
    actor: str = Field(description="Who")
    address: str = Field(description="From where")
    action: str = Field(description="What")
    outcome: Literal[0, 4, 8, 12] = Field(description="Event Outcome Indicator: 0 success, 4, 8, 12 failures")
    project: str = Field(description="In which project")
    object: str = Field(description="On what: UIDs as served, or an id")
    detail: dict[str, Any] = Field(description="What else is known")

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """From a row of the trail."""
        return cls(
            id=row.id,
            at=moment(row.at),
            actor=row.actor,
            address=row.address,
            action=row.action,
            outcome=row.outcome.value,
            project=row.project,
            object=row.target,
            detail=dict(row.detail),
        )


class AuditList(Shape):
    """Rows of the audit trail, the newest first."""

    rows: list[AuditShape] = Field(description="The rows")


class AuditVerdictShape(Shape):
    """Whether the chain of the audit trail holds."""

    intact: bool = Field(description="No row was changed, inserted, or removed before another")
    rows: int = Field(description="How many rows hold")
    first_broken_id: int | None = Field(description="The first row that does not")
    head: str = Field(description="The newest link; keep it elsewhere to notice rows cut off at the end")

    @classmethod
    def of(cls, verdict: AuditVerdict) -> Self:
        """From the trail's own verdict."""
        return cls(intact=verdict.intact, rows=verdict.rows, first_broken_id=verdict.first_broken_id, head=verdict.head)
