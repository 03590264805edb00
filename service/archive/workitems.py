"""Work items in the index; a change takes effect only on the version that it was decided on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from service.archive.database import Connection, Database, upsert
from service.archive.rows import AnyRow
from service.archive.schema import instances, workitem_references, workitem_subscriptions, workitems
from service.archive.workitem_view import workitem_shown_to
from service.core import workitem as tags
from service.core.records import ObjectKind
from service.core.search import Attributes
from service.core.view import EVERYTHING, View
from service.core.workitem import NewWorkitem, Workitem, WorkitemState, first, named_uids

_BATCH = 200
_CHUNK = 500
_LONGEST_UID = 64


class WorkitemTable:
    """Rows of work items.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, new: NewWorkitem, connection: Connection) -> Workitem | None:
        """Add a work item, SCHEDULED; None when its UID is taken."""
        now = self._clock()
        values = {
            "project": new.project,
            "workitem_uid": new.workitem_uid,
            "state": WorkitemState.SCHEDULED,
            "study_uid": new.study_uid,
            "series_uid": new.series_uid,
            "run_id": new.run_id,
            "annotator": new.annotator,
            "performer": new.performer,
            "created_by": new.created_by[:64],
            "created_at": now,
            "changed_at": now,
        }
        inserted = connection.execute(
            upsert(connection, workitems).on_conflict_do_nothing().returning(workitems.c.id),
            values | _columns(new.attributes),
        ).one_or_none()
        if inserted is None:
            return None
        _name(inserted.id, new.project, new.attributes, connection)
        return self.get(new.project, new.workitem_uid, connection)

    def get(
        self, project: str, workitem_uid: str, connection: Connection | None = None, *, view: View = EVERYTHING
    ) -> Workitem | None:
        """One work item; within a transaction nobody else changes it until that ends."""
        named = workitems.c.project == project, workitems.c.workitem_uid == workitem_uid
        query = select(workitems).where(*named, workitem_shown_to(view))
        if connection is not None:
            row = connection.execute(query.with_for_update()).one_or_none()
            return None if row is None else _workitem(row)
        with self._database.read() as reader:
            row = reader.execute(query).one_or_none()
        return None if row is None else _workitem(row)

    def is_shown(self, held: Workitem, view: View, connection: Connection, *, whoever_claimed_it: bool = False) -> bool:
        """Whether who has this view sees a work item; see `workitem_shown_to`."""
        if view == EVERYTHING:
            return True
        shown = workitem_shown_to(view, whoever_claimed_it=whoever_claimed_it)
        query = select(workitems.c.id).where(workitems.c.id == held.id, shown)
        return connection.execute(query).one_or_none() is not None

    def of_run(self, run_id: int, connection: Connection) -> Workitem | None:
        """The newest work item that stands for a run."""
        query = select(workitems).where(workitems.c.run_id == run_id).order_by(workitems.c.id.desc()).limit(1)
        row = connection.execute(query.with_for_update()).one_or_none()
        return None if row is None else _workitem(row)

    def change(
        self,
        held: Workitem,
        connection: Connection,
        *,
        state: WorkitemState | None = None,
        attributes: Attributes | None = None,
        transaction_digest: str | None = None,
        claimed_by: str | None = None,
    ) -> Workitem | None:
        """Change a work item as it was read; None, and nothing changed, when somebody else was faster."""
        now = self._clock()
        values: dict[str, Any] = {"version": held.version + 1, "changed_at": now}
        if state is not None:
            values["state"] = state
            values["finished_at"] = now if state.is_final else None
        if attributes is not None:
            values |= _columns(attributes)
        if transaction_digest is not None:
            values["transaction_digest"] = transaction_digest
        if claimed_by is not None:
            values["claimed_by"] = claimed_by
        same = (workitems.c.id == held.id, workitems.c.version == held.version)
        if not connection.execute(update(workitems).where(*same).values(**values)).rowcount:
            return None
        if attributes is not None:
            _name(held.id, held.project, attributes, connection)
        return self.get(held.project, held.workitem_uid, connection)

    def scan(
        self,
        project: str,
        columns: Mapping[str, Sequence[str]],
        connection: Connection | None = None,
        *,
        view: View = EVERYTHING,
    ) -> Iterator[Workitem]:
        """Work items whose columns have any of the values, the first created first, read in batches."""
        last = 0
        while True:
            query = (
                select(workitems)
                .where(workitems.c.project == project, workitems.c.id > last, workitem_shown_to(view))
                .where(*(workitems.c[name].in_(list(values)) for name, values in columns.items()))
                .order_by(workitems.c.id)
                .limit(_BATCH)
            )
            if connection is None:
                with self._database.read() as reader:
                    rows = reader.execute(query).all()
            else:
                rows = connection.execute(query).all()
            yield from map(_workitem, rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1].id

    def count(self, project: str, connection: Connection) -> int:
        """How many work items a project has."""
        query = select(func.count()).select_from(workitems).where(workitems.c.project == project)
        return int(connection.execute(query).scalar_one())

    def forget(self, before: float, locked_before: float) -> int:
        """Forget what came to its end before that time; where somebody holds a deletion lock, before the other one."""
        lock = exists().where(
            workitem_subscriptions.c.workitem_id == workitems.c.id, workitem_subscriptions.c.deletion_lock
        )
        ended = workitems.c.finished_at.is_not(None)
        due = or_(and_(workitems.c.finished_at < before, ~lock), workitems.c.finished_at < locked_before)
        with self._database.write() as transaction:
            return transaction.execute(delete(workitems).where(ended, due)).rowcount


