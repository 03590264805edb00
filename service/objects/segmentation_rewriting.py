"""A segmentation of any maker written anew, in the same form or another: for peers that do not take it as it is.

Its segments keep their items, so codes, tracking identifiers and whatever else stands there; who made it stays named.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from pydicom.dataset import Dataset

from service.core.source_frames import SourceFrames
from service.core.volume import Volume
from service.objects.concepts import PROCESSING_EQUIPMENT
from service.objects.content_items import code_item
from service.objects.display_colour import cielab_of
from service.objects.read_segments import ReadSegment
from service.objects.result_context import ResultContext
from service.objects.segmentation_arrays import masks_of
from service.objects.segmentation_building import SegmentMask, build_segmentation
from service.objects.segmentation_form import SegmentationForm
from service.objects.segmentation_reading import ReadSegmentation

_OWN_NAME: Final = "Annogate"
_EQUIPMENT: Final = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
_KEPT: Final = (
    "DeviceUID",
    "ContributingEquipmentSequence",
    "SeriesDescription",
    "ContentLabel",
    "ContentDescription",
    "ContentCreatorName",
)
_SOURCES: Final = ("ReferencedSeriesSequence", "SourceImageSequence")
"""Taken over where frames do not say what they were made from."""


def rewrite_segmentation(
    read: ReadSegmentation,
    context: ResultContext,
    form: SegmentationForm,
    source: Volume | SourceFrames | None = None,
) -> Dataset:
    """Write what was read in a form, as a new instance in a new series.

    Every segment stays, also one that is nowhere; they are numbered from 1 in their order. Without its source a frame
    lies, and refers, where it did.

    Raises
    ------
    ObjectInvalid : it was made on another source; it is nowhere at all; its segments overlap and are to be a label map
    InstanceUnreadable : a frame cannot be decoded
    """
    placed = read if source is None else read.on(source)
    masks = masks_of(placed)
    segments = [SegmentMask(_item(one), masks.get(one.number)) for one in placed.segments]
    written = build_segmentation(segments, placed.places, form, context)
    _name_makers(written, read.header, context)
    return written


def _item(segment: ReadSegment) -> Dataset:
    item = deepcopy(segment.item)
    if segment.colour is not None and "RecommendedDisplayCIELabValue" not in item:
        item.RecommendedDisplayCIELabValue = cielab_of(segment.colour)
    return item


def _name_makers(written: Dataset, original: Dataset, context: ResultContext) -> None:
    """Equipment, title, creator and sources of the original; that it was written anew stands behind its makers."""
    for keyword in (*_EQUIPMENT, *_KEPT):
        if original.get(keyword):
            written[keyword] = deepcopy(original[keyword])
    for keyword in _EQUIPMENT:
        if not written.get(keyword):
            setattr(written, keyword, f"{_OWN_NAME} {context.version}" if keyword == "SoftwareVersions" else _OWN_NAME)
    for keyword in _SOURCES:
        if keyword not in written and keyword in original:
            written[keyword] = deepcopy(original[keyword])
    written.ContentLabel = written.get("ContentLabel") or "SEGMENTATION"
    written.ContentDescription = written.get("ContentDescription")
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = item.ManufacturerModelName = _OWN_NAME
    item.SoftwareVersions = f"{_OWN_NAME} {context.version}"[:64]
    item.ContributionDateTime = context.date_time
    item.ContributionDescription = "Written anew, its pixels and segments unchanged"
    written.ContributingEquipmentSequence = [*(written.get("ContributingEquipmentSequence") or ()), item]
