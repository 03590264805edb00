"""Searches over the index (QIDO-RS, later C-FIND): a few statements a page, however large the archive is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select

from service.archive.database import Database
from service.archive.metadata_cache import text_of
from service.archive.rows import AnyRow
from service.archive.schema import instances, series, studies
from service.archive.search_conditions import Conditions, holds_nested, is_nested, is_selective
from service.core.search import Attributes, Found, Level, Match, SearchPage, SearchQuery

_CHUNK = 500
_COUNTED = 10_000
_PER_FRAME_FUNCTIONAL_GROUPS = "52009230"


class InstanceSearch:
    """Implements `service.core.search.InstanceSearcher` on the index's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conditions = Conditions(database.dialect)

    def search(self, query: SearchQuery) -> SearchPage:
        """Find what matches every condition.

        Studies come with the latest first, series by number, instances by series and instance number; where a search
        for series or instances is not within one study, by UID, which an index has in order. What remains is
        counted up to 10,000.
        """
        with self._database.read() as connection:
            rows, remaining = self._page(connection, query)
            return SearchPage(_Results(connection, query).of(rows), remaining)

    def _page(self, connection: Connection, query: SearchQuery) -> tuple[list[AnyRow], int]:
        """The rows of the page, and how many more match."""
        statement = self._statement(query)
        nested = [match for match in query.matches if is_nested(match.key)]
        if nested:
            rows = [row for row in connection.execute(statement) if _holds_all(nested, row)]
            page = rows[query.offset : query.offset + query.limit]
            return page, max(0, len(rows) - query.offset - len(page))
        rows = list(connection.execute(statement.limit(query.limit + 1).offset(query.offset)))
        if len(rows) <= query.limit:
            return rows, 0
        rest = statement.with_only_columns(studies.c.id).order_by(None).offset(query.offset + query.limit)
        count = select(func.count()).select_from(rest.limit(_COUNTED).subquery())
        return rows[: query.limit], connection.execute(count).scalar_one()

    def _statement(self, query: SearchQuery) -> Select[Any]:
        statement = _ORDERED[query.level](query)
        # Each table's own column: every index begins with it.
        for table in (studies, series, instances)[: query.level]:
            statement = statement.where(table.c.project == query.project)
        if query.study_uid:
            statement = statement.where(studies.c.study_uid == query.study_uid)
        if query.series_uid:
            statement = statement.where(series.c.series_uid == query.series_uid)
        selective = [self._conditions.of(match) for match in query.matches if is_selective(match)]
        if selective:
            # By way of the ids: an index on the order would otherwise be walked from its start (SQLite does so).
            few = select(studies.c.id).where(studies.c.project == query.project, *selective)
            statement = statement.where(studies.c.id.in_(few))
        return statement.where(*(self._conditions.of(match) for match in query.matches))


class _Results:
    """Turns the rows of one page into results, with what is read once a page rather than once a row."""

    def __init__(self, connection: Connection, query: SearchQuery) -> None:
        self._connection = connection
        self._query = query
        self._parsed: dict[str, Attributes] = {}

    def of(self, rows: list[AnyRow]) -> list[Found]:
        studies_counted: Mapping[int, Attributes] = {}
        series_counted: Mapping[int, Attributes] = {}
        level = self._query.level
        if level is Level.STUDY or self._query.with_study_counts:
            studies_counted = _study_counts(self._connection, {row.study_row_id for row in rows})
        if level is Level.SERIES or (level is Level.INSTANCE and self._query.with_series_counts):
            series_counted = _series_counts(self._connection, {row.series_row_id for row in rows})
        metadata: Mapping[int, Attributes] = {}
        if level is Level.INSTANCE and self._query.with_metadata:
            metadata = _metadata(self._connection, [row.id for row in rows])
        found = []
        for row in rows:
            attributes = dict(metadata.get(row.id, {})) if level is Level.INSTANCE else {}
            attributes |= self._parse(row.study_attributes) | studies_counted.get(row.study_row_id, {})
            if level >= Level.SERIES:
                attributes |= self._parse(row.series_attributes) | series_counted.get(row.series_row_id, {})
            if level is Level.INSTANCE:
                attributes |= _instance_attributes(row)
            found.append(
                Found(
                    study_uid=row.study_uid,
                    series_uid=row.series_uid if level >= Level.SERIES else "",
                    sop_instance_uid=row.sop_instance_uid if level is Level.INSTANCE else "",
                    attributes=attributes,
                )
            )
        return found

    def _parse(self, text: str) -> Attributes:
        """Attributes from their JSON; rows of one study share theirs."""
        if text not in self._parsed:
            self._parsed[text] = json.loads(text)
        return self._parsed[text]


_STUDY_COLUMNS = (
    studies.c.id.label("study_row_id"),
    studies.c.study_uid,
    studies.c.attributes.label("study_attributes"),
)
_SERIES_COLUMNS = (
    series.c.id.label("series_row_id"),
    series.c.series_uid,
    series.c.attributes.label("series_attributes"),
)
_INSTANCE_COLUMNS = (
    instances.c.id,
    instances.c.sop_instance_uid,
    instances.c.sop_class_uid,
    instances.c.transfer_syntax_uid,
    instances.c.instance_number,
    instances.c.rows,
    instances.c.columns,
    instances.c.bits_allocated,
    instances.c.number_of_frames,
)


