"""Reading a sequence whatever its bytes are: what cannot be read has no items."""

from __future__ import annotations

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.values import convert_SQ

UNDEFINED = 0xFFFFFFFF


def as_sequence(data_set: Dataset, tag: int) -> DataElement | None:
    """Return a sequence parsed; None where there is none, or its bytes are not one.

    The items of one that is encoded as UN are implicit VR little endian, whatever is around it (PS3.5 6.2.2); so are
    those of a private one in implicit VR, which only the list that names it knows for a sequence.
    """
    if tag not in data_set:
        return None
    try:
        raw = data_set.get_item(tag, keep_deferred=True)
        if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
            raw = data_set[tag]  # its reading was deferred
        if isinstance(raw, RawDataElement) and (raw.VR == "UN" or (raw.VR is None and tag >> 16 & 1)):
            items = convert_SQ(raw.value or b"", True, True)
            read = DataElement(raw.tag, "SQ", items)
            read.is_undefined_length = raw.length == UNDEFINED
            return None if any(map(is_cut_short, items)) else read
        element = data_set[tag]
    except Exception:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to; the element then goes
        return None
    if element.VR != "SQ" or (isinstance(raw, RawDataElement) and any(map(is_cut_short, element.value or ()))):
        return None
    return element


def is_cut_short(data_set: Dataset) -> bool:
    """Whether the last value is shorter than it says, which pydicom hands on in silence.

    Lengths that do not fit say that the bytes were read as something that they are not: then nothing is sure about
    what stands in which element.
    """
    tags = list(data_set.keys())
    if not tags:
        return False
    element = data_set.get_item(tags[-1], keep_deferred=True)
    return (
        isinstance(element, RawDataElement)
        and element.value is not None
        and element.length != UNDEFINED
        and len(element.value) < element.length
    )


def items_of(data_set: Dataset, tag: int) -> list[Dataset]:
    """Return the items of a sequence; none where there is no sequence that can be read."""
    element = as_sequence(data_set, tag)
    return [] if element is None else list(element.value or ())
