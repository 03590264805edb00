"""The header of an object whose pixels were looked at: what it says about them afterwards."""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.deident.pixels.pixel_outcome import BlackenedPixels


def header_copy(header: Dataset) -> Dataset:
    """The same elements in a data set of their own: to look at one converts it, and digests tell that apart."""
    copied = Dataset()
    copied.set_original_encoding(*header.original_encoding)
    for tag in header.keys():  # noqa: SIM118  # iterating over a data set converts its elements
        copied[tag] = header.get_item(tag, keep_deferred=True)
    return copied


def header_of_new_pixels(header: Dataset, new: BlackenedPixels) -> Dataset:
    """The header with what it has to say about its new pixels."""
    changed = header_copy(header)
    for tag in new.removed:
        if tag in changed:
            del changed[tag]
    for element in new.changed:
        changed[element.tag] = element
    return changed


def header_without_text(header: Dataset) -> Dataset:
    """The header of an object in whose pixels no text is left, whatever its sender said."""
    header = header_copy(header)
    header.BurnedInAnnotation = "NO"
    return header
