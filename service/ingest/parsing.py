"""Bytes of a data set → its header and where its pixels are, or in words what is wrong with them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Final, Literal

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID
from pydicom.values import converters

from dicom_nodes.errors import InstanceUnreadable, SopClassMismatch
from dicom_nodes.storage_classes import is_uid
from service.core.condensed import DEFAULT_HELD, condense, weigh
from service.core.element_places import place_of
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, Keep
from service.core.encoded_data_set import Encoding
from service.core.inflation import INFLATED_LIMIT, inflate
from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.raw_scan import scan
from service.ingest import pixel_data
from service.ingest.object_classes import name_of, requires_pixels
from service.ingest.pixel_data import EncodedPixels

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
_GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"
IMPLICIT_TRANSFER_SYNTAXES: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, _GE_IMPLICIT_VR_BIG_ENDIAN_PIXELS})
_PIXEL_DATA_PROVIDER_URL: Final = 0x00287FE0
_REQUIRED: Final = (
    (0x00080016, "SOP Class UID (0008,0016)"),
    (0x00080018, "SOP Instance UID (0008,0018)"),
    (0x0020000D, "Study Instance UID (0020,000D)"),
    (0x0020000E, "Series Instance UID (0020,000E)"),
)
_CUT_SHORT: Final = "Cut short in its header"
_NOT_A_DATA_SET: Final = "Not a data set that can be read"
_ITEM_GROUP: Final = 0xFFFE
_UNDEFINED: Final = 0xFFFFFFFF
_VALUE_REPRESENTATIONS: Final = frozenset(converters)
_BYTE_ORDERS: Final[tuple[Literal["little", "big"], ...]] = ("little", "big")

_FIRST_LOOK: Final = 256 << 10
_NEXT_LOOK: Final = 4
_WEIGHED_FROM: Final = 64 << 10
"""Bytes of a header below which nobody asks what it weighs."""


@dataclass(frozen=True, slots=True, eq=False)
class ParsedInstance:
    """One data set, read up to its pixels.

    Parameters
    ----------
    header : everything before Pixel Data; values are converted when first used
    aside : what stands for long values in the header
    encoded : the data set's bytes (inflated, where the transfer syntax deflates); in memory only where they are few
    pixels : the pixel element, a stretch of ``encoded``; None where there is none
    """

    header: Dataset = field(repr=False)
    transfer_syntax_uid: str
    encoded: EncodedBytes = field(repr=False)
    pixels: EncodedPixels | None
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    aside: SetAside = field(default=NOTHING_ASIDE, repr=False)

    @property
    def deflated(self) -> bool:
        """Whether offsets into ``encoded`` are not offsets into the bytes that came in."""
        return self.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


def parse(
    data_set: EncodedBytes,
    transfer_syntax_uid: str,
    *,
    sop_class_uid: str = "",
    inflated_limit: int = INFLATED_LIMIT,
    header_limit: int = DEFAULT_HELD,
    keep: Keep = b"".join,
) -> ParsedInstance:
    """Read a data set as far as its pixels and hold it against what every object must have.

    Of a data set that is not in memory no more than the header gets there, without values that nobody has to read.

    Parameters
    ----------
    data_set : without preamble and file meta
    sop_class_uid : what the command set or the file meta said; "" when nothing did
    inflated_limit : bytes that a deflated data set may inflate to
    header_limit : what may be held of it, by `condense`
    keep : keeps the inflated data set

    Raises
    ------
    InstanceUnreadable : not a data set, cut short, a UID missing or malformed, pixels missing or cut short
    SopClassMismatch : the SOP Class UID is another than that of the command
    """
    if not len(data_set):
        raise InstanceUnreadable("There is no data set")
    if not is_uid(transfer_syntax_uid):
        raise InstanceUnreadable("The transfer syntax is not a UID")
    encoded = keep(inflate(data_set, inflated_limit)) if _is_deflated(transfer_syntax_uid) else data_set
    header, position, aside = _read_start(encoded, transfer_syntax_uid, header_limit)
    uids = _read_uids(header)
    if sop_class_uid and uids[0] != sop_class_uid:
        raise SopClassMismatch("SOP Class UID (0008,0016) is not that of the command")
    pixels = None
    if position < len(encoded):
        implicit_vr, little_endian = header.original_encoding
        pixels = pixel_data.locate(encoded, position, implicit_vr=bool(implicit_vr), little_endian=bool(little_endian))
    _check_pixels(header, pixels, uids[0], transfer_syntax_uid)
    return ParsedInstance(header, transfer_syntax_uid, encoded, pixels, *uids, aside=aside)


def text_of(header: Dataset, tag: int) -> str:
    """The value of an element that holds ASCII text, taken from its bytes; "" where it is absent."""
    if tag not in header:
        return ""
    element = header.get_item(tag, keep_deferred=True)
    value = element.value
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\0 ")
    return "" if value is None else str(value).strip("\0 ")


def number_of(header: Dataset, tag: int) -> int | None:
    """The integer in a US, UL or IS element, taken from its bytes; None where there is none to be read."""
    if tag not in header:
        return None
    element = header.get_item(tag, keep_deferred=True)
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        if tag == 0x00280008:  # Number of Frames is an IS, the others are US
            return _leading_integer(value)
        endian = "<" if element.is_little_endian else ">"
        sizes = {2: "H", 4: "I"}
        return int(struct.unpack(endian + sizes[len(value)], value)[0]) if len(value) in sizes else None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _leading_integer(value: bytes) -> int | None:
    try:
        return int(value.split(b"\\")[0].strip(b"\0 "))
    except ValueError:
        return None


def _is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether the standard says so; a private transfer syntax may do as it likes."""
    uid = UID(transfer_syntax_uid)
    return uid.type == "Transfer Syntax" and uid.is_encapsulated


