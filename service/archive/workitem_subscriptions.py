"""Who wants to be told of work items (PS3.4 CC.2.3): of all, of those that fit a filter, of single ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, literal, select, update

from service.archive.database import Connection, Database, upsert
from service.archive.rows import AnyRow
from service.archive.schema import (
    projects,
    workitem_events,
    workitem_subscribers,
    workitem_subscriptions,
    workitems,
)
from service.core.view import View

Filter = tuple[tuple[str, str], ...]
"""Keys with values, as they are searched for."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who is told, by AE title.

    Parameters
    ----------
    owner : name of the caller whose title it is: nobody else subscribes or listens under it
    takes_new : whether work items are subscribed to as they are created; of those that fit ``filter``
    channel : names the channel by which it listens, "" for none
    view : what the owner sees: of other work items nothing is told
    """

    project: str
    ae_title: str
    owner: str
    takes_new: bool
    filter: Filter
    deletion_lock: bool
    channel: str
    view: View


class SubscriptionTable:
    """Rows of subscribers, and of their subscriptions to single work items.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def subscriber(self, project: str, ae_title: str, connection: Connection | None = None) -> Subscriber | None:
        """Who has a title."""
        query = select(workitem_subscribers).where(*_of(project, ae_title))
        if connection is not None:
            row = connection.execute(query.with_for_update()).one_or_none()
        else:
            with self._database.read() as reader:
                row = reader.execute(query).one_or_none()
        return None if row is None else _subscriber(row)

    def settle(self, project: str, connection: Connection) -> None:
        """Keep others from adding work items or takers until the transaction ends, so that none misses the other."""
        connection.execute(select(projects.c.name).where(projects.c.name == project).with_for_update())

    def takers(self, project: str, connection: Connection) -> list[Subscriber]:
        """Those who want to be told of new work items."""
        query = select(workitem_subscribers).where(
            workitem_subscribers.c.project == project, workitem_subscribers.c.takes_new
        )
        return [_subscriber(row) for row in connection.execute(query)]

    def count(self, project: str, connection: Connection) -> int:
        """How many subscribers a project has."""
        query = select(func.count()).select_from(workitem_subscribers).where(workitem_subscribers.c.project == project)
        return int(connection.execute(query).scalar_one())

    def know(self, project: str, ae_title: str, owner: str, view: View, connection: Connection) -> None:
        """Have a row for a subscriber."""
        values = {"project": project, "ae_title": ae_title, "owner": owner, "seen_at": self._clock()} | _of_view(view)
        connection.execute(upsert(connection, workitem_subscribers).on_conflict_do_nothing(), values)

    def see_as(self, held: Subscriber, view: View, connection: Connection) -> None:
        """Have a subscriber see as its owner does now; what waits to be told was for another view, and goes."""
        if held.view != view:
            mine = _of(held.project, held.ae_title)
            connection.execute(update(workitem_subscribers).where(*mine).values(**_of_view(view)))
            of_it = workitem_events.c.project == held.project, workitem_events.c.ae_title == held.ae_title
            connection.execute(delete(workitem_events).where(*of_it))

    def take_new(
        self, project: str, ae_title: str, wanted: Filter, connection: Connection, *, takes: bool, lock: bool = False
    ) -> None:
        """Have new work items subscribed to as they come, or no longer."""
        values = {"takes_new": takes, "filter": json.dumps(wanted) if wanted else "", "deletion_lock": lock}
        connection.execute(update(workitem_subscribers).where(*_of(project, ae_title)).values(**values))

    def stop_taking_new(self, project: str, ae_title: str, connection: Connection) -> None:
        """Leave what is subscribed to as it is, and take nothing new."""
        connection.execute(update(workitem_subscribers).where(*_of(project, ae_title)).values(takes_new=False))

    def subscribe(
        self, project: str, ae_title: str, workitem_ids: Sequence[int], connection: Connection, *, lock: bool
    ) -> None:
        """Subscribe to single work items; once more changes the lock."""
        rows = [
            {"workitem_id": number, "ae_title": ae_title, "project": project, "deletion_lock": lock}
            for number in workitem_ids
        ]
        if rows:
            connection.execute(_renewing(connection), rows)

    def subscribe_to_all(self, project: str, ae_title: str, connection: Connection, *, lock: bool) -> None:
        """Subscribe to every work item that there is."""
        there = select(workitems.c.id, literal(ae_title), workitems.c.project, literal(lock)).where(
            workitems.c.project == project
        )
        names = ["workitem_id", "ae_title", "project", "deletion_lock"]
        connection.execute(
            upsert(connection, workitem_subscriptions)
            .from_select(names, there)
            .on_conflict_do_update(
                index_elements=["workitem_id", "ae_title"],
                set_={"deletion_lock": lock},
            )
        )

    def unsubscribe(self, ae_title: str, workitem_id: int, connection: Connection) -> bool:
        """End a subscription to one work item; False when there was none."""
        statement = delete(workitem_subscriptions).where(
            workitem_subscriptions.c.workitem_id == workitem_id, workitem_subscriptions.c.ae_title == ae_title
        )
        return connection.execute(statement).rowcount > 0

    def unsubscribe_from_all(self, project: str, ae_title: str, connection: Connection) -> None:
        """End every subscription, and forget what was not told."""
        for table in (workitem_subscriptions, workitem_events):
            connection.execute(delete(table).where(table.c.project == project, table.c.ae_title == ae_title))
        connection.execute(delete(workitem_subscribers).where(*_of(project, ae_title)))

    def listeners(self, workitem_id: int, connection: Connection) -> dict[View, list[str]]:
        """The titles of those who are subscribed to a work item, by what they see."""
        subscribed, known = workitem_subscriptions, workitem_subscribers
        same = (known.c.project == subscribed.c.project) & (known.c.ae_title == subscribed.c.ae_title)
        query = (
            select(known.c.ae_title, known.c.reader, known.c.sees_results)
            .select_from(subscribed.join(known, same))
            .where(subscribed.c.workitem_id == workitem_id)
            .order_by(known.c.ae_title)
        )
        found: dict[View, list[str]] = {}
        for row in connection.execute(query):
            found.setdefault(View(row.reader, row.sees_results), []).append(row.ae_title)
        return found

    def open_channel(self, project: str, ae_title: str, channel: str, connection: Connection) -> None:
        """Make a channel the one by which a subscriber listens."""
        values = {"channel": channel, "seen_at": self._clock()}
        connection.execute(update(workitem_subscribers).where(*_of(project, ae_title)).values(**values))

    def channels(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The channel of each of some subscribers; one who left is not among them."""
        query = select(
            workitem_subscribers.c.project, workitem_subscribers.c.ae_title, workitem_subscribers.c.channel
        ).where(workitem_subscribers.c.ae_title.in_([ae_title for _, ae_title in wanted]))
        with self._database.read() as reader:
            return {(row.project, row.ae_title): row.channel for row in reader.execute(query)}


def _renewing(connection: Connection):  # type: ignore[no-untyped-def]  # either dialect's INSERT
    insert = upsert(connection, workitem_subscriptions)
    return insert.on_conflict_do_update(
        index_elements=["workitem_id", "ae_title"], set_={"deletion_lock": insert.excluded.deletion_lock}
    )


def _of(project: str, ae_title: str):  # type: ignore[no-untyped-def]  # two conditions
    return workitem_subscribers.c.project == project, workitem_subscribers.c.ae_title == ae_title


def _subscriber(row: AnyRow) -> Subscriber:
    return Subscriber(
        project=row.project,
        ae_title=row.ae_title,
        owner=row.owner,
        takes_new=row.takes_new,
        filter=tuple((name, value) for name, value in json.loads(row.filter or "[]")),
        deletion_lock=row.deletion_lock,
        channel=row.channel,
        view=View(row.reader, row.sees_results),
    )


def _of_view(view: View) -> dict[str, str | bool | None]:
    return {"reader": view.reader, "sees_results": view.results}
