"""What the rooms hand to each other about one object: as it came, as it is kept, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.dataset import Dataset

from service.core.encoded_bytes import EncodedBytes
from service.core.set_aside import NOTHING_ASIDE, SetAside


class ObjectKind(StrEnum):
    """Why an instance is in a study."""

    IMAGE = "image"
    """Came from outside and is what annotators and readers look at (also waveforms, documents, plans)."""
    ANNOTATION = "annotation"
    """Came from outside and marks what is in the study."""
    RESULT = "result"
    """Was made here."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One object as it came in, before anything was parsed.

    Parameters
    ----------
    data_set : the encoded data set without preamble and file meta, in ``transfer_syntax_uid``; in memory only where it
        is small
    sop_class_uid, sop_instance_uid : what the command set or the file meta said; the data set decides
    source : how it came: "dimse", "stow", or "file" where it was made from one
    received_at : seconds since the epoch, UTC
    called_ae_title : of the association that it came by; "" where it came by none
    sent_priority : Priority (0000,0700) that its sender gave it (PS3.7 9.1.1.1); 0, medium, where nobody gave any
    author : account of the reader who stored it; "" where it came otherwise
    stored_by : who stored it over the web, whatever their role (`service.core.access.Caller.stores_as`); "" where it
        came otherwise
    reason : why it takes the place of what it names as predecessor; "" where nobody said
    """

    project: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: EncodedBytes = field(repr=False)
    source: str
    calling_ae_title: str
    peer_address: str
    received_at: float
    called_ae_title: str = ""
    sent_priority: int = 0
    author: str = ""
    stored_by: str = ""
    reason: str = ""


class OutcomeKind(StrEnum):
    """What became of an incoming object; each is final."""

    ARCHIVED = "archived"
    DUPLICATE = "duplicate"
    """The same instance again; nothing changed but, at most, the vault."""
    KEPT_FIRST = "kept-first"
    """The same UID with other content; the first one stays, and the conflict is listed."""
    REPLACED = "replaced"
    OWN_OBJECT = "own-object"
    """A result of ours that came back."""
    IN_TRASH = "in-trash"
    """The same instance as one that somebody deleted here, and that still lies in the trash: it stays there."""
    DROPPED = "dropped"
    """A SOP class that the project does not want, or left out by a rule of it; counted."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one incoming object, in UIDs that may be shown (those under which it is served).

    ``failure_reason`` is the DIMSE status of the error behind a quarantine, 0 otherwise; ``reason`` says it in words
    and holds no identity. UIDs are empty where the object never got that far.
    """

    kind: OutcomeKind
    study_uid: str = ""
    series_uid: str = ""
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    failure_reason: int = 0
    reason: str = ""
    quarantine_id: str = ""


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where the value of Pixel Data (7FE0,0010), (7FE0,0008) or (7FE0,0009) lies in a blob, in bytes.

    For encapsulated pixel data the value is the sequence of items from the basic offset table to, and without, the
    sequence delimiter. Where the transfer syntax deflates the whole data set (PS3.5 A.5) the offset counts as if it
    stood there inflated.
    """

    tag: int
    offset: int
    length: int
    encapsulated: bool


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A DICOM Part 10 file in the blob store; ``data_set_offset`` is where preamble and file meta end."""

    key: str
    size: int
    data_set_offset: int
    pixels: PixelLocation | None = None


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """One encrypted row of the vault: the way back from what is served to what came.

    ``kind`` is "patient", "study", "series" or "uid"; ``key`` the pseudonym or the new UID; ``key_id`` names the
    encryption key.
    """

    kind: str
    key: str
    key_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class NewInstance:
    """One instance on its way into the archive.

    Parameters
    ----------
    header : the data set as it is served, without the value of its pixel data
    content_digest : SHA-256 over what makes it the same content: everything but patient and study attributes, keyed
        or computed after de-identification so that it gives nothing away
    patient_digest : keyed digest of the original Patient ID and Issuer; two patients under one Study Instance UID
        are told apart by it. None where it is not known: then nothing is compared
    aside : what stands for long values in the header
    author : account of the reader who made an annotation; "" where none did, or nobody knows who
    stored_by : who stored an annotation over the web, reader or not; "" where it came otherwise
    """

    project: str
    kind: ObjectKind
    header: Dataset = field(repr=False)
    transfer_syntax_uid: str
    content_digest: bytes
    received_at: float
    blob: StoredBlob
    vault: tuple[SealedEntry, ...] = ()
    annotator: str = ""
    run_id: int | None = None
    patient_digest: bytes | None = field(default=None, repr=False)
    aside: SetAside = field(default=NOTHING_ASIDE, repr=False)
    author: str = ""
    stored_by: str = ""
