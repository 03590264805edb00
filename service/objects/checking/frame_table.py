"""The functional groups of a multi-frame object, read once: what each frame has, where it lies, what it came from.

An object may have tens of thousands of frames, most of whose groups say the same byte for byte. Each group that differs
is read and held against the tables once, and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.objects.checking.condition import values_of
from service.objects.checking.element_rules import name_of
from service.objects.checking.iod_rules import PER_FRAME, ItemChecks
from service.objects.rule_catalogue import Breach

SHARED: Final = "SharedFunctionalGroupsSequence"
POSITION: Final = "PlanePositionSequence"
SLIDE_POSITION: Final = "PlanePositionSlideSequence"
ORIENTATION: Final = "PlaneOrientationSequence"
MEASURES: Final = "PixelMeasuresSequence"
CONTENT: Final = "FrameContentSequence"
SEGMENT: Final = "SegmentIdentificationSequence"
DERIVATION: Final = "DerivationImageSequence"

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """An image that a frame was derived from; ``frame`` 0 is a whole image."""

    sop_instance_uid: str
    sop_class_uid: str
    frame: int
    keeps_place: bool
    """Spatial Locations Preserved is not NO (C.7.6.16.2.6)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame with what holds for it, its own or shared (PS3.3 C.7.6.16).

    Parameters
    ----------
    groups : keywords of the functional groups in its own item
    position : Image Position (Patient), mm; of a slide its offsets there; None where it is not given
    orientation, spacing_mm : as Image Orientation (Patient) and Pixel Spacing; None where not given
    indices : Dimension Index Values
    segment : Referenced Segment Number, None where none is named
    """

    groups: frozenset[str]
    position: Numbers | None = None
    orientation: Numbers | None = None
    spacing_mm: Numbers | None = None
    indices: Numbers = ()
    segment: int | None = None
    sources: tuple[SourceFrame, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """All frames that have an item of their own, and what is wrong with their groups."""

    frames: tuple[Frame, ...]
    shared: Frame
    breaches: tuple[Breach, ...] = field(repr=False)


def frame_table_of(checks: ItemChecks) -> FrameTable:
    """Read the functional groups of an object; empty where it has none."""
    reader = _GroupReader(checks)
    shared_items = list(checks.root.get(SHARED) or ())
    shared = reader.frame(shared_items[0], None) if shared_items else Frame(frozenset())
    frames = tuple(reader.frame(item, shared) for item in checks.root.get(PER_FRAME) or ())
    return FrameTable(frames, shared, tuple(dict.fromkeys(reader.breaches)))


@dataclass(frozen=True, slots=True)
class _Group:
    """One functional group as it was read, under the name that `Frame` has for its value."""

    keyword: str
    field: str
    value: Any


class _GroupReader:
    def __init__(self, checks: ItemChecks) -> None:
        self._checks = checks
        self._table = checks.top.below.get(PER_FRAME)
        self._read: dict[Hashable, _Group] = {}
        self.breaches: list[Breach] = []

    def frame(self, item: Dataset, shared: Frame | None) -> Frame:
        """One item; ``shared`` is what holds where it says nothing, None for the shared item itself."""
        groups = [self._group(item, tag, is_shared=shared is None) for tag in item.keys()]  # noqa: SIM118
        values: dict[str, Any] = {}
        if shared is not None:
            values = {name: getattr(shared, name) for name in _SHAREABLE}
        values.update({group.field: group.value for group in groups if group.field})
        return Frame(frozenset(group.keyword for group in groups), **values)

    def _group(self, item: Dataset, tag: Any, *, is_shared: bool) -> _Group:
        element = item.get_item(tag, keep_deferred=True)
        key = _print_of(element)
        known = self._read.get(key)
        if known is None:
            known = self._first_read(item, element, is_shared=is_shared)
            self._read[key] = known
        return known

    def _first_read(self, item: Dataset, element: DataElement | RawDataElement, *, is_shared: bool) -> _Group:
        # Not through the data set, which would keep the group as objects: that takes twenty times its bytes.
        whole = _converted(element, item) if isinstance(element, RawDataElement) else element
        keyword = name_of(whole)
        if self._table is not None and not is_shared:
            self.breaches += self._checks.element_breaches(item, whole, (PER_FRAME,), self._table)
        name, read = _FIELDS.get(keyword, ("", None))
        items = list(whole.value) if whole.VR == "SQ" and whole.value else []
        return _Group(keyword, name if items else "", read(items) if read is not None and items else None)


def _converted(element: RawDataElement, item: Dataset) -> DataElement:
    encoding = item.original_character_set
    return convert_raw_data_element(element, encoding=[encoding] if isinstance(encoding, str) else encoding, ds=item)


def _print_of(element: DataElement | RawDataElement) -> Hashable:
    """What is the same for groups that say the same."""
    if isinstance(element, RawDataElement):
        return int(element.tag), element.value
    value = element.value
    if isinstance(value, Sequence):
        value = tuple(
            tuple(_print_of(item.get_item(tag, keep_deferred=True)) for tag in item.keys())  # noqa: SIM118
            for item in value
        )
    elif isinstance(value, list) or hasattr(value, "append"):
        value = tuple(value)
    return int(element.tag), element.VR, value


def _position(items: list[Dataset]) -> Numbers | None:
    return numbers_of(items[0], "ImagePositionPatient", 3)


def _slide_position(items: list[Dataset]) -> Numbers | None:
    offsets = [numbers_of(items[0], f"{axis}OffsetInSlideCoordinateSystem", 1) for axis in ("X", "Y", "Z")]
    return None if any(one is None for one in offsets) else tuple(one[0] for one in offsets if one)


def _segment(items: list[Dataset]) -> int | None:
    number = values_of(items[0], "ReferencedSegmentNumber")
    return int(number[0]) if len(number) == 1 and number[0].isdigit() else None


def _sources(items: list[Dataset]) -> tuple[SourceFrame, ...]:
    return tuple(
        SourceFrame(
            str(source.get("ReferencedSOPInstanceUID", "")),
            str(source.get("ReferencedSOPClassUID", "")),
            frame,
            source.get("SpatialLocationsPreserved") != "NO",
        )
        for derivation in items
        for source in derivation.get("SourceImageSequence") or ()
        for frame in [int(number) for number in values_of(source, "ReferencedFrameNumber") if number.isdigit()] or [0]
    )


def numbers_of(item: Dataset, keyword: str, count: int = 0) -> Numbers | None:
    """The numbers of an attribute, as many as there have to be; None where they are not there."""
    try:
        numbers = tuple(float(value) for value in values_of(item, keyword))
    except ValueError:
        return None
    return numbers if numbers and (not count or len(numbers) == count) else None


_FIELDS: Final[dict[str, tuple[str, Callable[[list[Dataset]], Any]]]] = {
    POSITION: ("position", _position),
    SLIDE_POSITION: ("position", _slide_position),
    ORIENTATION: ("orientation", lambda items: numbers_of(items[0], "ImageOrientationPatient", 6)),
    MEASURES: ("spacing_mm", lambda items: numbers_of(items[0], "PixelSpacing", 2)),
    CONTENT: ("indices", lambda items: numbers_of(items[0], "DimensionIndexValues") or ()),
    SEGMENT: ("segment", _segment),
    DERIVATION: ("sources", _sources),
}
_SHAREABLE: Final = ("position", "orientation", "spacing_mm", "segment", "sources")
