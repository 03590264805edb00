"""Attribute matching (PS3.4 C.2.2.2) as SQL conditions, for SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, Table, and_, case, false, func, or_, select, true

from service.archive.attribute_values import VALUE_TABLES, owner_of
from service.archive.fuzzy_names import WordChoice, begins_with, meets
from service.archive.schema import instances, series, studies
from service.core.indexed_values import cut, decimal_form, number_form
from service.core.moments import first_moment, last_moment, last_of_time
from service.core.person_names import name_groups
from service.core.search import Level, Match, MatchKind, MomentMatch, SearchKey
from service.core.search_attributes import path_text

Condition = ColumnElement[bool]

TABLES: Final[Mapping[Level, Table]] = {Level.STUDY: studies, Level.SERIES: series, Level.INSTANCE: instances}

_WILDCARDS: Final = re.compile(r"[*?]")
_ITEM_DIGITS: Final = 5  # of an item's number in a path of items, with the dot
_COLUMNS: Final[Mapping[tuple[int, ...], Any]] = {
    (0x00080020,): studies.c.study_date,
    (0x00080030,): studies.c.study_time,
    (0x00080050,): studies.c.accession_number,
    (0x00080061,): series.c.modality,
    (0x00081030,): studies.c.study_description,
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
_SELECTIVE: Final = frozenset({(0x00080050,), (0x00100020,)})  # Accession Number, Patient ID
_UNINDEXED: Final = frozenset({(0x00080030,), (0x00100040,), (0x00400245,)})  # times, sex


class Conditions:
    """Turns matches into SQL.

    Parameters
    ----------
    dialect : "sqlite" or "postgresql"
    shown : the condition on an instance that who asks is shown it
    words : what meets the words of each fuzzy match, by the key's path
    """

    def __init__(
        self, dialect: str, shown: Condition, words: Mapping[tuple[int, ...], Sequence[WordChoice]] | None = None
    ) -> None:
        self._dialect = dialect
        self._shown = shown
        self._words = words or {}

    def of(self, match: Match, *, indexed: bool = True) -> Condition:
        """The condition on a row of the key's level.

        Parameters
        ----------
        indexed : whether the database may look for it in an index; where it is to walk in order it may not
        """
        if match.is_empty:
            return self._empty(match.key)
        if match.all_of:
            return and_(*(self._any(match, (value,), indexed=indexed) for value in match.values))
        return self._any(match, match.values, indexed=indexed)

    def of_items(self, matches: Sequence[Match]) -> Condition:
        """That the items of one sequence meet several conditions: one item all of them (PS3.4 C.2.2.2.6)."""
        key = matches[0].key
        rows = [VALUE_TABLES[key.held_at].alias() for _ in matches]
        owner = TABLES[key.held_at]
        conditions = [owner_of_alias(row) == owner.c.id for row in rows]
        conditions += [self._row(row, match, match.values) for row, match in zip(rows, matches, strict=True)]
        for (left, one), (right, other) in combinations(zip(rows, matches, strict=True), 2):
            depth = _shared_depth(one.key.path, other.key.path)
            digits = _ITEM_DIGITS * depth - 1
            conditions.append(func.substr(left.c.item, 1, digits) == func.substr(right.c.item, 1, digits))
        found = select(rows[0].c.attribute).where(*conditions).correlate(owner)
        return found.exists()

    def ids(self, match: Match, project: str) -> Select[Any] | None:
        """The rows of the key's level that meet a match, found through an index; None where none helps."""
        if match.is_empty or match.key.path in _UNINDEXED or _begins_wild(match):
            return None
        key = match.key
        values = match.values[:1] if match.all_of else match.values
        if not key.has_table:
            table = TABLES[key.held_at]
            condition = self._columns(match, values, indexed=True)
            column = table.c.id if key.held_at is key.level else _above(table, key.level)
            return select(column.label("id")).where(table.c.project == project, condition)
        rows = VALUE_TABLES[key.held_at]
        found = select(owner_of(rows).label("id")).where(rows.c.project == project)
        if match.fuzzy:
            choices = self._words.get(key.path, ())
            if not choices:
                return None
            for choice in choices[1:]:
                other = rows.alias()
                met = select(owner_of_alias(other)).where(other.c.project == project, self._meets(other, key, choice))
                found = found.where(owner_of(rows).in_(met))
            found = found.where(self._meets(rows, key, choices[0]))
        else:
            found = found.where(self._row(rows, match, values))
        if key.held_at is key.level:
            return found
        owner = TABLES[key.held_at]
        above = found.with_only_columns(_above(owner, key.level).label("id"))
        return above.join_from(rows, owner, owner_of(rows) == owner.c.id)

    def shown_ids(self, match: Match, project: str) -> Select[Any] | None:
        """Studies by what one of their series has, if something of it is shown; None for other keys.

        Found in the index alone, and so counted: to ask of each study whether it has such a series takes far longer.
        """
        of_series = match.key.level is Level.STUDY and match.key.held_at is Level.SERIES and not match.key.has_table
        found = self.ids(match, project) if of_series and not match.all_of else None
        return None if found is None else found.where(self._shown_series).distinct()

    def moments(self, match: MomentMatch) -> Condition:
        """Both ends belong to the range; what has no time begins its day (PS3.4 C.2.2.2.5.4)."""
        date, time = _COLUMNS[match.date.path], _COLUMNS[match.time.path]
        moment = date.concat(case((time == "", "000000"), else_=time))
        conditions = [date != ""]
        if match.first:
            conditions += [date >= match.first[:8], moment >= match.first]
        if match.last:
            conditions += [date <= match.last[:8], moment <= match.last]
        return and_(*conditions)

    def moment_ids(self, match: MomentMatch, project: str) -> Select[Any]:
        """The rows of the key's level within a range of moments."""
        table = TABLES[match.date.level]
        return select(table.c.id).where(table.c.project == project, self.moments(match))

    def _any(self, match: Match, values: tuple[str, ...], *, indexed: bool) -> Condition:
        """One of the values is the attribute's."""
        key = match.key
        if not key.has_table and key.held_at is key.level:
            return self._columns(match, values, indexed=indexed)
        held = TABLES[key.held_at]
        if not key.has_table:
            return self._held_below(key, self._columns(match, values, indexed=indexed))
        if match.fuzzy:
            condition = and_(true(), *(self._has_word(key, choice) for choice in self._words.get(key.path, ())))
        else:
            condition = self._has_row(key, lambda rows: self._row(rows, match, values))
        return condition if held is TABLES[key.level] else self._held_below(key, condition)

    def _empty(self, key: SearchKey) -> Condition:
        """Nothing that is shown of it has a value."""
        if key.has_table:
            facet = path_text(key.path)
            has_value: Condition = self._has_row(key, lambda rows: rows.c.attribute == facet)
        else:
            column = _COLUMNS[key.path]
            has_value = column.is_not(None) if isinstance(column.type, Integer) else column != ""
        return ~(has_value if key.held_at is key.level else self._held_below(key, has_value))

    def _has_row(self, key: SearchKey, condition: Callable[[Any], Condition]) -> Condition:
        """A row of values of the table that holds the key meets a condition."""
        rows = VALUE_TABLES[key.held_at].alias()
        owner = TABLES[key.held_at]
        return (
            select(rows.c.attribute)
            .where(owner_of_alias(rows) == owner.c.id, condition(rows))
            .correlate(owner)
            .exists()
        )

    def _has_word(self, key: SearchKey, choice: WordChoice) -> Condition:
        return self._has_row(key, lambda rows: self._meets(rows, key, choice))

    def _held_below(self, key: SearchKey, condition: Condition) -> Condition:
        """Something below a row of the key's level, of which something is shown, meets a condition (PS3.4 C.3.4)."""
        upper, lower = TABLES[key.level], TABLES[key.held_at]
        found = select(lower.c.id).where(_above(lower, key.level) == upper.c.id, condition)
        if lower is instances:
            found = found.where(self._shown)
        else:
            found = found.where(self._shown_series)
        return found.correlate(upper).exists()

    @property
    def _shown_series(self) -> Condition:
        """Something of a series is shown."""
        shown = select(instances.c.id).where(instances.c.series_id == series.c.id, self._shown)
        return or_(series.c.shows_image, shown.correlate(series).exists())

    def _meets(self, rows: Any, key: SearchKey, choice: WordChoice) -> Condition:
        return meets(rows, path_text(key.path), choice, self._ordered_text)

    def _row(self, rows: Any, match: Match, values: tuple[str, ...]) -> Condition:
        """The condition on a row of values."""
        attribute = path_text(match.key.path)
        if match.key.kind is MatchKind.PERSON:
            table = VALUE_TABLES[match.key.held_at]
            return and_(rows.c.attribute == attribute, or_(*(self._name(rows, table, value) for value in values)))
        return and_(rows.c.attribute == attribute, self._compare(rows.c.value, match, values, self._ordered_text))

    def _name(self, rows: Any, table: Table, pattern: str) -> Condition:
        """A component group of a name fits; of several that a query names, each some group of the same name."""
        groups = [cut(group) for group in name_groups(pattern)]
        if not groups:
            return true()
        conditions = [self._ordered_text(rows.c.value, groups[0])]
        for group in groups[1:]:
            other = table.alias()
            same = and_(owner_of_alias(other) == owner_of_alias(rows), other.c.attribute == rows.c.attribute)
            found = select(other.c.value).where(same, self._ordered_text(other.c.value, group))
            conditions.append(found.correlate(rows).exists())
        return and_(*conditions)

    def _columns(self, match: Match, values: tuple[str, ...], *, indexed: bool) -> Condition:
        column = _COLUMNS[match.key.path]
        if not indexed and self._dialect == "sqlite":
            # An expression is in no index: SQLite would else prefer one that finds over the one that is in order.
            column = column + 0 if isinstance(column.type, Integer) else column.concat("")
        return self._compare(column, match, values, self._text)

    def _compare(
        self, column: Any, match: Match, values: tuple[str, ...], text: Callable[[Any, str], Condition]
    ) -> Condition:
        kind = match.key.kind
        if match.is_range:
            return _range(column, kind, *values)
        if kind is MatchKind.UID:
            return column.in_(values)  # type: ignore[no-any-return]
        compare: dict[MatchKind, Callable[[Any, str], Condition]] = {
            MatchKind.DATE: lambda c, value: c == value,
            MatchKind.TIME: lambda c, value: _range(c, kind, value, value),
            MatchKind.DATE_TIME: lambda c, value: _range(c, kind, value, value),
            MatchKind.NUMBER: lambda c, value: c == (number_form(value) if match.key.has_table else int(value)),
            MatchKind.DECIMAL: lambda c, value: c == decimal_form(value),
        }
        decide = compare.get(kind, text)
        return or_(false(), *(decide(column, value) for value in values))

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

    def _ordered_text(self, column: Any, pattern: str) -> Condition:
        """The same on a column in the order of the letters' codes: what begins alike is a range."""
        pattern = cut(pattern)
        prefix = _WILDCARDS.split(pattern, maxsplit=1)[0]
        if prefix == pattern:
            return self._text(column, pattern)
        if pattern == f"{prefix}*":
            return begins_with(column, prefix)
        return and_(begins_with(column, prefix), self._text(column, pattern))


