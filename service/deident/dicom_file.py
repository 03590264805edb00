"""A DICOM file on disk, taken apart at its pixel data, and written again around a clean header.

Only the header is ever held in memory. Pixel Data itself is copied, by the kernel, and not what trails it (PS3.10 7.1).
"""

from __future__ import annotations

import io
import os
import secrets
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import STANDARD_VR

from dicom_nodes.errors import InstanceUnreadable
from service import __version__
from service.core.condensed import DEFAULT_HELD, condense, weigh
from service.core.element_places import place_of
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, JoinedBytes, Section, chunks
from service.core.encoded_data_set import LONG_VRS, Encoding
from service.core.file_bytes import FileBytes
from service.core.fragments import DELIMITER_BYTES, find_delimiter
from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.core.inflation import INFLATED_LIMIT, inflated
from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.encoded_header import encoded_header
from service.deident.kernel_copy import copy_stretch
from service.deident.pixel_bytes import ValueBytes
from service.deident.pixels.pixel_outcome import BlackenedPixels
from service.deident.seen_header import header_of_new_pixels
from service.deident.sequence_items import is_cut_short
from service.deident.uid_map import is_uid

PIXEL_TAGS: Final = frozenset({(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)})
UNDEFINED: Final = 0xFFFFFFFF
MAX_INFLATED = INFLATED_LIMIT
"""A deflated data set that grows beyond this is not a header with pixels but an attack."""
_PIXEL_NUMBERS: Final = frozenset(group << 16 | element for group, element in PIXEL_TAGS)
_FIRST_LOOK: Final = 256 << 10
_NEXT_LOOK: Final = 4
_WEIGHED_FROM: Final = 64 << 10
_PREFIX_END: Final = 132


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data element lies, with its head and, when encapsulated, its delimiter.

    Parameters
    ----------
    offset, length : of the whole element
    value_offset, value_length : of its value; encapsulated, the items without the sequence delimiter
    """

    offset: int
    length: int
    value_offset: int
    value_length: int
    encapsulated: bool


@dataclass(frozen=True, slots=True, eq=False)
class OpenFile:
    """A file as read up to its pixel data; readable for as long as its stream is open.

    Parameters
    ----------
    content : what ``pixels`` are offsets into
    is_implicit_vr, is_little_endian : how it is to be written; how the header was read may be another matter
    aside : what stands for long values in the header
    """

    content: EncodedBytes = field(repr=False)
    header: Dataset = field(repr=False)
    transfer_syntax_uid: UID
    pixels: PixelElement | None
    is_implicit_vr: bool
    is_little_endian: bool
    aside: SetAside = field(default=NOTHING_ASIDE, repr=False)

    @property
    def pixel_value(self) -> EncodedBytes:
        """The value of the pixel data element; nothing where there is none."""
        if self.pixels is None:
            return b""
        start = self.pixels.value_offset
        return Section(self.content, start, start + self.pixels.value_length)


def read_dicom(stream: BinaryIO, header_limit: int = DEFAULT_HELD) -> OpenFile:
    """Read a file as far as its pixel data; one without preamble and file meta is read by its looks.

    Parameters
    ----------
    header_limit : what may be held of it, by `condense`

    Raises
    ------
    InstanceUnreadable : it is not DICOM, is cut short, or inflates beyond all bounds
    """
    file = FileBytes.whole(stream.fileno())
    try:
        content, lead = _inflated(file)
        header, position, aside = _read_header(content, lead, header_limit)
        meta = getattr(header, "file_meta", None)
        transfer_syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
        implicit, little = header.original_encoding
        pixels = _pixel_element(content, position, bool(implicit), bool(little))
    except InstanceUnreadable:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to; its words quote values
        raise InstanceUnreadable(f"not readable as DICOM ({type(error).__name__})") from None
    if 0x00080016 not in header and not _has_prefix(file):
        raise InstanceUnreadable("not a DICOM file")
    _check_elements(header, is_last=pixels is None)
    if not is_uid(transfer_syntax):
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        transfer_syntax = ImplicitVRLittleEndian if implicit else explicit
    return OpenFile(content, header, UID(transfer_syntax), pixels, bool(implicit), bool(little), aside)


def _check_elements(header: Dataset, *, is_last: bool) -> None:
    """Notice what pydicom hands on in silence: VRs that do not exist, and a value that is shorter than it says."""
    for tag in header.keys():  # noqa: SIM118 - iterating over a data set converts its elements
        vr = header.get_item(tag, keep_deferred=True).VR
        if vr is not None and vr not in STANDARD_VR:
            # Its length may be of either form (PS3.5 7.1.2), so what follows cannot be trusted to be read rightly.
            raise InstanceUnreadable(f"not a VR of the standard{place_of(tag)}")
    if is_last and is_cut_short(header):
        raise InstanceUnreadable("cut short in its header")


def _has_prefix(file: EncodedBytes) -> bool:
    return file[_PREFIX_END - 4 : _PREFIX_END] == b"DICM"


def write_dicom(directory: Path, source: OpenFile, clean: Dataset, encoded: bytes | None = None) -> Path:
    """Write a clean header with the pixel data of its source, named by its new SOP Instance UID.

    Parameters
    ----------
    encoded : the clean header in the encoding in which the source's was read, where somebody has made it already

    Raises
    ------
    FileExistsError : there is a file of that name; nothing is overwritten
    """
    sop_instance_uid = UID(str(clean.SOPInstanceUID))
    target = directory / f"{sop_instance_uid}.dcm"
    beside = directory / f".{secrets.token_hex(8)}.part"
    try:
        with beside.open("xb") as file:
            _write(file, source, clean, sop_instance_uid, encoded)
            os.fsync(file.fileno())
        os.link(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def with_new_pixels(source: OpenFile, new: BlackenedPixels) -> OpenFile:
    """The file as read, with other pixels and what its header has to say about them."""
    syntax = UID(new.transfer_syntax_uid)
    header = header_of_new_pixels(source.header, new)
    implicit, little = source.is_implicit_vr, source.is_little_endian
    if syntax != source.transfer_syntax_uid:
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    value = ValueBytes(new.value)
    content = JoinedBytes(
        [
            _element_head(header, len(value), implicit=implicit, little=little, encapsulated=new.encapsulated),
            value,
            struct.pack(("<" if little else ">") + "HHI", 0xFFFE, 0xE0DD, 0) if new.encapsulated else b"",
        ]
    )
    head = len(content.parts[0])
    element = PixelElement(0, len(content), head, len(value), new.encapsulated)
    return OpenFile(content, header, syntax, element, implicit, little, source.aside)


def _element_head(header: Dataset, length: int, *, implicit: bool, little: bool, encapsulated: bool) -> bytes:
    """Tag, VR and length of Pixel Data (PS3.5 7.1.2, 8.2, A.4)."""
    order = "<" if little else ">"
    tag = struct.pack(f"{order}HH", 0x7FE0, 0x0010)
    said = struct.pack(f"{order}I", UNDEFINED if encapsulated else length)
    if implicit:
        return tag + said
    vr = b"OB" if encapsulated or int(header.get("BitsAllocated") or 8) <= 8 else b"OW"
    return tag + vr + b"\0\0" + said


def _write(file: BinaryIO, source: OpenFile, clean: Dataset, sop_instance_uid: UID, encoded: bytes | None) -> None:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = source.transfer_syntax_uid
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"ANNOGATE {__version__}"[:16]
    file.write(bytes(128) + b"DICM")
    write_file_meta_info(DicomFileLike(file), meta)
    is_same = source.header.original_encoding == (source.is_implicit_vr, source.is_little_endian)
    if source.aside:
        if not is_same:
            raise InstanceUnreadable("too large to be written in another transfer syntax")
        _write_with_long_values(file, source, clean)
    elif encoded is None or not is_same:
        data_set = DicomFileLike(file)
        data_set.is_implicit_VR, data_set.is_little_endian = source.is_implicit_vr, source.is_little_endian
        write_dataset(data_set, clean)
    else:
        file.write(encoded)
    _copy_pixels(file, source)
    file.flush()


def _write_with_long_values(file: BinaryIO, source: OpenFile, clean: Dataset) -> None:
    encoding = Encoding(source.is_implicit_vr, source.is_little_endian)
    encoded = encoded_header(clean, implicit_vr=encoding.implicit_vr, little_endian=encoding.little_endian)
    for part in source.aside.parts(encoded, encoding):
        _copy(file, part, 0, len(part))


def _copy_pixels(file: BinaryIO, source: OpenFile) -> None:
    if source.pixels is not None:
        _copy(file, source.content, source.pixels.offset, source.pixels.offset + source.pixels.length)


def _copy(file: BinaryIO, content: EncodedBytes, start: int, stop: int) -> None:
    """Write a stretch: by the kernel where it lies in a file."""
    while isinstance(content, Section):
        start, stop = content.start + start, content.start + stop
        content = content.within
    if isinstance(content, FileBytes):
        file.flush()  # the kernel writes behind Python's back
        copy_stretch(content.descriptor, content.start + start, stop - start, file.fileno())
        return
    for chunk in chunks(content, start, stop):
        file.write(chunk)


def _inflated(file: FileBytes) -> tuple[EncodedBytes, bytes]:
    """The bytes to read, and what has to stand before them for pydicom to know what they are.

    That is the file itself, and nothing; or a deflated data set inflated, as Explicit VR Little Endian (PS3.5 A.5).
    """
    transfer_syntax, position = _transfer_syntax(file) if _has_prefix(file) else ("", 0)
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        return file, b""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    lead = io.BytesIO(bytes(128) + b"DICM")
    lead.seek(0, os.SEEK_END)
    write_file_meta_info(DicomFileLike(lead), meta, enforce_standard=False)
    return inflated(Section(file, position, len(file)), MAX_INFLATED), lead.getvalue()


def _transfer_syntax(file: EncodedBytes) -> tuple[str, int]:
    """What file meta says, and where the data set begins."""
    position, found = _PREFIX_END, ""
    while True:
        head = file[position : position + 12]
        if len(head) < 8 or head[:2] != b"\x02\x00":
            return found, position
        _, element, vr, length = struct.unpack_from("<HH2sH", head)
        position += 8
        if vr.decode("latin-1") in LONG_VRS:
            (length,) = struct.unpack_from("<I", head.ljust(12, b"\0"), 8)
            position += 4
        if element == 0x0010:
            found = file[position : position + length].decode("ascii", "replace").strip("\0 ")
        position += length


def _read_header(content: EncodedBytes, lead: bytes, limit: int) -> tuple[Dataset, int, SetAside]:
    """The header, where it ends (at Pixel Data, or with the content), and what was set aside of it."""
    size = len(content)
    if size > _FIRST_LOOK:
        found = _look(content[:_FIRST_LOOK], lead, limit)
        if found is not None:
            return *found, NOTHING_ASIDE
    transfer_syntax, start = _transfer_syntax(content) if _has_prefix(content) else ("", 0)
    if size > IN_MEMORY_BYTES:
        for encoding in _encodings(content, transfer_syntax, start):
            condensed = condense(content, encoding, stop_at=_PIXEL_NUMBERS, held=limit, start=start)
            if condensed is None:
                continue
            header, position = _header_in(content[:start] + condensed.data_set, lead)
            if position == start + condensed.stop:
                return header, condensed.source_stop, condensed.aside
    # Small, or out of the ordinary.
    look = _FIRST_LOOK * _NEXT_LOOK
    while look < min(size, IN_MEMORY_BYTES):
        if (found := _look(content[:look], lead, limit)) is not None:
            return *found, NOTHING_ASIDE
        look *= _NEXT_LOOK
    if size > IN_MEMORY_BYTES:
        raise InstanceUnreadable(f"more than {IN_MEMORY_BYTES >> 20} MiB of it are no pixel data, and not well formed")
    whole = content[:]
    _weigh(whole, lead, limit)
    return *_header_in(whole, lead), NOTHING_ASIDE


def _encodings(content: EncodedBytes, transfer_syntax: str, start: int) -> list[Encoding]:
    """How a data set may be encoded: as it is said, or as it looks."""
    declared = Encoding.of(transfer_syntax)
    if not transfer_syntax:
        declared = Encoding(not content[start + 4 : start + 6].isalpha(), little_endian=True)
    return [declared, Encoding(not declared.implicit_vr, declared.little_endian)]


def _look(start: bytes, lead: bytes, limit: int) -> tuple[Dataset, int] | None:
    """The header, where it ends within the start of the content."""
    if len(start) > _FIRST_LOOK:
        _weigh(start, lead, limit)
    try:
        header, position = _header_in(start, lead)
    except Exception:  # noqa: BLE001 - cut short, as far as anybody can tell from its start alone
        return None
    if position > _WEIGHED_FROM:
        _weigh(start, lead, limit)
    return (header, position) if position + 12 <= len(start) else None


def _weigh(whole: bytes, lead: bytes, limit: int) -> None:
    if len(whole) <= _WEIGHED_FROM:
        return
    transfer_syntax, start = _transfer_syntax(whole) if not lead and _has_prefix(whole) else ("", 0)
    for encoding in _encodings(whole, transfer_syntax, start):
        weigh(whole, encoding, stop_at=_PIXEL_NUMBERS, held=limit, start=start)


def _header_in(start: bytes, lead: bytes) -> tuple[Dataset, int]:
    stream = io.BytesIO(lead + start if lead else start)
    header = dcmread(stream, stop_before_pixels=True, force=True)
    return header, stream.tell() - len(lead)


def _pixel_element(content: EncodedBytes, position: int, implicit: bool, little: bool) -> PixelElement | None:
    """Find the end of the pixel data element that starts at a position; None where there is none."""
    order: Literal["<", ">"] = "<" if little else ">"
    size = len(content)
    head = content[position : position + 12]
    if len(head) < 8 or struct.unpack_from(f"{order}HH", head) not in PIXEL_TAGS:
        if position < size - 8:
            raise InstanceUnreadable("cut short in its header")
        return None
    if implicit:
        (length,), start = struct.unpack_from(f"{order}I", head, 4), position + 8
    else:
        (length,), start = struct.unpack_from(f"{order}I", head.ljust(12, b"\0"), 8), position + 12
    encapsulated = length == UNDEFINED
    stop = find_delimiter(content, start, order)[0] if encapsulated else start + length
    end = stop + DELIMITER_BYTES if encapsulated else stop
    if end > size:
        raise InstanceUnreadable("cut short in its pixel data")
    return PixelElement(position, end - position, start, stop - start, encapsulated)
