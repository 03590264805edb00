"""Which studies a patient has, by the Patient ID under which they are served."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from service.archive.database import Database
from service.archive.rows import StudyRow, study_query, study_row
from service.archive.schema import studies

_CHUNK = 500


class PatientTable:
    """Patients of a project, as they are served."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def study_uids(
        self, project: str, patient_ids: Sequence[str], *, connection: Connection | None = None
    ) -> dict[str, list[str]]:
        """The studies of those of the patients that have some, by Patient ID."""
        if connection is None:
            with self._database.read() as own:
                return self.study_uids(project, patient_ids, connection=own)
        found: dict[str, list[str]] = {}
        for start in range(0, len(patient_ids), _CHUNK):
            chunk = list(patient_ids[start : start + _CHUNK])
            query = (
                select(studies.c.patient_id, studies.c.study_uid)
                .where(studies.c.project == project, studies.c.patient_id.in_(chunk))
                .order_by(studies.c.id)
            )
            for patient_id, study_uid in connection.execute(query):
                found.setdefault(patient_id, []).append(study_uid)
        return found

    def kept(self, project: str, accession_number: str, patient_id: str) -> list[StudyRow]:
        """The studies of a project that keeps identity, by what they are called; an empty value asks for nothing."""
        pairs = ((studies.c.accession_number, accession_number), (studies.c.patient_id, patient_id))
        wanted = [column == value for column, value in pairs if value]
        query = study_query().where(studies.c.project == project, *wanted).order_by(studies.c.id).limit(_CHUNK)
        with self._database.read() as connection:
            return [study_row(row) for row in connection.execute(query)]

    def served(self, project: str) -> dict[str, str]:
        """The Patient ID under which each study of a project is served, by Study Instance UID."""
        query = select(studies.c.study_uid, studies.c.patient_id).where(studies.c.project == project)
        with self._database.read() as connection:
            return {row.study_uid: row.patient_id for row in connection.execute(query)}