def owner_of_alias(rows: Any) -> Any:
    """The column of a table of values, or an alias of one, that says whose they are."""
    return next(iter(rows.c))


def is_selective(match: Match) -> bool:
    """Whether it alone leaves few studies, and an index finds them."""
    if match.key.kind is MatchKind.PERSON:
        return not _begins_wild(match)
    return match.key.path in _SELECTIVE and not any(_WILDCARDS.search(value) for value in match.values)


def _begins_wild(match: Match) -> bool:
    if match.fuzzy or match.is_range:
        return False
    return any(_WILDCARDS.match(value) for value in match.values)


def _above(table: Table, level: Level) -> Any:
    """The column of a lower table that says to which study or series a row belongs."""
    return table.c.study_id if level is Level.STUDY else table.c.series_id


def _shared_depth(path: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many sequences two attributes stand in together."""
    depth = 0
    for one, two in zip(path[:-1], other[:-1], strict=False):
        if one != two:
            break
        depth += 1
    return depth


def _range(column: Any, kind: MatchKind, first: str, last: str) -> Condition:
    """Both ends belong to the range; an empty value is in none (PS3.4 C.2.2.2.5)."""
    if kind is MatchKind.DATE_TIME:
        first, last = first_moment(first), last_moment(last)
    elif kind is MatchKind.TIME:
        last = last_of_time(last)
    conditions = [column != ""]
    if first:
        conditions.append(column >= first)
    if last:
        conditions.append(column <= last)
    return and_(*conditions)


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
