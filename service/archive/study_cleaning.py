"""What de-identification did to each study: counts, and by element for the first object of each series."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple

from sqlalchemy import Connection, RowMapping, select

from service.archive.database import Database, upsert
from service.archive.schema import cleaning_reports, study_counters
from service.core.cleaning_report import CleaningLine, SeriesCleaning, StudyCleaning


class StudyCleaningTable:
    """Reports by study; nothing in them is a value of anybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, project: str, study_uid: str, report: SeriesCleaning, connection: Connection) -> None:
        """Keep what was done to the first object of a series; an earlier report stays."""
        connection.execute(
            upsert(connection, cleaning_reports).on_conflict_do_nothing(),
            {
                "project": project,
                "study_uid": study_uid,
                "series_uid": report.series_uid,
                "sop_class_uid": report.sop_class_uid,
                "profile": report.profile,
                "edition": report.edition,
                "lines": json.dumps([astuple(line) for line in report.lines]),
            },
        )

    def count(self, project: str, amounts: Mapping[str, Mapping[str, int]], connection: Connection) -> None:
        """Add to the counts of studies, by Study Instance UID and name."""
        rows = [
            {"project": project, "study_uid": study_uid, "name": name, "value": value}
            for study_uid, named in sorted(amounts.items())
            for name, value in sorted(named.items())
            if value
        ]
        if not rows:
            return
        statement = upsert(connection, study_counters)
        columns = study_counters.c
        statement = statement.on_conflict_do_update(
            index_elements=[columns.project, columns.study_uid, columns.name],
            set_={"value": columns.value + statement.excluded.value},
        )
        connection.execute(statement, rows)

    def of(self, project: str, study_uid: str) -> StudyCleaning | None:
        """What was done to a study; None where nothing was, or it was before reports were kept."""
        reports = cleaning_reports.c
        counts = study_counters.c
        with self._database.read() as connection:
            query = select(cleaning_reports).where(reports.project == project, reports.study_uid == study_uid)
            series = tuple(_series(row._mapping) for row in connection.execute(query.order_by(reports.series_uid)))
            counted = select(counts.name, counts.value).where(counts.project == project, counts.study_uid == study_uid)
            numbers = {row.name: int(row.value) for row in connection.execute(counted.order_by(counts.name))}
        return StudyCleaning(study_uid, series, numbers) if series or numbers else None


def _series(row: RowMapping) -> SeriesCleaning:
    lines: Iterable[list[str | int]] = json.loads(row["lines"])
    return SeriesCleaning(
        row["series_uid"],
        row["sop_class_uid"],
        row["profile"],
        row["edition"],
        tuple(CleaningLine(*line) for line in lines),  # type: ignore[arg-type] # written by put
    )
