"""Annotation objects that others send: refused where they would mislead or break what reads them, else listed with why.

What they refer to is looked up in the project. An object may come before its images, so that those are missed only
where it was made on a study as it is served here: whoever made it had them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.errors import AnnotationRefused, InstanceNotFound
from service.objects.known_instances import KnownInstances
from service.objects.rule_catalogue import OnArrival, Problem
from service.objects.validation import judge

MOST_HEADERS: Final = 2000
"""Images whose place is read; of further ones it is known that they are here."""
_SAID: Final = 3
"""Rules that a refusal names with what to do; of the others it says how many there are."""
_READ: Final = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "TotalPixelMatrixRows",
    "TotalPixelMatrixColumns",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "SegmentSequence",
]
"""What rules ask of an instance that is referred to."""


class InstanceLookup(Protocol):
    """The index."""

    def find_all(self, project: str, sop_instance_uids: Sequence[str]) -> Mapping[str, InstanceRow]:
        """Those of the instances that are held, by UID."""


class ArrivalJudge:
    """Decides over annotation objects on their way in, and says what is wrong with those that are held.

    Parameters
    ----------
    refuses : by project, whether what would mislead is refused; else it is listed
    """

    def __init__(self, index: InstanceLookup, blobs: BlobStore, refuses: Mapping[str, bool]) -> None:
        self._index = index
        self._blobs = blobs
        self._refuses = refuses

    def admit(self, project: str, data_set: Dataset, *, has_pixels: bool, made_here: bool) -> tuple[str, ...]:
        """Let an object in; the rules that it breaks all the same.

        Parameters
        ----------
        data_set : as it is to be kept, in the UIDs under which it is served
        has_pixels : its pixel data are in it
        made_here : it was made on the study as it is served

        Raises
        ------
        AnnotationRefused : it would mislead or break what reads it; says each rule, and what to do
        """
        problems = self.problems(project, data_set, has_pixels=has_pixels)
        grave = [problem for problem in problems if _is_grave(problem, made_here=made_here)]
        if grave and self._refuses.get(project, True):
            raise AnnotationRefused(_told(grave))
        return tuple(dict.fromkeys(problem.rule for problem in problems))

    def problems(self, project: str, data_set: Dataset, *, has_pixels: bool = True) -> list[Problem]:
        """What is wrong with an object among the instances of a project."""
        return judge(data_set, lambda uids: self._known(project, uids), has_pixels=has_pixels)

    def problems_held(self, project: str, sop_instance_uid: str) -> list[Problem]:
        """What is wrong with an object that is held.

        Raises
        ------
        InstanceNotFound : none is held under this UID
        """
        row = self._index.find_all(project, [sop_instance_uid]).get(sop_instance_uid)
        if row is None:
            raise InstanceNotFound("no instance is held under this SOP Instance UID")
        with self._blobs.open(row.blob.key) as stream:
            return self.problems(project, dcmread(stream))

    def _known(self, project: str, uids: frozenset[str]) -> KnownInstances:
        rows = self._index.find_all(project, sorted(uids))
        headers = [self._header(row, is_read=place < MOST_HEADERS) for place, row in enumerate(rows.values())]
        images = [header for header in headers if "SegmentSequence" not in header and header.get("Rows")]
        others = [header for header in headers if "SegmentSequence" in header or not header.get("Rows")]
        return KnownInstances.of(images, others, covers_series=False, was_searched=True)

    def _header(self, row: InstanceRow, *, is_read: bool) -> Dataset:
        """What rules ask of an instance; what the index has of it where its file is not read."""
        if is_read:
            with suppress(InstanceNotFound), self._blobs.open(row.blob.key) as stream:
                return dcmread(stream, stop_before_pixels=True, specific_tags=_READ)
        header = Dataset()
        header.SOPClassUID, header.SOPInstanceUID = row.sop_class_uid, row.sop_instance_uid
        header.StudyInstanceUID, header.SeriesInstanceUID = row.study_uid, row.series_uid
        header.Rows, header.Columns, header.NumberOfFrames = row.rows, row.columns, row.number_of_frames or 1
        return header


def _is_grave(problem: Problem, *, made_here: bool) -> bool:
    return problem.on_arrival is OnArrival.REFUSE or (made_here and problem.on_arrival is OnArrival.REFUSE_IF_MADE_HERE)


def _told(grave: Sequence[Problem]) -> str:
    first = list({problem.rule: problem for problem in grave}.values())
    said = [f"{problem.rule}: {problem.message}. {problem.remedy}" for problem in first[:_SAID]]
    more = len(first) - len(said)
    return "; ".join(said) + (f"; and {more} more rules" if more else "")
