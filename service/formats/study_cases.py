"""The cases of a study, one after the other, and in words what became none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.archived import InstanceRow, StudyRow
from service.core.ports import BlobStore
from service.core.records import ObjectKind
from service.core.series_images import SeriesImages
from service.core.volume_slices import VolumeSlices, open_volumes
from service.errors import FormatRefused
from service.formats.case import Case, LabelledFinding, case_name
from service.formats.flat_images import FlatImages, flat_images
from service.formats.selection import Selection, StudyIndex
from service.formats.stored_findings import StoredFinding, StudyMarks, is_marking

READER_PREFIX: Final = "reader-"
_ACCOUNT_LETTERS: Final = 8
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class NoCase:
    """What is not in the dataset, and why.

    ``is_fault`` where it should be and could not; otherwise nobody asked for it.
    """

    study_uid: str
    series_uid: str
    reason: str
    is_fault: bool


@dataclass(frozen=True, slots=True, eq=False)
class StudyContent:
    """A study with what is shown of it."""

    study: StudyRow
    instances: tuple[InstanceRow, ...]
    modalities: dict[str, str]

    def digest(self) -> str:
        """SHA-256 over everything that a dataset could take from it, hexadecimal."""
        digest = hashlib.sha256(f"{self.study.study_uid}\0{self.study.patient_id}\0{self.study.state}".encode())
        for uid, content in sorted((row.sop_instance_uid, row.content_digest) for row in self.instances):
            digest.update(uid.encode() + b"\0" + content)
        return digest.hexdigest()


def read_study(index: StudyIndex, project: str, study_uid: str) -> StudyContent:
    """A study as the index has it.

    Raises
    ------
    FormatRefused : there is none
    """
    study = index.study(project, study_uid)
    if study is None:
        raise FormatRefused("there is no such study in the project: annogate study list")
    modalities = {row.series_uid: row.modality for row in index.series_of(project, study_uid)}
    return StudyContent(study, tuple(index.instances_of(project, study_uid)), modalities)


class StudyCases:
    """Reads studies as cases of one dataset."""

    def __init__(self, selection: Selection, blobs: BlobStore) -> None:
        self._selection = selection
        self._blobs = blobs
        self._labels = {label.name for label in selection.mapping.only(selection.labels)}

    def of(self, content: StudyContent) -> Iterator[Case | NoCase]:
        """The cases of a study, in the order of its series' UIDs."""
        study = content.study
        if study.state == "receiving":
            yield NoCase(study.study_uid, "", "its images are still coming in", is_fault=False)
            return
        try:
            marks = StudyMarks([row for row in content.instances if is_marking(row)], self._blobs, self._maker_of)
        except GatewayError as error:
            yield NoCase(study.study_uid, "", str(error), is_fault=True)
            return
        images: dict[str, list[InstanceRow]] = {}
        for row in content.instances:
            if row.kind is ObjectKind.IMAGE and not is_marking(row):
                images.setdefault(row.series_uid, []).append(row)
        for series_uid in sorted(images):
            modality = content.modalities.get(series_uid, "")
            if self._selection.modalities and modality not in self._selection.modalities:
                continue
            yield from self._series(study, series_uid, modality, images[series_uid], marks)

    def _maker_of(self, row: InstanceRow, header: Dataset) -> str | None:
        """Who made an object; None where their marks do not count."""
        chosen, maker = self._selection, maker_of(row, header)
        if not (chosen.annotators or chosen.readers):
            return maker
        return maker if maker in chosen.annotators or (row.author and row.author in chosen.readers) else None

    def _series(
        self, study: StudyRow, series_uid: str, modality: str, rows: Sequence[InstanceRow], marks: StudyMarks
    ) -> Iterator[Case | NoCase]:
        is_marked = series_uid in marks.series_uids
        if not is_marked and not self._selection.with_unmarked:
            yield NoCase(study.study_uid, series_uid, "nobody whose marks count has looked at it", is_fault=False)
            return
        images = SeriesImages(self._blobs, rows)
        try:
            headers = images.headers()
            opened, flat = open_volumes(headers, images.pixels), flat_images(headers, images.pixels)
        except GatewayError as error:
            yield NoCase(study.study_uid, series_uid, str(error), is_fault=True)
            return
        for reason in opened.refused if sum(len(one.headers) for one in flat) < len(headers) else ():
            # A localizer that nobody marked is no fault; one volume of several may have been meant by the marks.
            yield NoCase(study.study_uid, series_uid, reason, is_fault=is_marked and not (opened.volumes or flat))
        candidates: list[VolumeSlices | FlatImages] = [*opened.volumes, *flat]
        for number, found in enumerate(candidates):
            yield self._case(study, series_uid, modality, number, found, marks)

    def _case(
        self,
        study: StudyRow,
        series_uid: str,
        modality: str,
        number: int,
        images: VolumeSlices | FlatImages,
        marks: StudyMarks,
    ) -> Case | NoCase:
        try:
            stored = marks.on(images)
            findings = None if stored is None else tuple(self._labelled(stored))
        except GatewayError as error:
            return NoCase(study.study_uid, series_uid, str(error), is_fault=True)
        if findings is None and not self._selection.with_unmarked:
            return NoCase(study.study_uid, series_uid, "nobody whose marks count has looked at it", is_fault=False)
        patient = self._selection.patient_of(study)
        return Case(
            name=case_name(patient, study.study_uid, series_uid, number),
            patient=patient,
            part=self._selection.split.part_of(patient),
            study_uid=study.study_uid,
            series_uid=series_uid,
            volume_number=number,
            modality=modality,
            images=images,
            findings=findings,
        )

    def _labelled(self, stored: Sequence[StoredFinding]) -> list[LabelledFinding]:
        """Those that count, with their labels.

        Raises
        ------
        FormatRefused : some have no label; a case without them would teach that nothing is there
        """
        labelled, reasons = [], set()
        for one in stored:
            try:
                label = self._selection.mapping.of(one.finding)
            except FormatRefused as error:
                reasons.add(str(error))
                continue
            if label is not None and label.name in self._labels:
                labelled.append(LabelledFinding(one.finding, label, one.maker, one.load_mask))
        if reasons:
            raise FormatRefused("; ".join(sorted(reasons)))
        return labelled


def maker_of(row: InstanceRow, header: Dataset) -> str:
    """Who made an object: an annotator by name, a reader by a part of their account, never by their name.

    Of what nobody's account stored, the program that says it made it.
    """
    if row.kind is ObjectKind.RESULT:
        return row.annotator
    if row.author:
        return READER_PREFIX + row.author[:_ACCOUNT_LETTERS]
    return str(header.get("ManufacturerModelName") or _UNKNOWN)
