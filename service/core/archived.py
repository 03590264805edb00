"""What the archive tells about what it holds; every UID and attribute is the one that is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from service.core.records import ObjectKind, StoredBlob


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study.

    ``attributes`` is DICOM JSON (PS3.18 Annex F) of the study's own attributes; person names are DICOM strings
    (``Alphabetic=Ideographic=Phonetic``). ``state`` is "receiving" or "complete", ``version`` the number of
    completions. ``changed_at`` moves whenever anything in the study changes.
    """

    id: int
    project: str
    study_uid: str
    patient_id: str
    patient_name: str = field(repr=False)
    patient_birth_date: str = field(repr=False)
    patient_sex: str
    study_date: str
    study_time: str
    accession_number: str
    study_id: str
    study_description: str
    referring_physician_name: str = field(repr=False)
    attributes: str = field(repr=False)
    patient_digest: bytes | None = field(repr=False)
    state: str
    version: int
    created_at: float
    last_image_at: float
    completed_at: float | None
    changed_at: float


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of a study; ``attributes`` as in `StudyRow`."""

    id: int
    project: str
    study_uid: str
    series_uid: str
    modality: str
    series_number: int | None
    series_description: str
    body_part: str
    start_date: str
    start_time: str
    attributes: str = field(repr=False)
    changed_at: float


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance, without its cached metadata. ``study_row_id`` and ``series_row_id`` are keys of the index."""

    id: int
    project: str
    study_row_id: int
    series_row_id: int
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    kind: ObjectKind
    annotator: str
    run_id: int | None
    visible: bool
    instance_number: int | None
    rows: int | None
    columns: int | None
    bits_allocated: int | None
    number_of_frames: int | None
    content_digest: bytes = field(repr=False)
    blob: StoredBlob
    received_at: float
    indexed_at: float
    author: str = ""
    """Account of the reader who made an annotation."""


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study with what it holds, as a list shows it; only visible instances are counted."""

    study: StudyRow
    modalities: tuple[str, ...]
    series: int
    instances: int
    images: int
    annotations: int
    results: int


class AddKind(StrEnum):
    """What adding an instance came to."""

    ADDED = "added"
    DUPLICATE = "duplicate"
    """The UID is held with the same content; nothing changed but the vault."""
    CONFLICT = "conflict"
    """The UID is held with other content; nothing changed."""
    PATIENT_MISMATCH = "patient-mismatch"
    """The study belongs to another patient; nothing changed."""


@dataclass(frozen=True, slots=True)
class AddOutcome:
    """What adding an instance came to; ``instance`` is the one that the archive holds now (None for a mismatch)."""

    kind: AddKind
    instance: InstanceRow | None


@dataclass(frozen=True, slots=True)
class Replacement:
    """An instance whose content was replaced; the blob under ``old_blob_key`` (None if it is reused) is to go."""

    instance: InstanceRow
    old_blob_key: str | None


class RunState(StrEnum):
    """Where one run of an annotator over one series stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """The series is nothing that the annotator can work on; the reason says why."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of an annotator over one series, of one set of inputs; ``findings`` is JSON.

    ``performer`` is "" where the gateway carries it out, "ups" where it waits for somebody outside.
    """

    id: int
    project: str
    study_row_id: int
    study_uid: str
    annotator: str
    series_uid: str
    inputs_digest: str
    version: int
    state: RunState
    reason: str
    summary: str
    findings: str
    attempts: int
    lease_owner: str
    lease_until: float | None
    queued_at: float
    started_at: float | None
    finished_at: float | None
    performer: str = ""


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """One spooled object on its way; ``state`` is "received" or the final `OutcomeKind` value."""

    id: int
    source_key: str
    project: str
    state: str
    reason: str
    attempts: int
    received_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One object that could not be processed; ``state`` is held, released, discarded or expired.

    ``waits_for`` is a keyed digest of the series that it waits for, "" where it waits for a person.
    """

    id: str
    project: str
    state: str
    failure_reason: int
    reason: str
    source: str
    calling_ae_title: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size: int
    content_digest: bytes = field(repr=False)
    times_seen: int
    received_at: float
    decided_at: float | None
    decided_by: str
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """A UID that came again with other content; ``action`` says what was done ("kept-first", "replaced", …).

    ``at`` is the last time of ``times_seen``.
    """

    id: int
    project: str
    sop_instance_uid: str
    action: str
    calling_ae_title: str
    at: float
    times_seen: int = 1
