"""Stores what a run made: all of it with the end of the run, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydicom.dataset import Dataset

from service.archive.annotation_versions import AnnotationVersions
from service.archive.database import Connection, Database
from service.archive.instances import InstanceIndex
from service.archive.prepared import PreparedInstance
from service.archive.releases import ReleaseTable
from service.archive.result_versions import newer_is_done, shown_of_earlier
from service.archive.runs import RunTable
from service.core.archived import AddKind, InstanceRow, RunRow, StudyRow
from service.core.blob_key import blob_key
from service.core.deliveries import ANY_FORM, BINARY
from service.core.ports import BlobStore
from service.core.records import NewInstance, ObjectKind
from service.core.result_file import ResultFile, result_file
from service.core.versions import family_of
from service.errors import ObjectInvalid
from service.jobs.run_end import LEASE_LOST, SUPERSEDED, RunEnd
from service.objects.version_marks import marks_of

_SHOWN: Final = (ANY_FORM, BINARY)
"""The forms that people see; the others are kept for peers."""


class ResultStore:
    """Ends runs, with their results where there are some.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    version : stands in the file meta of what is stored
    versions : where results are filed as what comes after the run before
    releases : where results are noted that wait for their release
    """

    def __init__(
        self,
        *,
        database: Database,
        index: InstanceIndex,
        runs: RunTable,
        blobs: BlobStore,
        clock: Callable[[], float],
        version: str,
        versions: AnnotationVersions,
        releases: ReleaseTable | None = None,
    ) -> None:
        self._releases = releases
        self._versions = versions
        self._database = database
        self._index = index
        self._runs = runs
        self._blobs = blobs
        self._clock = clock
        self._version = version

    def earlier_results(self, run: RunRow) -> list[InstanceRow]:
        """What earlier versions of the run's annotator on its series show now."""
        with self._database.read() as connection:
            shown = shown_of_earlier(connection, run)
        return list(self._index.find_all(run.project, shown).values())

    def close(self, run: RunRow, owner: str, end: RunEnd) -> RunEnd:
        """End a run that stores nothing."""
        return end if self._runs.finish(run.id, owner, end.state, reason=end.reason) else LEASE_LOST

    def store(
        self, run: RunRow, owner: str, end: RunEnd, study: StudyRow, forms: Mapping[str, Sequence[Dataset]]
    ) -> RunEnd:
        """End a run with its results, which take the place of what earlier versions show.

        Parameters
        ----------
        forms : the objects by the form in which they leave; twins of what people see are kept without being shown

        Raises
        ------
        ObjectInvalid : a UID of theirs is taken; nothing was stored
        GatewayError : disk or index failed; nothing was stored
        """
        results = [one for objects in forms.values() for one in objects]
        twins = [str(one.SOPInstanceUID) for form, made in forms.items() if form not in _SHOWN for one in made]
        files = [result_file(one, blob_key(run.project, str(one.SOPInstanceUID)), self._version) for one in results]
        prepared = [PreparedInstance.of(self._new_instance(run, study, file)) for file in files]
        self._blobs.put_many([(file.blob.key, file.parts) for file in files])
        is_stored = False
        try:
            with self._database.write() as connection:
                settled = self._settle(run, owner, end, connection)
                if settled is end:
                    added = self._index.add_all(prepared, connection)
                    if any(outcome.kind is not AddKind.ADDED for outcome in added):
                        raise ObjectInvalid("a result's SOP Instance UID is taken")
                    replaced = shown_of_earlier(connection, run)
                    self._index.hide(run.project, [*replaced, *twins], connection)
                    self._note_release(run, forms, connection)
                    self._file(run, results, connection)
            is_stored = settled is end
        finally:
            if not is_stored:
                for file in files:
                    self._blobs.delete(file.blob.key)
        return settled

    def _file(self, run: RunRow, results: Sequence[Dataset], connection: Connection) -> None:
        if not results:
            return
        version = self._versions.add_of_run(run, connection)
        for one in results:
            uid, family = str(one.SOPInstanceUID), family_of(str(one.SOPClassUID))
            self._versions.put_object(version, uid, family, marks_of(one), connection)

    def _note_release(self, run: RunRow, forms: Mapping[str, Sequence[Dataset]], connection: Connection) -> None:
        """In their order: what a report refers to leaves before it."""
        if self._releases is not None and forms:
            self._releases.open(
                project=run.project,
                study_uid=run.study_uid,
                annotator=run.annotator,
                objects={form: [str(one.SOPInstanceUID) for one in objects] for form, objects in forms.items()},
                series_uid=run.series_uid,
                run_id=run.id,
                version=run.version,
                connection=connection,
            )

    def _settle(self, run: RunRow, owner: str, end: RunEnd, connection: Connection) -> RunEnd:
        """End the run in the transaction at hand; another end than the given one means that nothing is to be stored."""
        wanted = SUPERSEDED if newer_is_done(connection, run) else end
        held = self._runs.finish(
            run.id,
            owner,
            wanted.state,
            reason=wanted.reason,
            summary=wanted.summary,
            findings=wanted.findings,
            connection=connection,
        )
        return wanted if held else LEASE_LOST

    def _new_instance(self, run: RunRow, study: StudyRow, file: ResultFile) -> NewInstance:
        digest = hashlib.sha256()
        for part in file.parts[1:]:
            digest.update(part)
        return NewInstance(
            project=run.project,
            kind=ObjectKind.RESULT,
            header=file.header,
            transfer_syntax_uid=file.transfer_syntax_uid,
            content_digest=digest.digest(),
            received_at=self._clock(),
            blob=file.blob,
            annotator=run.annotator,
            run_id=run.id,
            patient_digest=study.patient_digest,
        )
