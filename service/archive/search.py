"""Searches over the index (QIDO-RS, later C-FIND): a few statements a page, however large the archive is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, func, select

from service.archive.database import Database
from service.archive.metadata_cache import text_of
from service.archive.rows import AnyRow
from service.archive.schema import instances, series, studies
from service.archive.search_attribute_table import read_attributes
from service.archive.search_conditions import TABLES
from service.archive.search_plan import SearchPlan
from service.archive.view_conditions import shown_to
from service.core.search import Attributes, Found, Level, SearchKey, SearchPage, SearchQuery
from service.core.search_attributes import FillState
from service.core.view import View

_CHUNK = 500
_COUNTED = 10_000
_PER_FRAME_FUNCTIONAL_GROUPS = "52009230"


class InstanceSearch:
    """Implements `service.core.search.InstanceSearcher` on the index's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def search(self, query: SearchQuery) -> SearchPage:
        """Find what matches every condition.

        Studies come with the latest first, within a study series by number and instances by series and number. A search
        for series or instances over all studies comes as `SearchPlan` finds it: by way of few in the order of arrival,
        else by one value in that order, else study by study. What remains is counted up to 10,000.
        """
        with self._database.read() as connection:
            plan = SearchPlan(connection, query)
            statement = plan.ids()
            ids = list(connection.execute(statement.limit(query.limit + 1).offset(query.offset)).scalars())
            remaining = 0
            if len(ids) > query.limit:
                rest = plan.counted(statement).offset(query.offset + query.limit).limit(_COUNTED + 1)
                remaining = connection.execute(select(func.count()).select_from(rest.subquery())).scalar_one()
            rows = _rows(connection, query.level, ids[: query.limit])
            found = _Results(connection, query).of(rows)
        return SearchPage(found, min(remaining, _COUNTED), remaining > _COUNTED)

    def added_keys(self) -> Mapping[tuple[int, ...], SearchKey | None]:
        """Attributes that were made searchable, by path; None for one whose values are still being gathered.

        They are read anew each time, so that every process notices at once.
        """
        with self._database.read() as connection:
            added = read_attributes(connection)
        return {
            attribute.key.path: attribute.key if attribute.state is FillState.READY else None
            for attribute in added
            if attribute.state is not FillState.REMOVING
        }


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
            studies_counted = _study_counts(self._connection, {row.study_row_id for row in rows}, self._query.view)
        if level is Level.SERIES or (level is Level.INSTANCE and self._query.with_series_counts):
            series_counted = _series_counts(self._connection, {row.series_row_id for row in rows}, self._query.view)
        metadata: Mapping[int, Attributes] = {}
        if self._query.with_metadata:
            metadata = self._metadata([row.id for row in rows])
        found = []
        for row in rows:
            attributes = dict(metadata.get(row.id, {}))
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

    def _metadata(self, ids: list[int]) -> Mapping[int, Attributes]:
        """What instances say themselves; of studies and series the first one that is shown."""
        level = self._query.level
        if level is Level.INSTANCE:
            return _metadata(self._connection, ids)
        above = instances.c.study_id if level is Level.STUDY else instances.c.series_id
        first: dict[int, int] = {}
        for chunk in _chunks(ids):
            shown = select(above, func.min(instances.c.id).label("first")).where(
                above.in_(chunk), shown_to(self._query.view)
            )
            first |= {row.first: row[0] for row in self._connection.execute(shown.group_by(above))}
        said = _metadata(self._connection, list(first))
        return {first[instance_id]: attributes for instance_id, attributes in said.items()}

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


def _rows(connection: Connection, level: Level, ids: list[int]) -> list[AnyRow]:
    """The rows of a level, in the order of their ids as given."""
    if level is Level.STUDY:
        statement = select(studies.c.id, *_STUDY_COLUMNS)
    elif level is Level.SERIES:
        joined = series.join(studies, series.c.study_id == studies.c.id)
        statement = select(series.c.id, *_STUDY_COLUMNS, *_SERIES_COLUMNS).select_from(joined)
    else:
        joined = instances.join(series, instances.c.series_id == series.c.id)
        statement = select(*_STUDY_COLUMNS, *_SERIES_COLUMNS, *_INSTANCE_COLUMNS).select_from(
            joined.join(studies, instances.c.study_id == studies.c.id)
        )
    own = TABLES[level].c.id
    rows = {row.id: row for chunk in _chunks(ids) for row in connection.execute(statement.where(own.in_(chunk)))}
    return [rows[row_id] for row_id in ids]


def _study_counts(connection: Connection, ids: set[int], view: View) -> dict[int, Attributes]:
    """Modalities in Study and the numbers of related series and instances, by row of the study."""
    counted: dict[int, Attributes] = {}
    for chunk in _chunks(ids):
        shown = and_(instances.c.study_id.in_(chunk), shown_to(view))
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


def _series_counts(connection: Connection, ids: set[int], view: View) -> dict[int, Attributes]:
    """Number of Series Related Instances (0020,1209), by row of the series."""
    counted: dict[int, Attributes] = {}
    for chunk in _chunks(ids):
        statement = (
            select(instances.c.series_id, func.count().label("instances"))
            .where(instances.c.series_id.in_(chunk), shown_to(view))
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
