"""The tracking pair's text: what OHIF needs to find in it, and the label that people know."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_OID, uuid5

from service.core.findings import Finding, Measurement
from service.core.geometry import Shape, ShapeKind
from service.objects import concepts

_TOOLS: Final = "Cornerstone3DTools@"
_VERSION: Final = "^0.1.0"
AXES: Final = (concepts.LONG_AXIS, concepts.SHORT_AXIS)
_TOOL_OF: Final = {
    ShapeKind.LINE: "Length",
    ShapeKind.ANGLE: "Angle",
    ShapeKind.COBB_ANGLE: "CobbAngle",
    ShapeKind.RECTANGLE: "RectangleROI",
    ShapeKind.CIRCLE: "CircleROI",
    ShapeKind.ELLIPSE: "EllipticalROI",
    ShapeKind.POLYGON: "PlanarFreehandROI",
    ShapeKind.FREEHAND: "PlanarFreehandROI",
    ShapeKind.POINT: "Probe",
    ShapeKind.KEYPOINTS: "Probe",
}
KIND_OF_TOOL: Final = {
    "Length": ShapeKind.LINE,
    "Angle": ShapeKind.ANGLE,
    "CobbAngle": ShapeKind.COBB_ANGLE,
    "RectangleROI": ShapeKind.RECTANGLE,
    "CircleROI": ShapeKind.CIRCLE,
    "EllipticalROI": ShapeKind.ELLIPSE,
    "PlanarFreehandROI": ShapeKind.FREEHAND,
    "SplineROI": ShapeKind.FREEHAND,
    "LivewireContour": ShapeKind.FREEHAND,
}
"""What a tool of OHIF draws, where its coordinates alone do not say."""


def tracking_identifier(finding: Finding) -> str:
    """What the finding is called in each group and segment; begins with the OHIF tool that can draw it."""
    return f"{_TOOLS}{_VERSION}:{_tool(finding)}:{finding.label}"


def points_tracking_uid(tracking_uid: str) -> str:
    """The tracking UID of a finding's points where it has lines as well; always the same one for a finding.

    OHIF merges the groups of one tracking UID and looks for all of their coordinates on one image, so points on another
    slice would take the finding's line off its panel.
    """
    return f"2.25.{uuid5(NAMESPACE_OID, f'{tracking_uid} points').int}"


def label_of(identifier: str) -> str:
    """The label within a tracking identifier, or all of one that another maker wrote."""
    parts = identifier.split(":", 2)
    return parts[2] if identifier.startswith(_TOOLS) and len(parts) > 2 else identifier


def tool_of(identifier: str) -> str:
    """The tool of OHIF that a tracking identifier names; empty in one that names none."""
    parts = identifier.split(":", 2)
    return parts[1] if identifier.startswith(_TOOLS) and len(parts) > 1 else ""


def drawn_measurements(finding: Finding) -> list[Measurement]:
    """The measurements that were taken from something drawn."""
    return [measurement for measurement in finding.measurements if measurement.shape is not None]


def bare_shapes(finding: Finding) -> list[Shape]:
    """What was drawn and not measured."""
    measured = [measurement.shape for measurement in finding.measurements]
    return [shape for shape in finding.shapes if shape not in measured]


def drawn_axes(finding: Finding) -> list[Measurement]:
    """The drawn long and short axis, in that order; fewer where one is missing."""
    drawn = drawn_measurements(finding)
    firsts = (next((one for one in drawn if concepts.same(one.name, axis)), None) for axis in AXES)
    return [measurement for measurement in firsts if measurement is not None]


def _tool(finding: Finding) -> str:
    if len(drawn_axes(finding)) == len(AXES):
        return "Bidirectional"
    drawn = [one.shape for one in drawn_measurements(finding) if one.shape is not None] or bare_shapes(finding)
    if finding.mask is not None and not any(shape.kind is ShapeKind.LINE for shape in drawn):
        return "Length"
    kinds = [shape.kind for shape in drawn]
    first = next((kind for kind in kinds if kind is ShapeKind.LINE), kinds[0] if kinds else ShapeKind.POLYGON)
    return _TOOL_OF.get(first, "PlanarFreehandROI")
