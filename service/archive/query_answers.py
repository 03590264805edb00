"""What the index tells of a page of matches: attributes at their level and above, and the numbers that are counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from service.archive.archive_queries import is_served
from service.archive.database import Database
from service.archive.instance_attributes import INDEXED, INSTANCE_COLUMNS, element, instance_attributes
from service.archive.metadata_cache import text_of
from service.archive.rows import AnyRow
from service.archive.schema import instances, series, studies
from service.core.archive_query import QueryLevel, ServedResults
from service.core.search import Attributes

MODALITIES_IN_STUDY: Final = "00080061"
SOP_CLASSES_IN_STUDY: Final = "00080062"
PATIENT_COUNTS: Final = ("00201200", "00201202", "00201204")  # studies, series, instances
STUDY_COUNTS: Final = ("00201206", "00201208")  # series, instances
SERIES_COUNT: Final = "00201209"
COUNTED_BY_STUDY: Final = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, *STUDY_COUNTS})


class QueryAnswers:
    """Describes matches of one project, for callers who are served ``served``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(
        self, level: QueryLevel, numbers: Sequence[int], wanted: frozenset[str], served: ServedResults
    ) -> list[Attributes]:
        """One set of attributes for each row number that is still there, in order.

        Parameters
        ----------
        wanted : tags as eight hexadecimal digits; what has to be counted or read from metadata is only done for them
        """
        with self._database.read() as connection:
            rows = {row.id: row for row in connection.execute(_rows(level, numbers))}
            present = [rows[number] for number in numbers if number in rows]
            page = _Page(connection, level, present, wanted, served)
            return [page.describe(row) for row in present]


