"""Identifiers of C-FIND, C-MOVE and C-GET: data sets to and from their encoding (PS3.4 C.4)."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN

UNICODE: Final = "ISO_IR 192"


def encode_identifier(identifier: Dataset, transfer_syntax_uid: str) -> bytes:
    """The data set in Explicit or Implicit VR Little Endian.

    Raises
    ------
    InstanceUnreadable : a value does not fit its VR
    """
    target = DicomBytesIO()
    target.is_implicit_VR = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    target.is_little_endian = True
    try:
        write_dataset(target, identifier)
    except Exception as error:  # pydicom raises what it likes on values that do not fit
        raise InstanceUnreadable("the identifier cannot be encoded") from error
    return bytes(target.getvalue())


def decode_identifier(data: bytes, transfer_syntax_uid: str) -> Dataset:
    """A data set from its encoding; values are read when they are asked for.

    Raises
    ------
    InstanceUnreadable : the bytes are no data set
    """
    try:
        implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        return read_dataset(BytesIO(data), is_implicit_VR=implicit, is_little_endian=True, bytelength=len(data))
    except Exception as error:  # pydicom raises what it likes on bytes that are none
        raise InstanceUnreadable("the identifier cannot be read") from error
