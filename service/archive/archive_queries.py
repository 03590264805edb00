"""Queries of DIMSE callers over the index (PS3.4 Annex C): first which rows match, by number, then page by page.

The numbers take eight bytes each, however large a row is, and no transaction stays open while a slow caller reads.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from service.archive.database import Database
from service.archive.instance_attributes import INDEXED, INSTANCE_COLUMNS, instance_attributes
from service.archive.metadata_cache import text_of
from service.archive.rows import AnyRow, instance_query, instance_row
from service.archive.schema import instances, releases, series, studies
from service.archive.search_conditions import Conditions, is_selective
from service.core.archive_query import ArchiveQuery, MomentRange, QueryLevel, ServedResults
from service.core.archived import InstanceRow
from service.core.deliveries import ReleaseState
from service.core.records import ObjectKind
from service.errors import StorageExhausted

MOST_MATCHES = 2_000_000
MOST_COMPARED = 100_000
_STREAMED = 1000
_CHUNK = 500
_TAKEN_BACK = (ReleaseState.REJECTED, ReleaseState.RECALLED)


class ArchiveQueries:
    """Finds what matches; objects that a caller is not served count nowhere.

    Parameters
    ----------
    most_matches : beyond them a query is refused
    most_compared : of instances whose metadata has to be read to know whether they match; likewise
    """

    def __init__(
        self, database: Database, most_matches: int = MOST_MATCHES, most_compared: int = MOST_COMPARED
    ) -> None:
        self._database = database
        self._most_matches = most_matches
        self._most_compared = most_compared

    def matching(self, query: ArchiveQuery) -> array[int]:
        """Row numbers of what matches at the query's level; of a patient, that of its newest study.

        Raises
        ------
        StorageExhausted : there are more matches than memory is meant for, or more to compare than time
        """
        level = _IDS[query.level]
        filtered = bool(query.study_conditions or query.series_conditions)
        columns: list[Any] = [level.label("id")]
        if query.level is QueryLevel.PATIENT:
            columns += [*_PATIENT]
        if filtered:
            columns.append(studies.c.attributes.label("study_attributes"))
            if query.level >= QueryLevel.SERIES:
                columns.append(series.c.attributes.label("series_attributes"))
        if query.instance_conditions:
            columns += [instances.c[name] for name in INSTANCE_COLUMNS]
            if _reads_metadata(query):
                columns.append(instances.c.metadata)
        statement = self._where(select(*columns).select_from(_TABLES[query.level]), query)
        return self._numbers(statement.order_by(level.desc()), query)

    def instances(self, numbers: Sequence[int]) -> list[InstanceRow]:
        """The instances behind some row numbers, those of one series together."""
        with self._database.read() as connection:
            statement = instance_query().where(instances.c.id.in_(list(numbers)))
            order = (instances.c.study_id, instances.c.series_id, instances.c.instance_number.asc().nulls_last())
            return [instance_row(row) for row in connection.execute(statement.order_by(*order, instances.c.id))]

    def forms(self, numbers: Sequence[int]) -> dict[tuple[str, str], int]:
        """How many of the instances have which SOP class and transfer syntax."""
        found: dict[tuple[str, str], int] = {}
        columns = (instances.c.sop_class_uid, instances.c.transfer_syntax_uid)
        with self._database.read() as connection:
            for start in range(0, len(numbers), _CHUNK):
                chunk = list(numbers[start : start + _CHUNK])
                counted = select(*columns, func.count()).where(instances.c.id.in_(chunk)).group_by(*columns)
                for sop_class_uid, transfer_syntax_uid, count in connection.execute(counted):
                    form = (sop_class_uid, transfer_syntax_uid)
                    found[form] = found.get(form, 0) + count
        return found

    def below(self, query: ArchiveQuery) -> array[int]:
        """Row numbers of every instance that belongs to what matches."""
        as_images = replace(query, level=QueryLevel.IMAGE)
        statement = self._where(select(instances.c.id).select_from(_TABLES[QueryLevel.IMAGE]), as_images)
        order = (studies.c.id, instances.c.series_id, instances.c.instance_number.asc().nulls_last(), instances.c.id)
        return self._numbers(statement.order_by(*order), as_images)

    def _numbers(self, statement: Select[Any], query: ArchiveQuery) -> array[int]:
        found = array("q")
        patients: set[tuple[str, str]] = set()
        left = self._most_compared if _reads_metadata(query) else -1
        with self._database.read() as connection:
            for row in connection.execute(statement, execution_options={"yield_per": _STREAMED}):
                if left == 0:
                    raise StorageExhausted("too many images to compare: name a study or series")
                left -= 1
                if not _meets(query, row):
                    continue
                if query.level is QueryLevel.PATIENT:
                    patient = (row.patient_id, "" if row.patient_id else row.patient_name)
                    if patient in patients:
                        continue
                    patients.add(patient)
                if len(found) == self._most_matches:
                    raise StorageExhausted("too many matches: ask for less")
                found.append(row.id)
        return found

    def _where(self, statement: Select[Any], query: ArchiveQuery) -> Select[Any]:
        tables = (studies, series, instances)[: max(1, query.level)]
        conditions: list[ColumnElement[bool]] = [table.c.project == query.project for table in tables]
        asked = Conditions(self._database.dialect, is_served(query.served))
        for match in query.matches:
            few = asked.ids(match, query.project) if is_selective(match) else None
            if few is not None:
                # By way of the ids: an index on the order would otherwise be walked from its start (SQLite does so).
                conditions.append(studies.c.id.in_(few))
        conditions += [asked.of(match) for match in query.matches]
        if query.moments is not None:
            conditions.append(_moments(query.moments))
        if query.sop_classes:
            held = instances.alias()
            of_class = held.c.sop_class_uid.in_(query.sop_classes)
            shown = is_served(query.served, held)
            conditions.append(select(held.c.id).where(held.c.study_id == studies.c.id, of_class, shown).exists())
        return statement.where(*conditions, _shown(query))


def is_served(served: ServedResults, table: Any = instances) -> ColumnElement[bool]:
    """The condition on an instance that a DIMSE caller may have it."""
    decided = select(releases.c.id).where(releases.c.run_id == table.c.run_id)
    if served.without_approval:
        may_leave = ~decided.where(releases.c.state.in_(_TAKEN_BACK)).correlate(table).exists()
    else:
        may_leave = decided.where(releases.c.state == ReleaseState.RELEASED).correlate(table).exists()
    ours = and_(table.c.kind == ObjectKind.RESULT, table.c.annotator.in_(sorted(served.annotators)), may_leave)
    # What a reader marked is for who weighs the readers against each other; nobody released it.
    theirs = and_(table.c.kind != ObjectKind.RESULT, table.c.author == "")
    return and_(table.c.visible, or_(theirs, ours))


def _shown(query: ArchiveQuery) -> ColumnElement[bool]:
    """Something of it is served."""
    if query.level is QueryLevel.IMAGE:
        return is_served(query.served)
    held = instances.alias()
    of_series = query.level is QueryLevel.SERIES
    belongs = held.c.series_id == series.c.id if of_series else held.c.study_id == studies.c.id
    shown = select(held.c.id).where(belongs, is_served(query.served, held))
    return shown.correlate(series if of_series else studies).exists()


def _moments(moments: MomentRange) -> ColumnElement[bool]:
    # A study without a time begins its day.
    time = case((studies.c.study_time == "", "000000"), else_=studies.c.study_time)
    moment = studies.c.study_date + time
    conditions = [studies.c.study_date != ""]
    if moments.first:
        conditions.append(moment >= moments.first)
    if moments.last:
        conditions.append(moment <= moments.last)
    return and_(*conditions)


def _meets(query: ArchiveQuery, row: AnyRow) -> bool:
    if query.study_conditions:
        attributes = json.loads(row.study_attributes)
        if not all(condition.holds(attributes) for condition in query.study_conditions):
            return False
    if query.series_conditions:
        attributes = json.loads(row.series_attributes)
        if not all(condition.holds(attributes) for condition in query.series_conditions):
            return False
    if query.instance_conditions:
        attributes = json.loads(text_of(row.metadata, "")) if _reads_metadata(query) else {}
        attributes |= instance_attributes(row)
        return all(condition.holds(attributes) for condition in query.instance_conditions)
    return True


def _reads_metadata(query: ArchiveQuery) -> bool:
    return any(condition.tag not in INDEXED for condition in query.instance_conditions)


_PATIENT = (studies.c.patient_id, studies.c.patient_name)
_OF_SERIES = series.join(studies, series.c.study_id == studies.c.id)
_TABLES: dict[QueryLevel, Any] = {
    QueryLevel.PATIENT: studies,
    QueryLevel.STUDY: studies,
    QueryLevel.SERIES: _OF_SERIES,
    QueryLevel.IMAGE: instances.join(series, instances.c.series_id == series.c.id).join(
        studies, instances.c.study_id == studies.c.id
    ),
}
_IDS: dict[QueryLevel, Any] = {
    QueryLevel.PATIENT: studies.c.id,
    QueryLevel.STUDY: studies.c.id,
    QueryLevel.SERIES: series.c.id,
    QueryLevel.IMAGE: instances.c.id,
}
