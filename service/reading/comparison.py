"""What one version of annotations says otherwise than another: per finding accepted, changed, added or removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from service.core.annotations import AnnotationSet
from service.core.codes import Code
from service.core.findings import Evaluation, Finding, Measurement
from service.core.geometry import ImagePlace, Shape
from service.reading.overlap import Overlap, dice_of, distance_apart, overlap_of

SpacingOf = Callable[[ImagePlace], tuple[float, float] | None]

LEAST_DICE: Final = 0.1
"""Masks that share so much are the same thing under another tracking UID: viewers give new ones when they save."""
LEAST_REACH: Final = 5.0
"""Millimetres or pixels. What was drawn under another tracking UID is the same thing where it was moved by no more than
this or its own extent, whichever is more."""
_ROUNDING: Final = 1e-3
"""Of a millimetre or pixel: what is left of a coordinate in 32 bits is no change."""


class Change(StrEnum):
    """What became of a finding."""

    ACCEPTED = "accepted"
    """It says the same as before."""
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise; in words, empty where there is nothing.

    Parameters
    ----------
    distance_mm : how far what was drawn has moved; None where nothing was drawn, or the image has no spacing
    """

    what: str
    before: str
    after: str
    distance_mm: float | None = None


@dataclass(frozen=True, slots=True)
class FindingChange:
    """What became of one finding.

    Parameters
    ----------
    overlap : of both masks, where there are two
    tracking_uid_before : of the earlier finding, where it had another
    """

    change: Change
    label: str
    tracking_uid: str
    differences: tuple[Difference, ...] = ()
    overlap: Overlap | None = None
    tracking_uid_before: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side; findings in the order of the earlier, added ones after them."""

    findings: tuple[FindingChange, ...]
    reading: tuple[Difference, ...]
    """What is said of the study, its series and images, and of the whole."""

    def count(self, change: Change) -> int:
        """How many findings became this."""
        return sum(one.change is change for one in self.findings)


def compare(
    before: AnnotationSet,
    after: AnnotationSet,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    spacing_of: SpacingOf = lambda _: None,
) -> Comparison:
    """What the later says otherwise.

    Parameters
    ----------
    spacing_mm : of the volume that masks lie in, between slices, rows and columns
    spacing_of : Pixel Spacing of an image, between rows and columns; None where it has none
    """
    pairs, added = _pairs(before.findings, after.findings, spacing_of)
    changes = [_change(one, other, spacing_mm, spacing_of) for one, other in pairs]
    changes += [FindingChange(Change.ADDED, one.label, one.tracking_uid) for one in added]
    return Comparison(tuple(changes), tuple(_said(before, after)))


def _pairs(
    before: Sequence[Finding], after: Sequence[Finding], spacing_of: SpacingOf
) -> tuple[list[tuple[Finding, Finding | None]], list[Finding]]:
    """Each earlier finding with the later one that is the same thing, if any; and the later ones that are new."""
    left = list(after)
    pairs: list[tuple[Finding, Finding | None]] = []
    for one in before:
        same = next((other for other in left if other.tracking_uid and other.tracking_uid == one.tracking_uid), None)
        if same is not None:
            left.remove(same)
        pairs.append((one, same))
    for number, (one, same) in enumerate(pairs):
        if same is None and (found := _most_alike(one, left, spacing_of)) is not None:
            left.remove(found)
            pairs[number] = (one, found)
    return pairs, left


def _most_alike(finding: Finding, others: Sequence[Finding], spacing_of: SpacingOf) -> Finding | None:
    """The one whose mask shares most, or that was drawn nearest: viewers save under new tracking UIDs."""
    if finding.mask is None:
        return _nearest(finding, others, spacing_of)
    mask = finding.mask
    alike = [(dice_of(mask, other.mask), -number) for number, other in enumerate(others) if other.mask is not None]
    if not alike or max(alike)[0] < LEAST_DICE:
        return None
    return others[-max(alike)[1]]


def _nearest(finding: Finding, others: Sequence[Finding], spacing_of: SpacingOf) -> Finding | None:
    """The one drawn on the same image with the same shapes that lies nearest, if it is within reach."""
    mine = _all_shapes(finding)
    apart: list[tuple[float, int]] = []
    for number, other in enumerate(others):
        theirs = _all_shapes(other)
        if not mine or [(one.kind, one.place) for one in mine] != [(one.kind, one.place) for one in theirs]:
            continue
        distance = max(_moved(one, two, spacing_of) for one, two in zip(mine, theirs, strict=True))
        if distance <= max(LEAST_REACH, *(_extent(one, spacing_of) for one in mine)):
            apart.append((distance, number))
    return others[min(apart)[1]] if apart else None


def _all_shapes(finding: Finding) -> list[Shape]:
    return [*finding.shapes, *(one.shape for one in finding.measurements if one.shape is not None)]


def _extent(shape: Shape, spacing_of: SpacingOf) -> float:
    """The longer side of the box round a shape, in what `_moved` is in."""
    points = np.array(shape.points, dtype=float)
    if not points.size:
        return 0.0
    sides = points.max(axis=0) - points.min(axis=0)
    if shape.on_image is not None:
        row, column = _spacing(shape, spacing_of) or (1.0, 1.0)
        sides = sides[:2] * (column, row)
    return float(sides.max())


def _change(
    before: Finding, after: Finding | None, spacing_mm: tuple[float, float, float], spacing_of: SpacingOf
) -> FindingChange:
    if after is None:
        return FindingChange(Change.REMOVED, before.label, before.tracking_uid)
    overlap = None
    if before.mask is not None and after.mask is not None:
        overlap = overlap_of(before.mask, after.mask, spacing_mm)
    differences = (*_attributes(before, after), *_drawn(before, after, spacing_of), *_masks(before, after, overlap))
    change = Change.CHANGED if differences else Change.ACCEPTED
    was = before.tracking_uid if before.tracking_uid != after.tracking_uid else ""
    return FindingChange(change, after.label, after.tracking_uid, differences, overlap, was)


def _attributes(before: Finding, after: Finding) -> Iterator[Difference]:
    for what in ("label", "category", "type", "site", "laterality", "confidence", "comment"):
        one, other = _words(getattr(before, what)), _words(getattr(after, what))
        if one != other:
            yield Difference(what, one, other)
    yield from _lists(
        "answer", [_answer(one) for one in before.evaluations], [_answer(one) for one in after.evaluations]
    )


def _drawn(before: Finding, after: Finding, spacing_of: SpacingOf) -> Iterator[Difference]:
    """Measurements by their names, other shapes in their order."""
    left = list(after.measurements)
    for one in before.measurements:
        other = next((two for two in left if _same_name(one, two)), None)
        if other is None:
            yield Difference(one.name.meaning, _number(one), "")
            continue
        left.remove(other)
        moved = _moved(one.shape, other.shape, spacing_of)
        if _number(one) != _number(other) or moved:
            yield Difference(one.name.meaning, _number(one), _number(other), _millimetres(one.shape, moved, spacing_of))
    for other in left:
        yield Difference(other.name.meaning, "", _number(other))
    yield from _shapes(before.shapes, after.shapes, spacing_of)


def _shapes(before: Sequence[Shape], after: Sequence[Shape], spacing_of: SpacingOf) -> Iterator[Difference]:
    """Shapes that moved are told as one difference: a shape is the same when kind and place are."""
    left = list(after)
    for one in before:
        other = next((two for two in left if (two.kind, two.place) == (one.kind, one.place)), None)
        if other is None:
            yield Difference(str(one.kind), "drawn", "")
            continue
        left.remove(other)
        if moved := _moved(one, other, spacing_of):
            yield Difference(str(one.kind), "drawn", "drawn elsewhere", _millimetres(one, moved, spacing_of))
    for other in left:
        yield Difference(str(other.kind), "", "drawn")


def _masks(before: Finding, after: Finding, overlap: Overlap | None) -> Iterator[Difference]:
    if (before.mask is None) != (after.mask is None):
        yield Difference("mask", "" if before.mask is None else "painted", "" if after.mask is None else "painted")
    elif overlap is not None and overlap.dice < 1:
        yield Difference("mask", "painted", "painted otherwise", overlap.hausdorff_mm)


def _said(before: AnnotationSet, after: AnnotationSet) -> Iterator[Difference]:
    for what in ("stated_outcome", "summary", "comment", "protocol"):
        one, other = getattr(before, what), getattr(after, what)
        if one != other:
            yield Difference(what.removeprefix("stated_"), _words(one), _words(other))
    yield from _lists(
        "answer",
        [f"{_answer(one)} ({one.target})" for one in before.answers],
        [f"{_answer(one)} ({one.target})" for one in after.answers],
    )


def _lists(what: str, before: list[str], after: list[str]) -> Iterator[Difference]:
    """Words that are in one list alone."""
    for words in before:
        if words not in after:
            yield Difference(what, words, "")
    for words in after:
        if words not in before:
            yield Difference(what, "", words)


def _moved(one: Shape | None, other: Shape | None, spacing_of: SpacingOf) -> float:
    """How far a shape has moved; infinite where it was drawn on another image, or not at all."""
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    if one.place != other.place:
        return float("inf")
    distance = distance_apart(one, other, _spacing(one, spacing_of) or (1.0, 1.0))
    return distance if distance > _ROUNDING else 0.0


def _millimetres(shape: Shape | None, moved: float, spacing_of: SpacingOf) -> float | None:
    if shape is None or moved == float("inf"):
        return None
    return moved if shape.on_image is None or _spacing(shape, spacing_of) else None


def _spacing(shape: Shape, spacing_of: SpacingOf) -> tuple[float, float] | None:
    return None if shape.on_image is None else spacing_of(shape.on_image)


def _same_name(one: Measurement, other: Measurement) -> bool:
    return (one.name.value, one.name.scheme, one.derivation, one.unit.value) == (
        other.name.value,
        other.name.scheme,
        other.derivation,
        other.unit.value,
    )


def _number(measurement: Measurement) -> str:
    return f"{measurement.value:.6g} {measurement.unit.value}"


def _answer(answer: Evaluation | object) -> str:
    name, value = getattr(answer, "name", None), getattr(answer, "value", None)
    return f"{_words(name)}: {_words(value)}"


def _words(value: object) -> str:
    if isinstance(value, Code):
        return value.meaning
    return "" if value is None else str(value)
