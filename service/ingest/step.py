"""One object while a batch works on it: from undecided to its final outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dicom_nodes.errors import GatewayError
from service.archive.prepared import PreparedInstance
from service.core.archived import InstanceRow
from service.core.cleaning_report import SeriesCleaning
from service.core.records import Incoming, Outcome, OutcomeKind
from service.ingest.project_rules import ConflictRule
from service.ingest.routing_rules import NOTHING, Decision
from service.ingest.stored_file import StoredFile


@dataclass(slots=True, eq=False)
class Step:
    """Where one object of a batch stands.

    Parameters
    ----------
    sop_class_uid : what the command said, then what the data set says
    outcome : final once it is set
    refusal : why it goes into quarantine
    prepared, file : row and file of what may be kept
    held : what the index held under the same UID before the transaction began
    is_duplicate : ``held`` has the same content
    elements_removed, elements_replaced : what cleaning did to the data set
    report : the same by element, for the first object of a series
    pixel_outcome : how the look at its pixels ended, in a word
    is_put_off : it is taken in another time, since its pixels are to be looked at
    decision : what the project's rules said of it
    faults : names of the rules that an annotation object breaks and is kept with
    """

    incoming: Incoming
    sop_class_uid: str
    outcome: Outcome | None = None
    refusal: GatewayError | None = None
    on_conflict: ConflictRule = ConflictRule.KEEP_FIRST
    prepared: PreparedInstance | None = None
    file: StoredFile | None = None
    held: InstanceRow | None = None
    is_duplicate: bool = False
    elements_removed: int = 0
    elements_replaced: int = 0
    report: SeriesCleaning | None = None
    pixel_outcome: str = ""
    is_put_off: bool = False
    decision: Decision = NOTHING
    faults: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether nothing is open any more."""
        return self.outcome is not None or self.refusal is not None

    @property
    def needs_blob(self) -> bool:
        """Whether a blob may be needed: the object is new, or takes another one's place."""
        if self.is_decided or self.prepared is None or self.is_duplicate:
            return False
        return self.held is None or self.on_conflict is ConflictRule.REPLACE

    @property
    def is_stored(self) -> bool:
        """Whether the index refers to the blob that was written."""
        return self.outcome is not None and self.outcome.kind in (OutcomeKind.ARCHIVED, OutcomeKind.REPLACED)

    @property
    def instance(self) -> PreparedInstance:
        """The row to be; there once the object was admitted."""
        if self.prepared is None:
            raise RuntimeError("the object was not admitted")
        return self.prepared

    @property
    def blob_key(self) -> str:
        """Where its blob goes."""
        return self.instance.new.blob.key

    @property
    def parts(self) -> Iterator[bytes | memoryview]:
        """What its blob is written from, read as it is written."""
        if self.file is None:
            raise RuntimeError("the object was not admitted")
        return self.file.content()

    @property
    def final(self) -> Outcome:
        """The outcome, once there is one."""
        if self.outcome is None:
            raise RuntimeError("nothing was decided")
        return self.outcome

    def settle(
        self, kind: OutcomeKind, study_uid: str, series_uid: str, sop_instance_uid: str, reason: str = ""
    ) -> None:
        """Make the outcome final, in the UIDs under which the object is served."""
        self.outcome = Outcome(kind, study_uid, series_uid, sop_instance_uid, self.sop_class_uid, reason=reason)

    def drop(self) -> None:
        """The project does not want this SOP class."""
        self.outcome = Outcome(
            OutcomeKind.DROPPED,
            sop_class_uid=self.sop_class_uid,
            reason="The project does not take this SOP class",
        )

    def leave_out(self, decision: Decision) -> None:
        """A rule of the project leaves the object out."""
        self.decision = decision
        self.outcome = Outcome(
            OutcomeKind.DROPPED,
            sop_class_uid=self.sop_class_uid,
            reason=f"The project's rule {decision.discarded_by} leaves it out",
        )

    @property
    def dropped_as(self) -> str:
        """Under which name it is counted that the object was dropped."""
        rule = self.decision.discarded_by
        return f"left out by rule {rule}" if rule else f"dropped {self.sop_class_uid}"

    def refused_as(self, quarantine_id: str) -> Outcome:
        """The outcome of a refusal."""
        error = self.refusal or GatewayError()
        return Outcome(
            OutcomeKind.QUARANTINED,
            sop_class_uid=self.sop_class_uid,
            failure_reason=error.dimse_status,
            reason=str(error),
            quarantine_id=quarantine_id,
        )
