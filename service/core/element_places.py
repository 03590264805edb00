"""Where in a data set something is wrong, in words that hold nothing of it."""

from __future__ import annotations

from pydicom.datadict import dictionary_has_tag


def place_of(tag: int) -> str:
    """Return " at (GGGG,EEEE)" for an element of the standard, nothing for any other.

    Where bytes are no data set, what stands in the place of a tag may be four letters of a name.
    """
    return f" at ({tag >> 16:04X},{tag & 0xFFFF:04X})" if dictionary_has_tag(tag) else ""
