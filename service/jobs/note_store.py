"""Keeps a note that was made here: its blob at once, its row in the transaction that it belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pydicom.dataset import Dataset

from service.archive.prepared import PreparedInstance
from service.core.archived import StudyRow
from service.core.blob_key import blob_key
from service.core.ports import BlobStore
from service.core.records import NewInstance, ObjectKind
from service.core.result_file import result_file


class NoteStore:
    """Prepares notes for the index.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    version : stands in the file meta of what is stored
    """

    def __init__(self, blobs: BlobStore, clock: Callable[[], float], version: str) -> None:
        self._blobs = blobs
        self._clock = clock
        self._version = version

    def keep(self, study: StudyRow, note: Dataset) -> PreparedInstance:
        """Write a note's blob; the row for the index. A blob whose row never comes is swept away."""
        file = result_file(note, blob_key(study.project, str(note.SOPInstanceUID)), self._version)
        self._blobs.put(file.blob.key, file.parts)
        return PreparedInstance.of(
            NewInstance(
                project=study.project,
                kind=ObjectKind.RESULT,
                header=file.header,
                transfer_syntax_uid=file.transfer_syntax_uid,
                content_digest=hashlib.sha256(b"".join(file.parts[1:])).digest(),
                received_at=self._clock(),
                blob=file.blob,
                patient_digest=study.patient_digest,
            )
        )
