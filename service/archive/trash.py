"""The trash: instances that somebody deleted, hidden from everybody until their grace ends.

An instance in the trash keeps its row and its blob. It is hidden as a rejected one is, by ``visible``, so that no
search and no retrieval has to know of the trash; a row of ``trash`` beside it says which deletion took it and whether
it was shown before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, literal, or_, select, update

from dicom_nodes.errors import GatewayError
from service.archive.database import Database
from service.archive.rows import AnyRow, InstanceRow, instance_query, instance_row
from service.archive.schema import deletions, instances, series, studies, trash
from service.archive.shown_images import forget_shown
from service.archive.shown_instances import lock_instances, touch_levels
from service.core.deletion import DeletedPlace, DeletionRow, DeletionState

_CHUNK = 500
_GONE = (DeletionState.TRASHED, DeletionState.REMOVING, DeletionState.REMOVED)


class TrashTable:
    """Deletions by project.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def put(
        self,
        project: str,
        place: DeletedPlace,
        *,
        by: str,
        reason: str,
        remove_at: float,
        connection: Connection | None = None,
    ) -> DeletionRow | None:
        """Move what a place names into the trash; None where nothing is there that is not in it already."""
        with self._database.write_or_join(connection) as transaction:
            # Whoever adds to the study locks it too, so that what is counted is what is taken.
            same = (studies.c.project == project, studies.c.study_uid == place.study_uid)
            transaction.execute(select(studies.c.id).where(*same).with_for_update()).all()
            wanted = _within(project, place) & not_in_trash()
            counted = _select(func.count(), func.coalesce(func.sum(instances.c.blob_size), 0))
            count, size = transaction.execute(counted.where(wanted)).one()
            if not count:
                return None
            values = {
                "project": project,
                "study_uid": place.study_uid,
                "series_uid": place.series_uid,
                "sop_instance_uid": place.sop_instance_uid,
                "instances": count,
                "size": int(size),
                "reason": reason,
                "at": self._clock(),
                "deleted_by": by,
                "remove_at": remove_at,
            }
            lock_instances(transaction, instances.c.id.in_(_select(instances.c.id).where(wanted)))
            row = transaction.execute(insert(deletions).returning(*deletions.c), values).one()
            taken = _select(instances.c.id, literal(row.id), instances.c.visible).where(wanted)
            columns = ["instance_id", "deletion_id", "shown_before"]
            transaction.execute(insert(trash).from_select(columns, taken))
            of_it = instances.c.id.in_(_taken_by(row.id))
            transaction.execute(update(instances).where(of_it).values(visible=False))
            forget_shown(transaction, of_it)
            self._touch(transaction, row.id)
        return deletion_row(row)

    def restore(self, deletion_id: int, by: str, connection: Connection | None = None) -> DeletionRow | None:
        """Show again what a deletion hid; None where it is not in the trash (any more).

        What was hidden before, or has been hidden since by a rejection note or a newer version, stays hidden.
        """
        with self._database.write_or_join(connection) as transaction:
            row = self._move(transaction, deletion_id, (DeletionState.TRASHED,), DeletionState.RESTORED, by)
            if row is None:
                return None
            lock_instances(transaction, instances.c.id.in_(_taken_by(deletion_id)))
            shown = select(trash.c.instance_id).where(trash.c.deletion_id == deletion_id, trash.c.shown_before)
            transaction.execute(update(instances).where(instances.c.id.in_(shown)).values(visible=True))
            self._touch(transaction, deletion_id)
            transaction.execute(delete(trash).where(trash.c.deletion_id == deletion_id))
        return row

    def get(self, deletion_id: int) -> DeletionRow | None:
        """One deletion."""
        with self._database.read() as connection:
            row = connection.execute(select(deletions).where(deletions.c.id == deletion_id)).one_or_none()
        return None if row is None else deletion_row(row)

    def page(
        self,
        project: str,
        *,
        state: DeletionState | None = None,
        study_uid: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DeletionRow]:
        """Deletions of a project, the newest first."""
        query = select(deletions).where(deletions.c.project == project)
        if state is not None:
            query = query.where(deletions.c.state == state)
        if study_uid is not None:
            query = query.where(deletions.c.study_uid == study_uid)
        return self._rows(query.order_by(deletions.c.id.desc()).limit(limit).offset(offset))

    def instances_in(
        self, deletion_id: int, limit: int | None = None, *, connection: Connection | None = None
    ) -> list[InstanceRow]:
        """What a deletion took and is still there, by the index's key."""
        query = instance_query().where(instances.c.id.in_(_taken_by(deletion_id))).order_by(instances.c.id)
        if limit is not None:
            query = query.limit(limit)
        if connection is not None:
            return [instance_row(row) for row in connection.execute(query)]
        with self._database.read() as reader:
            return [instance_row(row) for row in reader.execute(query)]

    def holds_any(self, project: str, sop_instance_uids: Sequence[str]) -> bool:
        """Whether one of the instances at least is in the trash."""
        held = trash.join(instances, trash.c.instance_id == instances.c.id)
        with self._database.read() as connection:
            for start in range(0, len(sop_instance_uids), _CHUNK):
                chunk = list(sop_instance_uids[start : start + _CHUNK])
                query = select(trash.c.instance_id).select_from(held)
                query = query.where(instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
                if connection.execute(query.limit(1)).first() is not None:
                    return True
        return False

    def holds_all(self, project: str, study_uid: str) -> bool:
        """Whether nothing of a study is outside of the trash."""
        query = _select(instances.c.id).where(_within(project, DeletedPlace(study_uid)), not_in_trash())
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is None

    def covers(self, project: str, place: DeletedPlace) -> bool:
        """Whether what stood at a place was deleted: with what it belonged to or, where nothing is left, in parts."""
        query = select(deletions.c.id).where(
            deletions.c.project == project,
            deletions.c.study_uid == place.study_uid,
            deletions.c.state.in_(_GONE),
            *_concerning(place),
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def due(self, limit: int = 100) -> list[DeletionRow]:
        """Deletions whose grace has ended, and those that are being removed, the oldest first."""
        ended = (deletions.c.state == DeletionState.TRASHED) & (deletions.c.remove_at <= self._clock())
        wanted = or_(ended, deletions.c.state == DeletionState.REMOVING)
        return self._rows(select(deletions).where(wanted).order_by(deletions.c.remove_at, deletions.c.id).limit(limit))

    def begin_removal(self, deletion_id: int) -> bool:
        """Have nobody restore it from now on; False where somebody did a moment ago."""
        with self._database.write() as transaction:
            of = (DeletionState.TRASHED, DeletionState.REMOVING)
            return self._move(transaction, deletion_id, of, DeletionState.REMOVING, "") is not None

    def end_removal(self, deletion_id: int, by: str) -> bool:
        """Note that nothing is left of it; False where another process was faster."""
        with self._database.write() as transaction:
            of = (DeletionState.REMOVING,)
            return self._move(transaction, deletion_id, of, DeletionState.REMOVED, by) is not None

    def _move(
        self,
        transaction: Connection,
        deletion_id: int,
        of: Sequence[DeletionState],
        to: DeletionState,
        by: str,
    ) -> DeletionRow | None:
        ended = {"ended_at": self._clock(), "ended_by": by} if to is not DeletionState.REMOVING else {}
        statement = (
            update(deletions)
            .where(deletions.c.id == deletion_id, deletions.c.state.in_(of))
            .values(state=to, **ended)
            .returning(*deletions.c)
        )
        row = transaction.execute(statement).one_or_none()
        return None if row is None else deletion_row(row)

    def _touch(self, transaction: Connection, deletion_id: int) -> None:
        touch_levels(transaction, self._clock(), instances.c.id.in_(_taken_by(deletion_id)))

    def _rows(self, query: Select[Any]) -> list[DeletionRow]:
        with self._database.read() as connection:
            return [deletion_row(row) for row in connection.execute(query)]


def deletion_row(row: AnyRow) -> DeletionRow:
    """A row of ``deletions``."""
    values = dict(row._mapping)
    return DeletionRow(**values | {"state": DeletionState(values["state"])})


def not_in_trash() -> ColumnElement[bool]:
    """The condition on an instance that nobody deleted it."""
    return ~select(trash.c.instance_id).where(trash.c.instance_id == instances.c.id).correlate(instances).exists()


def _select(*columns: ColumnElement[Any]) -> Select[Any]:
    """Columns of instances with their series and studies."""
    joined = instances.join(series, instances.c.series_id == series.c.id).join(
        studies, instances.c.study_id == studies.c.id
    )
    return select(*columns).select_from(joined)


def _within(project: str, place: DeletedPlace) -> ColumnElement[bool]:
    conditions = [studies.c.project == project, studies.c.study_uid == place.study_uid]
    if place.series_uid:
        conditions.append(series.c.series_uid == place.series_uid)
    if place.sop_instance_uid:
        conditions.append(instances.c.sop_instance_uid == place.sop_instance_uid)
    return and_(*conditions)


def _concerning(place: DeletedPlace) -> list[ColumnElement[bool]]:
    """The condition on a deletion of a study that it explains why nothing is found at a place of it."""
    if not place.series_uid:
        return []
    of_series = deletions.c.series_uid == place.series_uid
    if place.sop_instance_uid:
        of_series &= deletions.c.sop_instance_uid.in_(["", place.sop_instance_uid])
    return [or_(deletions.c.series_uid == "", of_series)]


def _taken_by(deletion_id: int) -> Select[tuple[int]]:
    """Keys of the instances that a deletion took and that are still there."""
    return select(trash.c.instance_id).where(trash.c.deletion_id == deletion_id)


def held_in_trash(connection: Connection, instance_ids: Sequence[int]) -> set[int]:
    """Those of the instances (keys of the index) that are in the trash.

    Raises
    ------
    GatewayError : one was removed for good meanwhile; what rests on it is to be looked at again
    """
    found: dict[int, bool] = {}
    joined = instances.outerjoin(trash, trash.c.instance_id == instances.c.id)
    for start in range(0, len(instance_ids), _CHUNK):
        chunk = list(instance_ids[start : start + _CHUNK])
        query = select(instances.c.id, trash.c.instance_id).select_from(joined).where(instances.c.id.in_(chunk))
        found |= {row_id: in_trash is not None for row_id, in_trash in connection.execute(query)}
    if len(found) < len(set(instance_ids)):
        raise GatewayError("an instance was removed for good meanwhile; offer the object again")
    return {row_id for row_id, in_trash in found.items() if in_trash}
