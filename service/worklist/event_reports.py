"""Events of work items as they are told: data sets of N-EVENT-REPORT in DICOM JSON (PS3.4 CC.2.4, PS3.18 11.13)."""

from __future__ import annotations

from typing import Final

from service.core import workitem as tags
from service.core.search import Attributes
from service.core.workitem import EventType, Workitem, items

_REQUESTING_AE: Final = "00741236"
_PERFORMER_CODE: Final = "00404009"
_PERFORMER_ORGANIZATION: Final = "00404036"
_TOLD_OF_A_CANCELLATION: Final = (tags.REASON_FOR_CANCELLATION, tags.DISCONTINUATION_REASON)
_TOLD_OF_A_WISH: Final = (*_TOLD_OF_A_CANCELLATION, "0074100A", "0074100C")


def state_report(workitem: Workitem) -> Attributes:
    """Which state it is in, and whether what it needs is there."""
    said: Attributes = {
        tags.STATE: {"vr": "CS", "Value": [str(workitem.state)]},
        tags.INPUT_READINESS: workitem.attributes.get(tags.INPUT_READINESS, {"vr": "CS"}),
    }
    for progress in items(workitem.attributes, tags.PROGRESS):
        said |= {tag: progress[tag] for tag in _TOLD_OF_A_CANCELLATION if tag in progress}
    return _report(workitem, EventType.STATE_REPORT, said)


def taken_report(workitem: Workitem) -> Attributes:
    """That somebody else is at it; the last that who may not see their work is told."""
    return _report(workitem, EventType.STATE_REPORT, {tags.STATE: {"vr": "CS", "Value": [str(workitem.state)]}})


def cancel_requested(workitem: Workitem, requested_by: str, details: Attributes) -> Attributes:
    """Somebody wishes that whoever performs it gives it up."""
    said: Attributes = {_REQUESTING_AE: {"vr": "AE", "Value": [requested_by]}}
    said |= {tag: details[tag] for tag in _TOLD_OF_A_WISH if tag in details}
    return _report(workitem, EventType.CANCEL_REQUESTED, said)


def progress_report(workitem: Workitem) -> Attributes:
    """How far it has come."""
    return _report(workitem, EventType.PROGRESS_REPORT, {tags.PROGRESS: workitem.attributes[tags.PROGRESS]})


def assigned(workitem: Workitem) -> Attributes:
    """Who is to do it."""
    said = {tags.STATION_NAME: workitem.attributes.get(tags.STATION_NAME, {"vr": "SQ"})}
    for human in items(workitem.attributes, tags.HUMAN_PERFORMERS)[:1]:
        said |= {tag: human[tag] for tag in (_PERFORMER_CODE, _PERFORMER_ORGANIZATION) if tag in human}
    return _report(workitem, EventType.ASSIGNED, said)


def events_of_change(before: Workitem, after: Workitem) -> list[Attributes]:
    """What a change of its attributes or state is told by."""
    told = []

    def differs(tag: str) -> bool:
        return before.attributes.get(tag) != after.attributes.get(tag)

    if before.state is not after.state or differs(tags.INPUT_READINESS):
        told.append(state_report(after))
    if differs(tags.PROGRESS) and tags.PROGRESS in after.attributes and not after.state.is_final:
        told.append(progress_report(after))
    if differs(tags.STATION_NAME) or differs(tags.HUMAN_PERFORMERS):
        told.append(assigned(after))
    return told


def _report(workitem: Workitem, kind: EventType, said: Attributes) -> Attributes:
    """The command elements that say what it is about, and what is said; the Message ID is given when it is sent."""
    return {
        "00000002": {"vr": "UI", "Value": [tags.UPS_EVENT]},
        "00001000": {"vr": "UI", "Value": [workitem.workitem_uid]},
        "00001002": {"vr": "US", "Value": [int(kind)]},
        **dict(sorted(said.items())),
    }
