"""Which images a rule of config/devices is about: patterns over what the header says of device and image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import pydicom.uid
from pydicom.dataset import Dataset

from service.errors import SettingsInvalid

TEXT_CRITERIA: Final = {
    "modality": "Modality",
    "image_type": "ImageType",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "burned_in_annotation": "BurnedInAnnotation",
    "photometric": "PhotometricInterpretation",
    "conversion": "ConversionType",
    "series_description": "SeriesDescription",
}
"""Criteria that hold patterns with ``*`` and ``?``, compared without regard to case; values are joined with ``\\``."""
NUMBER_CRITERIA: Final = {"rows": "Rows", "columns": "Columns", "samples": "SamplesPerPixel"}
SOP_CLASS: Final = "sop_class"
CRITERIA: Final = (SOP_CLASS, *TEXT_CRITERIA, *NUMBER_CRITERIA)


@dataclass(frozen=True, slots=True)
class ImageCriteria:
    """What an image must be like: each criterion that is named holds alternatives, and all criteria must fit.

    Parameters
    ----------
    sop_classes : UIDs; empty means any
    texts : keyword of an attribute and the patterns of which one must fit its value
    numbers : keyword of an attribute and the numbers that it may have
    """

    sop_classes: frozenset[str]
    texts: tuple[tuple[str, tuple[str, ...]], ...]
    numbers: tuple[tuple[str, frozenset[int]], ...]

    def fit(self, header: Dataset) -> bool:
        """Whether an image is one of these."""
        if self.sop_classes and _text(header, "SOPClassUID") not in self.sop_classes:
            return False
        if any(_number(header, keyword) not in allowed for keyword, allowed in self.numbers):
            return False
        return all(_fits_one(_text(header, keyword), patterns) for keyword, patterns in self.texts)


def read_criteria(table: Mapping[str, Any], where: str) -> ImageCriteria:
    """Read the ``when`` of a rule.

    Raises
    ------
    SettingsInvalid : an unknown criterion, SOP class or kind of value, named with ``where``
    """
    texts, numbers = [], []
    sop_classes: frozenset[str] = frozenset()
    for key, value in table.items():
        at = f"{where}: when.{key}"
        if key not in CRITERIA:
            raise SettingsInvalid(f"{at}: no such criterion ({', '.join(CRITERIA)})")
        values = value if isinstance(value, list) else [value]
        if key in NUMBER_CRITERIA:
            if not values or not all(isinstance(each, int) and not isinstance(each, bool) for each in values):
                raise SettingsInvalid(f"{at}: a number or a list of numbers")
            numbers.append((NUMBER_CRITERIA[key], frozenset(values)))
            continue
        if not values or not all(isinstance(each, str) and each for each in values):
            raise SettingsInvalid(f"{at}: a text or a list of texts")
        if key == SOP_CLASS:
            sop_classes = frozenset(_sop_class_uid(each, at) for each in values)
        else:
            texts.append((TEXT_CRITERIA[key], tuple(_pattern(each) for each in values)))
    return ImageCriteria(sop_classes, tuple(texts), tuple(numbers))


def _sop_class_uid(name: str, at: str) -> str:
    """The UID of a SOP class by its keyword in PS3.6, as ``CTImageStorage``; private ones by their UID."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)+", name):
        return name
    uid = getattr(pydicom.uid, name, None)
    if not isinstance(uid, pydicom.uid.UID):
        raise SettingsInvalid(f"{at}: {name!r} is no keyword of a SOP class")
    return str(uid)


def _pattern(text: str) -> str:
    # Square brackets stand for themselves: names of models have them.
    return text.upper().replace("[", "[[]")


def _fits_one(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _text(header: Dataset, keyword: str) -> str:
    value = _value(header, keyword)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip().upper()
    try:
        return "\\".join(str(each).strip() for each in value).upper()
    except TypeError:
        return str(value).strip().upper()


def _number(header: Dataset, keyword: str) -> int | None:
    value = _value(header, keyword)
    return value if isinstance(value, int) else None


def _value(header: Dataset, keyword: str) -> Any:
    """The value of an attribute; what cannot be read fits no criterion, so that the image is looked at."""
    try:
        return header.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on values that break their VR
        return None
