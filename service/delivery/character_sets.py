"""The texts of what leaves in the character set that the hospital sent the study in (PS3.3 C.12.1.1.2).

Where it cannot hold all of an object's texts the object leaves in UTF-8, which can.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from io import BytesIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue

UTF8 = "ISO_IR 192"
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})


def in_character_set(header: Dataset, character_set: Sequence[str]) -> bool:
    """Mark a header for writing in a character set, if it holds every text of it; otherwise in UTF-8, and False.

    Parameters
    ----------
    header : decoded, without its pixel data; Specific Character Set is set in it, at every depth where it stands
    character_set : values of (0008,0005) as they came; none is ASCII alone
    """
    for values in (tuple(character_set), (UTF8,)):
        _mark(header, values)
        if values == (UTF8,):
            break
        if _comes_back(header):
            return True
    return tuple(character_set) == (UTF8,)


def _mark(data_set: Dataset, values: Sequence[str]) -> None:
    if values:
        data_set.SpecificCharacterSet = values[0] if len(values) == 1 else list(values)
    elif "SpecificCharacterSet" in data_set:
        del data_set.SpecificCharacterSet
    for item in _items(data_set):
        # An item without one follows the data set that it is in.
        if "SpecificCharacterSet" in item:
            del item.SpecificCharacterSet
        for inner in _items(item):
            _drop(inner)


def _drop(data_set: Dataset) -> None:
    if "SpecificCharacterSet" in data_set:
        del data_set.SpecificCharacterSet
    for item in _items(data_set):
        _drop(item)


def _items(data_set: Dataset) -> Iterator[Dataset]:
    for element in data_set:
        if element.VR == "SQ":
            yield from element.value or ()


def _comes_back(header: Dataset) -> bool:
    """Whether every text is the same after it was written and read again."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a character is replaced is seen below
        try:
            copied = deepcopy(header)
            copied.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
            write_dataset(buffer, copied)
            again = dcmread(BytesIO(buffer.getvalue()), force=True)
            return list(_texts(header)) == list(_texts(again))
        except (UnicodeError, LookupError, ValueError):
            return False


def _texts(data_set: Dataset) -> Iterator[str]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _texts(item)
        elif element.VR in _TEXT:
            yield _text(element)


def _text(element: DataElement) -> str:
    value = element.value
    values = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join("" if one is None else str(one) for one in values)
