"""A segmentation as it lies in a file: its header read, its frames' functional groups and pixels found, not decoded.

Thousands of functional groups take longer to decode than the pixels; whoever reads them needs a few values of each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_nodes.errors import InstanceUnreadable
from service.core.data_set_writing import PER_FRAME_GROUPS, encode_explicit
from service.core.encoded_data_set import (
    EXPLICIT_LITTLE_ENDIAN,
    EncodedElement,
    Encoding,
    elements,
    encoding_within,
    items,
    read_head,
)
from service.core.explicit_little_endian import swap_bytes
from service.core.inflation import inflate

_PREAMBLE: Final = 128
_MAGIC: Final = b"DICM"
_FILE_META: Final = 0x0002
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_PIXEL_DATA: Final = 0x7FE00010


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSegmentation:
    """What was found.

    Parameters
    ----------
    header : without Per-Frame Functional Groups and pixels, its file meta no more than the transfer syntax
    group_encoding : how the groups are written
    groups : the content of each frame's item, in ``content``
    pixels : the value of Pixel Data, little endian; encapsulated, its items without the sequence delimiter
    """

    header: Dataset = field(repr=False)
    transfer_syntax_uid: str
    group_encoding: Encoding
    content: memoryview = field(repr=False)
    groups: tuple[tuple[int, int], ...] = field(repr=False)
    pixels: memoryview = field(repr=False)
    encapsulated: bool


def open_segmentation(source: Path | bytes | Dataset) -> EncodedSegmentation:
    """Find what is in a DICOM file, in its bytes, or in a data set that was read or made.

    A file is mapped, so that no more of it is in memory than is looked at.

    Raises
    ------
    InstanceUnreadable : there is no DICOM file, or its encoding is broken
    """
    if isinstance(source, Dataset):
        return _of_data_set(source)
    return _of_file(memoryview(_mapped(source) if isinstance(source, Path) else source))


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as err:
        raise InstanceUnreadable(f"{path.name} is no DICOM file that can be read") from err


def _of_file(content: memoryview) -> EncodedSegmentation:
    if bytes(content[_PREAMBLE : _PREAMBLE + len(_MAGIC)]) != _MAGIC:
        raise InstanceUnreadable("There is no DICOM file (PS3.10 7.1)")
    syntax, start = _transfer_syntax(content)
    content = content[start:]
    if syntax == DeflatedExplicitVRLittleEndian:
        content = memoryview(b"".join(inflate(bytes(content))))
    return _of_content(content, syntax, Encoding.of(syntax))


def _transfer_syntax(content: memoryview) -> tuple[str, int]:
    """The transfer syntax, and where the data set begins."""
    syntax, end = str(ExplicitVRLittleEndian), _PREAMBLE + len(_MAGIC)
    # Head by head: what follows group 2 is in another encoding, or deflated.
    while (head := read_head(content, end, EXPLICIT_LITTLE_ENDIAN)).tag >> 16 == _FILE_META:
        value_end = head.value_start + head.length
        if head.tag == _TRANSFER_SYNTAX_UID:
            syntax = bytes(content[head.value_start : value_end]).decode("ascii", "replace").strip("\0 ")
        end = value_end
    return syntax, end


def _of_data_set(data_set: Dataset) -> EncodedSegmentation:
    element = data_set.get(_PIXEL_DATA)
    header = Dataset({tag: data_set[tag] for tag in data_set.keys() if tag != _PIXEL_DATA})  # noqa: SIM118
    meta = getattr(data_set, "file_meta", None)
    syntax = str((meta.get("TransferSyntaxUID") if meta is not None else None) or ExplicitVRLittleEndian)
    vr, value = (element.VR, element.value or b"") if element is not None else ("OB", b"")
    pixels = _little_endian(memoryview(value), vr, Encoding.of(syntax))
    found = _of_content(memoryview(encode_explicit(header)), syntax, EXPLICIT_LITTLE_ENDIAN)
    encapsulated = bool(element is not None and element.is_undefined_length)
    return EncodedSegmentation(
        found.header, syntax, found.group_encoding, found.content, found.groups, pixels, encapsulated
    )


def _of_content(content: memoryview, syntax: str, encoding: Encoding) -> EncodedSegmentation:
    kept: list[memoryview] = []
    groups: tuple[tuple[int, int], ...] = ()
    pixels, encapsulated, group_encoding = memoryview(b""), False, encoding
    start = 0
    for element in elements(content, encoding):
        if element.tag == PER_FRAME_GROUPS:
            group_encoding = encoding_within(element, encoding)
            groups = tuple(_items_of(content, element, group_encoding))
        elif element.tag == _PIXEL_DATA:
            pixels = _little_endian(content[element.value_start : element.value_end], element.vr, encoding)
            encapsulated = element.undefined_length
        else:
            continue
        kept.append(content[start : element.start])
        start = element.end
    kept.append(content[start:])
    header = _read_header(b"".join(kept), encoding)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(syntax)
    return EncodedSegmentation(header, syntax, group_encoding, content, groups, pixels, encapsulated)


def _little_endian(pixels: memoryview, vr: str, encoding: Encoding) -> memoryview:
    """Pixels with the bytes of their words turned round, where words were written big end first (PS3.5 7.3)."""
    return pixels if encoding.little_endian or vr != "OW" else memoryview(swap_bytes(pixels, vr))


def _items_of(content: memoryview, element: EncodedElement, encoding: Encoding) -> Iterator[tuple[int, int]]:
    for _, start, end in items(content, encoding, element.value_start, element.value_end):
        yield start, end


def _read_header(content: bytes, encoding: Encoding) -> Dataset:
    try:
        return read_dataset(BytesIO(content), encoding.implicit_vr, encoding.little_endian)
    except Exception as err:  # pydicom raises what it likes on what is no data set
        raise InstanceUnreadable("The header cannot be read") from err
