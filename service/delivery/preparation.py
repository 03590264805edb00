"""From an object of the project to one that may leave: original identity, checked again, in the hospital's encoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.core.records import ObjectKind
from service.deident.restoration import Restored
from service.delivery.character_sets import in_character_set
from service.delivery.known_patient import KnownPatient
from service.delivery.leaving_checks import refuse_what_is_left
from service.delivery.parcel import Parcel, encoded
from service.errors import InstanceNotFound, ObjectInvalid
from service.objects.rule_catalogue import OnArrival, Problem
from service.objects.validation import refuse_errors, validate

_PIXELS: Final = 0x7FE00010


class WayOut(Protocol):
    """The vault of one project, opened for what leaves; ``service.custody.way_back.WayBack`` is one."""

    def original_study(self, study_uid: str) -> Dataset:
        """Patient and study attributes as they came in."""

    def character_set(self, study_uid: str) -> tuple[str, ...]:
        """The Specific Character Set that they came in."""

    def restore(self, data_set: Dataset, kind: ObjectKind) -> Restored:
        """An object with everything original in place of what the project put there."""


class InstanceFinder(Protocol):
    """The index."""

    def find(self, project: str, sop_instance_uid: str) -> InstanceRow | None:
        """The instance held under a UID."""


@dataclass(frozen=True, slots=True)
class OriginalStudy:
    """A study as the hospital knows it: its UID, and whose it was when it came."""

    study_uid: str = field(repr=False)
    patient: KnownPatient = field(repr=False)


class Preparation:
    """Makes what leaves of one gateway's results.

    Parameters
    ----------
    way_out : by project, its vault; None for a project that keeps identity
    key : what digests of patients are keyed with
    problems : what is wrong with an object among the instances of its project, in the UIDs under which it is served
    """

    def __init__(
        self,
        *,
        index: InstanceFinder,
        blobs: BlobStore,
        way_out: Callable[[str], WayOut | None],
        key: bytes,
        problems: Callable[[str, Dataset], Sequence[Problem]],
    ) -> None:
        self._key = key
        self._problems = problems
        self._index = index
        self._blobs = blobs
        self._way_out = way_out

    def instance(self, project: str, sop_instance_uid: str) -> InstanceRow:
        """The row of an object that is to leave.

        Raises
        ------
        InstanceNotFound : it is not held any more
        """
        row = self._index.find(project, sop_instance_uid)
        if row is None:
            raise InstanceNotFound("an object of the result is not held any more")
        return row

    def original_study(self, row: InstanceRow) -> OriginalStudy:
        """The study of an object as the hospital knows it.

        Raises
        ------
        InstanceNotFound : nothing came in under its study
        KeysMissing : the vault does not open
        """
        way_out = self._way_out(row.project)
        if way_out is None:
            header = self._read(row, header_only=True)
            return OriginalStudy(row.study_uid, KnownPatient.of(header))
        restored = way_out.restore(self._read(row, header_only=True), row.kind).data_set
        return OriginalStudy(str(restored.StudyInstanceUID), KnownPatient.of(restored))

    def parcel(self, row: InstanceRow, patient: KnownPatient | None = None) -> Parcel:
        """An object as it leaves.

        Parameters
        ----------
        patient : who a person accepted that the patient is now; None keeps who it was

        Raises
        ------
        ObjectInvalid : it breaks a rule, or something of the project would leave with it
        InstanceNotFound : nothing came in under its study
        KeysMissing : the vault does not open
        """
        served = self._read(row)
        way_out = self._way_out(row.project)
        if way_out is None:
            return self._as_kept(row, served, patient)
        self._refuse_misplaced(row, served)
        restored = way_out.restore(served, row.kind)
        leaving = restored.data_set
        if patient is not None:
            patient.put_into(leaving)
        if restored.unresolved:
            raise ObjectInvalid(f"{len(restored.unresolved)} of the UIDs that it refers to never came in")
        refuse_errors(validate(leaving))
        refuse_what_is_left(served, leaving, original_uids=restored.replaced, dates_move=bool(restored.days))
        return self._encoded(row, leaving, way_out.character_set(row.study_uid))

    def _refuse_misplaced(self, row: InstanceRow, served: Dataset) -> None:
        """Hold an object against the images that it is about, which are here under the UIDs of the project.

        What it breaks by itself is judged as it leaves: it lacks nothing then that the project took out of it. What it
        refers to was here when it was stored, and may have been deleted since.
        """
        by_itself = set(validate(served))
        misplaced = [one for one in self._problems(row.project, served) if one not in by_itself]
        refuse_errors([one for one in misplaced if one.on_arrival is not OnArrival.REFUSE_IF_MADE_HERE])

    def _as_kept(self, row: InstanceRow, kept: Dataset, patient: KnownPatient | None) -> Parcel:
        """An object of a project that keeps identity: byte for byte, unless the patient is another one now."""
        refuse_errors(validate(kept))
        self._refuse_misplaced(row, kept)
        if patient is not None:
            patient.put_into(kept)
            return self._encoded(row, kept, ("ISO_IR 192",))
        with self._blobs.open(row.blob.key) as stream:
            stream.seek(row.blob.data_set_offset)
            data_set = stream.read()
        digest = KnownPatient.of(kept).digest(self._key)
        return Parcel(row.sop_class_uid, row.sop_instance_uid, row.transfer_syntax_uid, data_set, digest)

    def _read(self, row: InstanceRow, *, header_only: bool = False) -> Dataset:
        with self._blobs.open(row.blob.key) as stream:
            return dcmread(stream, stop_before_pixels=header_only)

    def _encoded(self, row: InstanceRow, leaving: Dataset, character_set: tuple[str, ...]) -> Parcel:
        """Write an object in the character set that its study came in, or in UTF-8 where that cannot hold it."""
        pixels = leaving.get(_PIXELS)
        if pixels is not None:
            del leaving[_PIXELS]
        fits = in_character_set(leaving, character_set)
        note = "" if fits else "left in UTF-8: the character set that the study came in cannot hold all of its texts"
        if pixels is not None:
            leaving[_PIXELS] = pixels
        digest = KnownPatient.of(leaving).digest(self._key)
        # What is held in implicit VR has longer values than explicit VR can hold (PS3.5 7.1.2).
        implicit = row.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        syntax = IMPLICIT_VR_LITTLE_ENDIAN if implicit else EXPLICIT_VR_LITTLE_ENDIAN
        content = encoded(leaving, implicit_vr=implicit)
        return Parcel(row.sop_class_uid, row.sop_instance_uid, syntax, content, digest, note)
