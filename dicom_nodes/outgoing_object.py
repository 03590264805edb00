"""One object to be sent: what negotiation needs to know of it, and where its bytes are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from dicom_nodes.errors import InstanceUnreadable

_PREAMBLE_BYTES: Final = 128
_META_GROUP: Final = 0x0002
_META_SOP_CLASS_UID: Final = 0x0002
_META_SOP_INSTANCE_UID: Final = 0x0003
_META_TRANSFER_SYNTAX_UID: Final = 0x0010
_LONG_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)


@dataclass(frozen=True, slots=True)
class OutgoingObject:
    """An object in its own transfer syntax; nothing is transcoded.

    Parameters
    ----------
    load : gives the encoded data set without file meta, when its turn comes and not before
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    load: Callable[[], bytes] = field(repr=False, compare=False)

    @classmethod
    def from_file(cls, path: Path) -> OutgoingObject:
        """A DICOM file (PS3.10); its data set is read when its turn comes.

        Raises
        ------
        InstanceUnreadable : it has no file meta information that names class, instance and transfer syntax
        """
        with path.open("rb") as file:
            meta, offset = read_file_meta(file)
        return cls._described_by(meta, partial(_tail, path, offset))

    @classmethod
    def from_data_set(cls, data_set: Dataset) -> OutgoingObject:
        """A data set in memory, in the transfer syntax of its file meta; encoded when its turn comes."""
        syntax = data_set.file_meta.TransferSyntaxUID
        return cls(str(data_set.SOPClassUID), str(data_set.SOPInstanceUID), str(syntax), partial(_encoded, data_set))

    @classmethod
    def from_bytes(
        cls, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data_set: bytes
    ) -> OutgoingObject:
        """An encoded data set."""
        return cls(sop_class_uid, sop_instance_uid, transfer_syntax_uid, lambda: data_set)

    @classmethod
    def _described_by(cls, meta: dict[int, str], load: Callable[[], bytes]) -> OutgoingObject:
        try:
            return cls(meta[_META_SOP_CLASS_UID], meta[_META_SOP_INSTANCE_UID], meta[_META_TRANSFER_SYNTAX_UID], load)
        except KeyError as error:
            raise InstanceUnreadable(f"the file meta information lacks (0002,{error.args[0]:04X})") from error


def _tail(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def _encoded(data_set: Dataset) -> bytes:
    syntax = data_set.file_meta.TransferSyntaxUID
    encoded = encode(data_set, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if encoded is None:
        raise InstanceUnreadable("the data set cannot be encoded in its transfer syntax")
    return bytes(encoded)


def read_file_meta(file: BinaryIO) -> tuple[dict[int, str], int]:
    """The UIDs of group 0002 (Explicit VR Little Endian, PS3.10 7.1) by element, and where the data set starts.

    Raises
    ------
    InstanceUnreadable : it is no DICOM file
    """
    if file.read(_PREAMBLE_BYTES + 4)[_PREAMBLE_BYTES:] != b"DICM":
        raise InstanceUnreadable("not a DICOM file")
    meta: dict[int, str] = {}
    while True:
        offset = file.tell()
        header = file.read(8)
        if len(header) < 8 or int.from_bytes(header[:2], "little") != _META_GROUP:
            return meta, offset
        element, vr = struct.unpack("<2xH2s", header[:6])
        length = int.from_bytes(file.read(4) if vr in _LONG_VRS else header[6:], "little")
        value = file.read(length)
        if len(value) < length:
            raise InstanceUnreadable("the file meta information is cut")
        if vr == b"UI":
            meta[element] = value.rstrip(b"\0 ").decode("latin-1")
