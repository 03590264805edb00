"""Where subscriptions to work items begin and end (PS3.4 CC.2.3; PS3.18 11.10 to 11.12)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from dicom_nodes.errors import CallerNotAllowed
from service.archive.database import Connection, Database
from service.archive.workitem_subscriptions import Filter, Subscriber, SubscriptionTable
from service.archive.workitems import WorkitemTable
from service.core.view import EVERYTHING, View
from service.core.workitem import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION, Workitem
from service.core.workitem_query import WorkitemQuery, parse_query
from service.core.workitem_rules import WorkitemRules
from service.errors import BadRequest, InstanceNotFound
from service.worklist.announcements import Announcements
from service.worklist.event_reports import state_report

_AE_TITLE: Final = re.compile(r"(?! +$)[ -\[\]-~]{1,16}", re.ASCII)
_MOST_TOLD_AT_FIRST: Final = 1000
"""Work items of which a new subscriber is told the state at once; of the others when they change."""


class SubscriptionDesk:
    """The use cases of the Watch SOP Class.

    Parameters
    ----------
    most : subscribers of one project
    """

    def __init__(
        self,
        *,
        database: Database,
        table: WorkitemTable,
        subscriptions: SubscriptionTable,
        announcements: Announcements,
        rules: WorkitemRules,
        most: int = 100,
    ) -> None:
        self._database = database
        self._table = table
        self._subscriptions = subscriptions
        self._announcements = announcements
        self._rules = rules
        self._most = most

    def subscribe(
        self,
        project: str,
        workitem_uid: str,
        ae_title: str,
        by: str,
        *,
        lock: bool = False,
        wanted: Filter = (),
        may_take_over: bool = False,
        view: View = EVERYTHING,
    ) -> list[str]:
        """Have a subscriber told of one work item, of all, or of all that fit a filter; warnings.

        Parameters
        ----------
        view : what the caller sees; of what the title's owner does not see nothing is told

        Raises
        ------
        BadRequest : no AE title; a filter where none belongs, or none where one does
        CallerNotAllowed : the title is somebody else's, or there are as many subscribers as there may be
        InstanceNotFound : there is no such work item
        """
        _check_title(ae_title)
        query = self._check_filter(workitem_uid, wanted)
        with self._database.write() as connection:
            self._subscriptions.settle(project, connection)
            view = self._admit(project, ae_title, by, view, connection, may_take_over=may_take_over)
            if workitem_uid == GLOBAL_SUBSCRIPTION:
                self._subscriptions.take_new(project, ae_title, (), connection, takes=True, lock=lock)
                self._subscriptions.subscribe_to_all(project, ae_title, connection, lock=lock)
                there = self._table.scan(project, {}, connection, view=view)
            elif workitem_uid == FILTERED_SUBSCRIPTION:
                self._subscriptions.take_new(project, ae_title, wanted, connection, takes=True, lock=lock)
                there = (
                    one
                    for one in self._table.scan(project, query.columns, connection, view=view)
                    if self._announcements.fits(one, wanted)
                )
            else:
                there = iter([self._workitem(project, workitem_uid, connection, view)])
            self._begin(ae_title, there, connection, lock=lock, is_all=workitem_uid == GLOBAL_SUBSCRIPTION)
        return list(query.warnings)

    def unsubscribe(self, project: str, workitem_uid: str, ae_title: str, by: str, *, may_take_over: bool) -> None:
        """End a subscription to one work item, or all of a subscriber's.

        Raises
        ------
        CallerNotAllowed : the title is somebody else's
        InstanceNotFound : there is no such subscription
        """
        _check_title(ae_title)
        with self._database.write() as connection:
            self._known(project, ae_title, by, connection, may_take_over=may_take_over)
            if workitem_uid in (GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION):
                self._subscriptions.unsubscribe_from_all(project, ae_title, connection)
                return
            workitem = self._workitem(project, workitem_uid, connection)
            if not self._subscriptions.unsubscribe(ae_title, workitem.id, connection):
                raise InstanceNotFound("There is no such subscription")

    def suspend(self, project: str, workitem_uid: str, ae_title: str, by: str, *, may_take_over: bool) -> None:
        """Subscribe to nothing new any more; what is subscribed to stays.

        Raises
        ------
        BadRequest : a subscription to one work item, which is not suspended but ended
        CallerNotAllowed : the title is somebody else's
        InstanceNotFound : there is no such subscription
        """
        _check_title(ae_title)
        if workitem_uid not in (GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION):
            raise BadRequest("What is suspended is a subscription to all work items")
        with self._database.write() as connection:
            held = self._known(project, ae_title, by, connection, may_take_over=may_take_over)
            if not held.takes_new:
                raise InstanceNotFound("There is no such subscription")
            self._subscriptions.stop_taking_new(project, ae_title, connection)

    def open_channel(
        self, project: str, ae_title: str, by: str, channel: str, *, may_take_over: bool, view: View = EVERYTHING
    ) -> None:
        """Make a channel the one by which a subscriber is told; an older one of theirs is closed.

        From now on they are told what the caller sees.

        Raises
        ------
        CallerNotAllowed : the title is somebody else's
        InstanceNotFound : nobody has subscribed under this title
        """
        _check_title(ae_title)
        with self._database.write() as connection:
            held = self._subscriptions.subscriber(project, ae_title, connection)
            if held is None:
                raise InstanceNotFound("Nobody has subscribed under this AE title")
            _refuse_others(held, by, may_take_over=may_take_over)
            self._subscriptions.see_as(held, view, connection)
            self._subscriptions.open_channel(project, ae_title, channel, connection)

    def _begin(
        self, ae_title: str, there: Iterable[Workitem], connection: Connection, *, lock: bool, is_all: bool
    ) -> None:
        told = 0
        for workitem in there:
            if not is_all:
                self._subscriptions.subscribe(workitem.project, ae_title, [workitem.id], connection, lock=lock)
            if told < _MOST_TOLD_AT_FIRST and not workitem.state.is_final:
                told += 1
                self._announcements.tell_one(workitem, ae_title, state_report(workitem), connection)
            elif is_all and told >= _MOST_TOLD_AT_FIRST:
                return

    def _check_filter(self, workitem_uid: str, wanted: Filter) -> WorkitemQuery:
        if bool(wanted) != (workitem_uid == FILTERED_SUBSCRIPTION):
            raise BadRequest("A filter belongs to the Filtered Global Subscription, and to no other")
        query = parse_query(wanted, self._rules)
        if wanted and not query.conditions:
            raise BadRequest("The filter names nothing by which work items are matched")
        return query

    def _admit(
        self, project: str, ae_title: str, by: str, view: View, connection: Connection, *, may_take_over: bool
    ) -> View:
        """Let somebody subscribe under a title; what is seen under it."""
        held = self._subscriptions.subscriber(project, ae_title, connection)
        if held is not None:
            _refuse_others(held, by, may_take_over=may_take_over)
            if held.owner != by:
                return held.view
            self._subscriptions.see_as(held, view, connection)
            return view
        if self._subscriptions.count(project, connection) >= self._most:
            raise CallerNotAllowed(f"the project has {self._most} subscribers, which is all it may")
        self._subscriptions.know(project, ae_title, by, view, connection)
        return view

    def _known(
        self, project: str, ae_title: str, by: str, connection: Connection, *, may_take_over: bool
    ) -> Subscriber:
        held = self._subscriptions.subscriber(project, ae_title, connection)
        if held is None:
            raise InstanceNotFound("There is no such subscription")
        _refuse_others(held, by, may_take_over=may_take_over)
        return held

    def _workitem(self, project: str, workitem_uid: str, connection: Connection, view: View = EVERYTHING) -> Workitem:
        found = self._table.get(project, workitem_uid, connection, view=view)
        if found is None:
            raise InstanceNotFound("There is no such work item")
        return found


def _check_title(ae_title: str) -> None:
    if not _AE_TITLE.fullmatch(ae_title):
        raise BadRequest("An AE title has 1 to 16 characters, none of them a backslash or a control character")


def _refuse_others(held: Subscriber, by: str, *, may_take_over: bool) -> None:
    if held.owner != by and not may_take_over:
        raise CallerNotAllowed("this AE title is another caller's")
