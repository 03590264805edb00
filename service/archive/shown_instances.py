"""Whether instances are shown, which two tables tell: ``instances``, and ``trash`` of what was before a deletion."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, case, select, update

from service.archive.schema import instances, series, studies, trash
from service.archive.shown_images import forget_shown

_CHUNK = 500
_TICK = 1e-6
"""Least step of a change time: it must differ even when the clock stands."""


def lock_instances(connection: Connection, *wanted: ColumnElement[bool]) -> None:
    """Keep others from hiding and showing instances until the transaction ends.

    Who changes one of the two tables has to see the other as whoever was before left it, which a statement that waits
    within itself does not (PostgreSQL).
    """
    # In one order, so that two who lock the same never wait for each other.
    query = select(instances.c.id).where(*wanted).order_by(instances.c.id)
    connection.execute(query.with_for_update()).all()


def hide_instances(connection: Connection, project: str, sop_instance_uids: Sequence[str]) -> None:
    """Hide instances in the transaction at hand; those in the trash stay hidden when they are restored."""
    for start in range(0, len(sop_instance_uids), _CHUNK):
        chunk = list(sop_instance_uids[start : start + _CHUNK])
        same = (instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
        forget_shown(connection, *same)
        lock_instances(connection, *same)
        connection.execute(update(instances).where(*same).values(visible=False))
        forget_shown(connection, *same)
        in_trash = trash.c.instance_id.in_(select(instances.c.id).where(*same))
        connection.execute(update(trash).where(in_trash).values(shown_before=False))


def touch_levels(connection: Connection, now: float, *wanted: ColumnElement[bool]) -> None:
    """Mark the studies and series of some instances as changed: what depends on it (an ETag) must differ."""
    for table, key in ((studies, instances.c.study_id), (series, instances.c.series_id)):
        later = case((table.c.changed_at >= now, table.c.changed_at + _TICK), else_=now)
        held = table.c.id.in_(select(key).where(*wanted))
        connection.execute(update(table).where(held).values(changed_at=later))
