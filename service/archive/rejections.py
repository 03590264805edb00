"""What rejection notes hid: known by instance, whether the note or the image came first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, case, func, select, update

from service.archive.database import Database, hold_alone, lean_on, upsert
from service.archive.schema import instances, rejections, studies, trash
from service.archive.shown_instances import hide_instances, lock_instances
from service.archive.trash import not_in_trash
from service.core.rejection import ObeyedNote, RejectionNote, RejectionRow

HIDDEN, RESTORED = "hidden", "restored"
_CHUNK = 500


class RejectionTable:
    """Rejected instances by project.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def obey(self, project: str, note: RejectionNote, connection: Connection | None = None) -> None:
        """Hide what a note names, now and when it comes; a note that came before changes nothing again."""
        now = self._clock()
        rows = [
            {
                "project": project,
                "sop_instance_uid": uid,
                "study_uid": note.study_uid,
                "note_uid": note.note_uid,
                "code": note.code,
                "at": now,
            }
            for uid in sorted(set(note.instances))
        ]
        if not rows:
            return
        with self._database.write_or_join(connection) as transaction:
            # Whoever adds instances looks here whether they are named: what they add can be seen from here on.
            hold_alone(transaction, rejections)
            statement = upsert(transaction, rejections)
            # Another note after a restoration hides again; the same one does not.
            same = rejections.c.note_uid == statement.excluded.note_uid
            statement = statement.on_conflict_do_update(
                index_elements=[rejections.c.project, rejections.c.sop_instance_uid],
                set_={
                    "state": case((same, rejections.c.state), else_=HIDDEN),
                    "acted_at": case((same, rejections.c.acted_at), else_=None),
                    "note_uid": statement.excluded.note_uid,
                    "code": statement.excluded.code,
                },
            )
            transaction.execute(statement, rows)
            self.hide_among(project, [str(row["sop_instance_uid"]) for row in rows], transaction)

    def hide_among(self, project: str, sop_instance_uids: Sequence[str], connection: Connection) -> None:
        """Hide those of the instances that a note named before they came."""
        lean_on(connection, rejections)
        for start in range(0, len(sop_instance_uids), _CHUNK):
            chunk = list(sop_instance_uids[start : start + _CHUNK])
            query = select(rejections.c.sop_instance_uid).where(
                rejections.c.project == project,
                rejections.c.sop_instance_uid.in_(chunk),
                rejections.c.state == HIDDEN,
            )
            found = list(connection.execute(query).scalars())
            if found:
                hide_instances(connection, project, found)

    def unacted(self, limit: int = 100) -> list[tuple[str, RejectionNote]]:
        """Notes of projects, with every instance that they hid and on which was not looked yet what rests on it."""
        of = (rejections.c.project, rejections.c.study_uid, rejections.c.note_uid, rejections.c.code)
        query = select(*of).where(rejections.c.acted_at.is_(None)).distinct().order_by(*of).limit(limit)
        with self._database.read() as connection:
            notes = connection.execute(query).all()
            return [
                (project, RejectionNote(study, note, code, _unacted_of(project, study, note, connection)))
                for project, study, note, code in notes
            ]

    def acted(self, project: str, note: RejectionNote) -> None:
        """Note that what rests on the instances of a note was looked at."""
        now = self._clock()
        with self._database.write() as transaction:
            for start in range(0, len(note.instances), _CHUNK):
                statement = update(rejections).where(
                    rejections.c.project == project,
                    rejections.c.note_uid == note.note_uid,
                    rejections.c.sop_instance_uid.in_(note.instances[start : start + _CHUNK]),
                )
                transaction.execute(statement.values(acted_at=now))

    def of_study(self, project: str, study_uid: str) -> list[RejectionRow]:
        """What notes named of a study."""
        query = (
            select(rejections)
            .where(rejections.c.project == project, rejections.c.study_uid == study_uid)
            .order_by(rejections.c.at, rejections.c.sop_instance_uid)
        )
        with self._database.read() as connection:
            return [RejectionRow(**row._mapping) for row in connection.execute(query)]

    def notes(
        self, project: str, *, study_uid: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[ObeyedNote]:
        """The notes of a project (or of one of its studies), the newest first."""
        of = (rejections.c.project, rejections.c.study_uid, rejections.c.note_uid, rejections.c.code)
        # Null where one of the instances was not looked at yet.
        acted_at = case((func.count(rejections.c.acted_at) == func.count(), func.max(rejections.c.acted_at)))
        query = (
            select(
                *of,
                func.count().label("named"),
                func.sum(case((rejections.c.state == HIDDEN, 1), else_=0)).label("hidden"),
                func.min(rejections.c.at).label("at"),
                acted_at.label("acted_at"),
                func.max(rejections.c.restored_at).label("restored_at"),
                func.max(rejections.c.restored_by).label("restored_by"),
            )
            .where(rejections.c.project == project)
            .group_by(*of)
            .order_by(func.min(rejections.c.at).desc(), rejections.c.note_uid, rejections.c.study_uid)
            .limit(limit)
            .offset(offset)
        )
        if study_uid is not None:
            query = query.where(rejections.c.study_uid == study_uid)
        with self._database.read() as connection:
            return [ObeyedNote(**row._mapping) for row in connection.execute(query)]

    def restore(self, project: str, study_uid: str, note_uid: str, by: str) -> list[RejectionRow]:
        """Show again what a note hid of a study; what it was."""
        wanted = (
            rejections.c.project == project,
            rejections.c.study_uid == study_uid,
            rejections.c.note_uid == note_uid,
            rejections.c.state == HIDDEN,
        )
        with self._database.write() as transaction:
            found = [RejectionRow(**row._mapping) for row in transaction.execute(select(rejections).where(*wanted))]
            transaction.execute(
                update(rejections)
                .where(*wanted)
                .values(state=RESTORED, restored_at=self._clock(), restored_by=by, acted_at=self._clock())
            )
            self.show(project, [row.sop_instance_uid for row in found], transaction)
        return found

    def show(self, project: str, sop_instance_uids: Sequence[str], connection: Connection) -> None:
        """Show instances again; those in the trash when they are restored."""
        for start in range(0, len(sop_instance_uids), _CHUNK):
            chunk = list(sop_instance_uids[start : start + _CHUNK])
            same = (instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
            lock_instances(connection, *same)
            in_trash = select(instances.c.id).where(*same)
            connection.execute(update(trash).where(trash.c.instance_id.in_(in_trash)).values(shown_before=True))
            connection.execute(update(instances).where(*same, not_in_trash()).values(visible=True))

    def look_again(self, project: str, study_uid: str, connection: Connection | None = None) -> None:
        """Have a study become complete anew: annotators look at what is left of it."""
        now = self._clock()
        statement = (
            update(studies)
            .where(studies.c.project == project, studies.c.study_uid == study_uid)
            .values(state="receiving", changed_at=now)
        )
        with self._database.write_or_join(connection) as transaction:
            transaction.execute(statement)


def _unacted_of(project: str, study_uid: str, note_uid: str, connection: Connection) -> tuple[str, ...]:
    query = (
        select(rejections.c.sop_instance_uid)
        .where(
            rejections.c.project == project,
            rejections.c.study_uid == study_uid,
            rejections.c.note_uid == note_uid,
            rejections.c.acted_at.is_(None),
        )
        .order_by(rejections.c.sop_instance_uid)
    )
    return tuple(connection.execute(query).scalars())
