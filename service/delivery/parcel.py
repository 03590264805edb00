"""One object as it leaves: encoded, with the patient's identity in it; it lies open in memory alone."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from service.core.implementation import IMPLEMENTATION_CLASS_UID

_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Parcel:
    """An object that is ready to leave.

    Parameters
    ----------
    data_set : encoded in ``transfer_syntax_uid``, without file meta
    identity : keyed digest of the patient that stands in it
    note : what a person should know of how it was made, in words without identity
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes = field(repr=False)
    identity: str = ""
    note: str = ""

    def parts(self) -> Iterator[bytes]:
        """As it is sealed: a head in JSON, then the data set."""
        names = ("sop_class_uid", "sop_instance_uid", "transfer_syntax_uid", "identity", "note")
        head = json.dumps({name: getattr(self, name) for name in names}).encode()
        yield _LENGTH.pack(len(head)) + head
        yield self.data_set

    @classmethod
    def of_parts(cls, content: bytes) -> Parcel:
        """From what was sealed."""
        (length,) = _LENGTH.unpack(content[: _LENGTH.size])
        start = _LENGTH.size + length
        return cls(**json.loads(content[_LENGTH.size : start]), data_set=content[start:])

    def in_implicit_vr(self) -> Parcel:
        """The same for a peer that takes nothing but the default transfer syntax (PS3.5 10.1)."""
        if self.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
            return self
        data_set = dcmread(BytesIO(as_file_bytes(self)))
        return Parcel(
            self.sop_class_uid,
            self.sop_instance_uid,
            IMPLICIT_VR_LITTLE_ENDIAN,
            encoded(data_set, implicit_vr=True),
            self.identity,
            self.note,
        )


def encoded(data_set: Dataset, *, implicit_vr: bool = False) -> bytes:
    """A data set in little endian, without preamble and file meta."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit_vr, True
    data_set.set_original_encoding(is_implicit_vr=implicit_vr, is_little_endian=True)
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def as_file_bytes(parcel: Parcel) -> bytes:
    """The object as a DICOM file (PS3.10 7), as STOW-RS wants it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(parcel.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(parcel.sop_instance_uid)
    meta.TransferSyntaxUID = UID(parcel.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + buffer.getvalue() + parcel.data_set
