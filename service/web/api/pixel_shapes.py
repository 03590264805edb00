"""Objects whose pixels wait for a person: where something was found, and what the person has blackened."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from service.ingest.pixel_case import MOST_REGIONS, PixelCase, Region
from service.web.api.shapes import Shape, Whole

_LARGEST = 1 << 31


class RegionShape(Shape):
    """A rectangle of pixels."""

    x: Whole = Field(description="Column of its first pixel, from 0", ge=-_LARGEST, lt=_LARGEST)
    y: Whole = Field(description="Row of its first pixel, from 0", ge=-_LARGEST, lt=_LARGEST)
    width: Whole = Field(description="Columns", ge=1, lt=_LARGEST)
    height: Whole = Field(description="Rows", ge=1, lt=_LARGEST)
    frame: Whole | None = Field(None, description="The frame, from 1; null for every frame", ge=1, lt=_LARGEST)

    def region(self) -> Region:
        """As ingest knows it."""
        return Region(self.x, self.y, self.width, self.height, self.frame)


class FoundRegionShape(RegionShape):
    """A rectangle of pixels that something named."""

    origin: str = Field(description="What named it: text, a device rule, ultrasound regions")


class PixelCaseShape(Shape):
    """What a person is told of an object's pixels; never what a text read."""

    rows: int = Field(description="Rows of each frame")
    columns: int = Field(description="Columns of each frame")
    frames: int = Field(description="How many frames there are")
    regions: list[FoundRegionShape] = Field(description="Where to look")
    picture: str = Field(description="Address of a frame as PNG, which may show who the patient is; add ?frame=")

    @classmethod
    def of(cls, case: PixelCase, quarantine_id: str) -> Self:
        """From what is kept with the object."""
        regions = [
            FoundRegionShape(
                x=found.x,
                y=found.y,
                width=found.width,
                height=found.height,
                frame=found.frame,
                origin=found.origin.value,
            )
            for found in case.regions
        ]
        picture = f"/quarantine/{quarantine_id}/picture"
        return cls(rows=case.rows, columns=case.columns, frames=case.frames, regions=regions, picture=picture)


class SeenRelease(Shape):
    """What a person decided who has seen the pixels of an object."""

    seen: Literal[True] = Field(
        description="That a person looked at every frame, and outside of the regions nothing tells who the patient is"
    )
    regions: list[RegionShape] = Field(
        default_factory=list, description="What is blackened; empty releases it as it is", max_length=MOST_REGIONS
    )
