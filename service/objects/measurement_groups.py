"""Measurement groups of a finding: its drawn lines first (TID 1501), its regions and its volume after them.

OHIF merges groups by their tracking UID, throws on one that has no coordinates at all, and lists a group whose Tracking
Identifier names one of its tools: ``Cornerstone3DTools@^0.1.0:Bidirectional:Nodule 1``. It takes a Bidirectional by the
meanings Long Axis and Short Axis, a Length from the group's first number, and the label from the comment. So every
finding has coordinates, its own or the largest extent of its mask, and one tracking pair in all groups and segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import CLOSED_KINDS, ImagePlace, Shape, ShapeKind
from service.core.shape_sizes import angle_of, length_of
from service.core.source_frames import Space
from service.errors import ObjectInvalid
from service.objects import concepts, own_concepts
from service.objects.box_outline import outline_on
from service.objects.content_items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    INFERRED_FROM,
    code,
    container,
    image,
    image_reference,
    num,
    scoord3d,
    text,
    uidref,
)
from service.objects.drawn_axis import largest_axial_extent, largest_extent_on_frame
from service.objects.image_plane import nearest_plane
from service.objects.shape_items import (
    ALONE,
    ILLUSTRATION,
    coordinates,
    frames_item,
    kinds_item,
    naming_items,
    placed,
)
from service.objects.source_images import SourceImages
from service.objects.tracking import (
    AXES,
    bare_shapes,
    drawn_axes,
    drawn_measurements,
    points_tracking_uid,
    tool_of,
    tracking_identifier,
)

_NUMBERED: Final = frozenset({ShapeKind.LINE, ShapeKind.ANGLE, ShapeKind.COBB_ANGLE})
"""Kinds that the viewer lists by a number, which is computed where nobody gave one."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupSurroundings:
    """What the groups of one report share: the images, and the segmentation that they refer to."""

    sources: SourceImages
    segmentation: Dataset | None


@dataclass(slots=True, eq=False)
class _Part:
    """One group in the making: what stands before the finding site, its numbers, and what stands after them.

    ``kinds`` and ``shown`` are the coordinates of the group in the order of the document, in words and as items.
    """

    template: str
    tracking_uid: str
    regions: list[Dataset] = field(default_factory=list)
    numbers: list[Dataset] = field(default_factory=list)
    shapes: list[Dataset] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    shown: list[Dataset] = field(default_factory=list)
    names: list[Dataset] = field(default_factory=list)

    def draw(
        self,
        shape: Shape,
        surroundings: GroupSurroundings,
        word: str = "",
        *,
        name: Code | None = None,
        relationship: str = INFERRED_FROM,
    ) -> Dataset:
        """The coordinates of a shape, kept in mind as what ``word`` says they are."""
        item = coordinates(shape, surroundings.sources, name=name, relationship=relationship)
        self.kinds.append(word or str(shape.kind))
        self.shown.append(item)
        self.names += naming_items(shape)
        return item


def groups_of(finding: Finding, segment_number: int | None, surroundings: GroupSurroundings) -> Iterator[Dataset]:
    """The measurement groups of one finding.

    Raises
    ------
    ObjectInvalid : nothing of the finding has a place, or a shape lies where there is no image
    """
    bare = bare_shapes(finding)
    parts = list(_number_parts(finding, bare, surroundings))
    parts += _mark_parts(finding, bare, surroundings, points_tracking_uid(finding.tracking_uid) if parts else None)
    parts += _region_parts(finding, bare, surroundings)
    if segment_number is not None:
        parts.append(_volume_part(finding, segment_number, surroundings))
    if not parts:
        raise ObjectInvalid(f"{finding.label}: a finding without a mask and without a shape has no place")
    carrier = parts[-1] if segment_number is not None else parts[0]
    carrier.numbers += [_number(one) for one in finding.measurements if one.shape is None] + _certainty(finding)
    for part in parts:
        yield _group(finding, part, with_label=part is parts[0], with_answers=part is carrier)


def _group(finding: Finding, part: _Part, *, with_label: bool, with_answers: bool) -> Dataset:
    """The container, its rows in the order of the templates."""
    # For regions Finding Site is a row of TID 1419, which is not there without a number; the site is not to be lost.
    sites = _sites(finding)
    answers = _answers(finding) if with_answers else []
    session = _context(finding, [concepts.ACTIVITY_SESSION]) if with_answers else []
    time_point = _context(finding, concepts.TIME_POINT_CONTEXT) if with_answers else []
    words = [text(concepts.COMMENT, finding.label)] if with_label else []
    if with_label and finding.comment:
        words.append(text(own_concepts.FINDING_COMMENT, finding.comment))
    words += part.names + kinds_item(part.kinds, part.shown, tool_of(tracking_identifier(finding)))
    head = [*session, *_head(finding, part.tracking_uid), *time_point]
    rows = [*head, *part.regions, *sites, *part.numbers, *part.shapes, *answers, *words]
    return container(concepts.MEASUREMENT_GROUP, rows, template=part.template)


