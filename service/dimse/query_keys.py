"""The keys of the query/retrieve information models: their levels, which can be matched, which can be returned.

PS3.4 Tables C.6-1 to C.6-5; what the index keeps of studies and series is returned and matched besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.archive.query_answers import (
    MODALITIES_IN_STUDY,
    PATIENT_COUNTS,
    SERIES_COUNT,
    SOP_CLASSES_IN_STUDY,
    STUDY_COUNTS,
)
from service.archive.served_attributes import SERIES_TAGS, STUDY_TAGS
from service.core.archive_query import QueryLevel
from service.core.search import SEARCH_KEYS, SearchKey

UNIQUE_KEYS: Final[Mapping[QueryLevel, int]] = {
    QueryLevel.PATIENT: 0x00100020,
    QueryLevel.STUDY: 0x0020000D,
    QueryLevel.SERIES: 0x0020000E,
    QueryLevel.IMAGE: 0x00080018,
}
# What an identifier has that is no key: character set, level, view, Retrieve AE Title, availability.
CONTROLS: Final = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080054, 0x00080056})
QUERY_RETRIEVE_LEVEL: Final = 0x00080052

# Name, ID, issuer, birth date and time, sex, ethnic group, comments.
_PATIENT: Final = frozenset(
    {0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100032, 0x00100040, 0x00102160, 0x00104000}
)
_COUNTED: Final[Mapping[int, QueryLevel]] = {
    **{int(tag, 16): QueryLevel.PATIENT for tag in PATIENT_COUNTS},
    **{int(tag, 16): QueryLevel.STUDY for tag in (MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, *STUDY_COUNTS)},
    int(SERIES_COUNT, 16): QueryLevel.SERIES,
}
_STUDY: Final = frozenset(STUDY_TAGS) - _PATIENT
_SERIES: Final = frozenset(SERIES_TAGS) - _STUDY

COLUMNS: Final[Mapping[int, SearchKey]] = {key.path[0]: key for key in SEARCH_KEYS if len(key.path) == 1}
"""Keys that the index has a column or a condition of its own for."""


def level_of(tag: int) -> QueryLevel:
    """The level of a key in the Patient Root; the Study Root has the patient's at the study level."""
    if tag in _COUNTED:
        return _COUNTED[tag]
    if tag in _PATIENT:
        return QueryLevel.PATIENT
    if tag in _STUDY:
        return QueryLevel.STUDY
    return QueryLevel.SERIES if tag in _SERIES else QueryLevel.IMAGE


def is_counted(tag: int) -> bool:
    """Whether its value is worked out for each answer."""
    return tag in _COUNTED


def is_kept(tag: int) -> bool:
    """Whether the index keeps it of every study or series."""
    return tag in _PATIENT or tag in _STUDY or tag in _SERIES


def name_of(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
