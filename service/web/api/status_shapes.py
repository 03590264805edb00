"""What happens inside, in counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from service.archive.overview import Counts
from service.web.api.shapes import Shape


class TallyShape(Shape):
    """How many of something stand in one state, in one project."""

    project: str = Field(description="The project")
    state: str = Field(description="The state, or the name of what was counted")
    count: int = Field(description="How many")


class Status(Shape):
    """What happens inside, in counts."""

    version: str = Field(description="The program's version")
    projects: list[str] = Field(description="The projects that you may see")
    studies: list[TallyShape] = Field(description="Studies by state")
    instances: list[TallyShape] = Field(description="Instances that are stored")
    intake: list[TallyShape] = Field(description="Received objects by how far they came")
    runs: list[TallyShape] = Field(description="Annotator runs by state")
    quarantine: list[TallyShape] = Field(description="Objects that could not be processed")
    conflicts: list[TallyShape] = Field(description="Instances that came again with other content")
    trash: list[TallyShape] = Field(description="Instances in the trash, by the state of their deletion")
    workitems: list[TallyShape] = Field(description="Work items that are not ended, by state")
    counters: list[TallyShape] = Field(description="What else was counted")
    notices: list[str] = Field(description="What somebody should do before it hurts")

    @classmethod
    def of(cls, version: str, projects: list[str], counts: Counts, notices: Sequence[str]) -> Self:
        """From the counts of the projects in sight."""
        tallies = {
            name: [TallyShape(project=row.project, state=row.state, count=row.count) for row in getattr(counts, name)]
            for name in Counts.__slots__
        }
        return cls(version=version, projects=projects, notices=list(notices), **tallies)