def _head(finding: Finding, tracking_uid: str) -> list[Dataset]:
    return [
        text(concepts.TRACKING_IDENTIFIER, tracking_identifier(finding), relationship=HAS_OBS_CONTEXT),
        uidref(concepts.TRACKING_UID, tracking_uid, relationship=HAS_OBS_CONTEXT),
        # Both are for the user to give (TID 1501 rows 3b and 4), and others' reports leave them out.
        *(
            code(name, said)
            for name, said in ((concepts.FINDING_CATEGORY, finding.category), (concepts.FINDING, finding.type))
            if said.value
        ),
    ]


def _sites(finding: Finding) -> list[Dataset]:
    if finding.site is None:
        return []
    sides = [] if finding.laterality is None else [_modifier(concepts.LATERALITY, finding.laterality)]
    return [code(concepts.FINDING_SITE, finding.site, relationship=HAS_CONCEPT_MOD, children=sides)]


def _answers(finding: Finding) -> list[Dataset]:
    """Qualitative evaluations; a side without a site is one of them."""
    side = [] if finding.laterality is None or finding.site else [code(concepts.LATERALITY, finding.laterality)]
    context = [concepts.ACTIVITY_SESSION, *concepts.TIME_POINT_CONTEXT]
    return side + [
        code(one.name, one.value) if isinstance(one.value, Code) else text(one.name, one.value)
        for one in finding.evaluations
        if not any(concepts.same(one.name, name) for name in context)
    ]


def _context(finding: Finding, names: Sequence[Code]) -> list[Dataset]:
    """Answers that say in which session or at what time the finding was made (rows 1b and 4)."""
    return [
        code(one.name, one.value, relationship=HAS_OBS_CONTEXT)
        if isinstance(one.value, Code)
        else text(one.name, one.value, relationship=HAS_OBS_CONTEXT)
        for one in finding.evaluations
        if any(concepts.same(one.name, name) for name in names)
    ]


def _modifier(name: Code, value: Code) -> Dataset:
    return code(name, value, relationship=HAS_CONCEPT_MOD)


def _number(measurement: Measurement, drawn: Dataset | None = None, name: Code | None = None) -> Dataset:
    """A NUM with its method and derivation, inferred from what was drawn (TID 300, TID 1419)."""
    children = []
    if measurement.method is not None:
        children.append(_modifier(concepts.MEASUREMENT_METHOD, measurement.method))
    if measurement.derivation is not None:
        children.append(_modifier(concepts.DERIVATION, measurement.derivation))
    if drawn is not None:
        children.append(drawn)
    return num(name or measurement.name, measurement.value, measurement.unit, children=children)


def _certainty(finding: Finding) -> list[Dataset]:
    if finding.confidence is None:
        return []
    return [num(concepts.CERTAINTY, finding.confidence * 100, concepts.PERCENT)]


def _number_parts(finding: Finding, bare: list[Shape], surroundings: GroupSurroundings) -> Iterator[_Part]:
    """Both axes together, any other drawn measurement by itself; a mask without any gets its largest extent."""
    drawn, axes, uid = drawn_measurements(finding), drawn_axes(finding), finding.tracking_uid
    pair = axes if len(axes) == len(AXES) else []
    for together in [pair] if pair else []:
        yield _measured_part(uid, together, surroundings)
    for measurement in drawn:
        if all(measurement is not one for one in pair):
            yield _measured_part(uid, [measurement], surroundings)
    alone = [shape for shape in bare if shape.kind in _NUMBERED]
    longest = None if drawn or alone or finding.mask is None else _longest(finding.mask, surroundings.sources)
    if longest is not None:
        yield _computed_part(uid, concepts.LONG_AXIS, longest, ILLUSTRATION, surroundings)
    for shape in alone:
        yield _computed_part(uid, concepts.NUMBER_OF[shape.kind], shape, f"{shape.kind}{ALONE}", surroundings)


def _longest(mask: Mask, sources: SourceImages) -> Shape | None:
    """Where a mask is seen, for viewers that ask for coordinates; None where nobody says what its slices are."""
    if sources.volume is not None:
        return largest_axial_extent(mask, sources.volume)
    if sources.frames is None or sources.frames.space is Space.SLIDE:  # whose frames are tiles
        return None
    first = sources.headers[0]
    spacing = sources.spacing_mm(ImagePlace(str(first.SOPClassUID), str(first.SOPInstanceUID)))
    return largest_extent_on_frame(mask, sources.frames, spacing or (1.0, 1.0))


