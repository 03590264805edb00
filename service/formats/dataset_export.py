"""An export: study by study into a folder that is a dataset when it ends, and that goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.ports import BlobStore
from service.errors import FormatRefused
from service.formats.case import Case, NoVolume
from service.formats.case_record import CaseRecord, DatasetDescription
from service.formats.dataset_files import write_dataset_files
from service.formats.export_state import ExportState, StudyRecord
from service.formats.finding_rows import evaluation_rows, finding_row, measurement_rows
from service.formats.layout import CaseFiles, Layout
from service.formats.selection import Selection, StudyIndex
from service.formats.staged_file import DatasetFolder, WrittenFile
from service.formats.study_cases import NoCase, StudyCases, read_study

VERSION: Final = 3
"""Of how files are written; another one has everything written anew."""

Progress = Callable[[int, int], None]
"""Told how many of how many studies are done."""


@dataclass(frozen=True, slots=True)
class DatasetWords:
    """What the user says of the dataset."""

    name: str
    description: str = ""
    licence: str = ""


@dataclass(slots=True)
class ExportReport:
    """What an export came to.

    ``refused`` is what should be in the dataset and is not; ``left_out`` counts what nobody asked for, by reason.
    """

    out: str
    studies: int = 0
    written: int = 0
    kept: int = 0
    cases: int = 0
    files: int = 0
    size: int = 0
    refused: list[NoCase] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, record: StudyRecord, *, is_new: bool) -> None:
        """Count a study."""
        self.studies += 1
        self.written += is_new
        self.kept += not is_new
        self.cases += len(record.cases)
        self.refused += [one for one in record.no_cases if one.is_fault]
        for one in record.no_cases:
            if not one.is_fault:
                self.left_out[one.reason] = self.left_out.get(one.reason, 0) + 1


class DatasetExport:
    """Writes a project's images and annotations as one dataset.

    Parameters
    ----------
    out : the dataset's folder: empty, absent, or that of an earlier export, which is brought up to date
    today : ISO 8601
    source : what the dataset was made from, in words for people
    """

    def __init__(
        self,
        *,
        index: StudyIndex,
        blobs: BlobStore,
        selection: Selection,
        layout: Layout,
        words: DatasetWords,
        out: Path,
        today: str,
        source: dict[str, str],
    ) -> None:
        self._index = index
        self._selection = selection
        self._layout = layout
        self._words = words
        self._folder = DatasetFolder(out)
        self._state = ExportState(self._folder)
        self._today = today
        self._source = source
        self._cases = StudyCases(selection, blobs)

    def run(self, progress: Progress) -> ExportReport:
        """Write what is not there yet.

        Raises
        ------
        BadRequest : the folder holds something else, or another export writes into it
        FormatRefused : the format cannot hold these cases together
        StorageExhausted : no room
        """
        report = ExportReport(str(self._folder.root))
        with self._state.held():
            options = self._options()
            created = self._state.begin(options, self._today)
            key = _digest(options)
            study_uids = self._selection.chosen(self._index)
            if self._state.forget_others(study_uids):
                self._state.invalidate()
            progress(0, len(study_uids))
            for done, study_uid in enumerate(study_uids, start=1):
                self._study(study_uid, key, report)
                progress(done, len(study_uids))
            self._finish(created, report)
        return report

    def _options(self) -> dict[str, Any]:
        """All that bears on what is written of a study, beside the study."""
        chosen = self._selection
        return {
            "version": VERSION,
            "layout": self._layout.name,
            **self._layout.options,
            "project": chosen.project,
            "mapping": chosen.mapping.digest,
            "labels": [label.name for label in self._layout.labels],
            "annotators": sorted(chosen.annotators),
            "readers": sorted(chosen.readers),
            "modalities": sorted(chosen.modalities),
            "with_unmarked": chosen.with_unmarked,
            "shares": dict(chosen.split.shares),
            "seed": chosen.split.seed,
        }

    def _study(self, study_uid: str, key: str, report: ExportReport) -> None:
        try:
            content = read_study(self._index, self._selection.project, study_uid)
        except FormatRefused as error:
            gone = StudyRecord(study_uid, "", (), (NoCase(study_uid, "", str(error), is_fault=True),))
            self._state.invalidate()
            self._state.keep(gone)
            report.add(gone, is_new=False)
            return
        digest = _digest([key, content.digest()])
        before = self._state.record(study_uid)
        if before is not None and before.digest == digest and before.is_settled and self._is_there(before):
            report.add(before, is_new=False)
            return
        self._state.invalidate()
        cases, no_cases = [], []
        for case in self._cases.of(content):
            written = case if isinstance(case, NoCase) else self._case(case)
            if isinstance(written, NoCase):
                no_cases.append(written)
            else:
                cases.append(written)
        record = StudyRecord(study_uid, digest, tuple(cases), tuple(no_cases))
        self._state.keep(record)
        report.add(record, is_new=True)

    def _is_there(self, record: StudyRecord) -> bool:
        return all(self._folder.holds(file) for file in record.files)

    def _case(self, case: Case) -> CaseRecord | NoCase:
        """Write one case; none of its files stays where it cannot be written."""
        files = CaseFiles(self._folder)
        try:
            own = self._layout.write(case, files)
            return _recorded(case, files.written, own)
        except StorageExhausted:
            files.forget()
            raise
        except NoVolume as error:
            files.forget()
            return NoCase(case.study_uid, case.series_uid, str(error), is_fault=case.findings is not None)
        except GatewayError as error:
            files.forget()
            return NoCase(case.study_uid, case.series_uid, str(error), is_fault=True)
        except BaseException:
            files.forget()
            raise

    def _finish(self, created: str, report: ExportReport) -> None:
        """The files of the whole, the manifest last: it says that the dataset is complete."""
        dataset = DatasetDescription(
            name=self._words.name,
            description=self._words.description,
            licence=self._words.licence,
            labels=self._layout.labels,
            created=created,
            shares=dict(self._selection.split.shares),
            seed=self._selection.split.seed,
            source=self._source,
        )

        def records() -> Iterator[CaseRecord]:
            return (case for study in self._state.records() for case in study.cases)

        self._state.invalidate()
        not_in_it = {
            "refused": len(report.refused),
            **{f"left out: {k}": n for k, n in sorted(report.left_out.items())},
        }
        report.files, report.size = write_dataset_files(dataset, self._layout, records, self._folder, not_in_it)


def _recorded(case: Case, files: list[tuple[str, WrittenFile]], own: Any) -> CaseRecord:
    findings, measurements, evaluations = [], [], []
    counts: dict[str, dict[str, int]] = {}
    for one in case.findings or ():
        mask = one.mask()
        voxels = None if mask is None else int(np.count_nonzero(mask.voxels))
        counted = counts.setdefault(one.label.name, {"findings": 0, "voxels": 0})
        counted["findings"] += 1
        counted["voxels"] += voxels or 0
        findings.append(finding_row(case, one, voxels))
        measurements += measurement_rows(case, one)
        evaluations += evaluation_rows(case, one)
    rows = {"findings": findings, "measurements": measurements, "evaluations": evaluations}
    return CaseRecord(
        case=case.name,
        patient=case.patient,
        part=case.part,
        study_uid=case.study_uid,
        series_uid=case.series_uid,
        volume_number=case.volume_number,
        modality=case.modality,
        is_marked=case.findings is not None,
        shape=case.images.shape,
        spacing_mm=case.spacing_mm,
        files=tuple(files),
        counts=counts,
        rows=rows,
        own=own,
    )


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