def _is_deflated(transfer_syntax_uid: str) -> bool:
    return transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


def _at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag in pixel_data.PIXEL_TAGS


def _read_start(encoded: EncodedBytes, transfer_syntax_uid: str, limit: int) -> tuple[Dataset, int, SetAside]:
    """The header, the offset at which Pixel Data stands (the end where there is none), and what was set aside."""
    if isinstance(encoded, bytes):
        return *_read_header(encoded, transfer_syntax_uid, limit), NOTHING_ASIDE
    found = _look(encoded[:_FIRST_LOOK], transfer_syntax_uid, limit)
    if found is not None:
        return *found, NOTHING_ASIDE
    declared = Encoding.of(transfer_syntax_uid)
    for implicit_vr in (declared.implicit_vr, not declared.implicit_vr):  # what is declared is not always what is sent
        condensed = condense(
            encoded, Encoding(implicit_vr, declared.little_endian), stop_at=pixel_data.PIXEL_TAGS, held=limit
        )
        if condensed is None:
            continue
        header, position = _read_header(condensed.data_set, transfer_syntax_uid)
        if position == condensed.stop:
            return header, condensed.source_stop, condensed.aside
    return *_read_as_it_is(encoded, transfer_syntax_uid, limit), NOTHING_ASIDE


def _read_as_it_is(encoded: EncodedBytes, transfer_syntax_uid: str, limit: int) -> tuple[Dataset, int]:
    """Read what is out of the ordinary, from its start, in ever larger looks until Pixel Data is found."""
    limit = min(limit, IN_MEMORY_BYTES)
    look = _FIRST_LOOK * _NEXT_LOOK
    while look < min(limit, len(encoded)):
        if (found := _look(encoded[:look], transfer_syntax_uid, limit)) is not None:
            return found
        look *= _NEXT_LOOK
    try:
        header, position = _read_header(encoded[:limit], transfer_syntax_uid, limit)
    except InstanceUnreadable as err:
        raise (_header_too_large(limit) if limit < len(encoded) else err) from None
    if limit < len(encoded) and position >= limit:
        raise _header_too_large(limit)
    return header, position


def _look(start: bytes, transfer_syntax_uid: str, limit: int) -> tuple[Dataset, int] | None:
    """The header, where it ends within the start of a data set."""
    try:
        header, position = _read_header(start, transfer_syntax_uid, limit)
    except InstanceUnreadable:
        return None  # cut short, as far as anybody can tell from its start alone
    return (header, position) if position < len(start) else None


def _header_too_large(limit: int) -> InstanceUnreadable:
    return InstanceUnreadable(f"More than {limit >> 20} MiB of it are no Pixel Data, and it is not well formed")


