"""Measurement groups of a finding: its drawn lines first (TID 1501), its regions and its volume after them.

OHIF merges groups by their tracking UID, throws on one that has no coordinates at all, and lists a group whose Tracking
Identifier names one of its tools: ``Cornerstone3DTools@^0.1.0:Bidirectional:Nodule 1``. It takes a Bidirectional by the
meanings Long Axis and Short Axis, a Length from the group's first number, and the label from the comment. So every
finding has a line, its own or the largest extent of its mask, and the same tracking pair in each group and segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.core.findings import Finding, Line, Measurement, Point
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.box_outline import outline_on
from service.objects.content_items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    code,
    container,
    image,
    image_reference,
    num,
    scoord,
    scoord3d,
    text,
    uidref,
)
from service.objects.drawn_axis import largest_axial_extent
from service.objects.image_plane import ImagePlane, nearest_plane, planes_of, slice_distance_mm
from service.objects.tracking import AXES, drawn_axes, drawn_measurements, points_tracking_uid, tracking_identifier


@dataclass(frozen=True, slots=True, eq=False)
class GroupSurroundings:
    """What the groups of one report share: the volume, its planes, and the segmentation that they refer to."""

    volume: Volume
    planes: tuple[ImagePlane, ...]
    segmentation: Dataset | None

    @classmethod
    def around(cls, volume: Volume, segmentation: Dataset | None) -> GroupSurroundings:
        """Made once a report."""
        return cls(volume, planes_of(volume), segmentation)

    def plane_through(self, points: Sequence[Point]) -> ImagePlane | None:
        """The slice on which the points lie (to half a slice distance), None where they leave it."""
        distance = slice_distance_mm(self.volume) if len(self.planes) > 1 else 1.0
        plane = nearest_plane(self.planes, points)
        return plane if max(plane.distance_mm(point) for point in points) <= distance / 2 + 1e-6 else None

    def line(self, line: Line) -> Dataset:
        """A line as SCOORD on its slice, or as SCOORD3D where it runs through slices (TID 320)."""
        ends = (line.start, line.end)
        plane = self.plane_through(ends)
        if plane is None:
            return scoord3d("POLYLINE", ends, self.volume.frame_of_reference_uid)
        return scoord("POLYLINE", ends, plane)

    def polygon(self, label: str, points: Sequence[Point]) -> Dataset:
        """A closed outline on its slice as Image Region (TID 1410 row 5).

        Raises
        ------
        ObjectInvalid : it lies on no slice
        """
        plane = self.plane_through(points)
        if plane is None:
            raise ObjectInvalid(f"{label}: a contour lies on no slice of its series")
        return scoord("POLYLINE", (*points, points[0]), plane, name=concepts.IMAGE_REGION, relationship=CONTAINS)


@dataclass(slots=True, eq=False)
class _Part:
    """One group in the making: what stands before the finding site, its numbers, and what stands after them."""

    template: str
    tracking_uid: str
    regions: list[Dataset] = field(default_factory=list)
    numbers: list[Dataset] = field(default_factory=list)
    shapes: list[Dataset] = field(default_factory=list)


def groups_of(finding: Finding, segment_number: int | None, surroundings: GroupSurroundings) -> Iterator[Dataset]:
    """The measurement groups of one finding.

    Raises
    ------
    ObjectInvalid : nothing of the finding has a place
    """
    parts = list(_line_parts(finding, surroundings))
    parts += _point_parts(finding, surroundings, points_tracking_uid(finding.tracking_uid) if parts else None)
    parts += _region_parts(finding, surroundings)
    if segment_number is not None:
        parts.append(_volume_part(finding, segment_number, surroundings))
    if not parts:
        raise ObjectInvalid(f"{finding.label}: a finding without mask, line, point, box or contour has no place")
    carrier = parts[-1] if segment_number is not None else parts[0]
    carrier.numbers += [_number(one) for one in finding.measurements if one.line is None] + _certainty(finding)
    for part in parts:
        yield _group(finding, part, with_label=part is parts[0], with_answers=part is carrier)


def _group(finding: Finding, part: _Part, *, with_label: bool, with_answers: bool) -> Dataset:
    """The container, its rows in the order of the templates."""
    # Finding Site stands in TID 1419 for regions, which is not there without a number.
    sites = _sites(finding) if part.template == "1501" or part.numbers else []
    answers = _answers(finding) if with_answers else []
    comment = [text(concepts.COMMENT, finding.label)] if with_label else []
    rows = [*_head(finding, part.tracking_uid), *part.regions, *sites, *part.numbers, *part.shapes, *answers, *comment]
    return container(concepts.MEASUREMENT_GROUP, rows, template=part.template)


def _head(finding: Finding, tracking_uid: str) -> list[Dataset]:
    return [
        text(concepts.TRACKING_IDENTIFIER, tracking_identifier(finding), relationship=HAS_OBS_CONTEXT),
        uidref(concepts.TRACKING_UID, tracking_uid, relationship=HAS_OBS_CONTEXT),
        code(concepts.FINDING_CATEGORY, finding.category),
        code(concepts.FINDING, finding.type),
    ]


def _sites(finding: Finding) -> list[Dataset]:
    if finding.site is None:
        return []
    sides = [] if finding.laterality is None else [_modifier(concepts.LATERALITY, finding.laterality)]
    return [code(concepts.FINDING_SITE, finding.site, relationship=HAS_CONCEPT_MOD, children=sides)]


def _answers(finding: Finding) -> list[Dataset]:
    """Qualitative evaluations; a side without a site is one of them."""
    side = [] if finding.laterality is None or finding.site else [code(concepts.LATERALITY, finding.laterality)]
    return side + [
        code(one.name, one.value) if isinstance(one.value, Code) else text(one.name, one.value)
        for one in finding.evaluations
    ]


def _modifier(name: Code, value: Code) -> Dataset:
    return code(name, value, relationship=HAS_CONCEPT_MOD)


def _number(measurement: Measurement, coordinates: Dataset | None = None, name: Code | None = None) -> Dataset:
    """A NUM with its method and derivation, inferred from what was drawn (TID 300, TID 1419)."""
    children = []
    if measurement.method is not None:
        children.append(_modifier(concepts.MEASUREMENT_METHOD, measurement.method))
    if measurement.derivation is not None:
        children.append(_modifier(concepts.DERIVATION, measurement.derivation))
    if coordinates is not None:
        children.append(coordinates)
    return num(name or measurement.name, measurement.value, measurement.unit, children=children)


def _certainty(finding: Finding) -> list[Dataset]:
    if finding.confidence is None:
        return []
    return [num(concepts.CERTAINTY, finding.confidence * 100, concepts.PERCENT)]


def _line_parts(finding: Finding, surroundings: GroupSurroundings) -> Iterator[_Part]:
    """Both axes together, any other drawn line by itself; a mask without any gets its largest extent."""
    drawn, axes, uid = drawn_measurements(finding), drawn_axes(finding), finding.tracking_uid
    pair = axes if len(axes) == len(AXES) else []
    if pair:
        yield _Part("1501", uid, numbers=[_drawn_number(one, surroundings) for one in pair])
    for measurement in drawn:
        if all(measurement is not one for one in pair):
            yield _Part("1501", uid, numbers=[_drawn_number(measurement, surroundings)])
    bare = [line for line in finding.lines if all(line != one.line for one in drawn)]
    if not drawn and not bare and finding.mask is not None:
        longest = largest_axial_extent(finding.mask, surroundings.volume)
        yield _length_part(uid, concepts.LONG_AXIS, longest, surroundings)
    for line in bare:
        yield _length_part(uid, concepts.LENGTH, line, surroundings)


def _drawn_number(measurement: Measurement, surroundings: GroupSurroundings) -> Dataset:
    if measurement.line is None:
        raise ObjectInvalid(f"{measurement.name.meaning} has no line")
    name = next((axis for axis in AXES if concepts.same(axis, measurement.name)), measurement.name)
    return _number(measurement, surroundings.line(measurement.line), name)


def _length_part(uid: str, name: Code, line: Line, surroundings: GroupSurroundings) -> _Part:
    length = num(name, line.length_mm, concepts.MILLIMETRE, children=[surroundings.line(line)])
    return _Part("1501", uid, numbers=[length])


def _point_parts(finding: Finding, surroundings: GroupSurroundings, own_uid: str | None) -> Iterator[_Part]:
    """Points as coordinates of TID 1501 rows 10c and 10e, tracked by themselves where there are lines."""
    shapes = []
    for point in finding.points:
        plane = surroundings.plane_through([point])
        if plane is None:
            reference = surroundings.volume.frame_of_reference_uid
            shapes.append(scoord3d("POINT", [point], reference, name=concepts.CENTER, relationship=CONTAINS))
        else:
            shapes.append(scoord("POINT", [point], plane, name=concepts.CENTER, relationship=CONTAINS))
    if shapes:
        yield _Part("1501", own_uid or finding.tracking_uid, shapes=shapes)


def _region_parts(finding: Finding, surroundings: GroupSurroundings) -> Iterator[_Part]:
    """Contours and cut boxes: one is a planar region (TID 1410), several are a volume's (TID 1411 row 5)."""
    regions = [surroundings.polygon(finding.label, contour.points) for contour in finding.contours]
    for box in finding.boxes:
        middle = tuple((low + high) / 2 for low, high in zip(box.low, box.high, strict=True))
        plane = nearest_plane(surroundings.planes, [(middle[0], middle[1], middle[2])])
        regions.append(surroundings.polygon(finding.label, outline_on(plane, box)))
    if regions:
        yield _Part("1410" if len(regions) == 1 else "1411", finding.tracking_uid, regions=regions)


def _volume_part(finding: Finding, segment_number: int, surroundings: GroupSurroundings) -> _Part:
    """The segment, and the series that it was drawn on (TID 1411 rows 7 and 12)."""
    if surroundings.segmentation is None:
        raise ObjectInvalid("a segment is referred to, but there is no segmentation")
    reference = image_reference(surroundings.segmentation.SOPClassUID, surroundings.segmentation.SOPInstanceUID)
    reference.ReferencedSegmentNumber = segment_number
    return _Part(
        "1411",
        finding.tracking_uid,
        regions=[
            image(reference, name=concepts.REFERENCED_SEGMENT),
            uidref(concepts.SOURCE_SERIES, surroundings.volume.series_uid),
        ],
    )
