"""Long values of a data set that stay where they lie while everything else of it is worked on.

In a condensed data set a token of a kilobyte stands for each of them: random, so that no sender can write one. Whoever
looks at values asks first whether one is a token; whoever writes the data set puts the values back in their places.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes
from service.core.encoded_data_set import (
    UNDEFINED_LENGTH,
    EncodedElement,
    Encoding,
    elements,
    encoding_within,
    items,
)

TOKEN_BYTES: Final = 1056
"""Longer than any binary value that stands inline in DICOM JSON."""
MARKER_BYTES: Final = 24
_NUMBER: Final = struct.Struct(">I")
_LARGEST_LENGTH: Final = 0xFFFFFFFE
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LongValue:
    """A value that was not read.

    Parameters
    ----------
    source : the value as encoded
    is_opaque : it is bytes to everybody; else somebody would have to read it, and it was too much to be held
    """

    tag: int
    source: EncodedBytes = field(repr=False)
    is_opaque: bool

    @property
    def refusal(self) -> str:
        """Why an object that would need it read is refused."""
        size = f"{len(self.source) / _MEBIBYTE:.0f} MiB"
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X}) is too large to be looked into: {size}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """The long values of one data set.

    Parameters
    ----------
    marker : random, the start of every token
    """

    marker: bytes = field(default=b"", repr=False)
    values: tuple[LongValue, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values)

    def of(self, value: object) -> LongValue | None:
        """What a value stands for; None where it is no token."""
        if not self.values or type(value) is not bytes or len(value) != TOKEN_BYTES:
            return None
        if not value.startswith(self.marker):
            return None
        (number,) = _NUMBER.unpack_from(value, MARKER_BYTES)
        return self.values[int(number)]

    def refuse_unheld(self) -> None:
        """Refuse a data set that is to be kept as it is and in which something could not be read.

        Raises
        ------
        InstanceUnreadable : with the element and its size
        """
        for value in self.values:
            if not value.is_opaque:
                raise InstanceUnreadable(value.refusal)

    def parts(self, encoded: bytes, encoding: Encoding) -> list[EncodedBytes]:
        """A condensed data set with its long values in their places, in parts.

        Raises
        ------
        InstanceUnreadable : a length would no longer fit its four bytes
        """
        return self._refilled(encoded, encoding, is_value=False)

    def value_parts(self, encoded: bytes, encoding: Encoding) -> list[EncodedBytes]:
        """As `parts`, for the value of a sequence: its items."""
        return self._refilled(encoded, encoding, is_value=True)

    def _refilled(self, encoded: bytes, encoding: Encoding, *, is_value: bool) -> list[EncodedBytes]:
        if not self.values or self.marker not in encoded:
            return [encoded]
        refill = _Refill(self, encoded, [match.start() for match in re.finditer(re.escape(self.marker), encoded)])
        walk = refill.items if is_value else refill.level
        parts = list(walk(encoding, 0, len(encoded)))
        if refill.left:
            raise InstanceUnreadable("A long value did not come back to its place")
        return parts


NOTHING_ASIDE: Final = SetAside()
"""Where the data set holds its values itself."""


def token(marker: bytes, number: int) -> bytes:
    """What stands for a data set's long value of that number."""
    return (marker + _NUMBER.pack(number)).ljust(TOKEN_BYTES, b"\xff")


class _Refill:
    """Puts long values back and corrects the lengths around them."""

    def __init__(self, aside: SetAside, data: bytes, places: list[int]) -> None:
        self._aside = aside
        self._data = data
        self._view = memoryview(data)
        self._places = places
        self._next = 0

    @property
    def left(self) -> int:
        """Tokens that nobody put a value in the place of."""
        return len(self._places) - self._next

    def level(self, encoding: Encoding, start: int, end: int) -> Iterator[EncodedBytes]:
        """The elements of a stretch."""
        done = start
        for element in elements(self._view, encoding, start, end):
            if not self._is_in(element.value_end):
                continue
            yield self._data[done : element.start]
            value = self._value(element, encoding)
            yield self._head(element.start, element.value_start, value, encoding)
            yield from value
            done = element.value_end
            if not self.left:
                break
        yield self._data[done:end]

    def items(self, encoding: Encoding, start: int, end: int) -> Iterator[EncodedBytes]:
        """The items of a stretch."""
        done = start
        for item_start, content_start, content_end in items(self._view, encoding, start, end):
            if not self._is_in(content_end):
                continue
            yield self._data[done:item_start]
            content = list(self.level(encoding, content_start, content_end))
            yield self._head(item_start, content_start, content, encoding)
            yield from content
            done = content_end
        yield self._data[done:end]

    def _is_in(self, end: int) -> bool:
        return self._next < len(self._places) and self._places[self._next] < end

    def _value(self, element: EncodedElement, encoding: Encoding) -> list[EncodedBytes]:
        long = self._aside.of(self._data[element.value_start : element.value_end])
        if long is None:
            within = encoding_within(element, encoding)
            return list(self.items(within, element.value_start, element.value_end))
        self._next += 1
        return [long.source]

    def _head(self, start: int, end: int, content: list[EncodedBytes], encoding: Encoding) -> bytes:
        """Tag, VR and length of an element or item; the length stands in its last four bytes (PS3.5 7.1.2)."""
        form = struct.Struct(encoding.order + "I")
        (length,) = form.unpack_from(self._data, end - form.size)
        if length != UNDEFINED_LENGTH:
            length = sum(map(len, content))
            if length > _LARGEST_LENGTH:
                raise InstanceUnreadable("A sequence would become longer than its length can say")
        return self._data[start : end - form.size] + form.pack(length)
