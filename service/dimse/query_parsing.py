"""Identifiers of C-FIND, C-MOVE and C-GET as queries of the archive; what does not fit is refused with its element."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_nodes.query_model import QueryOptions
from service.core.archive_query import ArchiveQuery, MomentRange, QueryLevel, ServedResults
from service.core.matching import AttributeMatch
from service.core.moments import combined
from service.core.search import Match, MatchKind
from service.dimse.identifier_values import IdentifierRefused, attribute_match, column_match, values_of
from service.dimse.query_keys import (
    COLUMNS,
    CONTROLS,
    QUERY_RETRIEVE_LEVEL,
    UNIQUE_KEYS,
    is_counted,
    is_kept,
    level_of,
)

_STUDY_DATE, _STUDY_TIME, _SOP_CLASSES_IN_STUDY = 0x00080020, 0x00080030, 0x00080062
# What is bytes or points elsewhere is returned and not matched.
_UNMATCHED = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})


@dataclass(frozen=True, slots=True)
class Asking:
    """Under which model and options an identifier is to be understood.

    Parameters
    ----------
    patient_root : the model's highest level is the patient, otherwise the study
    """

    project: str
    served: ServedResults
    patient_root: bool
    options: QueryOptions = field(default_factory=QueryOptions)


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A C-FIND understood.

    Parameters
    ----------
    wanted : the keys to return, as they were asked for
    complete : every key is supported; otherwise the answers say so (FF01)
    """

    query: ArchiveQuery
    wanted: tuple[DataElement, ...]
    complete: bool


def parse_query(identifier: Dataset, asking: Asking) -> ParsedQuery:
    """Read the identifier of a C-FIND.

    Raises
    ------
    IdentifierRefused : its level, or a key, does not fit the model
    """
    level = _level(identifier, asking)
    if not asking.options.relational:
        _require_unique_keys_above(identifier, level, asking)
    parsing = _Parsing(asking, level)
    for element in identifier:
        if int(element.tag) not in CONTROLS and element.tag.element != 0:
            parsing.take(element)
    return parsing.result()


def parse_retrieval(identifier: Dataset, asking: Asking) -> ArchiveQuery:
    """Read the identifier of a C-MOVE or C-GET; of its keys only the unique ones count (PS3.4 C.4.2.1.4).

    Raises
    ------
    IdentifierRefused : its level does not fit the model, or a unique key is missing
    """
    level = _level(identifier, asking)
    if not asking.options.relational:
        _require_unique_keys_above(identifier, level, asking)
    matches = []
    for known, tag in UNIQUE_KEYS.items():
        if known > level or (tag not in identifier and known < level):
            continue
        if tag not in identifier or not values_of(identifier[tag]):
            if known < level:
                continue
            raise IdentifierRefused(tag, "is missing: it is the unique key of the level")
        if known is QueryLevel.PATIENT and any(sign in str(identifier[tag].value) for sign in "*?"):
            raise IdentifierRefused(tag, "is no single value")
        match = column_match(COLUMNS[tag], identifier[tag])
        if match is not None:
            matches.append(match)
    return ArchiveQuery(asking.project, level, asking.served, tuple(matches))


class _Parsing:
    """The keys of one C-FIND, one after the other."""

    def __init__(self, asking: Asking, level: QueryLevel) -> None:
        self._asking = asking
        self._level = level
        self._matches: list[Match] = []
        self._study: list[AttributeMatch] = []
        self._series: list[AttributeMatch] = []
        self._instance: list[AttributeMatch] = []
        self._sop_classes: tuple[str, ...] = ()
        self._wanted: list[DataElement] = []
        self._complete = True

    def take(self, element: DataElement) -> None:
        tag = int(element.tag)
        own_level = level_of(tag)
        if own_level > self._level or (element.tag.is_private and self._level is not QueryLevel.IMAGE):
            self._complete = False
            return
        self._wanted.append(element)
        if tag == _SOP_CLASSES_IN_STUDY:
            self._sop_classes = values_of(element)
        elif tag in COLUMNS:
            self._take_column(tag, element)
        elif is_counted(tag):
            self._complete = self._complete and not values_of(element)
        elif is_kept(tag):
            self._take_kept(own_level, element)
        elif element.tag.is_private or element.VR in _UNMATCHED:
            self._complete = self._complete and element.is_empty
        elif (condition := attribute_match(element, fuzzy=self._asking.options.fuzzy)) is not None:
            self._instance.append(condition)

    def result(self) -> ParsedQuery:
        query = ArchiveQuery(
            self._asking.project,
            self._level,
            self._asking.served,
            tuple(self._matches),
            study_conditions=tuple(self._study),
            series_conditions=tuple(self._series),
            instance_conditions=tuple(self._instance),
            sop_classes=self._sop_classes,
        )
        if self._asking.options.date_time:
            query = _with_combined_moments(query)
        return ParsedQuery(query, tuple(self._wanted), self._complete)

    def _take_column(self, tag: int, element: DataElement) -> None:
        key, fuzzy = COLUMNS[tag], self._asking.options.fuzzy
        if key.kind is MatchKind.PERSON:
            # The index finds names without case and accents; whether accents count is decided on what it finds.
            self._take_kept(level_of(tag), element)
            if fuzzy:
                return
        match = column_match(key, element)
        if match is not None:
            self._matches.append(match)

    def _take_kept(self, own_level: QueryLevel, element: DataElement) -> None:
        condition = attribute_match(element, fuzzy=self._asking.options.fuzzy)
        if condition is not None:
            (self._series if own_level is QueryLevel.SERIES else self._study).append(condition)


def _level(identifier: Dataset, asking: Asking) -> QueryLevel:
    name = str(identifier.get("QueryRetrieveLevel") or "").strip()
    if name not in QueryLevel.__members__:
        raise IdentifierRefused(QUERY_RETRIEVE_LEVEL, "is none of the model's levels")
    level = QueryLevel[name]
    if level is QueryLevel.PATIENT and not asking.patient_root:
        raise IdentifierRefused(QUERY_RETRIEVE_LEVEL, "is PATIENT, which the Study Root has not")
    return level


def _require_unique_keys_above(identifier: Dataset, level: QueryLevel, asking: Asking) -> None:
    """Without relational queries each level above has to be named by a single value (PS3.4 C.4.1.3.1.1)."""
    highest = QueryLevel.PATIENT if asking.patient_root else QueryLevel.STUDY
    for above in QueryLevel:
        tag = UNIQUE_KEYS[above]
        if not highest <= above < level:
            continue
        values = values_of(identifier[tag]) if tag in identifier else ()
        if len(values) != 1 or any(sign in values[0] for sign in "*?"):
            raise IdentifierRefused(tag, "is no single value: the level above has to be named")


def _with_combined_moments(query: ArchiveQuery) -> ArchiveQuery:
    """Ranges of Study Date and Study Time as one, where both are ranges (PS3.4 C.2.2.2.5.1)."""
    by_tag = {match.key.path[0]: match for match in query.matches if match.is_range}
    date, time = by_tag.get(_STUDY_DATE), by_tag.get(_STUDY_TIME)
    if date is None or time is None:
        return query
    ends = combined((date.values[0], date.values[1]), (time.values[0], time.values[1]))
    rest = tuple(match for match in query.matches if match not in (date, time))
    return replace(query, matches=rest, moments=MomentRange(*ends))
