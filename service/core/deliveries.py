"""What may leave and what is on its way to a peer, as the values that every room shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ANY_FORM = "any"
"""The form of objects that leave for every peer, whatever else it takes."""
BINARY, LABEL_MAP = "binary", "label-map"
"""Forms of a segmentation, each with its report: a peer gets one of them."""


class SentKind(StrEnum):
    """What of a result a peer may get.

    Objects of the last four are forms of a result of their own, made of the same findings, for peers that want them.
    """

    SEGMENTATION = "seg"
    REPORT = "sr"
    PRESENTATION_STATE = "gsps"
    KEY_OBJECT = "key-object"
    STRUCTURE_SET = "rtstruct"
    SUMMARY = "summary"


AS_EVER = (SentKind.SEGMENTATION, SentKind.REPORT)
FURTHER_KINDS = (SentKind.PRESENTATION_STATE, SentKind.KEY_OBJECT, SentKind.STRUCTURE_SET, SentKind.SUMMARY)


class ReleaseState(StrEnum):
    """Whether a version of a result may leave."""

    WAITING = "waiting"
    """Nobody has decided yet: a person, or the project's rule, will."""
    RELEASED = "released"
    REJECTED = "rejected"
    """A person does not want it to leave."""
    SUPERSEDED = "superseded"
    """A newer version took its place before anybody decided."""
    RECALLED = "recalled"
    """It was taken back after its release, or what it rests on was rejected."""


class DeliveryState(StrEnum):
    """How far one result came on its way to one peer."""

    WAITING = "waiting"
    """To be sent, now or when its pause is over."""
    HELD = "held"
    """A person has to decide; the words say what about."""
    SENT = "sent"
    FAILED = "failed"
    """Given up: the peer refused it for good, or days of trying passed."""
    DISCARDED = "discarded"
    """A person decided that it stays here."""


class DeliveryKind(StrEnum):
    """What is delivered."""

    RESULT = "result"
    REJECTION = "rejection"
    """A note that takes a result back (IHE IOCM)."""


class ItemState(StrEnum):
    """How far one object of a delivery came."""

    WAITING = "waiting"
    SENDING = "sending"
    """On its way when last heard of: after a kill the peer is asked whether it has it."""
    SENT = "sent"
    REFUSED = "refused"


class CommitmentStanding(StrEnum):
    """What is known of the peer's promise to keep what it was sent (PS3.4 Annex J)."""

    NONE = ""
    WANTED = "wanted"
    ASKED = "asked"
    COMMITTED = "committed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One version of a result; ``objects`` are SOP Instance UIDs by form, in the order in which they leave."""

    id: int
    project: str
    study_uid: str
    series_uid: str
    annotator: str
    run_id: int | None
    version: int
    objects: Mapping[str, tuple[str, ...]]
    state: ReleaseState
    reason: str
    recall_code: str
    created_at: float
    decided_at: float | None
    decided_by: str

    @property
    def all_objects(self) -> tuple[str, ...]:
        """Every object in every form."""
        return tuple(uid for uids in self.objects.values() for uid in uids)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One result on its way to one peer; nothing in it tells who the patient is."""

    id: int
    project: str
    release_id: int
    study_uid: str
    peer: str
    kind: DeliveryKind
    objects: Mapping[str, tuple[str, ...]]
    state: DeliveryState
    attempts: int
    next_at: float
    last_error: str
    warning: str
    found_identity: str
    accepted_identity: str
    commitment: CommitmentStanding
    commitment_uid: str
    commitment_at: float | None
    created_at: float
    queued_at: float
    finished_at: float | None
    decided_by: str


@dataclass(frozen=True, slots=True)
class DeliveryItem:
    """One object of a delivery; ``status`` is what the peer answered, where it did."""

    delivery_id: int
    position: int
    sop_class_uid: str
    sop_instance_uid: str
    state: ItemState
    status: int | None
    words: str
    sent_at: float | None


@dataclass(frozen=True, slots=True)
class PeerStanding:
    """Who delivers to a peer now, when it is tried again if it was away, and how many deliveries it has taken."""

    name: str
    lease_owner: str
    lease_until: float
    failures: int
    next_at: float
    last_error: str
    sent: int = 0


@dataclass(frozen=True, slots=True)
class PeerBacklog:
    """How many deliveries of a peer stand how, for monitoring.

    Parameters
    ----------
    oldest_at : since when the one that waits longest does so, in seconds since the epoch; None where none waits
    sent : that it took since there is an outbox; never falls
    """

    peer: str
    waiting: int = 0
    held: int = 0
    failed: int = 0
    oldest_at: float | None = None
    sent: int = 0
