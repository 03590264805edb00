"""What the functional groups of a segmentation's frames say of their segment, place and source, read from their bytes.

Groups that are written alike are read once: of some thousand frames, those of one slice share their place and source,
those of one segment its number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_data_set import EncodedElement, Encoding, elements, encoding_within, items
from service.core.source_frames import Triple

_CLASS: Final = 0x00081150
_INSTANCE: Final = 0x00081155
_FRAME_NUMBER: Final = 0x00081160
_POSITION: Final = 0x00200032
_ORIENTATION: Final = 0x00200037
_SPACING: Final = 0x00280030
_THICKNESS: Final = 0x00180050
_BETWEEN_SLICES: Final = 0x00180088
_STACK_ID: Final = 0x00209056
_TIME: Final = 0x00209128
_SEGMENT: Final = 0x0062000B
_X: Final = 0x0040072A
_Y: Final = 0x0040073A
_Z: Final = 0x0040074A
_COLUMN: Final = 0x0048021E
_ROW: Final = 0x0048021F
_FRAME_CONTENT: Final = 0x00209111
_DERIVATION: Final = 0x00089124
_GROUPS: Final = frozenset({_DERIVATION, 0x00209113, 0x0048021A, 0x00209116, 0x00289110, 0x0062000A})
_WITHIN: Final = frozenset({0x00082112})
"""Sequences inside these groups that are looked into."""

Reference = tuple[str, str, tuple[int, ...]]
"""SOP class, instance and frames, from 1, of a source image."""


@dataclass(frozen=True, slots=True)
class FramePlace:
    """What one frame says; None or nothing where it does not.

    Parameters
    ----------
    segment : Referenced Segment Number
    position, orientation, spacing_mm : as in `SourceFrame`
    matrix_position : row and column of its first pixel in the total pixel matrix, from 1
    references : the source images, in their order
    """

    segment: int | None = None
    position: Triple | None = None
    orientation: tuple[float, ...] | None = None
    spacing_mm: tuple[float, float] | None = None
    thickness_mm: float | None = None
    distance_mm: float | None = None
    matrix_position: tuple[int, int] | None = None
    temporal_index: int | None = None
    stack: str | None = None
    references: tuple[Reference, ...] = ()


class FramePlaceReader:
    """Reads the functional groups of frames.

    Parameters
    ----------
    content : in which the groups lie, in ``encoding``
    in_content : look into Frame Content, which is another for each frame, for time and stack
    """

    def __init__(self, content: memoryview, encoding: Encoding, *, in_content: bool) -> None:
        self._content = content
        self._encoding = encoding
        self._wanted = _GROUPS | {_FRAME_CONTENT} if in_content else _GROUPS
        self._known: dict[tuple[int, bytes], dict[str, Any]] = {}

    def read(self, start: int, end: int, shared: FramePlace | None = None) -> FramePlace:
        """What an item says between two offsets; where it says nothing, what is shared by all.

        Raises
        ------
        InstanceUnreadable : the encoding is broken, or a number is none
        """
        said: dict[str, Any] = {}
        if shared is not None:
            said = {name: getattr(shared, name) for name in FramePlace.__slots__}
        for element in elements(self._content, self._encoding, start, end):
            if element.tag in self._wanted:
                said.update(self._group(element))
        return FramePlace(**said)

    def _group(self, element: EncodedElement) -> dict[str, Any]:
        key = element.tag, bytes(self._content[element.value_start : element.value_end])
        known = self._known.get(key)
        if known is None:
            try:
                known = self._known[key] = _said(element.tag, self._leaves(element, self._encoding), self._encoding)
            except (ValueError, struct.error) as err:
                raise InstanceUnreadable("A functional group holds a number that is none") from err
        return known

    def _leaves(self, element: EncodedElement, encoding: Encoding) -> Iterator[tuple[int, bytes]]:
        """Every element within a group, those of sequences in it that matter included, in their order."""
        inner = encoding_within(element, encoding)
        for _, start, end in items(self._content, inner, element.value_start, element.value_end):
            for below in elements(self._content, inner, start, end):
                if below.tag in _WITHIN:
                    yield from self._leaves(below, inner)
                else:
                    yield below.tag, bytes(self._content[below.value_start : below.value_end])


def _said(group: int, leaves: Iterator[tuple[int, bytes]], encoding: Encoding) -> dict[str, Any]:
    if group == _DERIVATION:
        return {"references": tuple(_references(leaves))}
    found = dict(leaves)
    said: dict[str, Any] = {}
    for tag, name in ((_POSITION, "position"), (_ORIENTATION, "orientation"), (_SPACING, "spacing_mm")):
        if found.get(tag):
            said[name] = _decimals(found[tag])
    for tag, name in ((_THICKNESS, "thickness_mm"), (_BETWEEN_SLICES, "distance_mm")):
        if found.get(tag):
            said[name] = _decimals(found[tag])[0]
    if found.get(_SEGMENT):
        said["segment"] = struct.unpack(encoding.order + "H", found[_SEGMENT][:2])[0]
    if found.get(_TIME):
        said["temporal_index"] = struct.unpack(encoding.order + "I", found[_TIME][:4])[0]
    if found.get(_STACK_ID):
        said["stack"] = _text(found[_STACK_ID])
    if found.get(_ROW) and found.get(_COLUMN):
        row, column = (struct.unpack(encoding.order + "i", found[tag][:4])[0] for tag in (_ROW, _COLUMN))
        said["matrix_position"] = (row, column)
        said["position"] = tuple(_decimals(found[tag])[0] if found.get(tag) else 0.0 for tag in (_X, _Y, _Z))
    return said


def _references(leaves: Iterator[tuple[int, bytes]]) -> Iterator[Reference]:
    sop_class = instance = ""
    frames: tuple[int, ...] = ()
    for tag, value in leaves:
        if tag == _CLASS:
            if instance:
                yield sop_class, instance, frames
            sop_class, instance, frames = _text(value), "", ()
        elif tag == _INSTANCE:
            instance = _text(value)
        elif tag == _FRAME_NUMBER:
            frames = tuple(int(number) for number in _text(value).split("\\") if number.strip())
    if instance:
        yield sop_class, instance, frames


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")


def _decimals(value: bytes) -> tuple[float, ...]:
    return tuple(float(number) for number in _text(value).split("\\"))
