"""What could not be processed, and what came again with other content."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from service.core.archived import ConflictRow, QuarantineRow
from service.core.records import Outcome
from service.web.api.shapes import Moment, ProjectPage, Shape, moment, moment_or_none

QuarantineState = Literal["held", "released", "discarded", "expired"]


class QuarantinePage(ProjectPage):
    """Which objects in quarantine."""

    state: QuarantineState = Field("held", description="Only those in this state")


class QuarantineShape(Shape):
    """An object that could not be processed; nothing of its content."""

    id: str = Field(description="What it is called here")
    project: str = Field(description="The project that it came for")
    state: QuarantineState = Field(description="What was decided")
    failure_reason: int = Field(description="The DIMSE status of what was wrong")
    reason: str = Field(description="What was wrong, in words")
    source: str = Field(description="How it came: dimse or stow")
    calling_ae_title: str = Field(description="Who sent it")
    sop_class_uid: str = Field(description="What it said that it is")
    transfer_syntax_uid: str = Field(description="How it is encoded")
    size: int = Field(description="Its length in bytes")
    times_seen: int = Field(description="How many times it came")
    received_at: Moment = Field(description="When it came last")
    decided_at: Moment | None = Field(description="When it was decided on")
    decided_by: str = Field(description="Who decided")

    @classmethod
    def of(cls, row: QuarantineRow) -> Self:
        """From a row of the index."""
        names = ("id", "project", "state", "failure_reason", "reason", "source", "calling_ae_title", "sop_class_uid")
        values = {name: getattr(row, name) for name in (*names, "transfer_syntax_uid", "size", "times_seen")}
        return cls(
            **values,
            received_at=moment(row.received_at),
            decided_at=moment_or_none(row.decided_at),
            decided_by=row.decided_by,
        )


class QuarantineList(Shape):
    """A part of a project's quarantine, the newest first."""

    entries: list[QuarantineShape] = Field(description="The objects")


class Release(Shape):
    """What became of an object that was processed again."""

    outcome: str = Field(
        description="archived, duplicate, kept-first, replaced, own-object, dropped, in-trash or quarantined"
    )
    study_uid: str = Field(description="Study Instance UID, as served")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    reason: str = Field(description="Why it cannot be processed still")

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """From what ingest says."""
        return cls(
            outcome=outcome.kind.value,
            study_uid=outcome.study_uid,
            sop_instance_uid=outcome.sop_instance_uid,
            reason=outcome.reason,
        )


class ConflictShape(Shape):
    """An instance that came again with other content."""

    project: str = Field(description="The project")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    action: str = Field(description="What was done")
    calling_ae_title: str = Field(description="Who sent it")
    at: Moment = Field(description="When, the last time")
    times_seen: int = Field(description="How often")

    @classmethod
    def of(cls, row: ConflictRow) -> Self:
        """From a row of the index."""
        return cls(
            project=row.project,
            sop_instance_uid=row.sop_instance_uid,
            action=row.action,
            calling_ae_title=row.calling_ae_title,
            at=moment(row.at),
            times_seen=row.times_seen,
        )


class ConflictList(Shape):
    """A part of a project's conflicts, the newest first."""

    conflicts: list[ConflictShape] = Field(description="The conflicts")
