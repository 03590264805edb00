"""Reading a sequence whatever its bytes are: what cannot be read has no items."""

from __future__ import annotations

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.values import convert_SQ


def as_sequence(data_set: Dataset, tag: int) -> DataElement | None:
    """Return a sequence parsed; None where there is none, or its bytes are not one.

    The items of one that is encoded as UN are implicit VR little endian, whatever is around it (PS3.5 6.2.2); so are
    those of a private one in implicit VR, which only the list that names it knows for a sequence.
    """
    if tag not in data_set:
        return None
    try:
        raw = data_set.get_item(tag)
        if isinstance(raw, RawDataElement) and (raw.VR == "UN" or (raw.VR is None and tag >> 16 & 1)):
            return DataElement(raw.tag, "SQ", convert_SQ(raw.value or b"", True, True))
        element = data_set[tag]
    except Exception:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to; the element then goes
        return None
    return element if element.VR == "SQ" else None


def items_of(data_set: Dataset, tag: int) -> list[Dataset]:
    """Return the items of a sequence; none where there is no sequence that can be read."""
    element = as_sequence(data_set, tag)
    return [] if element is None else list(element.value or ())
