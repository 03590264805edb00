"""A data set written in Explicit VR Little Endian (PS3.5 A.2), what its frames share encoded once.

A segmentation of a hundred segments has thousands of frames, and most elements of their functional groups are the same
ones (``service/objects/frame_groups.py``). Writing each anew would take longer than making the pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.core.explicit_little_endian import encode_element

PER_FRAME_GROUPS: Final = 0x52009230
_ITEM_HEAD: Final = struct.Struct("<HHI")


def encode_explicit(data_set: Dataset) -> bytes:
    """The elements of a data set that was made here or read, without file meta; it is not changed."""
    encodings = convert_encodings(data_set.get("SpecificCharacterSet", "ISO_IR 6"))
    if PER_FRAME_GROUPS not in data_set:
        return _encode(data_set, encodings)
    before, after = Dataset(), Dataset()
    for tag in sorted(data_set.keys()):
        if tag != PER_FRAME_GROUPS:
            (before if tag < PER_FRAME_GROUPS else after)[tag] = data_set[tag]
    groups = _encode_groups(data_set[PER_FRAME_GROUPS].value, encodings)
    return _encode(before, encodings) + groups + _encode(after, encodings)


def _encode_groups(items: Iterable[Dataset], encodings: list[str]) -> bytes:
    """Per-Frame Functional Groups; an element that stands in several items is encoded for the first."""
    known: dict[int, bytes] = {}
    parts: list[bytes] = []
    for item in items:
        written = []
        for tag in sorted(item.keys()):
            element = item[tag]
            code = known.get(id(element))
            if code is None:
                code = known[id(element)] = _encode(Dataset({tag: element}), encodings)
            written.append(code)
        content = b"".join(written)
        parts += [_ITEM_HEAD.pack(0xFFFE, 0xE000, len(content)), content]
    return encode_element(PER_FRAME_GROUPS, "SQ", b"".join(parts))


def _encode(data_set: Dataset, encodings: list[str]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    whole = Dataset(data_set)
    whole.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    write_dataset(buffer, whole, encodings)
    return buffer.getvalue()
