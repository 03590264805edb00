"""An earlier version said again: the same content under new UIDs, as the newest of its line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from service.archive.annotation_versions import AnnotationVersions
from service.archive.database import Connection, Database
from service.archive.instances import InstanceIndex
from service.archive.prepared import PreparedInstance
from service.core.archived import AddKind, StudyRow
from service.core.blob_key import blob_key
from service.core.ports import BlobStore
from service.core.records import NewInstance, ObjectKind
from service.core.result_file import ResultFile, result_file
from service.core.versions import LONGEST_REASON, REPORT, VersionObject, VersionOrigin, VersionRow, family_of
from service.core.view import EVERYTHING, View
from service.errors import BadRequest, DecisionRefused, InstanceNotFound, ObjectInvalid
from service.objects.uid_renaming import rename_uids
from service.objects.version_marks import marks_of
from service.versions.content import VersionReader
from service.versions.desk import VersionDesk
from service.versions.filing import VersionFiling

_NOT_REWRITTEN: Final = (ExplicitVRBigEndian,)


class VersionRestoring:
    """Restores versions.

    Parameters
    ----------
    moved_now : now, moved like the dates of a study's patient
    new_uid : makes a new UID at each call
    version : of the gateway; stands in the file meta of what is stored
    on_restored : told of what was restored, and by whom
    """

    def __init__(
        self,
        *,
        database: Database,
        index: InstanceIndex,
        blobs: BlobStore,
        versions: AnnotationVersions,
        desk: VersionDesk,
        moved_now: Callable[[StudyRow], datetime],
        clock: Callable[[], float],
        new_uid: Callable[[], str],
        version: str,
        on_restored: Callable[[VersionRow, str], object] = lambda _row, _by: None,
    ) -> None:
        self._on_restored = on_restored
        self._database = database
        self._index = index
        self._blobs = blobs
        self._versions = versions
        self._desk = desk
        self._moved_now = moved_now
        self._clock = clock
        self._new_uid = new_uid
        self._version = version
        self._filing = VersionFiling(versions, index)

    def restore(
        self,
        project: str,
        version_id: int,
        by: VersionOrigin,
        reason: str = "",
        view: View = EVERYTHING,
        *,
        name: str = "",
    ) -> VersionRow:
        """Add a version that says what an earlier one said; of a line of annotations it is the newest from then on.

        What a model made is not changed: restoring it is taking it over, as the first version of a line of one's own.

        Parameters
        ----------
        name : what whoever restores it is called

        Raises
        ------
        InstanceNotFound : there is no such version, or something of it is gone
        BadRequest : it is the newest already
        DecisionRefused : an object of it cannot be written again
        """
        old = self._desk.get(project, version_id, view)
        objects = self._desk.objects_at(old, view)
        study = self._index.study(project, old.study_uid)
        if study is None or not objects:
            raise InstanceNotFound("there is nothing left of the version")
        is_of_model = old.origin.run_id is not None
        if old.is_newest and not is_of_model:
            raise BadRequest("the version is the newest of its line already")
        origin = by if is_of_model else replace(by, author=old.origin.author)
        files = self._files(project, study, objects, self._newest_report(old, view))
        self._blobs.put_many([(file.blob.key, file.parts) for file in files])
        is_stored = False
        try:
            with self._database.write() as connection:
                self._add(study, files, origin, connection)
                line = None if is_of_model else old.line
                new = self._versions.add(
                    project,
                    study.study_uid,
                    origin,
                    connection,
                    line=line,
                    parent=self._parent(old, line, connection),
                    restored=old.id,
                    reason=reason[:LONGEST_REASON],
                )
                for file in files:
                    uid, family = str(file.header.SOPInstanceUID), family_of(str(file.header.SOPClassUID))
                    self._versions.put_object(new, uid, family, marks_of(file.header), connection)
                self._filing.show_newest(new, connection)
            is_stored = True
        finally:
            if not is_stored:
                for file in files:
                    self._blobs.delete(file.blob.key)
        restored = self._desk.get(project, new.id)
        self._on_restored(restored, name)
        return restored

    def _parent(self, old: VersionRow, line: int | None, connection: Connection) -> int:
        """What it comes after: the newest of the line, or the model's version that was taken over."""
        return old.id if line is None else self._versions.in_line(line, connection)[0].id

    def _newest_report(self, old: VersionRow, view: View) -> VersionObject | None:
        line = [one for one in self._desk.of_study(old.project, old.study_uid, view) if one.line == old.line]
        newest = [one for version in line for one in version.objects if one.family == REPORT]
        return next(iter(newest), None)

    def _files(
        self, project: str, study: StudyRow, objects: Sequence[VersionObject], before: VersionObject | None
    ) -> list[ResultFile]:
        """The objects again, under new UIDs, and pointing to each other as they did."""
        reader = VersionReader(self._index, self._blobs, project)
        whole = [reader.whole(one.sop_instance_uid) for one in objects]
        names = {str(one.SOPInstanceUID): self._new_uid() for one in whole}
        names |= {str(one.SeriesInstanceUID): self._new_uid() for one in whole}
        moment = self._moved_now(study)
        files = []
        for one in whole:
            if one.file_meta.TransferSyntaxUID in _NOT_REWRITTEN:
                raise DecisionRefused("an object of the version is kept in big endian, which is not written here")
            if one.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
                one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            rename_uids(one, names)
            _dated(one, moment)
            if family_of(str(one.SOPClassUID)) == REPORT and before is not None:
                one.PredecessorDocumentsSequence = _named(study.study_uid, before)
            files.append(result_file(one, blob_key(project, str(one.SOPInstanceUID)), self._version))
        return files

    def _add(self, study: StudyRow, files: Sequence[ResultFile], origin: VersionOrigin, connection: Connection) -> None:
        prepared = [
            PreparedInstance.of(
                NewInstance(
                    project=study.project,
                    kind=ObjectKind.ANNOTATION,
                    header=file.header,
                    transfer_syntax_uid=file.transfer_syntax_uid,
                    content_digest=hashlib.sha256(b"".join(file.parts[1:])).digest(),
                    received_at=self._clock(),
                    blob=file.blob,
                    patient_digest=study.patient_digest,
                    author=origin.author,
                    stored_by=origin.stored_by,
                )
            )
            for file in files
        ]
        added = self._index.add_all(prepared, connection)
        if any(outcome.kind is not AddKind.ADDED for outcome in added):
            raise ObjectInvalid("a restored object's SOP Instance UID is taken")


def _dated(data_set: Dataset, moment: datetime) -> None:
    """A new instance has times of its own (PS3.3 C.12.1.1.2); what it says keeps the times that it says."""
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    for name in ("InstanceCreation", "Content", "Series"):
        if f"{name}Date" in data_set:
            setattr(data_set, f"{name}Date", date)
        if f"{name}Time" in data_set:
            setattr(data_set, f"{name}Time", time)


def _named(study_uid: str, before: VersionObject) -> ItemSequence:
    """A document as predecessor (PS3.3 C.17.2.1)."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = before.sop_class_uid
    instance.ReferencedSOPInstanceUID = before.sop_instance_uid
    series.SeriesInstanceUID = before.series_uid
    series.ReferencedSOPSequence = ItemSequence([instance])
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = ItemSequence([series])
    return ItemSequence([study])
