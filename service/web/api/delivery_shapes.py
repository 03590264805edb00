"""Which results may leave, and what is on its way to peers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from service.core.deliveries import DeliveryItem, ReleaseRow
from service.core.rejection import RejectionRow
from service.delivery.outbox_desk import DeliveryReport
from service.web.api.shapes import Moment, ProjectPage, Shape, Text, moment, moment_or_none

ReleaseStateWord = Literal["waiting", "released", "rejected", "superseded", "recalled"]
DeliveryStateWord = Literal["waiting", "held", "sent", "failed", "discarded"]


class ReleasePage(ProjectPage):
    """Which results."""

    state: ReleaseStateWord | None = Field(None, description="Only those in this state")


class DeliveryPage(ProjectPage):
    """Which deliveries."""

    state: DeliveryStateWord | None = Field(None, description="Only those in this state")
    peer: Text | None = Field(None, max_length=64, description="Only what goes to this peer")


class Rejection(Shape):
    """Why a result does not leave."""

    reason: Text = Field(min_length=1, max_length=200, description="In words for colleagues; no name of a patient")


class Recall(Shape):
    """Why a result is taken back."""

    code: Literal["113037", "113038", "113039"] = Field("113037", description="Title of the rejection note (DCM)")
    reason: Text = Field(min_length=1, max_length=200, description="In words; it leaves in the note. No patient's name")


class RejectedInstance(Shape):
    """One instance that a rejection note named."""

    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    note_uid: str = Field(description="SOP Instance UID of the note, as served")
    code: str = Field(description="The note's title: 113001, 113037, 113038 or 113039 (DCM)")
    state: str = Field(description="hidden or restored")
    at: Moment = Field(description="Since when")
    restored_at: Moment | None = Field(description="When a person restored it")
    restored_by: str = Field(description="Who did")

    @classmethod
    def of(cls, row: RejectionRow) -> Self:
        """From a row of the index."""
        names = ("sop_instance_uid", "note_uid", "code", "state", "restored_by")
        return cls(
            **{name: getattr(row, name) for name in names},
            at=moment(row.at),
            restored_at=moment_or_none(row.restored_at),
        )


class RejectionList(Shape):
    """What rejection notes named of a study."""

    instances: list[RejectedInstance] = Field(description="The instances")


class Lookup(Shape):
    """What the hospital calls a study; it is identity, and stands in no address."""

    accession: Text = Field("", max_length=64, description="The original Accession Number")
    patient_id: Text = Field("", max_length=64, description="The original Patient ID")
    issuer: Text = Field("", max_length=64, description="Its issuer, where that matters")


class FoundStudy(Shape):
    """A study as the project serves it."""

    study_uid: str = Field(description="Study Instance UID, as served")
    patient_id: str = Field(description="Patient ID, as served")
    state: str = Field(description="receiving or complete")
    viewer: str = Field(description="Where it opens in the viewer")


class FoundStudies(Shape):
    """The studies that are called so."""

    studies: list[FoundStudy] = Field(description="The studies")


class ReleaseShape(Shape):
    """One version of a result."""

    id: int = Field(description="Its number")
    project: str = Field(description="The project")
    study_uid: str = Field(description="Study Instance UID, as served")
    annotator: str = Field(description="Who made it")
    version: int = Field(description="Which version of it")
    objects: list[str] = Field(description="SOP Instance UIDs, as served")
    state: str = Field(description="waiting, released, rejected, superseded or recalled")
    held: str = Field(description="What keeps it from leaving while nobody decides; empty afterwards")
    reason: str = Field(description="Why it was rejected or recalled")
    created_at: Moment = Field(description="When it was made")
    decided_at: Moment | None = Field(description="When it was decided on")
    decided_by: str = Field(description="Who decided")

    @classmethod
    def of(cls, row: ReleaseRow, held: str) -> Self:
        """From a row of the index; ``held`` in words."""
        names = ("id", "project", "study_uid", "annotator", "version", "reason", "decided_by")
        return cls(
            **{name: getattr(row, name) for name in names},
            objects=list(row.all_objects),
            state=row.state.value,
            held=held,
            created_at=moment(row.created_at),
            decided_at=moment_or_none(row.decided_at),
        )


class ReleaseList(Shape):
    """A part of a project's results, the newest first."""

    results: list[ReleaseShape] = Field(description="The results")


class DeliveryItemShape(Shape):
    """One object of a delivery."""

    sop_instance_uid: str = Field(description="SOP Instance UID, as served and as sent")
    sop_class_uid: str = Field(description="SOP Class UID")
    state: str = Field(description="waiting, sending, sent or refused")
    status: int | None = Field(description="What the peer answered")
    words: str = Field(description="What that means")
    sent_at: Moment | None = Field(description="When the peer had it")

    @classmethod
    def of(cls, item: DeliveryItem) -> Self:
        """From a row of the index."""
        return cls(
            sop_instance_uid=item.sop_instance_uid,
            sop_class_uid=item.sop_class_uid,
            state=item.state.value,
            status=item.status,
            words=item.words,
            sent_at=moment_or_none(item.sent_at),
        )


class DeliveryShape(Shape):
    """One result on its way to one peer."""

    id: int = Field(description="Its number")
    result: int = Field(description="The number of the result")
    project: str = Field(description="The project")
    study_uid: str = Field(description="Study Instance UID, as served")
    peer: str = Field(description="Where it goes")
    kind: str = Field(description="result, or rejection: a note that takes one back")
    state: str = Field(description="waiting, held, sent, failed or discarded")
    attempts: int = Field(description="How many tries the peer refused for the time being")
    words: str = Field(description="The last error, or a warning")
    commitment: str = Field(description="Storage commitment: empty, wanted, asked, committed or failed")
    created_at: Moment = Field(description="When it was asked for")
    next_at: Moment | None = Field(description="Before when it is not tried")
    finished_at: Moment | None = Field(description="When it ended")
    decided_by: str = Field(description="Who decided on it, where somebody did")
    items: list[DeliveryItemShape] = Field(description="Its objects, where one delivery is asked for")

    @classmethod
    def of(cls, report: DeliveryReport) -> Self:
        """From what the desk reports."""
        row = report.delivery
        names = ("id", "project", "study_uid", "peer", "attempts", "decided_by")
        return cls(
            **{name: getattr(row, name) for name in names},
            result=row.release_id,
            kind=row.kind.value,
            state=row.state.value,
            words=report.words,
            commitment=row.commitment.value,
            created_at=moment(row.created_at),
            next_at=moment(row.next_at) if row.state.value == "waiting" else None,
            finished_at=moment_or_none(row.finished_at),
            items=[DeliveryItemShape.of(item) for item in report.items],
        )


class DeliveryList(Shape):
    """A part of a project's deliveries, the newest first."""

    deliveries: list[DeliveryShape] = Field(description="The deliveries")
