"""What a C-FIND, C-MOVE or C-GET asks of the archive, and which of its objects a caller is served (PS3.4 Annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from service.core.matching import AttributeMatch
from service.core.search import Match


class QueryLevel(IntEnum):
    """Query/Retrieve Level (0008,0052); a lower level has the greater value."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


@dataclass(frozen=True, slots=True)
class ServedResults:
    """Which results of ours a DIMSE caller of a project gets; images always, annotations unless a reader stored them.

    Parameters
    ----------
    annotators : those whose results may leave (demonstrators only where the project allows them)
    without_approval : whether they may leave before a person has released them
    """

    annotators: frozenset[str] = frozenset()
    without_approval: bool = False


@dataclass(frozen=True, slots=True)
class MomentRange:
    """A date and a time range that stand for one range from moment to moment (PS3.4 C.2.2.2.5.1); "" is open.

    Each end is a date followed by a time, ``YYYYMMDDHHMMSS.FFFFFF``, compared as text.
    """

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class ArchiveQuery:
    """One query of one project.

    Parameters
    ----------
    matches : conditions on what the index has columns for
    moments : combined range of Study Date and Study Time
    study_conditions, series_conditions : conditions on further attributes that the index keeps of studies and series
    instance_conditions : conditions on any other attribute of an instance
    sop_classes : SOP Classes in Study (0008,0062): any of them, empty for no condition
    """

    project: str
    level: QueryLevel
    served: ServedResults
    matches: tuple[Match, ...] = ()
    moments: MomentRange | None = None
    study_conditions: tuple[AttributeMatch, ...] = ()
    series_conditions: tuple[AttributeMatch, ...] = ()
    instance_conditions: tuple[AttributeMatch, ...] = ()
    sop_classes: tuple[str, ...] = ()
