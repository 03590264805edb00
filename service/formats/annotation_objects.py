"""Findings of a file as a segmentation and a report, always with the same UIDs, checked before they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset

from service.core.annotator import AnnotatorResult
from service.core.archived import StudyRow
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification, Finding
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused, ObjectInvalid
from service.formats.flat_images import FlatImages
from service.formats.stable_uids import uid_of, uids_of
from service.objects.result_context import ResultContext, WrittenResult
from service.objects.uid_renaming import rename_uids

_ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
_MANUAL: Final = Code("123109", "DCM", "Manual Processing")
_SERIES_NUMBER: Final = 5001


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made what is imported, and what it is called.

    Parameters
    ----------
    title : stands in Series Description
    by_person : it was drawn by hand
    """

    name: str
    version: str = "1"
    manufacturer: str = "not stated"
    title: str = "Imported"
    by_person: bool = False

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """How objects name it."""
        return AlgorithmIdentification(
            name=self.name,
            version=self.version,
            manufacturer=self.manufacturer,
            family=_MANUAL if self.by_person else _ARTIFICIAL_INTELLIGENCE,
            device_uid=uid_of("device", self.name, self.version, self.manufacturer),
        )


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationWriter:
    """Writes findings as objects of the study that they are about.

    Parameters
    ----------
    created_at : now, moved like the dates of a study's patient
    version : of the gateway
    """

    origin: Origin
    created_at: Callable[[StudyRow], datetime] = field(repr=False)
    version: str

    def uids(self, digest: str, series_uid: str) -> list[str]:
        """SOP Instance UIDs that its objects may have, whatever else becomes of them."""
        return [uid_of(*self._words(digest, series_uid), kind) for kind in ("segmentation", "report")]

    def write(
        self,
        findings: Sequence[Finding],
        digest: str,
        images: VolumeSlices | FlatImages,
        study: StudyRow,
        predecessor: Dataset | None = None,
    ) -> list[Dataset]:
        """The objects, the segmentation first.

        Parameters
        ----------
        digest : of all that the findings were made from: the same gives the same UIDs
        predecessor : what they take the place of; named in the segmentation too, which is filed before its report

        Raises
        ------
        FormatRefused : they cannot be written; says what is wrong
        """
        # highdicom is loaded here: who only reads needs none of it.
        from service.objects.validation import refuse_errors, validate

        headers = images.headers if isinstance(images, FlatImages) else [one.source for one in images.slices]
        words = self._words(digest, str(headers[0].SeriesInstanceUID))
        result = AnnotatorResult(tuple(findings), self.origin.algorithm, f"{len(findings)} findings imported")
        context = ResultContext(
            created_at=self.created_at(study),
            series_number_base=_SERIES_NUMBER,
            uid=uids_of(*words),
            version=self.version,
            predecessor=predecessor,
        )
        try:
            written = _written(result, self.origin.title, images, context)
            objects = [one for one in (written.segmentation, written.report) if one is not None]
            self._name(objects, words)
            if written.segmentation is not None and predecessor is not None:
                named = written.report.PredecessorDocumentsSequence
                written.segmentation.PredecessorDocumentsSequence = deepcopy(named)
            for one in objects:
                others = [other for other in objects if other is not one]
                refuse_errors(validate(one, sources=headers, referenced=others))
        except (ObjectInvalid, ValueError) as error:
            raise FormatRefused(f"it cannot be written as DICOM: {error}") from error
        return objects

    def _words(self, digest: str, series_uid: str) -> tuple[str, ...]:
        return digest, series_uid, self.origin.name, self.origin.version, self.origin.title

    def _name(self, objects: Sequence[Dataset], words: tuple[str, ...]) -> None:
        """Give each the UID by which it is looked for before it is written again, and say who drew it."""
        names = {}
        for one in objects:
            kind = "report" if one.Modality == "SR" else "segmentation"
            names[str(one.SOPInstanceUID)] = uid_of(*words, kind)
            if self.origin.by_person:
                for segment in one.get("SegmentSequence") or []:
                    segment.SegmentAlgorithmType = "MANUAL"
        for one in objects:
            rename_uids(one, names)


def _written(
    result: AnnotatorResult, title: str, images: VolumeSlices | FlatImages, context: ResultContext
) -> WrittenResult:
    from service.objects.writer import write_flat_results, write_results

    if isinstance(images, FlatImages):
        return write_flat_results(result, title, images.headers, context)
    return write_results(result, title, images.without_voxels(), context)
