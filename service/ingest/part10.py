"""The envelope of a DICOM file (PS3.10 7.1): taken off what comes in, put fresh round what is kept."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.storage_classes import is_uid
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.implementation import IMPLEMENTATION_CLASS_UID

_PREAMBLE: Final = bytes(128) + b"DICM"
_LONG_LENGTH: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM file taken apart: what its file meta says, and its data set as encoded."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: EncodedBytes = field(repr=False)


def read_file(content: EncodedBytes, *, has_preamble: bool = True) -> DicomFile:
    """Take preamble and file meta off; the data set stays where it is.

    Raises
    ------
    InstanceUnreadable : not a DICOM file, or its file meta names no transfer syntax
    """
    if has_preamble and content[128:132] != b"DICM":
        raise InstanceUnreadable("Not a DICOM file: no DICM prefix")
    values: dict[int, str] = {}
    position = len(_PREAMBLE) if has_preamble else 0
    while True:
        head = content[position : position + 12]
        # The group decides where file meta ends: its length (0002,0000) is often wrong or missing.
        if head[:2] != b"\x02\x00" or len(head) < 8:
            break
        element, vr, length = struct.unpack_from("<H2sH", head, 2)
        position += 8
        if vr in _LONG_LENGTH:
            if len(head) < 12:
                raise InstanceUnreadable("Cut short in its file meta information")
            (length,) = struct.unpack_from("<I", head, 8)
            position += 4
        if len(content) < position + length:
            raise InstanceUnreadable("Cut short in its file meta information")
        if vr == b"UI":
            values[element] = content[position : position + length].decode("ascii", "replace").strip("\0 ")
        position += length
    transfer_syntax_uid = values.get(0x0010, "")
    if not is_uid(transfer_syntax_uid):
        raise InstanceUnreadable("No Transfer Syntax UID (0002,0010) in file meta")
    is_small = isinstance(content, bytes)
    data_set = content[position:] if is_small else Section(content, position, len(content))
    return DicomFile(values.get(0x0002, ""), values.get(0x0003, ""), transfer_syntax_uid, data_set)


def file_head(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    *,
    implementation_version: str,
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
) -> bytes:
    """Preamble, prefix and file meta of a file that this gateway writes (PS3.10 Table 7.1-1).

    The preamble is zero, and no AE title and no private information is carried over: a sender's would be identity.
    """
    body = b"".join(
        (
            struct.pack("<HH2sHI2s", 2, 0x0001, b"OB", 0, 2, b"\0\1"),
            _uid_element(0x0002, sop_class_uid),
            _uid_element(0x0003, sop_instance_uid),
            _uid_element(0x0010, transfer_syntax_uid),
            _uid_element(0x0012, implementation_class_uid),
            _text_element(0x0013, b"SH", implementation_version[:16].encode("ascii"), b" "),
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def _uid_element(element: int, uid: str) -> bytes:
    return _text_element(element, b"UI", uid.encode("ascii"), b"\0")


def _text_element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
