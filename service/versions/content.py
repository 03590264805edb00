"""What a version says, read from its objects: findings with their masks in the grid of the images that they lie on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, PersonObserver
from service.core.archived import InstanceRow
from service.core.findings import Finding
from service.core.ports import BlobStore, InstanceReader
from service.core.records import ObjectKind
from service.core.source_frames import SourceFrame, SourceFrames, Space
from service.core.stored_pixels import decode_pixels
from service.core.versions import REPORT, SEGMENTATION, VersionObject
from service.errors import InstanceNotFound, ObjectInvalid
from service.objects.annotation_reader import annotations_of
from service.objects.segment_references import segments_by_tracking_uid
from service.objects.segmentation_findings import findings_of_segmentation, tracking_uid_of
from service.objects.segmentation_reading import ReadSegmentation, read_segmentation
from service.objects.source_frames_reader import frames_of_images
from service.objects.source_images import SourceImages

_T = TypeVar("_T")
_NOBODY: Final = PersonObserver("")
_BROKEN: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class VersionContent:
    """What the objects of a version say together.

    Parameters
    ----------
    frames : that its masks lie on, in the order of the masks' first index; None where it has none
    sources : the images that it is about
    """

    annotations: AnnotationSet
    frames: SourceFrames | None = field(repr=False)
    sources: SourceImages | None = field(repr=False)

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Of the masks' grid, between frames, rows and columns; None where the images do not say."""
        first = self.frames.frames[0] if self.frames is not None else None
        if self.frames is None or first is None or first.spacing_mm is None or self.frames.space is not Space.PATIENT:
            return None
        between = self.frames.slice_distance_mm or self.frames.thickness_mm
        if between is None:
            return None
        return between, *first.spacing_mm


class VersionReader:
    """Reads versions of one project.

    Parameters
    ----------
    index : as whoever asks sees it
    """

    def __init__(self, index: InstanceReader, blobs: BlobStore, project: str) -> None:
        self._index = index
        self._blobs = blobs
        self._project = project

    def read(self, objects: Sequence[VersionObject], frames: SourceFrames | None = None) -> VersionContent:
        """What they say.

        Parameters
        ----------
        frames : to put masks on, so that they have the grid of another version's

        Raises
        ------
        ObjectInvalid : an object cannot be read, or lies on other images than ``frames``
        InstanceNotFound : an object is gone meanwhile
        """
        report = self._report(objects)
        segmentations = [self._segmentation(uid) for uid in _segmentations(objects)]
        named = {uid for one in segmentations for uid in _series_of_segmentation(one)}
        rows = self._images(objects, {*named, *_series_of_report(report)})
        headers = [self._header(row) for row in rows]
        placed = [one.on(frames or _frames(headers, one)) for one in segmentations]
        said = AnnotationSet(_NOBODY) if report is None else _reading(lambda: annotations_of(report))
        masked = [finding for one in placed for finding in findings_of_segmentation(one)]
        named_segments = {} if report is None else _reading(lambda: segments_by_tracking_uid(report))
        masks = _tracking_uids(segmentations)
        masks_of_groups = {uid: masks[segment] for uid, segment in named_segments.items() if segment in masks}
        annotations = replace(said, findings=tuple(_joined(said.findings, masked, masks_of_groups)))
        return VersionContent(
            annotations,
            frames or (placed[0].places if placed else None),
            SourceImages.of_images(headers) if headers else None,
        )

    def row(self, sop_instance_uid: str) -> InstanceRow:
        """One object or image.

        Raises
        ------
        InstanceNotFound : it is not held, or not seen
        """
        found = self._index.find(self._project, sop_instance_uid)
        if found is None:
            raise InstanceNotFound("an object of the version is not held any more")
        return found

    def whole(self, sop_instance_uid: str) -> Dataset:
        """One object with its pixels.

        Raises
        ------
        InstanceNotFound : it is not held, or not seen
        """
        with self._blobs.open(self.row(sop_instance_uid).blob.key) as stream:
            return dcmread(stream)

    def header(self, sop_instance_uid: str) -> Dataset:
        """One object without its pixels.

        Raises
        ------
        InstanceNotFound : it is not held, or not seen
        """
        return self._header(self.row(sop_instance_uid))

    def stored_frame(self, header: Dataset, number: int) -> npt.NDArray[Any]:
        """Stored values of one frame of an image, counted from 1."""
        pixels = decode_pixels(self.whole(str(header.SOPInstanceUID)))
        return pixels[number - 1] if int(header.get("NumberOfFrames") or 1) > 1 else pixels

    def _report(self, objects: Sequence[VersionObject]) -> Dataset | None:
        found = next((one for one in objects if one.family == REPORT), None)
        return None if found is None else self.header(found.sop_instance_uid)

    def _segmentation(self, uid: str) -> ReadSegmentation:
        with self._blobs.open(self.row(uid).blob.key) as stream:
            content = stream.read()
        return _reading(lambda: read_segmentation(content))

    def _images(self, objects: Sequence[VersionObject], series: set[str]) -> list[InstanceRow]:
        if not objects:
            return []
        study_uid = self.row(objects[0].sop_instance_uid).study_uid
        found = [self._index.instances_of(self._project, study_uid, uid) for uid in sorted(series)]
        return [row for rows in found for row in rows if row.kind is ObjectKind.IMAGE]

    def _header(self, row: InstanceRow) -> Dataset:
        with self._blobs.open(row.blob.key) as stream:
            return dcmread(stream, stop_before_pixels=True)


