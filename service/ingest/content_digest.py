"""Tells whether the same instance came again: a digest over its content without patient and study attributes."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from typing import Any, Final, Protocol

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from service.core.encoded_bytes import EncodedBytes, chunks

_PATIENT_GROUP: Final = 0x0010
_CLINICAL_TRIAL_GROUP: Final = 0x0012

# What a department may correct after the image was made: General Study and Patient Study (PS3.3 C.7.2.1, C.7.2.2)
# without the Study Instance UID, visit and request, and the trace that such a correction leaves.
_STUDY_ATTRIBUTES: Final = frozenset(
    {
        *(0x00080015, 0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00080096, 0x0008009C, 0x0008009D),
        *(0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081062, 0x00081080, 0x00081084, 0x00081110),
        *(0x00200010, 0x00321033, 0x00321034, 0x00380010, 0x00380014, 0x00380060, 0x00380064),
        *(0x00401012, 0x04000561),
    }
)
_LENGTH: Final = struct.Struct(">QQ")


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def content_digest(header: Dataset, pixels: EncodedBytes, key: bytes) -> bytes:
    """Digest an object as it came, before anything in it was changed.

    Two encodings of the same object may have two digests; an attribute of patient or study never makes one.

    Parameters
    ----------
    header : as read, its values not yet converted
    pixels : the encoded pixel value, read once from its start to its end
    key : of the project, so that nobody can try values out

    Returns
    -------
    32 bytes
    """
    digest = hmac.new(key, b"content", hashlib.sha256)
    _update(digest, header, [tag for tag in sorted(header.keys()) if not _may_be_corrected(tag)])
    for part in chunks(pixels):
        digest.update(part)
    return digest.digest()


def _may_be_corrected(tag: Any) -> bool:
    return tag.group in (_PATIENT_GROUP, _CLINICAL_TRIAL_GROUP) or int(tag) in _STUDY_ATTRIBUTES


def _update(digest: _Hash, data_set: Dataset, tags: Iterable[Any]) -> None:
    for tag in tags:
        element = data_set.get_item(tag)
        if isinstance(element, RawDataElement):
            value = (element.value or b"").rstrip(b"\0 ")
            digest.update(_LENGTH.pack(int(tag), len(value)) + value)
        elif element.VR == "SQ":
            digest.update(_LENGTH.pack(int(tag), len(element.value)))
            for item in element.value:
                digest.update(b"item")
                _update(digest, item, sorted(item.keys()))
        else:
            value = str(element.value).encode()
            digest.update(_LENGTH.pack(int(tag), len(value)) + value)
