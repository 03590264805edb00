"""How the rows of a search are come by, so that its cost follows what is asked for and not what there is.

Each condition that an index finds is tried first: whether it alone leaves few rows, which costs a look at a bounded
piece of that index. If one does, the search goes by way of these few and sorts them. If none does, what matches is
common, and the search walks in an order that an index has, until the page is full. A database left to itself guesses
between the two, and SQLite, which keeps no figures unless it is told to, guesses wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from service.archive.fuzzy_names import word_choices
from service.archive.schema import instances, series, studies
from service.archive.search_conditions import TABLES, Condition, Conditions
from service.archive.view_conditions import holds_something_for, shown_to
from service.core.search import Level, Match, MatchKind, SearchQuery

# How many rows of a level are few for a search at another; a study stands for some fifty instances.
FEW: Final[Mapping[tuple[Level, Level], int]] = {
    (Level.STUDY, Level.STUDY): 5000,
    (Level.STUDY, Level.SERIES): 2000,
    (Level.STUDY, Level.INSTANCE): 200,
    (Level.SERIES, Level.SERIES): 5000,
    (Level.SERIES, Level.INSTANCE): 400,
    (Level.INSTANCE, Level.INSTANCE): 5000,
}
# Indexes that have all rows of one such value in the order of their ids.
_IN_ORDER: Final = frozenset({(0x00080060,), (0x00200011,), (0x00080016,), (0x00200013,)})
_STUDY_DATE: Final = (0x00080020,)  # by which the index on the order of studies finds as well
_LATEST_FIRST: Final = (studies.c.study_date.desc(), studies.c.study_time.desc(), studies.c.id.desc())


class SearchPlan:
    """The way of one search.

    Parameters
    ----------
    connection : on which rows are tried
    few : how many rows of the first level are few for a search at the second
    """

    def __init__(
        self, connection: Connection, query: SearchQuery, few: Mapping[tuple[Level, Level], int] = FEW
    ) -> None:
        self._connection = connection
        self._few = few
        self._query = query
        self._level = query.level
        self._table = TABLES[query.level]
        fuzzy = [match for match in query.matches if match.fuzzy]
        words = {match.key.path: word_choices(connection, query.project, match) for match in fuzzy}
        self._conditions = Conditions(connection.dialect.name, shown_to(query.view), words)

    def ids(self) -> Select[Any]:
        """Ids of what matches at the search's level, in the order in which it is answered."""
        if self._query.study_uid:
            return self._within_study()
        driver = self._driver()
        if driver is not None:
            level, found = driver
            few = self._own(level).in_(found)
            return select(self._table.c.id).where(few, *self._asked(indexed=False), self._shown).order_by(*self._order)
        if self._level is Level.STUDY:
            return self._walk().order_by(*_LATEST_FIRST)
        in_order = self._in_order()
        if in_order is not None:
            return self._walk(in_order).order_by(self._table.c.id)
        return self._walk_studies()

    def counted(self, ids: Select[Any]) -> Select[Any]:
        """The same rows as ``ids``, in the order in which they are counted soonest."""
        query = self._query
        if self._level is Level.STUDY and len(query.matches) == 1 and not query.moments and not query.study_uid:
            found = self._conditions.shown_ids(query.matches[0], query.project)
            if found is not None:
                return found
        return ids.order_by(None)

    @property
    def _order(self) -> tuple[Any, ...]:
        return _LATEST_FIRST if self._level is Level.STUDY else (self._table.c.id,)

    @property
    def _shown(self) -> Condition:
        if self._level is Level.INSTANCE:
            return shown_to(self._query.view)
        return holds_something_for(self._query.view, self._table)

    def _walk(self, in_order: Match | None = None) -> Select[Any]:
        """Rows of the level in an order that an index has; only ``in_order`` may be looked for in one."""
        wanted = [self._table.c.project == self._query.project, *self._asked(indexed=False, kept=in_order)]
        if in_order is not None:
            wanted.append(self._conditions.of(in_order))
        return select(self._table.c.id).where(*wanted, self._shown)

    def _walk_studies(self) -> Select[Any]:
        """Study by study, the latest first; conditions on studies are met before anything below is looked at."""
        of_studies = [studies.c.project == self._query.project, *self._of_level(Level.STUDY, indexed=False)]
        below = [self._table.c.study_id == studies.c.id, *self._asked(indexed=False, above=Level.STUDY), self._shown]
        of_series = () if self._level is Level.SERIES else (instances.c.series_id,)
        return (
            select(self._table.c.id)
            .select_from(studies.join(self._table, and_(*below)))
            .where(*of_studies)
            .order_by(*_LATEST_FIRST, *of_series, self._table.c.id)
        )

    def _within_study(self) -> Select[Any]:
        """Series by number, instances by series and number."""
        query = self._query
        of_study = select(studies.c.id).where(
            studies.c.project == query.project, studies.c.study_uid == query.study_uid
        )
        asked = [self._table.c.study_id == of_study.scalar_subquery(), *self._asked(indexed=False), self._shown]
        by_series = (series.c.series_number.asc().nulls_last(), series.c.id)
        if self._level is Level.SERIES:
            return select(series.c.id).where(*asked).order_by(*by_series)
        by_number = (instances.c.instance_number.asc().nulls_last(), instances.c.id)
        statement = select(instances.c.id).where(*asked)
        if query.series_uid:
            of_series = select(series.c.id).where(
                series.c.study_id == of_study.scalar_subquery(), series.c.series_uid == query.series_uid
            )
            return statement.where(instances.c.series_id == of_series.scalar_subquery()).order_by(*by_number)
        joined = instances.join(series, instances.c.series_id == series.c.id)
        return statement.select_from(joined).order_by(*by_series, *by_number)

    def _driver(self) -> tuple[Level, Select[Any]] | None:
        """The condition that leaves few rows, with its level; None where none does."""
        best: tuple[float, Level, Select[Any]] | None = None
        for level, found, names_rows in self._candidates():
            if names_rows:
                return level, found
            few = self._few[level, self._level]
            tried = select(func.count()).select_from(found.limit(few + 1).subquery())
            count = self._connection.execute(tried).scalar_one()
            if count <= few and (best is None or count / few < best[0]):
                best = count / few, level, found
        return None if best is None else best[1:]

    def _candidates(self) -> Iterator[tuple[Level, Select[Any], bool]]:
        """Level, rows, and whether the condition names these rows by their UIDs; those that do come first."""
        by_uid = sorted(self._query.matches, key=lambda match: not _names_rows(match))
        for match in by_uid:
            found = self._conditions.ids(match, self._query.project)
            if found is not None:
                yield match.key.level, found, _names_rows(match)
        for moments in self._query.moments:
            yield moments.date.level, self._conditions.moment_ids(moments, self._query.project), False

    def _in_order(self) -> Match | None:
        """A condition whose rows an index has in the order of their ids."""
        for match in self._query.matches:
            single = len(match.values) == 1 and not any(sign in match.values[0] for sign in "*?")
            if match.key.path in _IN_ORDER and match.key.level is self._level and single and not match.is_empty:
                return match
        return None

    def _asked(
        self, *, indexed: bool, kept: Match | None = None, above: Level | None = None
    ) -> Iterator[ColumnElement[bool]]:
        """Every condition on a row of the level: those on what is above as conditions that it exists.

        Parameters
        ----------
        kept : a condition that stands elsewhere
        above : a level whose conditions, and those above it, stand elsewhere
        """
        for level in Level:
            if level > self._level or (above is not None and level <= above):
                continue
            conditions = list(self._of_level(level, indexed=indexed, kept=kept))
            if not conditions or level is self._level:
                yield from conditions
                continue
            table = TABLES[level]
            found = select(table.c.id).where(table.c.id == self._own(level), *conditions)
            yield found.correlate(self._table).exists()

    def _of_level(self, level: Level, *, indexed: bool, kept: Match | None = None) -> Iterator[ColumnElement[bool]]:
        matches = [match for match in self._query.matches if match.key.level is level and match is not kept]
        together = [match for match in matches if _stands_in_items(match)]
        for match in matches:
            if match not in together:
                yield self._conditions.of(match, indexed=indexed or match.key.path == _STUDY_DATE)
        for _, group in groupby(sorted(together, key=_sequence), key=_sequence):
            yield self._conditions.of_items(list(group))
        for moments in self._query.moments:
            if moments.date.level is level:
                yield self._conditions.moments(moments)

    def _own(self, level: Level) -> Any:
        """The column of the search's table that says which row of a level it belongs to."""
        if level is self._level:
            return self._table.c.id
        return self._table.c.study_id if level is Level.STUDY else self._table.c.series_id


def _names_rows(match: Match) -> bool:
    unique = ((0x0020000D,), (0x0020000E,), (0x00080018,))
    return match.key.kind is MatchKind.UID and match.key.path in unique and not match.is_empty


def _stands_in_items(match: Match) -> bool:
    """Whether one item has to meet it together with other conditions on the same sequence."""
    key = match.key
    alone = match.is_empty or match.all_of or match.fuzzy or key.held_at is not key.level
    return len(key.path) > 1 and not alone


def _sequence(match: Match) -> int:
    return match.key.path[0]
