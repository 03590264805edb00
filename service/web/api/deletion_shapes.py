"""What people delete and restore."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from service.core.deletion import LONGEST_REASON, DeletionRow
from service.web.api.shapes import Moment, ProjectPage, Shape, Text, moment, moment_or_none

DeletionStateWord = Literal["trashed", "restored", "removing", "removed"]


class DeletionPage(ProjectPage):
    """Which deletions."""

    state: DeletionStateWord | None = Field(None, description="Only those in this state")
    study: Text | None = Field(None, max_length=64, description="Only those of this study, by its UID as served")


class NewDeletion(Shape):
    """What is to be deleted: a study, or one series or instance of it."""

    study_uid: Text = Field(max_length=64, description="Study Instance UID, as served")
    series_uid: Text = Field("", max_length=64, description="Series Instance UID, to delete one series alone")
    sop_instance_uid: Text = Field("", max_length=64, description="SOP Instance UID, to delete one instance alone")
    reason: Text = Field("", max_length=LONGEST_REASON, description="In words for colleagues; no name of a patient")


class DeletionShape(Shape):
    """One deletion."""

    id: int = Field(description="Its number")
    project: str = Field(description="The project")
    level: str = Field(description="study, series or instance")
    study_uid: str = Field(description="Study Instance UID, as served")
    series_uid: str = Field(description="Series Instance UID; empty where the study was deleted")
    sop_instance_uid: str = Field(description="SOP Instance UID; empty where more was deleted")
    state: str = Field(description="trashed, restored, removing or removed")
    instances: int = Field(description="How many instances it took")
    size: int = Field(description="How many bytes their files have")
    reason: str = Field(description="Why")
    deleted_at: Moment = Field(description="When")
    deleted_by: str = Field(description="By whom")
    remove_at: Moment = Field(description="Until when it can be restored; then it is removed for good")
    ended_at: Moment | None = Field(description="When it was restored or removed")
    ended_by: str = Field(description="By whom; the gateway itself where its time was over")

    @classmethod
    def of(cls, row: DeletionRow) -> Self:
        """From a row of the index."""
        names = ("id", "project", "study_uid", "series_uid", "sop_instance_uid", "instances", "size", "reason")
        return cls(
            **{name: getattr(row, name) for name in (*names, "deleted_by", "ended_by")},
            level=row.place.level.value,
            state=row.state.value,
            deleted_at=moment(row.at),
            remove_at=moment(row.remove_at),
            ended_at=moment_or_none(row.ended_at),
        )


class DeletionList(Shape):
    """A part of a project's deletions, the newest first."""

    deletions: list[DeletionShape] = Field(description="The deletions")
