"""Tells whether the same instance came again: a digest over its content without patient and study attributes."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from service.core.encoded_bytes import CHUNK, EncodedBytes, Section, chunks
from service.core.encoded_data_set import Encoding
from service.core.set_aside import NOTHING_ASIDE, SetAside

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
_UNDEFINED: Final = 0xFFFFFFFF
_LONGEST_REMEMBERED: Final = 8192
_LONG: Final = 64 << 10


def content_digest(header: Dataset, pixels: EncodedBytes, key: bytes, aside: SetAside = NOTHING_ASIDE) -> bytes:
    """Digest an object as it came, before anything in it was changed.

    Two encodings of the same object may have two digests; an attribute of patient or study never makes one.

    Parameters
    ----------
    header : as read, its values not yet converted
    pixels : the encoded pixel value, read once from its start to its end
    key : of the project, so that nobody can try values out
    aside : what stands for long values in the header; the digest is the same as if they stood there

    Returns
    -------
    32 bytes
    """
    digest = hmac.new(key, b"content", hashlib.sha256)
    held = sorted((int(tag), element) for tag, element in header.items())
    contents: list[bytes] = []
    for number, element in held:
        if _may_be_corrected(number):
            continue
        if aside:
            for piece in _with_long_values(number, element, header, aside):
                digest.update(piece)
            continue
        contents.append(_content(number, element, header))
        if len(contents[-1]) > _LONG:  # joined with all the others it would be in memory twice
            digest.update(b"".join(contents[:-1]))
            digest.update(contents[-1])
            contents.clear()
    digest.update(b"".join(contents))
    digest.update(_tag_of(pixels, key))
    return digest.digest()


def _tag_of(pixels: EncodedBytes, key: bytes) -> bytes:
    """Sixteen bytes that differ where pixels do: GHASH (NIST SP 800-38D), a tenth of the time of SHA-256.

    It is a universal hash: two contents share a tag only by chance (2^-100 for any size that DICOM has) as long as key
    and tags stay unknown. The key is derived for this alone, and its tags are never seen outside of the digest.
    """
    hashed = Cipher(AES(hmac.digest(key, b"content: pixels", "sha256")), GCM(bytes(12))).encryptor()
    for part in chunks(pixels):
        hashed.authenticate_additional_data(part)
    hashed.finalize()
    return hashed.tag


def _with_long_values(
    number: int, element: DataElement | RawDataElement, data_set: Dataset, aside: SetAside
) -> Iterator[bytes | memoryview]:
    """Yield what `_content` gives of an element in which long values may be missing."""
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes) and element.length != _UNDEFINED:
        long = aside.of(value)
        parts: list[EncodedBytes] = [value]
        if long is not None:
            parts = [long.source]
        elif aside.marker in value:
            parts = aside.value_parts(value, Encoding(element.is_implicit_VR, element.is_little_endian))
        parts = _without_padding(parts)
        yield _LENGTH.pack(number, sum(map(len, parts)))
        for part in parts:
            yield from chunks(part)
    elif isinstance(element, RawDataElement) and value is not None and aside.marker in value:
        creator = _creator(number, data_set) if number >> 16 & 1 else None
        read = _read_element(number, element.VR, value, element.is_implicit_VR, element.is_little_endian, creator)
        yield from _items_with_long_values(number, read, aside)
    elif not isinstance(element, RawDataElement) and element.VR == "SQ":
        yield from _items_with_long_values(number, element, aside)
    else:
        yield _content(number, element, data_set)


def _items_with_long_values(number: int, element: DataElement, aside: SetAside) -> Iterator[bytes | memoryview]:
    yield _LENGTH.pack(number, len(element.value))
    for item in element.value:
        yield b"item"
        for tag, held in sorted((int(tag), held) for tag, held in item.items()):
            yield from _with_long_values(tag, held, item, aside)


def _without_padding(parts: list[EncodedBytes]) -> list[EncodedBytes]:
    while parts:
        last = _stripped(parts[-1])
        if len(last):
            return [*parts[:-1], last]
        parts = parts[:-1]
    return parts


def _stripped(value: EncodedBytes) -> EncodedBytes:
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ")
    end = len(value)
    while end:
        start = max(0, end - CHUNK)
        kept = value[start:end].rstrip(b"\0 ")
        if kept:
            return Section(value, 0, start + len(kept))
        end = start
    return b""


def _may_be_corrected(number: int) -> bool:
    return number >> 16 in (_PATIENT_GROUP, _CLINICAL_TRIAL_GROUP) or number in _STUDY_ATTRIBUTES


def _content(number: int, element: DataElement | RawDataElement, data_set: Dataset) -> bytes:
    if not isinstance(element, RawDataElement):
        return _converted_content(number, element)
    value = element.value
    if value is None or element.length == _UNDEFINED:
        read = _remembered_content if value is None or len(value) <= _LONGEST_REMEMBERED else _read_content
        creator = _creator(number, data_set) if number >> 16 & 1 else None
        return read(number, element.VR, value, element.is_implicit_VR, element.is_little_endian, creator)
    value = value.rstrip(b"\0 ")
    return _LENGTH.pack(number, len(value)) + value


def _converted_content(number: int, element: DataElement) -> bytes:
    if element.VR != "SQ":
        value = str(element.value).encode()
        return _LENGTH.pack(number, len(value)) + value
    parts = [_LENGTH.pack(number, len(element.value))]
    for item in element.value:
        parts.append(b"item")
        parts += [_content(*one, item) for one in sorted((int(tag), held) for tag, held in item.items())]
    return b"".join(parts)


def _creator(number: int, data_set: Dataset) -> bytes | None:
    """Return the creator of a private element's block (PS3.5 7.8.1), which says what VR an empty one has."""
    creator = data_set.get_item(number >> 16 << 16 | number >> 8 & 0xFF, keep_deferred=True)
    return creator.value if isinstance(creator, RawDataElement) else None


def _read_content(
    number: int, vr: str | None, value: bytes | None, implicit_vr: bool, little_endian: bool, creator: bytes | None
) -> bytes:
    """Read an empty element, or a sequence of undefined length, and leave that of the header as it was encoded."""
    return _converted_content(number, _read_element(number, vr, value, implicit_vr, little_endian, creator))


def _read_element(
    number: int, vr: str | None, value: bytes | None, implicit_vr: bool, little_endian: bool, creator: bytes | None
) -> DataElement:
    length = 0 if value is None else _UNDEFINED
    tag = BaseTag(number)
    alone = Dataset({tag: RawDataElement(tag, vr, length, value, 0, implicit_vr, little_endian)})
    if creator is not None:
        alone.add_new(number >> 16 << 16 | number >> 8 & 0xFF, "LO", creator.decode("latin-1").rstrip("\0 "))
    return alone[tag]


_remembered_content = lru_cache(maxsize=256)(_read_content)
