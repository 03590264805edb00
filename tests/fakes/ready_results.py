"""Results that are ready to leave: what the outbox asks of preparation, without an archive and a vault behind it."""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.core.records import ObjectKind, StoredBlob
from service.delivery.known_patient import KnownPatient
from service.delivery.parcel import Parcel
from service.delivery.preparation import OriginalStudy
from tests.datasets import encode

EXPLICIT = "1.2.840.10008.1.2.1"


class ReadyResults:
    """Objects of one class by any UID; a SEG where the UID ends in an odd number, a report otherwise."""

    SEG, REPORT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"

    def instance(self, project: str, sop_instance_uid: str) -> InstanceRow:
        sop_class = self.SEG if int(sop_instance_uid[-1]) % 2 else self.REPORT
        return InstanceRow(
            id=1,
            project=project,
            study_row_id=1,
            series_row_id=1,
            study_uid="2.25.1",
            series_uid="2.25.2",
            sop_instance_uid=sop_instance_uid,
            sop_class_uid=sop_class,
            transfer_syntax_uid=EXPLICIT,
            kind=ObjectKind.RESULT,
            annotator="fixed",
            run_id=None,
            visible=True,
            instance_number=1,
            rows=None,
            columns=None,
            bits_allocated=None,
            number_of_frames=None,
            content_digest=b"",
            blob=StoredBlob("", 0, 0),
            received_at=0.0,
            indexed_at=0.0,
        )

    def original_study(self, row: InstanceRow) -> OriginalStudy:
        return OriginalStudy("1.2.840.1", KnownPatient("PAT-4711"))

    def parcel(self, row: InstanceRow, patient: KnownPatient | None = None) -> Parcel:
        data_set = Dataset()
        data_set.SOPClassUID, data_set.SOPInstanceUID = row.sop_class_uid, row.sop_instance_uid
        data_set.PatientID, data_set.StudyInstanceUID = "PAT-4711", "1.2.840.1"
        return Parcel(row.sop_class_uid, row.sop_instance_uid, EXPLICIT, encode(data_set), "identity")
