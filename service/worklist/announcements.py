"""Tells subscribers of work items, within the transaction that changes them."""

from __future__ import annotations

from collections.abc import Callable

from service.archive.database import Connection
from service.archive.workitem_events import EventQueue
from service.archive.workitem_subscriptions import Filter, SubscriptionTable
from service.archive.workitems import WorkitemTable
from service.core.search import Attributes
from service.core.workitem import NewWorkitem, Workitem, WorkitemState
from service.core.workitem_query import parse_query
from service.core.workitem_rules import WorkitemRules
from service.worklist.event_reports import events_of_change, state_report, taken_report
from service.worklist.shown_workitem import matched_attributes


class Announcements:
    """Adds and changes work items, and has those told who want to be.

    Parameters
    ----------
    on_event : called when there is something to tell; a call before the transaction ends does no harm
    """

    def __init__(
        self,
        table: WorkitemTable,
        subscriptions: SubscriptionTable,
        events: EventQueue,
        rules: WorkitemRules,
        on_event: Callable[[], object] = lambda: None,
    ) -> None:
        self._table = table
        self._subscriptions = subscriptions
        self._events = events
        self._rules = rules
        self._on_event = on_event

    def add(self, new: NewWorkitem, connection: Connection) -> Workitem | None:
        """Add a work item, subscribed to by those who take new ones; None when its UID is taken."""
        self._subscriptions.settle(new.project, connection)
        added = self._table.add(new, connection)
        if added is None:
            return None
        for taker in self._subscriptions.takers(new.project, connection):
            if self.fits(added, taker.filter):
                self._subscriptions.subscribe(
                    new.project, taker.ae_title, [added.id], connection, lock=taker.deletion_lock
                )
        self.tell(added, [state_report(added)], connection)
        return added

    def changed(self, before: Workitem, after: Workitem, connection: Connection) -> None:
        """Tell of what became of a work item.

        Who loses sight of it, since somebody else has claimed it, is told that it is in progress, and no more of it.
        """
        self.tell(after, events_of_change(before, after), connection)
        if before.state is WorkitemState.SCHEDULED and after.state is WorkitemState.IN_PROGRESS:
            saw = set(self.listeners(after, connection, whoever_claimed_it=True))
            lost = sorted(saw - set(self.listeners(after, connection)))
            self._events.add(after.project, lost, taken_report(after), connection)
            if lost:
                self._on_event()

    def tell(self, workitem: Workitem, told: list[Attributes], connection: Connection) -> None:
        """Have whoever is subscribed to a work item, and sees it, told."""
        if not told:
            return
        listeners = self.listeners(workitem, connection)
        for content in told:
            self._events.add(workitem.project, listeners, content, connection)
        if listeners:
            self._on_event()

    def listeners(self, workitem: Workitem, connection: Connection, *, whoever_claimed_it: bool = False) -> list[str]:
        """The titles of those who are subscribed to a work item and see it."""
        return [
            title
            for view, titles in self._subscriptions.listeners(workitem.id, connection).items()
            if self._table.is_shown(workitem, view, connection, whoever_claimed_it=whoever_claimed_it)
            for title in titles
        ]

    def tell_one(self, workitem: Workitem, ae_title: str, content: Attributes, connection: Connection) -> None:
        """Have one subscriber told."""
        self._events.add(workitem.project, [ae_title], content, connection)
        self._on_event()

    def fits(self, workitem: Workitem, wanted: Filter) -> bool:
        """Whether a work item is one of those that a filter takes."""
        return not wanted or parse_query(wanted, self._rules).holds(matched_attributes(workitem))
