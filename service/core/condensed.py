"""A data set without its long values: everything that has to be read of it, small enough to be held (PS3.5 7).

Heads are read, values only where they are short or where somebody has to look into them. What is out of the ordinary
is not condensed: whoever calls reads it in another way, or refuses it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Container
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.encoded_data_set import ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, UNDEFINED_LENGTH, Encoding
from service.core.fragments import find_delimiter
from service.core.set_aside import MARKER_BYTES, TOKEN_BYTES, LongValue, SetAside, token

DEFAULT_HELD: Final = 56 << 20
"""Memory that cleaning one header may take, about: with it an ingest process stays near 150 MB (PSS)."""
LONG_VALUE: Final = 16 << 10
_BYTE_WEIGHT: Final = 6
_ELEMENT_WEIGHT: Final = 1400
_ITEM_WEIGHT: Final = 2600
"""Bytes of memory that a byte of a header takes, an element and an item, as measured: read, cleaned, written twice."""
_WINDOW: Final = 64 << 10
_DEEPEST: Final = 64
_MOST_PASSED: Final = 1 << 22
"""Elements and items of what nobody may look into; without end they would take nothing but our time."""
_ITEM_BYTES: Final = b"\xfe\xff\x00\xe0"
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_WAY_BACK_GROUPS: Final = frozenset({0x0008, 0x0010, 0x0012, 0x0020, 0x0032, 0x0038, 0x0040})
"""Of the patient and the study, whose attributes are kept sealed, and of reports: none of it is passed by unread."""


class HeaderTooHeavy(InstanceUnreadable):
    """More than may be held would have to be read."""


class _OutOfTheOrdinary(Exception):
    """The bytes are not a data set as the standard has it."""


@dataclass(frozen=True, slots=True)
class Condensed:
    """A data set that can be read in the place of another.

    Parameters
    ----------
    data_set : ends with the first bytes of the element at which it stops, where there is one
    stop, source_stop : where that element begins, here and in the other; each the end where there is none
    """

    data_set: bytes = field(repr=False)
    aside: SetAside
    stop: int
    source_stop: int


def condense(
    content: EncodedBytes, encoding: Encoding, *, stop_at: Container[int], held: int = DEFAULT_HELD, start: int = 0
) -> Condensed | None:
    """Read a data set without its long values; None where anything in it is out of the ordinary.

    Parameters
    ----------
    stop_at : tags before which it ends: those of pixel data
    held : what it may weigh
    start : of the data set in its content

    Raises
    ------
    HeaderTooHeavy : what has to be read of it weighs more
    """
    work = _Condenser(content, encoding, held, sets_aside=True)
    try:
        source_stop = work.run(start, stop_at)
    except (_OutOfTheOrdinary, struct.error):
        return None
    stop = len(work.out)
    head = content[source_stop : source_stop + 16]
    return Condensed(bytes(work.out + head), SetAside(work.marker, tuple(work.values)), stop, source_stop)


def weigh(
    content: EncodedBytes, encoding: Encoding, *, stop_at: Container[int], held: int = DEFAULT_HELD, start: int = 0
) -> None:
    """Look whether a data set that lies in memory is small enough to be taken apart.

    Raises
    ------
    HeaderTooHeavy : it weighs more than may be held
    """
    work = _Condenser(content, encoding, held, sets_aside=False)
    try:
        work.run(start, stop_at)
    except (_OutOfTheOrdinary, struct.error):
        return


@dataclass(frozen=True, slots=True)
class _Head:
    tag: int
    vr: str
    length: int
    raw: bytes

    @property
    def is_sequence(self) -> bool:
        return self.vr == "SQ" or (not self.vr and _known_vrs(self.tag) == ("SQ",))

    @property
    def is_opaque(self) -> bool:
        """Whether the value is bytes to everybody; what stands in UN or has no VR is what the dictionary says."""
        if self.vr and self.vr != "UN":
            return self.vr in _BINARY
        return _BINARY.issuperset(_known_vrs(self.tag))


class _Condenser:
    def __init__(self, content: EncodedBytes, encoding: Encoding, held: int, *, sets_aside: bool) -> None:
        self._content = content
        self._size = len(content)
        self._encoding = encoding
        self._limit = self._left = held
        self._sets_aside = sets_aside
        self._is_silent = not sets_aside
        self._passes_by = False
        self._passed = 0
        self._may_set_aside = False
        self._window, self._window_at = b"", 0
        self._long = struct.Struct(encoding.order + "I")
        self._short = struct.Struct(encoding.order + "H")
        self._tag = struct.Struct(encoding.order + "HH")
        self.out = bytearray()
        self.values: list[LongValue] = []
        self.marker = os.urandom(MARKER_BYTES) if sets_aside else b""

    def run(self, position: int, stop_at: Container[int]) -> int:
        """Go through the top level; where it stopped."""
        while position < self._size:
            if self._size - position < 8:
                self._copy(position, self._size)  # no element; whoever reads it decides
                return self._size
            head = self._head(position, self._encoding.implicit_vr)
            if head.tag in stop_at:
                return position
            self._may_set_aside = self._sets_aside and head.tag >> 16 not in _WAY_BACK_GROUPS
            position = self._at_the_top(head, position)
        return position

    def _at_the_top(self, head: _Head, position: int) -> int:
        out, values, left = len(self.out), len(self.values), self._left
        try:
            return self._element(head, position, self._size, self._encoding.implicit_vr, 0)
        except HeaderTooHeavy:
            if not self._may_set_aside:
                raise
        del self.out[out:], self.values[values:]
        self._left = left
        start = position + len(head.raw)
        return self._whole(head, start, self._end_of(head, start))

    def _end_of(self, head: _Head, start: int) -> int:
        if head.length != UNDEFINED_LENGTH:
            return start + head.length
        self._is_silent = self._passes_by = True
        try:
            return self._undefined(head, start, self._encoding.implicit_vr, 0)
        finally:
            self._is_silent = self._passes_by = False

    def _whole(self, head: _Head, start: int, end: int) -> int:
        """Put something aside that nobody may look into: no more is known of it than its tag."""
        self._put_aside(head, start, end, is_opaque=False)
        return end

    def _element(self, head: _Head, position: int, stop: int, implicit: bool, depth: int) -> int:
        """Take one element over; where it ends."""
        start = position + len(head.raw)
        self._weigh(_ELEMENT_WEIGHT)
        if head.length == UNDEFINED_LENGTH:
            self._write(head.raw)
            return self._undefined(head, start, implicit, depth)
        end = start + head.length
        if end > stop:
            raise _OutOfTheOrdinary
        if head.is_sequence:
            self._sequence(head, start, end, implicit, depth)
        elif head.length > LONG_VALUE and self._may_set_aside and head.is_opaque:
            self._put_aside(head, start, end, is_opaque=True)
        else:
            if self._read(start, 4) == _ITEM_BYTES:
                self._weigh_within(start, end, depth)
            self._weigh(_BYTE_WEIGHT * (end - position))
            self._copy(position, end)
        return end

    def _weigh_within(self, start: int, end: int, depth: int) -> None:
        """Weigh items that nobody calls so: a sequence encoded as UN (PS3.5 6.2.2)."""
        was_silent, self._is_silent = self._is_silent, True
        may, self._may_set_aside = self._may_set_aside, False
        try:
            self._items(start, end, True, depth)
        except _OutOfTheOrdinary:
            pass
        finally:
            self._is_silent, self._may_set_aside = was_silent, may

    def _sequence(self, head: _Head, start: int, end: int, implicit: bool, depth: int) -> None:
        out, values = len(self.out), len(self.values)
        try:
            self._write(head.raw)
            self._items(start, end, implicit, depth)
        except _OutOfTheOrdinary:
            if depth:
                raise
            # Nobody can read it but as bytes, and perhaps not even so.
            del self.out[out:], self.values[values:]
            self._weigh(_BYTE_WEIGHT * (end - start))
            self._write(head.raw)
            self._copy(start, end)
            return
        self._set_length(out + len(head.raw))

    def _undefined(self, head: _Head, start: int, implicit: bool, depth: int) -> int:
        """Take over what ends with a delimiter: a sequence, or encapsulated pixel data inside one (PS3.5 A.4)."""
        if head.vr in ("OB", "OW"):
            try:
                end = find_delimiter(self._content, start, "<" if self._encoding.little_endian else ">")[0]
            except InstanceUnreadable as error:
                raise _OutOfTheOrdinary from error
            self._weigh(_BYTE_WEIGHT * (end - start))
            self._copy(start, end + 8)
            return end + 8
        if head.vr not in ("SQ", "UN", "") or (head.vr == "UN" and not self._encoding.little_endian):
            raise _OutOfTheOrdinary
        # UN of undefined length holds implicit VR (PS3.5 6.2.2).
        end = self._items(start, None, implicit or head.vr == "UN", depth)
        self._copy(end, end + 8)
        return end + 8

    def _items(self, position: int, end: int | None, implicit: bool, depth: int) -> int:
        """Take items over; where they end, or where the delimiter stands."""
        if depth >= _DEEPEST:
            raise _OutOfTheOrdinary
        stop = self._size if end is None else end
        while position < stop:
            head = self._head(position, implicit=True)
            if head.tag == SEQUENCE_DELIMITER and end is None:
                return position
            if head.tag != ITEM:
                raise _OutOfTheOrdinary
            self._weigh(_ITEM_WEIGHT)
            at = len(self.out)
            self._write(head.raw)
            position += len(head.raw)
            if head.length == UNDEFINED_LENGTH:
                position = self._level(position, stop, implicit, depth + 1, delimited=True)
                self._copy(position, position + 8)
                position += 8
                continue
            if position + head.length > stop:
                raise _OutOfTheOrdinary
            position = self._level(position, position + head.length, implicit, depth + 1, delimited=False)
            self._set_length(at + len(head.raw))
        if position != end:
            raise _OutOfTheOrdinary
        return position

    def _level(self, position: int, stop: int, implicit: bool, depth: int, *, delimited: bool) -> int:
        while position < stop:
            head = self._head(position, implicit)
            if head.tag == ITEM_DELIMITER and delimited:
                return position
            position = self._element(head, position, stop, implicit, depth)
        if delimited:
            raise _OutOfTheOrdinary
        return position

    def _head(self, position: int, implicit: bool) -> _Head:
        data = self._read(position, 12)
        if len(data) < 8:
            raise _OutOfTheOrdinary
        group, element = self._tag.unpack_from(data)
        if implicit or group == 0xFFFE:
            return _Head(group << 16 | element, "", self._long.unpack_from(data, 4)[0], data[:8])
        vr = data[4:6].decode("latin-1")
        if vr not in STANDARD_VR:
            raise _OutOfTheOrdinary
        if vr not in EXPLICIT_VR_LENGTH_32:
            return _Head(group << 16 | element, vr, self._short.unpack_from(data, 6)[0], data[:8])
        return _Head(group << 16 | element, vr, self._long.unpack_from(data, 8)[0], data)

    def _read(self, position: int, size: int) -> bytes:
        if isinstance(self._content, bytes):
            return self._content[position : position + size]
        at = position - self._window_at
        if at < 0 or at + size > len(self._window):
            self._window, self._window_at = self._content[position : position + _WINDOW], position
            at = 0
        return self._window[at : at + size]

    def _weigh(self, weight: int) -> None:
        if self._passes_by:
            self._passed += 1
        else:
            self._left -= weight
        if self._left < 0 or self._passed > _MOST_PASSED:
            raise HeaderTooHeavy(f"Cleaning it would take more than {self._limit >> 20} MiB of memory")

    def _put_aside(self, head: _Head, start: int, end: int, *, is_opaque: bool) -> None:
        if self._is_silent:
            return
        self._weigh(_BYTE_WEIGHT * TOKEN_BYTES)
        self._write(head.raw[: -self._long.size] + self._long.pack(TOKEN_BYTES))
        self._write(token(self.marker, len(self.values)))
        self.values.append(LongValue(head.tag, Section(self._content, start, end), is_opaque))

    def _write(self, data: bytes) -> None:
        if not self._is_silent:
            self.out += data

    def _copy(self, start: int, end: int) -> None:
        if not self._is_silent:
            if end - start <= _WINDOW:
                self.out += self._read(start, end - start)
            else:
                self.out += self._content[start:end]

    def _set_length(self, at: int) -> None:
        if not self._is_silent:
            self._long.pack_into(self.out, at - self._long.size, len(self.out) - at)


@lru_cache(maxsize=4096)
def _known_vrs(tag: int) -> tuple[str, ...]:
    """What the dictionary says of a public element; nothing of others."""
    if tag >> 16 & 1:
        return ()
    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()
