"""Versions of annotations, and what one says otherwise than another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field

from service.core.versions import LONGEST_REASON, VersionObject, VersionRow
from service.reading.comparison import Difference, FindingChange
from service.reading.overlap import Overlap
from service.versions.desk import ComparedVersions
from service.web.api.shapes import GREATEST_NUMBER, Moment, Shape, Text, Whole, moment


class VersionObjectShape(Shape):
    """One object of a version."""

    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    sop_class_uid: str = Field(description="SOP Class UID")
    series_uid: str = Field(description="Series Instance UID, as served")
    modality: str = Field(description="Modality")
    shown: bool = Field(description="Whether DICOMweb shows it")

    @classmethod
    def of(cls, one: VersionObject) -> Self:
        """From a row of the index."""
        names = ("sop_instance_uid", "sop_class_uid", "series_uid", "modality")
        return cls(**{name: getattr(one, name) for name in names}, shown=one.is_shown)


class VersionShape(Shape):
    """What one author said, at one time."""

    id: int = Field(description="Its number")
    line: int = Field(description="The number of the first version of the same thing by the same author")
    number: int = Field(description="In its line, from 1")
    newest: bool = Field(description="Whether it is the newest of its line")
    parent: int | None = Field(description="The version that it was made from, perhaps another author's")
    restored: int | None = Field(description="The earlier version that it says again")
    author: str = Field(description="The reader who made it, by name; empty where none did")
    annotator: str = Field(description="The model that made it; empty where none did")
    stored_by: str = Field(description="Who stored it over the web or from files, where that is not the author")
    sender: str = Field(description="AE title of the node that sent it; empty where none did")
    reason: str = Field(description="Why it was made, in words of whoever made it")
    protocol: str = Field(description="The reading protocol")
    protocol_version: str = Field(description="The version of the reading protocol")
    created_at: Moment = Field(description="When it came in")
    objects: list[VersionObjectShape] = Field(description="Its objects; what it left as it was is in earlier versions")

    @classmethod
    def of(cls, row: VersionRow, name_of: Callable[[str], str]) -> Self:
        """From a row of the index.

        Parameters
        ----------
        name_of : what an account is called
        """
        origin = row.origin
        names = ("id", "line", "number", "parent", "restored", "reason", "protocol", "protocol_version")
        return cls(
            **{name: getattr(row, name) for name in names},
            newest=row.is_newest,
            author=_called(origin.author, name_of),
            annotator=origin.annotator,
            stored_by="" if origin.stored_by == origin.author else _called(origin.stored_by, name_of),
            sender=origin.sender,
            created_at=moment(row.created_at),
            objects=[VersionObjectShape.of(one) for one in row.objects],
        )


def _called(account: str, name_of: Callable[[str], str]) -> str:
    return (name_of(account) or account) if account else ""


class VersionList(Shape):
    """The versions of a study, by line, the newest first."""

    versions: list[VersionShape] = Field(description="The versions")


class ComparisonQuery(Shape):
    """With what a version is compared."""

    to: Whole | None = Field(
        None,
        ge=1,
        le=GREATEST_NUMBER,
        description="The version to compare with, else that which it was made from",
    )


class PictureQuery(ComparisonQuery):
    """What is drawn."""

    finding: Text = Field(max_length=64, description="Tracking UID of the finding, as the later version has it")
    slice: Whole | None = Field(
        None, ge=0, le=GREATEST_NUMBER, description="Which, from 0; without it, the one that differs most"
    )


class Restoration(Shape):
    """Why a version is restored."""

    reason: Text = Field("", max_length=LONGEST_REASON, description="In words for colleagues; no name of a patient")


class DifferenceShape(Shape):
    """One thing that is otherwise."""

    what: str = Field(description="What: label, a measurement by its name, mask …")
    before: str = Field(description="What it was; empty where it was nothing")
    after: str = Field(description="What it is")
    distance_mm: float | None = Field(description="How far what was drawn has moved")

    @classmethod
    def of(cls, one: Difference) -> Self:
        """From a comparison."""
        return cls(what=one.what, before=one.before, after=one.after, distance_mm=_finite(one.distance_mm))


class OverlapShape(Shape):
    """How far two masks agree."""

    dice: float = Field(description="Twice what both share over what both have; 1 is the same")
    hausdorff_mm: float | None = Field(description="The farthest that a voxel of one lies from the other")
    surface_95_mm: float | None = Field(description="95 % of both surfaces lie no farther from each other")
    volume_difference: float = Field(description="Of the later over the earlier, as a share of the earlier")
    differing_slices: list[int] = Field(description="Slices, from 0, those that differ most first")

    @classmethod
    def of(cls, one: Overlap, *, has_spacing: bool) -> Self:
        """From a comparison; distances are nothing where images do not say how large their pixels are."""
        return cls(
            dice=one.dice,
            hausdorff_mm=_finite(one.hausdorff_mm) if has_spacing else None,
            surface_95_mm=_finite(one.surface_95_mm) if has_spacing else None,
            volume_difference=one.volume_difference,
            differing_slices=list(one.differing_slices),
        )


class FindingChangeShape(Shape):
    """What became of one finding."""

    change: Literal["accepted", "changed", "added", "removed"] = Field(description="What became of it")
    label: str = Field(description="What it is called")
    tracking_uid: str = Field(description="Joins the same thing across objects")
    differences: list[DifferenceShape] = Field(description="What is otherwise")
    overlap: OverlapShape | None = Field(description="Of its masks, where both versions have one")

    @classmethod
    def of(cls, one: FindingChange, *, has_spacing: bool) -> Self:
        """From a comparison."""
        return cls(
            change=one.change.value,
            label=one.label,
            tracking_uid=one.tracking_uid,
            differences=[DifferenceShape.of(difference) for difference in one.differences],
            overlap=None if one.overlap is None else OverlapShape.of(one.overlap, has_spacing=has_spacing),
        )


class ComparisonShape(Shape):
    """What a version says otherwise than an earlier one."""

    before: int = Field(description="The number of the earlier version")
    after: int = Field(description="The number of the later one")
    counts: dict[str, int] = Field(description="How many findings were accepted, changed, added, removed")
    findings: list[FindingChangeShape] = Field(description="Finding by finding")
    reading: list[DifferenceShape] = Field(description="What is said otherwise of the study, its series and images")

    @classmethod
    def of(cls, compared: ComparedVersions) -> Self:
        """From the desk."""
        changes = [FindingChangeShape.of(one, has_spacing=compared.has_spacing) for one in compared.comparison.findings]
        counts = {
            word: sum(one.change == word for one in changes) for word in ("accepted", "changed", "added", "removed")
        }
        return cls(
            before=compared.before.id,
            after=compared.after.id,
            counts=counts,
            findings=changes,
            reading=[DifferenceShape.of(one) for one in compared.comparison.reading],
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