def _studies(_query: SearchQuery) -> Select[Any]:
    shown = select(instances.c.id).where(instances.c.study_id == studies.c.id, instances.c.visible).exists()
    order = (studies.c.study_date.desc(), studies.c.study_time.desc(), studies.c.id.desc())
    return select(*_STUDY_COLUMNS).where(shown).order_by(*order)


def _series(query: SearchQuery) -> Select[Any]:
    shown = select(instances.c.id).where(instances.c.series_id == series.c.id, instances.c.visible).exists()
    statement = select(*_STUDY_COLUMNS, *_SERIES_COLUMNS).where(shown)
    statement = statement.select_from(series.join(studies, series.c.study_id == studies.c.id))
    if query.study_uid:
        return statement.order_by(series.c.series_number.asc().nulls_last(), series.c.id)
    return statement.order_by(series.c.series_uid, series.c.id)


def _instances(query: SearchQuery) -> Select[Any]:
    statement = select(*_STUDY_COLUMNS, *_SERIES_COLUMNS, *_INSTANCE_COLUMNS).where(instances.c.visible)
    statement = statement.select_from(
        instances.join(series, instances.c.series_id == series.c.id).join(studies, instances.c.study_id == studies.c.id)
    )
    if query.study_uid:
        return statement.order_by(
            series.c.series_number.asc().nulls_last(),
            series.c.id,
            instances.c.instance_number.asc().nulls_last(),
            instances.c.id,
        )
    return statement.order_by(instances.c.sop_instance_uid)


_ORDERED = {Level.STUDY: _studies, Level.SERIES: _series, Level.INSTANCE: _instances}


def _holds_all(matches: Iterable[Match], row: AnyRow) -> bool:
    attributes = json.loads(row.series_attributes)
    return all(holds_nested(match, attributes) for match in matches)


def _study_counts(connection: Connection, ids: set[int]) -> dict[int, Attributes]:
    """Modalities in Study and the numbers of related series and instances, by row of the study."""
    counted: dict[int, Attributes] = {}
    for chunk in _chunks(ids):
        shown = instances.c.study_id.in_(chunk) & instances.c.visible
        by_series = (
            select(instances.c.study_id, instances.c.series_id, func.count().label("instances"))
            .where(shown)
            .group_by(instances.c.study_id, instances.c.series_id)
            .subquery()
        )
        statement = select(by_series.c.study_id, by_series.c.instances, series.c.modality).join(
            series, series.c.id == by_series.c.series_id
        )
        held: dict[int, list[AnyRow]] = {}
        for row in connection.execute(statement):
            held.setdefault(row.study_id, []).append(row)
        for study_id, rows in held.items():
            modalities = sorted({row.modality for row in rows} - {""})
            counted[study_id] = {
                "00080061": {"vr": "CS", "Value": modalities} if modalities else {"vr": "CS"},
                "00201206": {"vr": "IS", "Value": [len(rows)]},
                "00201208": {"vr": "IS", "Value": [sum(row.instances for row in rows)]},
            }
    return counted


def _series_counts(connection: Connection, ids: set[int]) -> dict[int, Attributes]:
    """Number of Series Related Instances (0020,1209), by row of the series."""
    counted: dict[int, Attributes] = {}
    for chunk in _chunks(ids):
        statement = (
            select(instances.c.series_id, func.count().label("instances"))
            .where(instances.c.series_id.in_(chunk), instances.c.visible)
            .group_by(instances.c.series_id)
        )
        for row in connection.execute(statement):
            counted[row.series_id] = {"00201209": {"vr": "IS", "Value": [row.instances]}}
    return counted


def _metadata(connection: Connection, ids: list[int]) -> dict[int, Attributes]:
    """What only the instance's own metadata has, but for bulk data and the functional groups of every frame."""
    read: dict[int, Attributes] = {}
    for chunk in _chunks(ids):
        statement = select(instances.c.id, instances.c.metadata).where(instances.c.id.in_(chunk))
        for row in connection.execute(statement):
            attributes: Attributes = json.loads(text_of(row.metadata, ""))
            read[row.id] = {
                tag: element
                for tag, element in attributes.items()
                if tag != _PER_FRAME_FUNCTIONAL_GROUPS and not _has_bulk_data(element)
            }
    return read


def _has_bulk_data(element: Mapping[str, Any]) -> bool:
    """Whether the value, at any depth, is elsewhere; its link would need the address of the one who asks."""
    if "BulkDataURI" in element:
        return True
    items = element.get("Value", ()) if element.get("vr") == "SQ" else ()
    return any(_has_bulk_data(inner) for item in items if item for inner in item.values())


def _instance_attributes(row: AnyRow) -> Attributes:
    attributes: Attributes = {
        "00080016": {"vr": "UI", "Value": [row.sop_class_uid]},
        "00080018": {"vr": "UI", "Value": [row.sop_instance_uid]},
        "00083002": {"vr": "UI", "Value": [row.transfer_syntax_uid]},
        "00200013": {"vr": "IS"} if row.instance_number is None else {"vr": "IS", "Value": [row.instance_number]},
    }
    columns = (("00280008", "IS", row.number_of_frames), ("00280010", "US", row.rows), ("00280011", "US", row.columns))
    for tag, vr, value in (*columns, ("00280100", "US", row.bits_allocated)):
        if value is not None:
            attributes[tag] = {"vr": vr, "Value": [value]}
    return attributes


def _chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    ordered = sorted(ids)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))
