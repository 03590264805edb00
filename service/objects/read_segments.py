"""Segments as their items describe them (PS3.3 C.8.20.2, C.8.20.4), of whatever maker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_tree import first_code
from service.objects.display_colour import rgb_of
from service.objects.palette_colours import palette_colours
from service.objects.segmentation_form import SegmentationKind

_LARGEST: Final = 65535


@dataclass(frozen=True, slots=True, eq=False)
class ReadSegment:
    """One segment.

    Parameters
    ----------
    item : its item of Segment Sequence, with everything that it says
    palette_colour : what a label map's palette shows it in, sRGB
    """

    number: int
    item: Dataset = field(repr=False)
    palette_colour: tuple[int, int, int] | None = None

    @property
    def label(self) -> str:
        """Segment Label (0062,0005)."""
        return str(self.item.get("SegmentLabel") or f"Segment {self.number}")

    @property
    def category(self) -> Code | None:
        """Segmented property category."""
        return first_code(self.item, "SegmentedPropertyCategoryCodeSequence")

    @property
    def type(self) -> Code | None:
        """Segmented property type."""
        return first_code(self.item, "SegmentedPropertyTypeCodeSequence")

    @property
    def site(self) -> Code | None:
        """The anatomic region, or what older makers named the primary anatomic structure."""
        region = first_code(self.item, "AnatomicRegionSequence")
        return region or first_code(self.item, "PrimaryAnatomicStructureSequence")

    @property
    def laterality(self) -> Code | None:
        """The first modifier of the region, else of the type."""
        for keyword, modifiers in (
            ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
            ("PrimaryAnatomicStructureSequence", "PrimaryAnatomicStructureModifierSequence"),
            ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence"),
        ):
            for code in self.item.get(keyword) or ():
                found = first_code(code, modifiers)
                if found is not None:
                    return found
        return None

    @property
    def tracking_id(self) -> str:
        """Tracking ID (0062,0020), empty where there is none."""
        return str(self.item.get("TrackingID") or "")

    @property
    def tracking_uid(self) -> str:
        """Tracking UID (0062,0021), empty where there is none."""
        return str(self.item.get("TrackingUID") or "")

    @property
    def colour(self) -> tuple[int, int, int] | None:
        """The display colour, sRGB."""
        value = self.item.get("RecommendedDisplayCIELabValue")
        return self.palette_colour if value is None or len(value) != 3 else rgb_of(tuple(value))


def segments_of(header: Dataset, kind: SegmentationKind) -> tuple[ReadSegment, ...]:
    """The segments in their order, without a label map's background.

    Raises
    ------
    ObjectInvalid : there is none, or a number is missing or used twice
    """
    items = list(header.get("SegmentSequence") or ())
    numbers = [item.get("SegmentNumber") for item in items]
    if any(not isinstance(number, int) or not 0 <= number <= _LARGEST for number in numbers):
        raise ObjectInvalid("a segment has no number")
    if len(set(numbers)) < len(numbers):
        raise ObjectInvalid("a segment number is used twice")
    passed = background_values(header) if kind is SegmentationKind.LABELMAP else frozenset()
    colours = palette_colours(header)
    found = tuple(
        ReadSegment(int(number), item, colours.get(int(number)))
        for number, item in zip(numbers, items, strict=True)
        if number not in passed
    )
    if not found:
        raise ObjectInvalid("it describes no segment")
    return found


def background_values(header: Dataset) -> frozenset[int]:
    """The pixel values of a label map that are in no segment.

    Pixel Padding Value, and a segment that is described as Background (125040, DCM); 0 where neither is there and 0 is
    not described. So a segment that is numbered 0, which the standard allows, is one.
    """
    found: set[int] = set()
    described: set[int] = set()
    for item in header.get("SegmentSequence") or ():
        number = item.get("SegmentNumber")
        kind = first_code(item, "SegmentedPropertyTypeCodeSequence")
        described.add(number)
        if kind is not None and concepts.same(kind, concepts.BACKGROUND):
            found.add(number)
    padding = header.get("PixelPaddingValue")
    if isinstance(padding, int) and padding not in described:
        found.add(padding)
    if not found and 0 not in described:
        found.add(0)
    return frozenset(found)