def _name(workitem_id: int, project: str, attributes: Attributes, connection: Connection) -> None:
    """Keep what a work item names but images, which everybody sees."""
    uids = sorted({uid for uid in named_uids(attributes) if len(uid) <= _LONGEST_UID})
    connection.execute(delete(workitem_references).where(workitem_references.c.workitem_id == workitem_id))
    for start in range(0, len(uids), _CHUNK):
        chunk = uids[start : start + _CHUNK]
        images = select(instances.c.sop_instance_uid).where(
            instances.c.project == project,
            instances.c.sop_instance_uid.in_(chunk),
            instances.c.kind == str(ObjectKind.IMAGE),
        )
        seen_by_all = set(connection.execute(images).scalars())
        rows = [{"workitem_id": workitem_id, "uid": uid} for uid in chunk if uid not in seen_by_all]
        if rows:
            connection.execute(insert(workitem_references), rows)


def _columns(attributes: Attributes) -> dict[str, str]:
    """The attributes with what is searched by column."""
    lengths = {"priority": 16, "readiness": 16, "worklist_label": 64, "patient_id": 64}
    places = {
        "priority": tags.PRIORITY,
        "readiness": tags.INPUT_READINESS,
        "worklist_label": tags.WORKLIST_LABEL,
        "patient_id": tags.PATIENT_ID,
    }
    searched = {name: first(attributes, tag).strip()[: lengths[name]] for name, tag in places.items()}
    return searched | {"attributes": json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))}


def _workitem(row: AnyRow) -> Workitem:
    values = dict(row._mapping)
    return Workitem(
        id=values["id"],
        project=values["project"],
        workitem_uid=values["workitem_uid"],
        state=WorkitemState(values["state"]),
        transaction_digest=values["transaction_digest"],
        attributes=json.loads(values["attributes"]),
        study_uid=values["study_uid"],
        series_uid=values["series_uid"],
        run_id=values["run_id"],
        annotator=values["annotator"],
        performer=values["performer"],
        version=values["version"],
        created_by=values["created_by"],
        created_at=values["created_at"],
        changed_at=values["changed_at"],
        finished_at=values["finished_at"],
        claimed_by=values["claimed_by"],
    )