class _Page:
    """One page of rows with what is read once a page rather than once a row."""

    def __init__(
        self,
        connection: Connection,
        level: QueryLevel,
        rows: Sequence[AnyRow],
        wanted: frozenset[str],
        served: ServedResults,
    ) -> None:
        self._connection = connection
        self._level = level
        self._served = served
        self._parsed: dict[str, Attributes] = {}
        self._by_study = self._count_studies(rows) if wanted & COUNTED_BY_STUDY else {}
        self._by_patient = self._count_patients(rows) if wanted & {*PATIENT_COUNTS} else {}
        counts_series = level >= QueryLevel.SERIES and SERIES_COUNT in wanted
        self._by_series = self._count_series(rows) if counts_series else {}
        reads_metadata = level is QueryLevel.IMAGE and wanted - INDEXED
        self._metadata = self._read_metadata(rows, wanted) if reads_metadata else {}

    def describe(self, row: AnyRow) -> Attributes:
        """Every attribute that is known at the row's level and above."""
        attributes = dict(self._metadata.get(row.id, {})) if self._level is QueryLevel.IMAGE else {}
        attributes |= self._parse(row.study_attributes) | self._by_study.get(row.study_row_id, {})
        attributes |= self._by_patient.get(row.patient_id, {})
        if self._level >= QueryLevel.SERIES:
            attributes |= self._parse(row.series_attributes) | self._by_series.get(row.series_row_id, {})
        if self._level is QueryLevel.IMAGE:
            attributes |= instance_attributes(row)
        return attributes

    def _parse(self, text: str) -> Attributes:
        if text not in self._parsed:
            self._parsed[text] = json.loads(text)
        return self._parsed[text]

    def _count_studies(self, rows: Sequence[AnyRow]) -> dict[int, Attributes]:
        statement = (
            select(instances.c.study_id, instances.c.series_id, series.c.modality, instances.c.sop_class_uid)
            .add_columns(func.count().label("held"))
            .join(series, series.c.id == instances.c.series_id)
            .where(instances.c.study_id.in_({row.study_row_id for row in rows}), is_served(self._served))
            .group_by(instances.c.study_id, instances.c.series_id, series.c.modality, instances.c.sop_class_uid)
        )
        held: dict[int, list[AnyRow]] = {}
        for row in self._connection.execute(statement):
            held.setdefault(row.study_id, []).append(row)
        return {
            number: {
                MODALITIES_IN_STUDY: element("CS", *sorted({row.modality for row in found} - {""})),
                SOP_CLASSES_IN_STUDY: element("UI", *sorted({row.sop_class_uid for row in found})),
                STUDY_COUNTS[0]: element("IS", len({row.series_id for row in found})),
                STUDY_COUNTS[1]: element("IS", sum(row.held for row in found)),
            }
            for number, found in held.items()
        }

    def _count_series(self, rows: Sequence[AnyRow]) -> dict[int, Attributes]:
        statement = (
            select(instances.c.series_id, func.count().label("held"))
            .where(instances.c.series_id.in_({row.series_row_id for row in rows}), is_served(self._served))
            .group_by(instances.c.series_id)
        )
        return {row.series_id: {SERIES_COUNT: element("IS", row.held)} for row in self._connection.execute(statement)}

    def _count_patients(self, rows: Sequence[AnyRow]) -> dict[str, Attributes]:
        """By Patient ID; without one there is no telling which studies belong together, so nothing is counted."""
        patients = {row.patient_id for row in rows} - {""}
        projects = {row.project for row in rows}
        statement = (
            select(studies.c.patient_id)
            .add_columns(
                func.count(instances.c.study_id.distinct()).label("studies"),
                func.count(instances.c.series_id.distinct()).label("series"),
                func.count().label("held"),
            )
            .join(instances, instances.c.study_id == studies.c.id)
            .where(studies.c.project.in_(projects), studies.c.patient_id.in_(patients), is_served(self._served))
            .group_by(studies.c.patient_id)
        )
        return {
            row.patient_id: {
                tag: element("IS", number)
                for tag, number in zip(PATIENT_COUNTS, (row.studies, row.series, row.held), strict=True)
            }
            for row in self._connection.execute(statement)
        }

    def _read_metadata(self, rows: Sequence[AnyRow], wanted: frozenset[str]) -> dict[int, Attributes]:
        statement = select(instances.c.id, instances.c.metadata).where(instances.c.id.in_([row.id for row in rows]))
        read: dict[int, Attributes] = {}
        for row in self._connection.execute(statement):
            known: Attributes = json.loads(text_of(row.metadata, ""))
            read[row.id] = {tag: known[tag] for tag in wanted & known.keys() if not _has_bulk_data(known[tag])}
        return read


def _rows(level: QueryLevel, numbers: Sequence[int]) -> Select[Any]:
    columns: list[Any] = [
        studies.c.project,
        studies.c.id.label("study_row_id"),
        studies.c.patient_id,
        studies.c.attributes.label("study_attributes"),
    ]
    if level >= QueryLevel.SERIES:
        columns += [series.c.id.label("series_row_id"), series.c.attributes.label("series_attributes")]
    if level is QueryLevel.IMAGE:
        columns += [instances.c[name] for name in INSTANCE_COLUMNS]
        joined = instances.join(series, instances.c.series_id == series.c.id)
        statement = select(instances.c.id, *columns).select_from(
            joined.join(studies, instances.c.study_id == studies.c.id)
        )
        return statement.where(instances.c.id.in_(numbers))
    if level is QueryLevel.SERIES:
        statement = select(series.c.id, *columns).select_from(series.join(studies, series.c.study_id == studies.c.id))
        return statement.where(series.c.id.in_(numbers))
    return select(studies.c.id, *columns).where(studies.c.id.in_(numbers))


def _has_bulk_data(known: Mapping[str, Any]) -> bool:
    """Whether the value, at any depth, is not in the metadata itself."""
    if "BulkDataURI" in known:
        return True
    items = known.get("Value", ()) if known.get("vr") == "SQ" else ()
    return any(_has_bulk_data(inner) for item in items if item for inner in item.values())
