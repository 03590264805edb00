"""The answer to a store request (PS3.18 Annex I), and the words beside its codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from dicom_nodes.errors import GatewayError
from service.core.records import Outcome, OutcomeKind
from service.core.search import Attributes
from service.errors import UnsupportedMediaType
from service.web.dicomweb.store_advice import advised

CANNOT_UNDERSTAND: Final = 0xC001
OUT_OF_RESOURCES: Final = 0xA700
TRANSFER_SYNTAX_NOT_SUPPORTED: Final = 0xC122
_CREATOR: Final = "ANNOGATE"
_WARNINGS_AT_MOST: Final = 16


class WarningReason(IntEnum):
    """Warning Reason (0008,1196), PS3.18 Table I.2-1."""

    COERCED = 0xB000
    """Coercion of data elements: what is held under this UID differs from what was sent."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """What became of one part of a request.

    Parameters
    ----------
    number : of the part, from 1
    sent_class_uid, sent_instance_uid : as the caller sent them, "" where the part could not be read
    failure_reason : 0 where it was stored
    reason : words; never a value of the data set
    media_type_refused : it failed since nothing is taken in its media type
    rounded : numbers of its metadata were written with the digits that fit
    """

    number: int
    sent_class_uid: str = ""
    sent_instance_uid: str = field(default="", repr=False)
    outcome: Outcome | None = None
    failure_reason: int = 0
    reason: str = ""
    media_type_refused: bool = False
    rounded: bool = False

    @property
    def stored(self) -> bool:
        """Whether the instance was stored, or acknowledged without being kept."""
        return self.outcome is not None and not self.failure_reason

    @property
    def warning(self) -> WarningReason | None:
        """The code that a stored instance carries."""
        kept_first = self.outcome is not None and self.outcome.kind is OutcomeKind.KEPT_FIRST
        return WarningReason.COERCED if kept_first or self.rounded else None

    @classmethod
    def failed(
        cls, number: int, error: GatewayError, sent_class_uid: str = "", sent_instance_uid: str = ""
    ) -> PartResult:
        """The result of a part that did not get into ingest."""
        refused = isinstance(error, UnsupportedMediaType)
        code = TRANSFER_SYNTAX_NOT_SUPPORTED if refused else error.dimse_status
        words = advised(str(error), code)
        return cls(number, sent_class_uid, sent_instance_uid, None, code, words, media_type_refused=refused)

    @classmethod
    def of(
        cls, number: int, sent_class_uid: str, sent_instance_uid: str, outcome: Outcome, *, rounded: bool = False
    ) -> PartResult:
        """The result of a part that went through ingest."""
        failed = outcome.kind in (OutcomeKind.QUARANTINED, OutcomeKind.IN_TRASH)
        reason = outcome.reason
        if outcome.kind is OutcomeKind.KEPT_FIRST:
            reason = reason or "This UID is held with other content; the first one stays"
        if outcome.kind is OutcomeKind.DROPPED:
            reason = reason or "This SOP class is not wanted in this project: acknowledged, not kept"
        if rounded and not failed:
            reason = reason or "Numbers of more than 16 characters were written with the digits that a DS holds"
        code = (outcome.failure_reason or 0x0110) if failed else 0
        if failed:
            reason = advised(reason, code, outcome.quarantine_id)
        return cls(number, sent_class_uid, sent_instance_uid, outcome, code, reason, rounded=rounded)


def status_of(results: Iterable[PartResult]) -> int:
    """The HTTP status (PS3.18 Table 10.5.3-1): 200 all stored, 202 some, else why none was.

    An instance that was kept as it was first sent counts as stored, with its Warning Reason (docs/dicomweb.md).
    """
    results = list(results)
    stored = sum(result.stored for result in results)
    if stored == len(results):
        return 200
    if stored:
        return 202
    if all(result.media_type_refused for result in results):
        return 415
    reasons = {result.failure_reason for result in results}
    if reasons == {CANNOT_UNDERSTAND}:
        return 400
    return 503 if reasons == {OUT_OF_RESOURCES} else 409


def response_data_set(results: Iterable[PartResult], root: str) -> Attributes:
    """The Store Instances Response Module as DICOM JSON.

    Instances that were stored carry the UIDs under which they are served; failures carry those that were sent, so
    that the caller finds them.
    """
    referenced: list[Attributes] = []
    failed: list[Attributes] = []
    other: list[Attributes] = []
    studies: set[str] = set()
    for result in results:
        if result.stored and result.outcome is not None:
            referenced.append(_referenced(result, result.outcome, root))
            studies.add(result.outcome.study_uid)
        elif result.sent_instance_uid and result.sent_class_uid:
            failed.append(_failed(result))
        else:
            other.append(dict(sorted(({"00081197": _number(result.failure_reason)} | _words(result.reason)).items())))
    study_url = f"{root}/studies/{studies.pop()}" if len(studies) == 1 and "" not in studies else ""
    answer: Attributes = {"00081190": _text("UR", study_url)}
    for tag, items in (("00081198", failed), ("00081199", referenced), ("0008119A", other)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def warnings(results: Iterable[PartResult]) -> list[str]:
    """The same words for whoever reads headers: part by part, the first sixteen."""
    spoken = [f"Part {result.number}: {_one_line(result.reason)}" for result in results if result.reason]
    more = len(spoken) - _WARNINGS_AT_MOST
    return spoken[:_WARNINGS_AT_MOST] + ([f"{more} more parts: see the answer's body"] if more > 0 else [])


def _referenced(result: PartResult, outcome: Outcome, root: str) -> Attributes:
    url = ""
    if outcome.kind is not OutcomeKind.DROPPED and outcome.study_uid:
        url = f"{root}/studies/{outcome.study_uid}/series/{outcome.series_uid}/instances/{outcome.sop_instance_uid}"
    item: Attributes = {
        "00081150": _text("UI", outcome.sop_class_uid or result.sent_class_uid),
        "00081155": _text("UI", outcome.sop_instance_uid or result.sent_instance_uid),
        "00081190": _text("UR", url),
    }
    if result.warning is not None:
        item["00081196"] = _number(result.warning)
    return dict(sorted((item | _words(result.reason)).items()))


def _failed(result: PartResult) -> Attributes:
    item: Attributes = {
        "00081150": _text("UI", result.sent_class_uid),
        "00081155": _text("UI", result.sent_instance_uid),
        "00081197": _number(result.failure_reason),
    }
    return item | _words(result.reason)


def _words(reason: str) -> Attributes:
    """A private element: the standard has a place for codes only (Error Comment belongs to DIMSE commands)."""
    if not reason:
        return {}
    return {"00990010": _text("LO", _CREATOR), "00991001": _text("ST", reason[:1024])}


def _text(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value else {"vr": vr}


def _number(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [int(value)]}


def _one_line(text: str) -> str:
    """Fit for a header: one line of Latin letters."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")
