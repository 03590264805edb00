"""The index of studies, series and instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, select, update

from dicom_nodes.errors import GatewayError
from service.archive.database import Database
from service.archive.instance_batch import InstanceBatch, held_instances
from service.archive.prepared import PreparedInstance
from service.archive.rows import (
    AddKind,
    AddOutcome,
    AnySelect,
    InstanceRow,
    Replacement,
    SeriesRow,
    StudyRow,
    StudySummary,
    instance_query,
    instance_row,
    series_query,
    series_row,
    study_query,
    study_row,
)
from service.archive.schema import instances, series, studies
from service.archive.shown_images import forget_shown
from service.archive.shown_instances import hide_instances, touch_levels
from service.archive.study_list import summaries
from service.archive.vault_store import put_entries
from service.archive.view_conditions import found_in, seen_by, shown_to
from service.core.ports import InstanceReader
from service.core.records import NewInstance
from service.core.view import EVERYTHING, View
from service.errors import InstanceNotFound, PatientMismatch

_CHUNK = 500


class InstanceIndex:
    """Implements `service.core.ports.InstanceStore`.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    view : who looks; it bears on what is found and listed, not on what is added and counted
    """

    def __init__(self, database: Database, clock: Callable[[], float], view: View = EVERYTHING) -> None:
        self._database = database
        self._clock = clock
        self._view = view

    def seen_by(self, view: View) -> InstanceReader:
        """The same index as somebody sees it."""
        return InstanceIndex(self._database, self._clock, view)

    def add(
        self,
        new: NewInstance | PreparedInstance,
        connection: Connection | None = None,
        *,
        patient_digest: bytes | None = None,
        hide: Sequence[str] = (),
    ) -> AddOutcome:
        """Add one instance; ``hide`` names older instances (SOP Instance UIDs) that are not shown any more.

        Raises
        ------
        InstanceUnreadable : a UID is missing or is none
        PatientMismatch : the study belongs to another patient; nothing was changed
        """
        if patient_digest is not None and isinstance(new, NewInstance):
            new = replace(new, patient_digest=patient_digest)
        prepared = _prepared(new)
        with self._database.write_or_join(connection) as transaction:
            (outcome,) = self._add_all(transaction, [prepared])
            if outcome.kind is AddKind.PATIENT_MISMATCH:
                raise _other_patient()
            hide_instances(transaction, prepared.new.project, hide)
        return outcome

    def add_all(
        self, news: Sequence[NewInstance | PreparedInstance], connection: Connection | None = None
    ) -> list[AddOutcome]:
        """Add a batch in one transaction: an outcome for each, in order. To repeat it is harmless.

        Studies and series come to be with the first of their instances; later ones fill what that one left empty.
        Images move ``last_image_at`` and set the study back to "receiving". Vault rows are stored for what was added
        and for duplicates. Each header is read before the transaction begins; hand in `PreparedInstance` to read it
        earlier still.

        Raises
        ------
        InstanceUnreadable : a UID is missing or is none; nothing was added
        """
        batch = [_prepared(new) for new in news]
        if not batch:
            return []
        with self._database.write_or_join(connection) as transaction:
            return self._add_all(transaction, batch)

    def replace(self, new: NewInstance | PreparedInstance, connection: Connection | None = None) -> Replacement:
        """Put new content, whose blob is stored under a key of its own, under a UID that is held.

        Raises
        ------
        InstanceNotFound : the UID is not held
        PatientMismatch : the study belongs to another patient
        GatewayError : what was held is gone, or has become a result, meanwhile; the object is to be offered again
        """
        prepared = _prepared(new)
        key = (prepared.new.project, prepared.sop_instance_uid)
        with self._database.write_or_join(connection) as transaction:
            batch = InstanceBatch(transaction, self._clock())
            old = batch.held([key]).get(key)
            if old is None:
                raise InstanceNotFound("no instance is held under this SOP Instance UID")
            place = batch.place(prepared)
            if place is None:
                raise _other_patient()
            # Whoever makes an annotation a result holds the study, as we do from here on.
            if (now := batch.held([key]).get(key)) is None or now.kind is not old.kind:
                raise GatewayError(
                    "what is held has been removed, or become a result, meanwhile; offer the object again"
                )
            changes = prepared.columns | place | {"indexed_at": self._clock()}
            forget_shown(transaction, instances.c.id == old.id)
            transaction.execute(update(instances).where(instances.c.id == old.id).values(changes))
            batch.put_values(old, prepared)
            if old.series_row_id != place["series_id"]:
                batch.touch(old)
            put_entries(transaction, ((prepared.new.project, entry) for entry in prepared.new.vault))
            batch.finish()
            current = batch.held([key])[key]
        return Replacement(current, old.blob.key if old.blob.key != current.blob.key else None)

    def hide(self, project: str, sop_instance_uids: Sequence[str], connection: Connection | None = None) -> None:
        """Keep instances without showing them: an older version of a result."""
        if not sop_instance_uids:
            return
        with self._database.write_or_join(connection) as transaction:
            hide_instances(transaction, project, sop_instance_uids)
            for start in range(0, len(sop_instance_uids), _CHUNK):
                chunk = list(sop_instance_uids[start : start + _CHUNK])
                same = (instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
                touch_levels(transaction, self._clock(), *same)

    def find(self, project: str, sop_instance_uid: str) -> InstanceRow | None:
        """The instance held under a UID, visible or not."""
        held = instances.c.project == project, instances.c.sop_instance_uid == sop_instance_uid
        query = instance_query().where(*held, seen_by(self._view))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else instance_row(row)

    def find_all(self, project: str, sop_instance_uids: Sequence[str]) -> dict[str, InstanceRow]:
        """Those of the instances that are held, by UID, visible or not."""
        with self._database.read() as connection:
            held = held_instances(connection, ((project, uid) for uid in sop_instance_uids))
        return {uid: row for (_, uid), row in held.items()}

    def study(self, project: str, study_uid: str) -> StudyRow | None:
        """The study held under a UID."""
        query = study_query().where(studies.c.project == project, studies.c.study_uid == study_uid)
        query = query.where(found_in(self._view, studies))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else study_row(row)

    def study_of_series(self, project: str, series_uid: str) -> StudyRow | None:
        """The study that a series belongs to; the first one where a sender used its UID twice."""
        held = series.c.project == project, series.c.series_uid == series_uid
        query = study_query().where(studies.c.id == select(func.min(series.c.study_id)).where(*held).scalar_subquery())
        with self._database.read() as connection:
            row = connection.execute(query.where(found_in(self._view, studies))).one_or_none()
        return None if row is None else study_row(row)

    def study_uids(self, project: str) -> list[str]:
        """Study Instance UIDs of a project, in the order of their letters, whatever came when."""
        query = select(studies.c.study_uid).where(studies.c.project == project, found_in(self._view, studies))
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def series_of(self, project: str, study_uid: str) -> list[SeriesRow]:
        """The series of a study, by number."""
        query = series_query().where(studies.c.project == project, studies.c.study_uid == study_uid)
        query = query.where(found_in(self._view, series))
        with self._database.read() as connection:
            rows = [series_row(row) for row in connection.execute(query.order_by(series.c.id))]
        return sorted(rows, key=lambda row: (row.series_number is None, row.series_number or 0, row.id))

    def instances_of(
        self, project: str, study_uid: str, series_uid: str | None = None, *, visible_only: bool = True
    ) -> list[InstanceRow]:
        """The instances of a study or of one of its series, by series, then by instance number."""
        query = self._within(instance_query(), project, study_uid, series_uid, None, visible_only)
        with self._database.read() as connection:
            return [instance_row(row) for row in connection.execute(query)]

    def metadata_of(
        self,
        project: str,
        study_uid: str,
        series_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        visible_only: bool = True,
    ) -> list[bytes]:
        """The cached metadata of the same instances in the same order, for `metadata_cache.assemble`."""
        query = select(instances.c.metadata).select_from(
            instances.join(series, instances.c.series_id == series.c.id).join(
                studies, instances.c.study_id == studies.c.id
            )
        )
        query = self._within(query, project, study_uid, series_uid, sop_instance_uid, visible_only)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def studies(
        self, project: str | None = None, *, state: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[StudySummary]:
        """Studies with what they hold, the most recent first."""
        with self._database.read() as connection:
            return summaries(connection, project, state, limit, offset, self._view)

    def count(self, project: str | None = None) -> int:
        """How many instances are held, visible or not."""
        query = select(func.count()).select_from(instances)
        with self._database.read() as connection:
            return connection.execute(
                query if project is None else query.where(instances.c.project == project)
            ).scalar_one()

    def held_blobs(self, keys: Sequence[str]) -> set[str]:
        """Those of the blob keys that an instance refers to; a blob whose key is not among them is an orphan."""
        held: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(keys), _CHUNK):
                chunk = list(keys[start : start + _CHUNK])
                # By UID, which is indexed; the key itself is not.
                uids = [key.rsplit("/", 1)[-1].removesuffix(".dcm").split(".v")[0] for key in chunk]
                query = select(instances.c.blob_key).where(
                    instances.c.project.in_({key.split("/", 1)[0] for key in chunk}),
                    instances.c.sop_instance_uid.in_(uids),
                )
                held |= set(connection.execute(query).scalars()) & set(chunk)
        return held

    def _within(
        self,
        query: AnySelect,
        project: str,
        study_uid: str,
        series_uid: str | None,
        sop_instance_uid: str | None,
        visible_only: bool,
    ) -> AnySelect:
        query = query.where(studies.c.project == project, studies.c.study_uid == study_uid)
        if series_uid is not None:
            query = query.where(series.c.series_uid == series_uid)
        if sop_instance_uid is not None:
            query = query.where(instances.c.sop_instance_uid == sop_instance_uid)
        query = query.where(shown_to(self._view) if visible_only else seen_by(self._view))
        return query.order_by(series.c.id, instances.c.instance_number, instances.c.id)

    def _add_all(self, transaction: Connection, prepared: Sequence[PreparedInstance]) -> list[AddOutcome]:
        batch = InstanceBatch(transaction, self._clock())
        outcomes = batch.add(prepared)
        batch.finish()
        return outcomes


def _prepared(new: NewInstance | PreparedInstance) -> PreparedInstance:
    return new if isinstance(new, PreparedInstance) else PreparedInstance.of(new)


def _other_patient() -> PatientMismatch:
    return PatientMismatch("the study belongs to another patient")