def _segmentations(objects: Sequence[VersionObject]) -> list[str]:
    """Those of the version, else those that its report rests on."""
    own = [one.sop_instance_uid for one in objects if one.family == SEGMENTATION]
    return own or [uid for one in objects if one.family == REPORT for uid in one.refers_to]


def _frames(headers: Sequence[Dataset], segmentation: ReadSegmentation) -> SourceFrames:
    """The frames of the images that a segmentation is about, along their normal where they lie in the patient."""
    series = set(_series_of_segmentation(segmentation))
    images = [one for one in headers if str(one.get("SeriesInstanceUID", "")) in series]
    # The views of a mammography may be of several sizes; a segmentation is about those of its own.
    alike = [one for one in images if (one.get("Rows"), one.get("Columns")) == _size(segmentation)]
    frames = frames_of_images(alike or images)
    if frames.space is not Space.PATIENT:
        return frames
    return replace(frames, frames=tuple(sorted(frames.frames, key=_along_normal)))


def _size(segmentation: ReadSegmentation) -> tuple[Any, Any]:
    return segmentation.header.get("Rows"), segmentation.header.get("Columns")


def _along_normal(frame: SourceFrame) -> float:
    orientation = np.array(frame.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    return float(np.dot(np.cross(orientation[:3], orientation[3:]), np.array(frame.position or (0.0, 0.0, 0.0))))


def _tracking_uids(segmentations: Sequence[ReadSegmentation]) -> dict[tuple[str, int], str]:
    """For each segment, by its segmentation and number, the tracking UID of its finding."""
    return {
        (str(read.header.get("SOPInstanceUID", "")), segment.number): tracking_uid_of(read, segment)
        for read in segmentations
        for segment in read.segments
    }


def _joined(
    reported: Sequence[Finding], masked: Sequence[Finding], masks_of_groups: Mapping[str, str]
) -> Iterator[Finding]:
    """Findings of the report with their masks, then what the segmentation alone shows.

    A mask is known by the finding's tracking UID, else by the segment that its group names: segments of others often
    have none.
    """
    by_uid = {one.tracking_uid: one for one in masked}
    for one in reported:
        same = by_uid.pop(one.tracking_uid, None) or by_uid.pop(masks_of_groups.get(one.tracking_uid, ""), None)
        yield one if same is None else replace(one, mask=same.mask, colour=same.colour)
    yield from by_uid.values()


def _series_of_segmentation(segmentation: ReadSegmentation) -> list[str]:
    items = segmentation.header.get("ReferencedSeriesSequence") or ()
    return [str(item.SeriesInstanceUID) for item in items if item.get("SeriesInstanceUID")]


def _series_of_report(report: Dataset | None) -> list[str]:
    if report is None:
        return []
    studies = report.get("CurrentRequestedProcedureEvidenceSequence") or ()
    series = [one for study in studies for one in study.get("ReferencedSeriesSequence") or ()]
    return [str(one.SeriesInstanceUID) for one in series if one.get("SeriesInstanceUID")]


def _reading(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except _BROKEN as error:
        raise ObjectInvalid("an object of the version cannot be read: see annogate validate") from error
