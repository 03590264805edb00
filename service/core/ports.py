"""The ports through which ingest, jobs and web use the archive; adapters stand in ``service.archive``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from service.core.archived import (
    AddOutcome,
    InstanceRow,
    Replacement,
    SeriesRow,
    StudyRow,
    StudySummary,
)
from service.core.records import NewInstance
from service.core.view import View


class BlobStore(Protocol):
    """Where DICOM files lie, by key ``{project}/{two hex digits}/{SOP Instance UID}[.version].dcm``."""

    def put(self, key: str, parts: Iterable[bytes | memoryview]) -> int:
        """Store the joined parts under ``key``, replacing what was there; durable when it returns the size in bytes.

        Raises
        ------
        StorageExhausted : no room
        """

    def put_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> list[int]:
        """Store several as `put` does, with the directory syncs shared; sizes in order."""

    def begin_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> Callable[[], list[int]]:
        """Write several; what is returned has to be called once, and makes them durable as `put_many` does."""

    def open(self, key: str) -> BinaryIO:
        """A stream over the blob from its start; the caller closes it.

        Raises
        ------
        InstanceNotFound : nothing is stored under ``key``
        """

    def delete(self, key: str) -> None:
        """Forget the blob; nothing happens when there is none."""

    def keys(self) -> Iterator[str]:
        """Every key that is stored, in no order."""


class LocalBlobStore(BlobStore, Protocol):
    """A blob store whose blobs are files of this host, so that they can be sent and mapped as such."""

    def path(self, key: str) -> Path:
        """Where the blob lies, whether or not it is there."""


class InstanceReader(Protocol):
    """Looks studies, series and instances up, all of them or those of one view."""

    def seen_by(self, view: View) -> InstanceReader:
        """The same as somebody sees it."""

    def find(self, project: str, sop_instance_uid: str) -> InstanceRow | None:
        """The instance held under a UID."""

    def study(self, project: str, study_uid: str) -> StudyRow | None:
        """The study held under a UID."""

    def series_of(self, project: str, study_uid: str) -> list[SeriesRow]:
        """The series of a study, by number."""

    def instances_of(
        self, project: str, study_uid: str, series_uid: str | None = None, *, visible_only: bool = True
    ) -> list[InstanceRow]:
        """The instances of a study or of one series, by series and instance number."""

    def metadata_of(
        self,
        project: str,
        study_uid: str,
        series_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        visible_only: bool = True,
    ) -> list[bytes]:
        """The cached metadata of the same instances in the same order."""

    def studies(
        self, project: str, *, state: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[StudySummary]:
        """Studies, the newest first."""


class InstanceStore(InstanceReader, Protocol):
    """The index of studies, series and instances."""

    def add(self, new: NewInstance, *, hide: Sequence[str] = ()) -> AddOutcome:
        """Add one instance; ``hide`` names older instances that are not shown any more.

        Raises
        ------
        PatientMismatch : the study belongs to another patient
        """

    def add_all(self, news: Sequence[NewInstance]) -> list[AddOutcome]:
        """Add a batch in one transaction; an outcome for each, in order."""

    def replace(self, new: NewInstance) -> Replacement:
        """Put new content under a UID that is held.

        Raises
        ------
        InstanceNotFound : the UID is not held
        PatientMismatch : the study belongs to another patient
        """