def _measured_part(uid: str, measurements: list[Measurement], surroundings: GroupSurroundings) -> _Part:
    part = _Part("1501", uid)
    for one in measurements:
        if one.shape is None:
            raise ObjectInvalid(f"{one.name.meaning} was drawn nowhere")
        name = next((axis for axis in AXES if concepts.same(axis, one.name)), one.name)
        part.numbers.append(_number(one, part.draw(one.shape, surroundings), name))
    return part


def _computed_part(uid: str, name: Code, shape: Shape, word: str, surroundings: GroupSurroundings) -> _Part:
    """A number that only shows where something is; the word tells it from one that was measured."""
    part = _Part("1501", uid)
    value, unit = _size(shape, surroundings.sources)
    part.numbers.append(num(name, value, unit, children=[part.draw(shape, surroundings, word)]))
    return part


def _size(shape: Shape, sources: SourceImages) -> tuple[float, Code]:
    """Degrees of an angle; millimetres of a line, or pixels where the image does not say how large these are."""
    image_place = shape.on_image
    spacing = None if image_place is None else sources.spacing_mm(image_place)
    if shape.kind is not ShapeKind.LINE:
        return angle_of(shape, spacing or (1.0, 1.0)), concepts.DEGREE
    unit = concepts.MILLIMETRE if image_place is None or spacing else concepts.PIXELS
    return length_of(shape, spacing or (1.0, 1.0)), unit


def _mark_parts(
    finding: Finding, bare: list[Shape], surroundings: GroupSurroundings, own_uid: str | None
) -> Iterator[_Part]:
    """Points, open lines, boxes and whole images as rows 10b, 10c and 10e of TID 1501.

    They are tracked by themselves where there are numbers.
    """
    part = _Part("1501", own_uid or finding.tracking_uid)
    for shape in bare:
        if shape.kind in _NUMBERED or shape.kind in CLOSED_KINDS or shape.kind is ShapeKind.BOX:
            continue
        place = shape.on_image
        if shape.kind is ShapeKind.FRAMES and place is not None:
            part.regions.append(frames_item(place))
        name = own_concepts.WHOLE_IMAGE if shape.kind is ShapeKind.FRAMES else concepts.CENTER
        part.shapes.append(part.draw(shape, surroundings, name=name, relationship=CONTAINS))
    if part.shapes:
        yield part


def _region_parts(finding: Finding, bare: list[Shape], surroundings: GroupSurroundings) -> Iterator[_Part]:
    """Closed outlines and cut boxes: one is a planar region (TID 1410), several are a volume's (TID 1411 row 5)."""
    shapes = [shape for shape in bare if shape.kind in CLOSED_KINDS or shape.kind is ShapeKind.BOX]
    if not shapes:
        return
    part = _Part("1410" if len(shapes) == 1 else "1411", finding.tracking_uid)
    for shape in shapes:
        if shape.kind is ShapeKind.BOX:
            _draw_box(part, shape, surroundings)
            continue
        _require_slice(finding, shape, surroundings)
        region = part.draw(shape, surroundings, name=concepts.IMAGE_REGION, relationship=CONTAINS)
        part.regions.append(region)
    yield part


def _draw_box(part: _Part, box: Shape, surroundings: GroupSurroundings) -> None:
    """The cut of a box by its middle slice, for viewers, and its corners, for whoever reads it back."""
    sources = surroundings.sources
    if not sources.planes:
        raise ObjectInvalid("box: it lies in the patient, and no image of the series does")
    middle = [(low + high) / 2 for low, high in zip(*box.points, strict=True)]
    outline = outline_on(nearest_plane(sources.planes, [middle]), box)
    shown = part.draw(
        Shape(ShapeKind.POLYGON, outline),
        surroundings,
        ILLUSTRATION,
        name=concepts.IMAGE_REGION,
        relationship=CONTAINS,
    )
    part.regions.append(shown)
    reference = sources.frame_of_reference_uid
    corners = scoord3d("MULTIPOINT", box.points, reference, name=own_concepts.BOX_CORNERS, relationship=CONTAINS)
    part.shapes.append(corners)


def _require_slice(finding: Finding, shape: Shape, surroundings: GroupSurroundings) -> None:
    if placed(shape, surroundings.sources).on_image is None:
        raise ObjectInvalid(f"{finding.label}: a {shape.kind} lies on no slice of its series")


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
            uidref(concepts.SOURCE_SERIES, surroundings.sources.series_uid),
        ],
    )