def _read_header(encoded: bytes, transfer_syntax_uid: str, limit: int | None = None) -> tuple[Dataset, int]:
    """The elements before Pixel Data, and the offset at which it stands (the end where there is none).

    Parameters
    ----------
    limit : what they may weigh; None where somebody weighed them
    """
    if transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN:
        scanned = scan(encoded, implicit_vr=transfer_syntax_uid in IMPLICIT_TRANSFER_SYNTAXES)
        if scanned is not None:
            if scanned[1] > _WEIGHED_FROM:
                _weigh(encoded, transfer_syntax_uid, limit)
            return scanned
    if len(encoded) > _WEIGHED_FROM:
        _weigh(encoded, transfer_syntax_uid, limit)  # before pydicom takes sequences apart
    stream = io.BytesIO(encoded)
    try:
        header = read_dataset(
            stream,
            is_implicit_VR=transfer_syntax_uid in IMPLICIT_TRANSFER_SYNTAXES,
            is_little_endian=transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN,
            stop_when=_at_pixels,
        )
    except OSError as err:
        raise InstanceUnreadable(_CUT_SHORT) from err
    except Exception as err:  # pydicom meets arbitrary bytes here with whatever error they provoke
        raise InstanceUnreadable(_NOT_A_DATA_SET) from err
    position = stream.tell()
    _check_complete(header, encoded, position)
    for tag in list(header.keys()):
        # Groups 0000 and 0002 belong to the command and the file meta, in a data set they are a sender's mistake;
        # group lengths (retired, PS3.5 7.2) are untrue as soon as anything changes.
        if tag.group < 0x0008 or tag.element == 0:
            del header[tag]
    return header, position


def _weigh(encoded: bytes, transfer_syntax_uid: str, limit: int | None) -> None:
    if limit is not None:
        weigh(encoded, Encoding.of(transfer_syntax_uid), stop_at=pixel_data.PIXEL_TAGS, held=limit)


def _check_complete(header: Dataset, encoded: bytes, position: int) -> None:
    """Notice what pydicom hands on in silence: values shorter than they say, and bytes that are no element."""
    end = 0
    for tag in header.keys():  # noqa: SIM118  # iterating over a data set converts its elements
        if tag.group == _ITEM_GROUP:
            raise InstanceUnreadable("An item stands outside of a sequence")
        element: DataElement | RawDataElement = header.get_item(tag, keep_deferred=True)
        end = 0
        if element.VR is not None and element.VR not in _VALUE_REPRESENTATIONS:
            # Its length may be of either form (PS3.5 7.1.2), so what follows cannot be trusted to be read rightly.
            raise InstanceUnreadable(f"Not a VR of the standard{place_of(tag)}")
        if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
            if len(element.value or b"") < element.length:
                raise InstanceUnreadable(f"{_CUT_SHORT}{place_of(tag)}")
            end = element.value_tell + element.length
    if not len(header):
        raise InstanceUnreadable(_NOT_A_DATA_SET)
    if position < len(encoded) and not _starts_pixels(encoded[position : position + 4]):
        raise InstanceUnreadable("Unreadable after its header")
    # Fewer than eight bytes are no element; zeros are padding.
    if position == len(encoded) and end and encoded[end:].strip(b"\0"):
        raise InstanceUnreadable(_CUT_SHORT)


def _starts_pixels(head: bytes) -> bool:
    return any(
        int.from_bytes(head[0:2], order) << 16 | int.from_bytes(head[2:4], order) in pixel_data.PIXEL_TAGS
        for order in _BYTE_ORDERS
    )


def _read_uids(header: Dataset) -> tuple[str, str, str, str]:
    found = []
    for tag, name in _REQUIRED:
        value = text_of(header, tag)
        if not value:
            raise InstanceUnreadable(f"No {name}")
        if not is_uid(value):
            raise InstanceUnreadable(f"{name} is not a UID")
        found.append(value)
    sop_class, instance, study, series = found
    return sop_class, instance, study, series


def _check_pixels(header: Dataset, pixels: EncodedPixels | None, sop_class_uid: str, transfer_syntax_uid: str) -> None:
    if pixels is None:
        if requires_pixels(sop_class_uid) and _PIXEL_DATA_PROVIDER_URL not in header:
            raise InstanceUnreadable(f"{name_of(sop_class_uid)} without Pixel Data")
        return
    if pixels.encapsulated:
        if not pixels.fragments:
            raise InstanceUnreadable("Encapsulated Pixel Data without a fragment")
        return
    if _is_encapsulated(transfer_syntax_uid):
        raise InstanceUnreadable("Pixel Data is not encapsulated as its transfer syntax asks")
    expected = pixel_data.expected_length(lambda tag: number_of(header, tag), pixels.tag, text_of(header, 0x00280004))
    if expected is not None and len(pixels.value) < expected:
        raise InstanceUnreadable("Cut short: Pixel Data is smaller than Rows × Columns × Frames ask")
