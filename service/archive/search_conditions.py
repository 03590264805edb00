"""Attribute matching (PS3.4 C.2.2.2) as SQL conditions, for SQLite and PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from service.archive.schema import instances, series, studies
from service.core.search import Match, MatchKind, SearchKey

Condition = ColumnElement[bool]

_WILDCARDS = re.compile(r"[*?]")
_LAST_MOMENT = "235959.999999"

_COLUMNS: Mapping[tuple[int, ...], Any] = {
    (0x00080020,): studies.c.study_date,
    (0x00080030,): studies.c.study_time,
    (0x00080050,): studies.c.accession_number,
    (0x00080090,): studies.c.referring_physician_name,
    (0x00081030,): studies.c.study_description,
    (0x00100010,): studies.c.patient_name,
    (0x00100020,): studies.c.patient_id,
    (0x00100030,): studies.c.patient_birth_date,
    (0x00100040,): studies.c.patient_sex,
    (0x0020000D,): studies.c.study_uid,
    (0x00200010,): studies.c.study_id,
    (0x00080060,): series.c.modality,
    (0x0008103E,): series.c.series_description,
    (0x00180015,): series.c.body_part,
    (0x0020000E,): series.c.series_uid,
    (0x00200011,): series.c.series_number,
    (0x00400244,): series.c.start_date,
    (0x00400245,): series.c.start_time,
    (0x00080016,): instances.c.sop_class_uid,
    (0x00080018,): instances.c.sop_instance_uid,
    (0x00200013,): instances.c.instance_number,
}
_INDEXED = frozenset({(0x00080050,), (0x00100020,)})  # Accession Number, Patient ID
_MODALITIES_IN_STUDY = (0x00080061,)


class Conditions:
    """Turns matches into SQL for one dialect ("sqlite" or "postgresql")."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def of(self, match: Match) -> Condition:
        """The condition of one match."""
        if match.key.path == _MODALITIES_IN_STUDY:
            return self._modalities(match)
        if len(match.key.path) > 1:
            return self._nested(match)
        return self._compare(_COLUMNS[match.key.path], match)

    def _compare(self, column: Any, match: Match) -> Condition:
        if match.is_range:
            return _range(column, match)
        compare: dict[MatchKind, Callable[[Any, str], Condition]] = {
            MatchKind.DATE: lambda c, value: c == value,
            MatchKind.TIME: _moment,
            MatchKind.TEXT: self._text,
            MatchKind.CODE: self._text,
            MatchKind.PERSON: self._person,
            MatchKind.NUMBER: lambda c, value: c == int(value),
        }
        if match.key.kind is MatchKind.UID:
            condition: Condition = column.in_(match.values)
            return condition
        return or_(*(compare[match.key.kind](column, value) for value in match.values))

    def _text(self, column: Any, pattern: str) -> Condition:
        """Case matters (PS3.4 C.2.2.2.4); SQLite's LIKE would not see it, its GLOB does."""
        if not _WILDCARDS.search(pattern):
            equal: Condition = column == pattern
            return equal
        if self._dialect == "sqlite":
            glob: Condition = column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
            return glob
        like: Condition = column.like(_like(pattern), escape="\\")
        return like

    def _person(self, column: Any, pattern: str) -> Condition:
        """Any component group may match, the last components may be left out, and case does not matter.

        The database folds the case of ASCII letters only; for others the usual spellings are tried.
        """
        spellings = {pattern, pattern.lower(), pattern.upper(), pattern.title()} if not pattern.isascii() else {pattern}
        return or_(*(self._name(func.lower(column), _lower_ascii(spelling).rstrip("^")) for spelling in spellings))

    @staticmethod
    def _name(lowered: ColumnElement[str], pattern: str) -> Condition:
        like = _like(pattern)
        # Alphabetic=Ideographic=Phonetic: a group begins the value or follows =, and ends it or precedes =.
        forms: tuple[str, ...] = (like, f"{like}=%", f"%={like}", f"%={like}=%")
        if not _WILDCARDS.search(pattern):
            forms += tuple(f"{form}{carets}" for form in forms[::2] for carets in ("^", "^^", "^^^", "^^^^"))
        return or_(*(lowered.like(form, escape="\\") for form in forms))

    def _modalities(self, match: Match) -> Condition:
        """Any series that is shown has one of these modalities (PS3.4 C.3.4)."""
        shown = select(instances.c.id).where(instances.c.series_id == series.c.id, instances.c.visible).exists()
        modality = or_(*(self._text(series.c.modality, value) for value in match.values))
        found = select(series.c.id).where(series.c.study_id == studies.c.id, modality, shown)
        return found.correlate(studies).exists()

    def _nested(self, match: Match) -> Condition:
        """What can be said in SQL about an attribute in a sequence: its letters occur; `holds_nested` decides."""
        literals = [max(re.split(_WILDCARDS, value), key=len) for value in match.values]
        needles = [json.dumps(text, ensure_ascii=False)[1:-1] for text in literals]
        return (
            or_(*(series.c.attributes.contains(needle, autoescape=True) for needle in needles)) if needles else false()
        )


def holds_nested(match: Match, attributes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any item of the sequence has a matching value."""
    outer, inner = (f"{tag:08X}" for tag in match.key.path)
    for item in attributes.get(outer, {}).get("Value", ()):
        for value in (item or {}).get(inner, {}).get("Value", ()):
            if any(fnmatchcase(str(value), pattern.replace("[", "[[]")) for pattern in match.values):
                return True
    return False


def is_selective(match: Match) -> bool:
    """Whether a study is found by this match alone through an index of its own."""
    return match.key.path in _INDEXED and not any(_WILDCARDS.search(value) for value in match.values)


def is_nested(key: SearchKey) -> bool:
    """Whether the database can only narrow this key down."""
    return len(key.path) > 1


def _range(column: Any, match: Match) -> Condition:
    """Both ends belong to the range; an empty value is in none (PS3.4 C.2.2.2.5)."""
    first, last = match.values
    conditions = [column != ""]
    if first:
        conditions.append(column >= first)
    if last:
        conditions.append(column <= (last + _LAST_MOMENT[len(last) :] if match.key.kind is MatchKind.TIME else last))
    return and_(*conditions)


def _moment(column: Any, value: str) -> Condition:
    """A time given to the hour or minute stands for all of it."""
    condition: Condition = and_(column >= value, column <= value + _LAST_MOMENT[len(value) :])
    return condition


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _lower_ascii(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)
