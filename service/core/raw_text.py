"""Text of single elements, taken from their bytes: converting an element takes longer than all else about it."""

from __future__ import annotations

from pydicom.dataset import Dataset


def ascii_at(data_set: Dataset, tag: int) -> str:
    """Return the value of a UI, CS or other element of ASCII text without its padding; "" where it is absent."""
    element = data_set.get_item(tag, keep_deferred=True)
    value = None if element is None else element.value
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\0 ")
    return "" if value is None else str(value).strip("\0 ")
