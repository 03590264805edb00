"""Where work items are created, claimed, kept up to date and brought to their end (PS3.4 CC.2.1, CC.2.2, CC.2.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.archive.database import Connection, Database
from service.archive.workitem_subscriptions import SubscriptionTable
from service.archive.workitems import WorkitemTable
from service.core import workitem as tags
from service.core.archived import RunRow
from service.core.search import Attributes
from service.core.view import EVERYTHING, View
from service.core.workitem import (
    GATEWAY,
    NewWorkitem,
    Workitem,
    WorkitemState,
    digest_of,
    first,
    has_value,
)
from service.core.workitem_query import WorkitemQuery
from service.core.workitem_rules import WorkitemRules
from service.core.workitem_states import (
    NOT_AT_END,
    NOT_THIS_ONE,
    UNREACHABLE_PERFORMER,
    WorkitemRefused,
    check_cancel_request,
    check_change,
    lock_refused,
)
from service.errors import BadRequest, ContentConflict, InstanceNotFound
from service.worklist.announcements import Announcements
from service.worklist.cancellation import cancelled
from service.worklist.claimed_runs import ClaimedRuns, Performer
from service.worklist.event_reports import cancel_requested
from service.worklist.project_time import ProjectTime
from service.worklist.served_identity import ServedIdentity
from service.worklist.shown_workitem import matched_attributes

CREATED_MODIFIED = "The Workitem was created with modifications."
UPDATED_MODIFIED = "The Workitem was updated with modifications."
UNCLAIMED = "The target URI did not reference a claimed Workitem."
UPDATE_INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
_ASKED_FOR = "somebody asked for its work item to be cancelled"


@dataclass(frozen=True, slots=True)
class WorklistLimits:
    """How much a project's worklist holds.

    Parameters
    ----------
    workitems : of one project
    looked_at : by one search; those of runs come on top of ``workitems``
    """

    workitems: int = 100_000
    looked_at: int = 200_000


@dataclass(frozen=True, slots=True)
class WorkitemPage:
    """What a search found; ``is_cut`` when more match."""

    found: list[Workitem] = field(default_factory=list)
    is_cut: bool = False


class WorklistDesk:
    """The use cases of the Push and Pull SOP Classes.

    Parameters
    ----------
    runs : those that work items stand for
    time : tells moments as projects do
    new_uid : makes UIDs of work items
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        database: Database,
        table: WorkitemTable,
        subscriptions: SubscriptionTable,
        announcements: Announcements,
        runs: ClaimedRuns,
        rules: WorkitemRules,
        identity: ServedIdentity,
        time: ProjectTime,
        new_uid: Callable[[], str],
        clock: Callable[[], float],
        limits: WorklistLimits,
    ) -> None:
        self._database = database
        self._table = table
        self._subscriptions = subscriptions
        self._announcements = announcements
        self._runs = runs
        self._rules = rules
        self._identity = identity
        self._time = time
        self._new_uid = new_uid
        self._clock = clock
        self._limits = limits

    def create(self, project: str, workitem_uid: str, sent: Attributes, by: str) -> tuple[Workitem, list[str]]:
        """Schedule something; the work item, and warnings.

        Parameters
        ----------
        workitem_uid : "" to be given one

        Raises
        ------
        BadRequest : what was sent is no new work item
        ContentConflict : the UID is taken, or the project has as many as it may
        """
        sent, uid = self._named(dict(sent), workitem_uid)
        if first(sent, tags.STATE) != WorkitemState.SCHEDULED:
            raise BadRequest("Procedure Step State of a new work item is SCHEDULED")
        if has_value(sent, tags.TRANSACTION_UID):
            raise BadRequest("Transaction UID of a new work item is empty: nobody has claimed it yet")
        checked = self._rules.created(sent)
        about = self._identity.about(project, checked.attributes)
        kept, is_cleaned = self._identity.served(project, checked.attributes, about)
        is_labelled = self._complete(kept, project, about.study_uid)
        new = NewWorkitem(project, uid, kept, by, about.study_uid, about.series_uid)
        with self._database.write() as connection:
            if self._table.count(project, connection) >= self._limits.workitems:
                raise ContentConflict(f"The project holds {self._limits.workitems} work items, which is all it may")
            added = self._announcements.add(new, connection)
        if added is None:
            raise ContentConflict("There is a work item of this UID already")
        is_modified = checked.is_modified or is_cleaned or is_labelled
        return added, [CREATED_MODIFIED] if is_modified else []

    def get(self, project: str, workitem_uid: str, view: View = EVERYTHING) -> Workitem:
        """One work item.

        Raises
        ------
        InstanceNotFound : there is none of this UID, or the view leaves it out
        """
        return _found(self._table.get(project, workitem_uid, view=view))

    def update(
        self, project: str, workitem_uid: str, transaction_uid: str, sent: Attributes, view: View = EVERYTHING
    ) -> list[str]:
        """Change what a work item says; warnings.

        Raises
        ------
        InstanceNotFound : there is none of this UID, or the view leaves it out and the Transaction UID is not its lock
        WorkitemRefused : it has come to its end, or the Transaction UID is not its lock
        BadRequest : something may not be changed so
        """
        checked = self._rules.updated(sent)
        warnings = []
        with self._database.write() as connection:
            held = _found(self._table.get(project, workitem_uid, connection))
            if not (held.is_held_by(transaction_uid) or self._table.is_shown(held, view, connection)):
                raise _missing()
            self._refuse_ours(held)
            if held.state.is_final:
                raise WorkitemRefused(0xC300, warning=UPDATE_INCONSISTENT, http_status=400)
            if held.state is WorkitemState.IN_PROGRESS and not held.is_held_by(transaction_uid):
                raise lock_refused(transaction_uid)
            if held.state is WorkitemState.SCHEDULED and transaction_uid:
                warnings.append(UNCLAIMED)
            merged = held.attributes | checked.attributes
            about = self._identity.about(project, merged)
            if checked.attributes.keys() & {tags.INPUT_INFORMATION, tags.STUDY_INSTANCE_UID} and (
                held.study_uid and about.study_uid != held.study_uid
            ):
                raise BadRequest("An update may not have the work item be about another study")
            kept, is_cleaned = self._identity.served(project, checked.attributes, about)
            if checked.is_modified or is_cleaned:
                warnings.append(UPDATED_MODIFIED)
            attributes = dict(sorted((held.attributes | kept | self._modified_now(project, about.study_uid)).items()))
            self._change(held, connection, attributes=attributes)
            if held.state is WorkitemState.IN_PROGRESS:
                self._runs.renew(held, transaction_uid, connection)
        return warnings

    def change_state(
        self,
        project: str,
        workitem_uid: str,
        transaction_uid: str,
        wanted: WorkitemState,
        view: View = EVERYTHING,
        stores_as: str = "",
    ) -> list[str]:
        """Claim a work item, or bring it to its end; warnings.

        Of two who claim the same one at once exactly one succeeds, whichever processes they ask. Readers do not see
        what another has claimed: a claim that comes too late is told so, and no more.

        Parameters
        ----------
        stores_as : under which what the caller stores is kept as theirs; with COMPLETED it becomes the run's results

        Raises
        ------
        InstanceNotFound : there is none of this UID, or the view leaves it out
        WorkitemRefused : it is in no state for that, the Transaction UID is not its lock, or it names as its output
            what may not become a result of its run
        """
        with self._database.write() as connection:
            if wanted is WorkitemState.COMPLETED:
                self._runs.lock(project, workitem_uid, connection)
            held = _found(self._table.get(project, workitem_uid, connection))
            is_owner = held.is_held_by(transaction_uid)
            if not (is_owner or self._table.is_shown(held, view, connection)):
                is_late = self._table.is_shown(held, view, connection, whoever_claimed_it=True)
                raise _hidden(wanted, is_late=is_late and bool(transaction_uid))
            warning = check_change(held.state, wanted, transaction_uid, is_owner=is_owner)
            self._refuse_ours(held)
            if warning:
                return [warning]
            if wanted is WorkitemState.IN_PROGRESS:
                self._claim(held, transaction_uid, view, connection)
                return []
            ended = self._end(held, wanted, transaction_uid, Performer(stores_as, view), connection)
        self._runs.tell(ended)
        return []

    def request_cancel(
        self, project: str, workitem_uid: str, details: Attributes, by: str, view: View = EVERYTHING
    ) -> list[str]:
        """Ask for a work item to be given up; warnings.

        One that nobody has claimed is cancelled at once; of one that somebody works on they are told.

        Raises
        ------
        InstanceNotFound : there is none of this UID, or the view leaves it out
        WorkitemRefused : it is completed, or nobody can be told
        """
        with self._database.write() as connection:
            held = _found(self._table.get(project, workitem_uid, connection, view=view))
            warning = check_cancel_request(held.state)
            if warning:
                return [warning]
            details = self._fit_details(held, details)
            is_ours = held.performer == GATEWAY and held.run_id is not None
            if is_ours or held.state is WorkitemState.SCHEDULED:
                self._cancel(held, details, connection)
                self._runs.cancel(held, _ASKED_FOR, connection)
            elif not self._announcements.listeners(held, connection):
                raise WorkitemRefused(UNREACHABLE_PERFORMER)
            else:
                self._announcements.tell(held, [cancel_requested(held, by[:16], details)], connection)
        return []

    def search(self, project: str, query: WorkitemQuery, limit: int, view: View = EVERYTHING) -> WorkitemPage:
        """Work items that meet every condition and that the view shows, the first created first."""
        page: list[Workitem] = []
        skipped = 0
        for number, workitem in enumerate(self._table.scan(project, query.columns, view=view)):
            if number >= self._limits.looked_at:
                return WorkitemPage(page, is_cut=True)
            if not query.holds(matched_attributes(workitem)):
                continue
            if skipped < query.offset:
                skipped += 1
            elif len(page) < limit:
                page.append(workitem)
            else:
                return WorkitemPage(page, is_cut=True)
        return WorkitemPage(page)

    def _named(self, sent: Attributes, workitem_uid: str) -> tuple[Attributes, str]:
        """The data set without its own UID, and the UID that it goes by."""
        inside = first(sent, tags.SOP_INSTANCE_UID)
        sent.pop(tags.SOP_INSTANCE_UID, None)
        if inside and workitem_uid and inside != workitem_uid:
            raise BadRequest("SOP Instance UID is not that of the address")
        sop_class_uid = first(sent, tags.SOP_CLASS_UID)
        if sop_class_uid and sop_class_uid != tags.UPS_PUSH:
            raise BadRequest("SOP Class UID of a work item is that of UPS Push")
        return sent, workitem_uid or inside or self._new_uid()

    def _complete(self, kept: Attributes, project: str, study_uid: str) -> bool:
        """Fill in what we answer for; whether a label had to be made up."""
        is_labelled = False
        for tag, vr, label in (
            (tags.WORKLIST_LABEL, "LO", project),
            (tags.STEP_LABEL, "LO", "Work item"),
        ):
            if not has_value(kept, tag):
                kept[tag] = {"vr": vr, "Value": [label]}
                is_labelled = True
        kept |= self._modified_now(project, study_uid)
        for tag, element in sorted(kept.items()):
            del kept[tag]
            kept[tag] = element
        return is_labelled

    def _modified_now(self, project: str, study_uid: str) -> Attributes:
        return {tags.MODIFIED_AT: {"vr": "DT", "Value": [self._time.moment(project, study_uid, self._clock())]}}

    def _claim(self, held: Workitem, transaction_uid: str, view: View, connection: Connection) -> None:
        self._runs.claim(held, transaction_uid, connection)
        self._change(
            held,
            connection,
            state=WorkitemState.IN_PROGRESS,
            transaction_digest=digest_of(transaction_uid),
            claimed_by=view.reader or "",
        )

    def _end(
        self,
        held: Workitem,
        wanted: WorkitemState,
        transaction_uid: str,
        performer: Performer,
        connection: Connection,
    ) -> RunRow | None:
        """Complete a work item, or give it up; the run that ended with it."""
        missing = self._rules.missing_at_end(matched_attributes(held), wanted)
        if missing:
            raise WorkitemRefused(NOT_AT_END, ", ".join(missing[:10]))
        if wanted is WorkitemState.COMPLETED:
            # First, so that whoever sees the results is told that they are there.
            outcome = self._runs.completed(held, performer, connection)
        else:
            outcome = self._runs.given_up(held)
        self._change(held, connection, state=wanted)
        return self._runs.finish(held, transaction_uid, outcome, connection)

    def _change(
        self,
        held: Workitem,
        connection: Connection,
        *,
        state: WorkitemState | None = None,
        attributes: Attributes | None = None,
        transaction_digest: str | None = None,
        claimed_by: str | None = None,
    ) -> None:
        changed = self._table.change(
            held,
            connection,
            state=state,
            attributes=attributes,
            transaction_digest=transaction_digest,
            claimed_by=claimed_by,
        )
        if changed is None:
            raise WorkitemRefused(0xC302, "somebody else has changed it meanwhile")
        self._announcements.changed(held, changed, connection)

    def _cancel(self, held: Workitem, details: Attributes, connection: Connection) -> None:
        """Cancel a work item by our own right, by way of IN PROGRESS (PS3.4 CC.2.2.3)."""
        at = self._time.moment(held.project, held.study_uid, self._clock())
        attributes = cancelled(held.attributes, at, details)
        if held.state is WorkitemState.SCHEDULED:
            begun = self._table.change(held, connection, state=WorkitemState.IN_PROGRESS)
            if begun is None:
                raise WorkitemRefused(0xC302, "somebody else has changed it meanwhile")
            self._announcements.changed(held, begun, connection)
            held = begun
        self._change(held, connection, state=WorkitemState.CANCELED, attributes=attributes)

    def _fit_details(self, held: Workitem, details: Attributes) -> Attributes:
        """What of the words of a request may be told on: those of a progress item."""
        progress = {tags.PROGRESS: {"vr": "SQ", "Value": [details]}}
        checked = self._rules.updated(progress) if details else None
        if checked is None:
            return {}
        about = self._identity.about(held.project, held.attributes)
        kept, _ = self._identity.served(held.project, checked.attributes, about)
        found = tags.items(kept, tags.PROGRESS)
        return found[0] if found else {}

    @staticmethod
    def _refuse_ours(held: Workitem) -> None:
        if held.performer == GATEWAY and not held.state.is_final:
            raise WorkitemRefused(NOT_THIS_ONE)


def _hidden(wanted: WorkitemState, *, is_late: bool) -> WorkitemRefused | InstanceNotFound:
    """What is told of a work item that the view leaves out.

    Parameters
    ----------
    is_late : whether it is left out only because somebody else has claimed it
    """
    if is_late and wanted is WorkitemState.IN_PROGRESS:
        return WorkitemRefused(0xC302)
    return _missing()


def _missing() -> InstanceNotFound:
    return InstanceNotFound("There is no such work item")


def _found(workitem: Workitem | None) -> Workitem:
    if workitem is None:
        raise _missing()
    return workitem
