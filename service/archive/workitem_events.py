"""What subscribers have yet to be told: any web process tells it, and it stays until its receipt was confirmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, func, insert, select

from service.archive.database import Connection, Database
from service.archive.schema import workitem_events
from service.core.search import Attributes


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """One event that somebody has yet to be told; ``content`` is DICOM JSON."""

    id: int
    content: Attributes = field(repr=False)


class EventQueue:
    """A queue for each subscriber.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, project: str, ae_titles: Sequence[str], content: Attributes, connection: Connection) -> None:
        """Have each of them told."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        now = self._clock()
        rows = [{"project": project, "ae_title": title, "content": text, "at": now} for title in ae_titles]
        if rows:
            connection.execute(insert(workitem_events), rows)

    def pending(self, project: str, ae_title: str, limit: int) -> list[PendingEvent]:
        """The oldest that a subscriber has not confirmed."""
        query = (
            select(workitem_events.c.id, workitem_events.c.content)
            .where(workitem_events.c.project == project, workitem_events.c.ae_title == ae_title)
            .order_by(workitem_events.c.id)
            .limit(limit)
        )
        with self._database.read() as reader:
            return [PendingEvent(row.id, json.loads(row.content)) for row in reader.execute(query)]

    def confirm(self, event_ids: Sequence[int]) -> None:
        """Forget what a subscriber has received."""
        if event_ids:
            with self._database.write() as transaction:
                transaction.execute(delete(workitem_events).where(workitem_events.c.id.in_(list(event_ids))))

    def trim(self, before: float, most: int) -> int:
        """Forget what is older than that time, and of each subscriber what is above so many; how many went."""
        at_most = (
            select(workitem_events.c.project, workitem_events.c.ae_title)
            .group_by(workitem_events.c.project, workitem_events.c.ae_title)
            .having(func.count() > most)
        )
        with self._database.read() as reader:
            too_many = reader.execute(at_most).all()
        with self._database.write() as transaction:
            gone = transaction.execute(delete(workitem_events).where(workitem_events.c.at < before)).rowcount
            for row in too_many:
                mine = (workitem_events.c.project == row.project, workitem_events.c.ae_title == row.ae_title)
                newest = select(workitem_events.c.id).where(*mine).order_by(workitem_events.c.id.desc())
                edge = transaction.execute(newest.offset(most).limit(1)).scalar_one_or_none()
                if edge is not None:
                    old = delete(workitem_events).where(*mine, workitem_events.c.id <= edge)
                    gone += transaction.execute(old).rowcount
        return gone
