"""What the index takes from a header: the searchable columns, and the study's and series' own attributes.

The attributes are those that a search returns at the level (PS3.18 Tables 10.6.3-3 to 10.6.3-5) and some that viewers
and scripts ask for by ``includefield``; what has to be counted (Modalities in Study, numbers of related series and
instances) is not among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from pydicom.dataset import Dataset

from service.archive.dicom_json import JsonWriter
from service.archive.schema import series, studies
from service.core.indexed_values import cut

Attributes = dict[str, dict[str, Any]]

# Date, time, accession number, referring physician, time zone, description, procedure code, physicians, diagnoses;
# patient: name, ID, its issuer, birth date and time, sex, age, size, weight, ethnic group, occupation, history,
# comments; identity removed and how; UID and ID of the study.
STUDY_TAGS = (
    *(0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00080201, 0x00081030, 0x00081032, 0x00081048, 0x00081060),
    *(0x00081080, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100032, 0x00100040, 0x00101010, 0x00101020),
    *(0x00101030, 0x00102160, 0x00102180, 0x001021B0, 0x00104000, 0x00120062, 0x00120063, 0x0020000D, 0x00200010),
)
# Date, time, modality, manufacturer, institution, time zone, station, description, department, physician, operators,
# model; body part, device serial number, software versions, protocol, patient position; UID, number, frame of
# reference, laterality; performed procedure step start, end, ID, description; request attributes.
SERIES_TAGS = (
    *(0x00080021, 0x00080031, 0x00080060, 0x00080070, 0x00080080, 0x00080201, 0x00081010, 0x0008103E, 0x0008103F),
    *(0x00081040, 0x00081050, 0x00081070, 0x00081090, 0x00180015, 0x00181000, 0x00181020, 0x00181030, 0x00185100),
    *(0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253),
    *(0x00400254, 0x00400275),
)
_INSTANCE_TAGS = (0x00200013, 0x00280008, 0x00280010, 0x00280011, 0x00280100)

_STUDY_COLUMNS = {
    "patient_id": "00100020",
    "patient_name": "00100010",
    "patient_birth_date": "00100030",
    "patient_sex": "00100040",
    "study_date": "00080020",
    "study_time": "00080030",
    "accession_number": "00080050",
    "study_id": "00200010",
    "study_description": "00081030",
    "referring_physician_name": "00080090",
}
_SERIES_COLUMNS = {
    "modality": "00080060",
    "series_description": "0008103E",
    "body_part": "00180015",
    "start_date": "00400244",
    "start_time": "00400245",
}
_INSTANCE_COLUMNS = {
    "instance_number": "00200013",
    "number_of_frames": "00280008",
    "rows": "00280010",
    "columns": "00280011",
    "bits_allocated": "00280100",
}
_SERIES_NUMBER = "00200011"
_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ServedAttributes:
    """What one header says of its study and series, in DICOM JSON, and of the instance itself.

    Parameters
    ----------
    numbers : by which instances are searched and sorted; None where the header has none
    """

    study: Attributes
    series: Attributes
    numbers: dict[str, int | None]

    @classmethod
    def of(cls, header: Dataset) -> Self:
        """Take them from a header."""
        study, series, instance = JsonWriter().elements(header, STUDY_TAGS, SERIES_TAGS, _INSTANCE_TAGS)
        own: Attributes = json.loads(instance)
        numbers = {column: _integer(own, tag) for column, tag in _INSTANCE_COLUMNS.items()}
        # Copies: who keeps them fills them up from later instances.
        return cls(dict(loaded(study)), dict(loaded(series)), numbers)


@lru_cache(maxsize=64)  # the instances of a series say the same of it
def loaded(text: str) -> Attributes:
    """Attributes from their JSON; shared, so nobody may change them."""
    attributes: Attributes = json.loads(text)
    return attributes


def study_columns(attributes: Attributes) -> dict[str, Any]:
    """The searchable columns of ``studies`` with the attributes themselves."""
    columns = {name: _text(attributes, tag, studies.c[name].type) for name, tag in _STUDY_COLUMNS.items()}
    return columns | {"attributes": _dumps(attributes)}


def series_columns(attributes: Attributes) -> dict[str, Any]:
    """The searchable columns of ``series`` with the attributes themselves."""
    columns: dict[str, Any] = {
        name: _text(attributes, tag, series.c[name].type) for name, tag in _SERIES_COLUMNS.items()
    }
    return columns | {"series_number": _integer(attributes, _SERIES_NUMBER), "attributes": _dumps(attributes)}


def fill(held: Attributes, later: Mapping[str, dict[str, Any]]) -> bool:
    """Take from a later instance what the first ones left empty; whether there was anything."""
    gained = {tag: element for tag, element in later.items() if _is_empty(held.get(tag)) and not _is_empty(element)}
    held |= gained
    return bool(gained)


def _dumps(attributes: Attributes) -> str:
    return json.dumps(dict(sorted(attributes.items())), ensure_ascii=False, separators=(",", ":"))


def _is_empty(element: Mapping[str, Any] | None) -> bool:
    return element is None or not any(value is not None for value in element.get("Value", ()))


def _text(attributes: Attributes, tag: str, column_type: Any) -> str:
    """Values as the DICOM string that they were, cut to what an index takes; a NUL is nothing a database stores."""
    values = attributes.get(tag, {}).get("Value", ())
    text = "\\".join(
        _person_name(value) if isinstance(value, dict) else str(value) for value in values if value is not None
    )
    return cut(text)[: getattr(column_type, "length", None)]


def _person_name(name: Mapping[str, str]) -> str:
    return "=".join(name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _integer(attributes: Attributes, tag: str) -> int | None:
    value = next(iter(attributes.get(tag, {}).get("Value", ())), None)
    if not isinstance(value, (int, float)) or value != int(value) or abs(value) > _LARGEST_INTEGER:
        return None
    return int(value)
