"""Work items: Unified Procedure Steps (PS3.4 Annex CC), as every room shares them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from service.core.search import Attributes

GLOBAL_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5"
"""UPS Global Subscription SOP Instance: in the place of a work item's UID it stands for all of them."""
FILTERED_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5.1"
"""UPS Filtered Global Subscription SOP Instance."""
UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
UPS_EVENT: Final = "1.2.840.10008.5.1.4.34.6.4"

TRANSACTION_UID: Final = "00081195"
SOP_CLASS_UID: Final = "00080016"
SOP_INSTANCE_UID: Final = "00080018"
CHARACTER_SET: Final = "00080005"
STUDY_INSTANCE_UID: Final = "0020000D"
SERIES_INSTANCE_UID: Final = "0020000E"
STATE: Final = "00741000"
PROGRESS: Final = "00741002"
PRIORITY: Final = "00741200"
WORKLIST_LABEL: Final = "00741202"
STEP_LABEL: Final = "00741204"
PERFORMED: Final = "00741216"
REPLACED_STEP: Final = "00741224"
REASON_FOR_CANCELLATION: Final = "00741238"
DISCONTINUATION_REASON: Final = "0074100E"
CANCELLED_AT: Final = "00404052"
STARTS_AT: Final = "00404005"
MODIFIED_AT: Final = "00404010"
STATION_NAME: Final = "00404025"
HUMAN_PERFORMERS: Final = "00404034"
WORKITEM_CODE: Final = "00404018"
INPUT_READINESS: Final = "00404041"
INPUT_INFORMATION: Final = "00404021"
OUTPUT_INFORMATION: Final = "00404033"
REQUESTS: Final = "0040A370"
PATIENT_ID: Final = "00100020"

GATEWAY: Final = "gateway"
"""The performer of work items that the gateway's own annotators carry out; "" is whoever claims one."""
OUTSIDE: Final = "ups"
"""The performer of runs that wait until somebody outside claims their work item."""

_STANDARD: Final = "1.2.840.10008."
_UID_IN_ADDRESS: Final = re.compile(r"(?<![0-9.])[0-9]+(?:\.[0-9]+){2,}(?![0-9.])", re.ASCII)


class WorkitemState(StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self in (WorkitemState.COMPLETED, WorkitemState.CANCELED)


class EventType(IntEnum):
    """Event Type ID (0000,1002) of a UPS event (PS3.4 Table CC.2.4-1)."""

    STATE_REPORT = 1
    CANCEL_REQUESTED = 2
    PROGRESS_REPORT = 3
    ASSIGNED = 5


@dataclass(frozen=True, slots=True)
class NewWorkitem:
    """A work item before it has a row; ``study_uid`` and ``series_uid`` are those that it is about, as served."""

    project: str
    workitem_uid: str
    attributes: Attributes = field(repr=False)
    created_by: str
    study_uid: str = ""
    series_uid: str = ""
    run_id: int | None = None
    annotator: str = ""
    performer: str = ""


@dataclass(frozen=True, slots=True)
class Workitem:
    """One work item.

    Parameters
    ----------
    attributes : DICOM JSON without the Transaction UID, which is the owner's lock and never shown
    transaction_digest : of the lock; "" while nobody has claimed it
    run_id : the annotator's run that it stands for, if it is one's
    performer : ``GATEWAY`` where no one else may work on it
    claimed_by : account of the reader who claimed it, "" where nobody did or somebody else than a reader
    version : counts the changes, from 1
    """

    id: int
    project: str
    workitem_uid: str
    state: WorkitemState
    transaction_digest: str = field(repr=False)
    attributes: Attributes = field(repr=False)
    study_uid: str
    series_uid: str
    run_id: int | None
    annotator: str
    performer: str
    version: int
    created_by: str
    created_at: float
    changed_at: float
    finished_at: float | None
    claimed_by: str = ""

    def is_held_by(self, transaction_uid: str) -> bool:
        """Whether this is the Transaction UID under which it was claimed."""
        return bool(self.transaction_digest) and self.transaction_digest == digest_of(transaction_uid)


def digest_of(transaction_uid: str) -> str:
    """What the index keeps of a lock: enough to know it again, not enough to use it."""
    return hashlib.sha256(transaction_uid.encode()).hexdigest()


def first(attributes: Attributes, tag: str) -> str:
    """The first value of an attribute as text, "" where there is none."""
    values = attributes.get(tag, {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def has_value(attributes: Attributes, tag: str) -> bool:
    """Whether an attribute is there with a value; an empty item is one."""
    return any(value is not None and value != "" for value in attributes.get(tag, {}).get("Value") or ())


def items(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence."""
    return [item for item in attributes.get(tag, {}).get("Value") or () if isinstance(item, dict)]


def named_uids(attributes: Attributes) -> Iterator[str]:
    """UIDs that a data set names at any depth, in addresses too; those of the standard and of studies left out."""
    for tag, element in attributes.items():
        if element.get("vr") == "SQ":
            for item in items(attributes, tag):
                yield from named_uids(item)
        elif element.get("vr") == "UI" and tag != STUDY_INSTANCE_UID:
            values = (str(value) for value in element.get("Value", ()))
            yield from (value for value in values if value and not value.startswith(_STANDARD))
        elif element.get("vr") == "UR":
            for value in element.get("Value", ()):
                yield from _UID_IN_ADDRESS.findall(str(value))


def code(value: str, scheme: str, meaning: str) -> Attributes:
    """One item of a code sequence (PS3.3 Table 8.8-1)."""
    return {
        "00080100": {"vr": "SH", "Value": [value]},
        "00080102": {"vr": "SH", "Value": [scheme]},
        "00080104": {"vr": "LO", "Value": [meaning]},
    }
