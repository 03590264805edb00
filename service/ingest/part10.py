"""The envelope of a DICOM file (PS3.10 7.1): taken off what comes in, put fresh round what is kept."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.storage_classes import is_uid
from service.core.implementation import IMPLEMENTATION_CLASS_UID

_PREAMBLE: Final = bytes(128) + b"DICM"
_LONG_LENGTH: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM file taken apart: what its file meta says, and its data set as encoded."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes = field(repr=False)


def read_file(content: bytes) -> DicomFile:
    """Take preamble and file meta off.

    Raises
    ------
    InstanceUnreadable : not a DICOM file, or its file meta names no transfer syntax
    """
    if content[128:132] != b"DICM":
        raise InstanceUnreadable("Not a DICOM file: no DICM prefix")
    values: dict[int, str] = {}
    position = 132
    while True:
        # The group decides where file meta ends: its length (0002,0000) is often wrong or missing.
        if content[position : position + 2] != b"\x02\x00" or len(content) < position + 8:
            break
        element, vr, short = struct.unpack_from("<H2sH", content, position + 2)
        position += 8
        if vr in _LONG_LENGTH:
            if len(content) < position + 4:
                raise InstanceUnreadable("Cut short in its file meta information")
            (length,) = struct.unpack_from("<I", content, position)
            position += 4
        else:
            length = short
        value = content[position : position + length]
        if len(value) < length:
            raise InstanceUnreadable("Cut short in its file meta information")
        position += length
        values[element] = value.decode("ascii", "replace").strip("\0 ") if vr == b"UI" else ""
    transfer_syntax_uid = values.get(0x0010, "")
    if not is_uid(transfer_syntax_uid):
        raise InstanceUnreadable("No Transfer Syntax UID (0002,0010) in file meta")
    return DicomFile(values.get(0x0002, ""), values.get(0x0003, ""), transfer_syntax_uid, content[position:])


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
