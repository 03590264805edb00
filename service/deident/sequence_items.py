"""Reading a sequence whatever its bytes are: what cannot be read has no items."""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset


def as_sequence(data_set: Dataset, tag: int) -> DataElement | None:
    """Return a sequence parsed; None where there is none, or its bytes are not one."""
    if tag not in data_set:
        return None
    try:
        element = data_set[tag]
    except Exception:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to; the element then goes
        return None
    return element if element.VR == "SQ" else None


def items_of(data_set: Dataset, tag: int) -> list[Dataset]:
    """Return the items of a sequence; none where there is no sequence that can be read."""
    element = as_sequence(data_set, tag)
    return [] if element is None else list(element.value or ())
