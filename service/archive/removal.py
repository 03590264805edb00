"""What is left of instances in the index goes for good: their rows, and what the vault knows of them.

Rows of the audit trail stay, as do those that tell of deletions, rejections and deliveries; none holds identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, delete, func, select

from service.archive.database import Database
from service.archive.rows import InstanceRow
from service.archive.schema import (
    annotation_marks,
    annotation_objects,
    annotation_versions,
    availability_notices,
    cleaning_reports,
    conflicts,
    instances,
    series,
    studies,
    study_counters,
    study_routes,
    study_signs,
    trash,
    vault,
    workitems,
)

_CHUNK: Final = 500
# Work items name the patient as the study does, in a project that keeps identity under the real name.
_OF_STUDIES: Final = (
    cleaning_reports,
    study_counters,
    study_routes,
    study_signs,
    availability_notices,
    workitems,
    annotation_versions,
)


class ArchiveRemoval:
    """Removes instances that are in the trash from the index; their blobs are gone by then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forget(self, taken: Sequence[InstanceRow]) -> None:
        """Remove instances of one study, and series, study and patient where nothing else is left of them.

        To repeat it is harmless, also while another process does the same. What is not in the trash stays.
        """
        if not taken:
            return
        with self._database.write() as transaction:
            # Whoever adds to the study locks it too: nothing comes to be in it between the look and the removal.
            of_study = studies.c.id == taken[0].study_row_id
            study = transaction.execute(select(studies).where(of_study).with_for_update()).one_or_none()
            if study is None:
                return
            removed = _remove_instances(transaction, taken)
            emptied = _emptied_series(transaction, removed)
            is_empty = _count(transaction, instances, instances.c.study_id == study.id) == 0
            # In the order in which entries are stored: by kind (PostgreSQL locks them one after the other).
            if is_empty:
                _forget_patient(transaction, study.project, study.patient_id, study.id)
                _forget_entries(transaction, study.project, "study", [study.study_uid])
            uids = [*(row.sop_instance_uid for row in removed), *emptied.values()]
            _forget_entries(transaction, study.project, "uid", uids + ([study.study_uid] if is_empty else []))
            if emptied:
                transaction.execute(delete(series).where(series.c.id.in_(sorted(emptied))))
            if is_empty:
                _remove_study(transaction, study.id, study.project, study.study_uid)


def _remove_instances(transaction: Connection, taken: Sequence[InstanceRow]) -> list[InstanceRow]:
    """Those that were in the trash and are gone now."""
    in_trash: set[int] = set()
    for start in range(0, len(taken), _CHUNK):
        chunk = taken[start : start + _CHUNK]
        ids = [row.id for row in chunk]
        held = select(trash.c.instance_id).where(trash.c.instance_id.in_(ids))
        in_trash |= set(transaction.execute(held).scalars())
        transaction.execute(delete(instances).where(instances.c.id.in_(sorted(in_trash & set(ids)))))
        uids = [row.sop_instance_uid for row in chunk if row.id in in_trash]
        for table in (conflicts, annotation_marks, annotation_objects):
            of_them = (table.c.project == chunk[0].project, table.c.sop_instance_uid.in_(uids))
            transaction.execute(delete(table).where(*of_them))
    return [row for row in taken if row.id in in_trash]


def _emptied_series(transaction: Connection, removed: Sequence[InstanceRow]) -> dict[int, str]:
    """Series of which nothing is left: their UIDs by the index's key."""
    concerned = {row.series_row_id: row.series_uid for row in removed}
    left = select(instances.c.series_id).distinct().where(instances.c.series_id.in_(sorted(concerned)))
    for row_id in transaction.execute(left).scalars():
        del concerned[row_id]
    return concerned


def _forget_patient(transaction: Connection, project: str, patient_id: str, study_id: int) -> None:
    """Forget who a pseudonym stands for where no other study is the patient's."""
    others = (studies.c.project == project) & (studies.c.patient_id == patient_id) & (studies.c.id != study_id)
    if not patient_id or _count(transaction, studies, others):
        return
    savepoint = transaction.begin_nested()
    _forget_entries(transaction, project, "patient", [patient_id])
    # Somebody may have stored another study of the patient, and the entry with it, while we waited for it.
    if _count(transaction, studies, others):
        savepoint.rollback()
    else:
        savepoint.commit()


def _forget_entries(transaction: Connection, project: str, kind: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _CHUNK):
        chunk = sorted(keys)[start : start + _CHUNK]
        of_them = (vault.c.project == project, vault.c.kind == kind, vault.c.key.in_(chunk))
        transaction.execute(delete(vault).where(*of_them))


def _remove_study(transaction: Connection, study_id: int, project: str, study_uid: str) -> None:
    for table in _OF_STUDIES:
        transaction.execute(delete(table).where(table.c.project == project, table.c.study_uid == study_uid))
    transaction.execute(delete(studies).where(studies.c.id == study_id))


def _count(transaction: Connection, table: Table, wanted: object) -> int:
    return transaction.execute(select(func.count()).select_from(table).where(wanted)).scalar_one()  # type: ignore[arg-type]
