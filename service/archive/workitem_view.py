"""Which work items somebody sees, as SQL: none of another reader's work, none of what their view leaves out."""

from __future__ import annotations

from sqlalchemy import and_, exists, or_, select, true

from service.archive.schema import instances, series, studies, workitem_references, workitems
from service.archive.view_conditions import Condition, holds_something_for, seen_by
from service.core.view import EVERYTHING, View


def workitem_shown_to(view: View, *, whoever_claimed_it: bool = False) -> Condition:
    """The condition on a work item that who has this view sees it.

    A reader sees what nobody has claimed yet, what they claimed themselves and, where readers see what models make,
    the runs of models; nothing that names an annotation which they do not see, and nothing of a study that shows them
    nothing.

    Parameters
    ----------
    whoever_claimed_it : leave out of account who works on it
    """
    if view == EVERYTHING:
        return true()
    conditions = [_study_is_seen(view), ~_names_an_instance(view), ~_names_a_series(view)]
    is_run = workitems.c.run_id.is_not(None)
    if not view.results:
        conditions.append(~is_run)
    if view.reader is not None and not whoever_claimed_it:
        # No digest: nobody ever claimed it. No reader: whoever performs a run is a model.
        free = or_(workitems.c.transaction_digest == "", and_(is_run, workitems.c.claimed_by == ""))
        conditions.append(or_(free, workitems.c.claimed_by == view.reader) if view.reader else free)
    return and_(*conditions)


def _study_is_seen(view: View) -> Condition:
    """It is about no study, about one that is not held here, or about one that shows something."""
    same = studies.c.project == workitems.c.project, studies.c.study_uid == workitems.c.study_uid
    held = select(studies.c.id).where(*same).correlate(workitems)
    seen = held.where(holds_something_for(view, studies))
    return or_(workitems.c.study_uid == "", ~held.exists(), seen.exists())


def _names_an_instance(view: View) -> Condition:
    """It names an instance that the view leaves out."""
    named = workitem_references
    return (
        select(instances.c.id)
        .where(named.c.workitem_id == workitems.c.id, instances.c.sop_instance_uid == named.c.uid)
        .where(instances.c.project == workitems.c.project, ~seen_by(view))
        .correlate(workitems)
        .exists()
    )


def _names_a_series(view: View) -> Condition:
    """It names a series of which the view leaves everything out."""
    named, of_it = workitem_references, instances.c.series_id == series.c.id
    holds = exists().where(of_it).correlate(series)
    shows = exists().where(of_it, seen_by(view)).correlate(series)
    return (
        select(series.c.id)
        .where(named.c.workitem_id == workitems.c.id, series.c.series_uid == named.c.uid)
        .where(series.c.project == workitems.c.project, holds, ~shows)
        .correlate(workitems)
        .exists()
    )
