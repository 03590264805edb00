"""Remembers whether such images are looked at: those of a series say the same of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from service.deident.pixels.image_criteria import NUMBER_CRITERIA, TEXT_CRITERIA

_KEYWORDS: Final = ("SpecificCharacterSet", "SOPClassUID", *TEXT_CRITERIA.values(), *NUMBER_CRITERIA.values())
_TAGS: Final[tuple[BaseTag, ...]] = tuple(Tag(tag_for_keyword(keyword) or 0) for keyword in _KEYWORDS)
_MOST: Final = 1024
_Key = tuple[tuple[bytes | None, bool] | None, ...]


class LookMemory:
    """Asks once for all images that are alike in everything that criteria can name.

    Parameters
    ----------
    must_look : decides by the attributes that criteria name, and by no others
    """

    def __init__(self, must_look: Callable[[Dataset], bool]) -> None:
        self._must_look = must_look
        self._decided: dict[_Key, bool] = {}

    def must_look(self, header: Dataset) -> bool:
        """What was decided on such images; the header is left as it was read."""
        elements = [header.get_item(tag, keep_deferred=True) for tag in _TAGS]
        key: list[tuple[bytes | None, bool] | None] = []
        for element in elements:
            if element is None:
                key.append(None)
            elif isinstance(element, RawDataElement):
                key.append((element.value, element.is_little_endian))
            else:
                return self._must_look(_of(elements))
        decided = self._decided.get(tuple(key))
        if decided is None:
            if len(self._decided) >= _MOST:
                self._decided.clear()
            decided = self._decided[tuple(key)] = self._must_look(_of(elements))
        return decided


def _of(elements: Sequence[DataElement | RawDataElement | None]) -> Dataset:
    """A data set of some elements; to look at one in there converts it there alone."""
    header = Dataset()
    for element in elements:
        if element is not None:
            header[element.tag] = element
    return header
