"""What is asked of a search over studies, series and instances, and what it finds (PS3.18 8.3.4, PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from service.core.view import EVERYTHING, View

Attributes = dict[str, dict[str, Any]]
"""DICOM JSON (PS3.18 Annex F): tag as eight hex digits → vr and Value."""


class Level(IntEnum):
    """A level of the information model; a lower one has the greater value."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


class MatchKind(StrEnum):
    """How the values of an attribute are compared."""

    UID = "uid"
    """Any of a list."""
    DATE = "date"
    """One day or a range, both ends included."""
    TIME = "time"
    """As many digits as are given, or a range."""
    TEXT = "text"
    """Exactly, or with the wildcards * and ?; case matters."""
    CODE = "code"
    """As TEXT; several values, any of which may match."""
    PERSON = "person"
    """As TEXT, but without case and accents, in any component group of the name; or fuzzily."""
    NUMBER = "number"
    DECIMAL = "decimal"
    """To seven significant digits."""
    DATE_TIME = "date-time"
    """As TIME; an offset from UTC counts."""


@dataclass(frozen=True, slots=True)
class SearchKey:
    """An attribute that can be matched.

    Parameters
    ----------
    path : tags from the outermost sequence to the attribute; almost always one
    source : the level whose attributes hold it, where that is lower: a study has what any of its series has
    several : whether the attribute may have several values
    added : whether it was made searchable by `annogate index add`
    """

    path: tuple[int, ...]
    keyword: str
    level: Level
    kind: MatchKind
    source: Level | None = None
    several: bool = False
    added: bool = False

    @property
    def held_at(self) -> Level:
        """The level whose attributes hold it."""
        return self.source or self.level

    @property
    def has_table(self) -> bool:
        """Whether its values stand in a table of their own rather than in a column."""
        return self.added or self.kind is MatchKind.PERSON or len(self.path) > 1


@dataclass(frozen=True, slots=True)
class Match:
    """One condition; ``values`` holds the alternatives, or for a range its first and last value ("" for open).

    Parameters
    ----------
    all_of : the attribute has to have every one of the values (PS3.4 C.2.2.2.8)
    is_empty : the attribute has to be absent or without a value (PS3.4 C.2.2.2.7)
    fuzzy : a name is to be matched by the rule of `service.core.person_names`
    """

    key: SearchKey
    values: tuple[str, ...] = field(repr=False, default=())
    is_range: bool = False
    all_of: bool = False
    is_empty: bool = False
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class MomentMatch:
    """A date and a time range that stand for one range from moment to moment (PS3.4 C.2.2.2.5.4); "" is open.

    Each end is a date followed by a time, ``YYYYMMDDHHMMSS.FFFFFF``, compared as text.
    """

    date: SearchKey
    time: SearchKey
    first: str = field(repr=False)
    last: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One search; ``study_uid`` and ``series_uid`` are those of the resource that is searched, "" for all."""

    project: str
    level: Level
    study_uid: str = ""
    series_uid: str = ""
    matches: tuple[Match, ...] = ()
    moments: tuple[MomentMatch, ...] = ()
    limit: int = 1000
    offset: int = 0
    with_study_counts: bool = False
    """Whether a search below the study level tells how much each study holds; at the study level it always does."""
    with_series_counts: bool = False
    """The same for series, in a search for instances."""
    with_metadata: bool = False
    """Whether attributes are wanted that only an instance's own metadata has; at a higher level, its first one's."""
    view: View = EVERYTHING
    """Who looks: what they do not see is neither found nor counted."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result: its UIDs, and every attribute that is known of it at its level and above."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    attributes: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The results from ``offset`` on, ``limit`` at most.

    Parameters
    ----------
    remaining : how many more match, counted up to 10,000
    and_more : whether there are more than that
    """

    found: list[Found]
    remaining: int
    and_more: bool = False


class InstanceSearcher(Protocol):
    """Searches what the archive holds; hidden instances are never found."""

    def search(self, query: SearchQuery) -> SearchPage:
        """Find what matches every condition, in an order that stays the same while nothing changes."""
        ...

    def added_keys(self) -> Mapping[tuple[int, ...], SearchKey | None]:
        """Attributes that were made searchable, by path; None for one whose values are still being gathered."""
        ...


SEARCH_KEYS = (
    SearchKey((0x00080020,), "StudyDate", Level.STUDY, MatchKind.DATE),
    SearchKey((0x00080030,), "StudyTime", Level.STUDY, MatchKind.TIME),
    SearchKey((0x00080050,), "AccessionNumber", Level.STUDY, MatchKind.TEXT),
    SearchKey((0x00080061,), "ModalitiesInStudy", Level.STUDY, MatchKind.CODE, Level.SERIES, several=True),
    SearchKey((0x00080090,), "ReferringPhysicianName", Level.STUDY, MatchKind.PERSON),
    SearchKey((0x00081030,), "StudyDescription", Level.STUDY, MatchKind.TEXT),
    SearchKey((0x00100010,), "PatientName", Level.STUDY, MatchKind.PERSON),
    SearchKey((0x00100020,), "PatientID", Level.STUDY, MatchKind.TEXT),
    SearchKey((0x00100030,), "PatientBirthDate", Level.STUDY, MatchKind.DATE),
    SearchKey((0x00100040,), "PatientSex", Level.STUDY, MatchKind.CODE),
    SearchKey((0x0020000D,), "StudyInstanceUID", Level.STUDY, MatchKind.UID),
    SearchKey((0x00200010,), "StudyID", Level.STUDY, MatchKind.TEXT),
    SearchKey((0x00080060,), "Modality", Level.SERIES, MatchKind.CODE),
    SearchKey((0x0008103E,), "SeriesDescription", Level.SERIES, MatchKind.TEXT),
    SearchKey((0x00180015,), "BodyPartExamined", Level.SERIES, MatchKind.CODE),
    SearchKey((0x0020000E,), "SeriesInstanceUID", Level.SERIES, MatchKind.UID),
    SearchKey((0x00200011,), "SeriesNumber", Level.SERIES, MatchKind.NUMBER),
    SearchKey((0x00400244,), "PerformedProcedureStepStartDate", Level.SERIES, MatchKind.DATE),
    SearchKey((0x00400245,), "PerformedProcedureStepStartTime", Level.SERIES, MatchKind.TIME),
    SearchKey(
        (0x00400275, 0x00400009),
        "RequestAttributesSequence.ScheduledProcedureStepID",
        Level.SERIES,
        MatchKind.TEXT,
    ),
    SearchKey((0x00400275, 0x00401001), "RequestAttributesSequence.RequestedProcedureID", Level.SERIES, MatchKind.TEXT),
    SearchKey((0x00080016,), "SOPClassUID", Level.INSTANCE, MatchKind.UID),
    SearchKey((0x00080018,), "SOPInstanceUID", Level.INSTANCE, MatchKind.UID),
    SearchKey((0x00200013,), "InstanceNumber", Level.INSTANCE, MatchKind.NUMBER),
)
"""Every attribute that can be matched: those of PS3.18 Tables 10.6.1-5 to -7, and some that users ask for."""
