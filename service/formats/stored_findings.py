"""What a study's reports and segmentations say of one volume, as findings with their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.core.codes import Code
from service.core.findings import Finding, Mask
from service.core.geometry import ShapeKind
from service.core.ports import BlobStore
from service.core.records import ObjectKind
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused, ObjectInvalid
from service.formats.flat_images import FlatImages
from service.formats.segment_masks import SegmentMasks, segment_masks
from service.formats.segmentation_frames import SegmentationFrames
from service.objects import concepts
from service.objects.content_tree import first_code, is_named
from service.objects.display_colour import rgb_of
from service.objects.findings_reader import findings_of
from service.objects.segment_references import segments_by_tracking_uid
from service.objects.source_images import SourceImages
from service.objects.structure_set_reader import read_structure_set, region_of
from service.objects.tracking import label_of

_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_NO_CODE: Final = Code("", "", "")
_BROKEN: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)

LoadMask = Callable[[], Mask | None]
MakerOf = Callable[[InstanceRow, Dataset], str | None]


@dataclass(frozen=True, slots=True, eq=False)
class StoredFinding:
    """One finding on a volume.

    Parameters
    ----------
    finding : without its mask
    maker : who marked it
    load_mask : reads its mask in the grid of the volume; None where it has none
    """

    finding: Finding
    maker: str
    load_mask: LoadMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MarkingObject:
    """A report, a segmentation or a structure set of a study, without pixel data, and who made it."""

    row: InstanceRow
    header: Dataset = field(repr=False)
    maker: str

    @property
    def uid(self) -> str:
        """Its SOP Instance UID."""
        return self.row.sop_instance_uid


class StudyMarks:
    """What chosen makers marked in one study: reports, segmentations, structure sets of treatment planning.

    A report that another one replaces is left out, and so are structure sets that models' results are delivered as.

    Parameters
    ----------
    rows : the objects of the study that may be such
    maker_of : who made an object, by its row and its header; None where it does not count
    """

    def __init__(self, rows: Sequence[InstanceRow], blobs: BlobStore, maker_of: MakerOf) -> None:
        self._blobs = blobs
        read = ((row, _header(row, blobs)) for row in rows)
        found = [MarkingObject(row, header, maker) for row, header in read if (maker := maker_of(row, header))]
        replaced = {uid for one in found for uid in _instances(one.header, "PredecessorDocumentsSequence")}
        self._reports = [one for one in found if _is_report(one) and one.uid not in replaced]
        self._segmentations = {one.uid: one for one in found if one.row.sop_class_uid in _SEGMENTATIONS}
        self._structure_sets = [one for one in found if is_structure_set(one.row)]

    @property
    def series_uids(self) -> frozenset[str]:
        """The series that they are about."""
        return frozenset(
            uid
            for one in (*self._reports, *self._segmentations.values())
            for uid in _series(one.header, "ReferencedSeriesSequence") | _evidence_series(one.header)
        ) | {uid for one in self._structure_sets for uid in _series_of_structure_set(one.header)}

    def on(self, volume: VolumeSlices | FlatImages) -> list[StoredFinding] | None:
        """What was marked on a volume or on flat images, in the order of the documents; None where nobody looked at it.

        Raises
        ------
        FormatRefused : a report or a segmentation about it cannot be read, or lies on another grid
        """
        images = {str(one.source.SOPInstanceUID) for one in volume.slices}
        masks = {uid: found for uid, one in self._segmentations.items() if (found := self._masks(one, volume))}
        reports = [one for one in self._reports if _evidence(one.header) & images]
        contoured = self._contoured(volume)
        if not (reports or masks or contoured):
            return None
        reported: set[tuple[str, int]] = set()
        marked = [item for report in reports for item in self._reported(report, volume, masks, reported)]
        for uid, on_volume in masks.items():
            marked += _unreported(uid, self._segmentations[uid].maker, on_volume, reported)
        if not isinstance(volume, FlatImages):
            for one in contoured:
                marked += _regions(one, volume)
        return marked

    def _contoured(self, volume: VolumeSlices | FlatImages) -> list[MarkingObject]:
        """Structure sets about a volume; contours are in the patient, and flat images are not."""
        if isinstance(volume, FlatImages):
            return []
        return [one for one in self._structure_sets if _series_uid(volume) in _series_of_structure_set(one.header)]

    def _masks(self, one: MarkingObject, volume: VolumeSlices | FlatImages) -> SegmentMasks | None:
        series_uid = _series_uid(volume)
        named = _series(one.header, "ReferencedSeriesSequence")
        if named and series_uid not in named:
            return None
        opened = partial(self._blobs.open, one.row.blob.key)
        try:
            return segment_masks(one.header, SegmentationFrames(one.header, opened, one.row.blob.pixels), volume)
        except _BROKEN as error:
            raise FormatRefused("its segmentation cannot be read: see annogate validate") from error

    def _reported(
        self,
        report: MarkingObject,
        volume: VolumeSlices | FlatImages,
        masks: dict[str, SegmentMasks],
        reported: set[tuple[str, int]],
    ) -> Iterator[StoredFinding]:
        """The findings of one report that have a place on the volume."""
        sources = [one.source for one in volume.slices]
        try:
            segments = segments_by_tracking_uid(report.header)
            named = [self._segmentations[uid].header for uid, _ in segments.values() if uid in self._segmentations]
            findings = findings_of(report.header, named[0] if named else None)
        except (*_BROKEN, ObjectInvalid) as error:
            raise FormatRefused("its report cannot be read: see annogate validate") from error
        on_images = SourceImages.of_images(sources)
        for found in findings:
            finding = _lines_in_patient(found, on_images)
            segment = segments.get(finding.tracking_uid)
            if segment is None:
                if isinstance(volume, FlatImages) and not _is_drawn_on(finding, on_images):
                    continue  # on images of another size of the series
                yield StoredFinding(finding, report.maker)
                continue
            reported.add(segment)
            uid, number = segment
            if uid in masks:
                called = _named(finding, masks[uid].header, number)
                yield StoredFinding(called, report.maker, partial(masks[uid].mask, number))
            elif uid not in self._segmentations:
                raise FormatRefused("its report refers to a segmentation that is not there: store it again")


def _is_drawn_on(finding: Finding, sources: SourceImages) -> bool:
    """Whether any shape of a finding lies on one of the images."""
    known = {uid for _, uid in sources.instances}
    drawn = [*finding.shapes, *(one.shape for one in finding.measurements if one.shape is not None)]
    return any(shape.on_image is not None and shape.on_image.sop_instance_uid in known for shape in drawn)


def _lines_in_patient(finding: Finding, sources: SourceImages) -> Finding:
    """The finding with the lines of its measurements in millimetres, where their images lie in the patient."""
    measurements = [
        replace(one, shape=sources.to_patient(one.shape)) if one.shape and one.shape.kind is ShapeKind.LINE else one
        for one in finding.measurements
    ]
    return replace(finding, measurements=tuple(measurements))


def _named(finding: Finding, segmentation: Dataset, number: int) -> Finding:
    """The finding under its segment's label: a tracking identifier of unknown words became a token on its way in."""
    labels = (one.get("SegmentLabel") for one in segmentation.SegmentSequence if one.get("SegmentNumber") == number)
    label = next(labels, None)
    return replace(finding, label=str(label)) if label else finding


def _unreported(uid: str, maker: str, masks: SegmentMasks, reported: set[tuple[str, int]]) -> Iterator[StoredFinding]:
    """Segments that no report speaks of, as findings of their own."""
    for segment in masks.header.get("SegmentSequence") or []:
        number = int(segment.SegmentNumber)
        if (uid, number) not in reported and number > 0:
            yield StoredFinding(finding_of_segment(segment, uid), maker, partial(masks.mask, number))


def _regions(one: MarkingObject, volume: VolumeSlices) -> Iterator[StoredFinding]:
    """The regions of a structure set that enclose something; points and open lines have no voxels."""
    try:
        findings = read_structure_set(one.header).annotations.findings
    except (*_BROKEN, ObjectInvalid) as error:
        raise FormatRefused("its structure set cannot be read: see annogate validate") from error
    for finding in findings:
        if any(shape.kind is ShapeKind.POLYGON for shape in finding.shapes):
            yield StoredFinding(replace(finding, shapes=()), one.maker, partial(_region, finding, volume))


def _region(finding: Finding, volume: VolumeSlices) -> Mask:
    try:
        return region_of(finding, volume.without_voxels()).mask
    except ObjectInvalid as error:
        raise FormatRefused(f"a region of its structure set cannot be filled: {error}") from error


def finding_of_segment(segment: Dataset, segmentation_uid: str) -> Finding:
    """What a segment says of itself (PS3.3 C.8.20.4), without its mask."""
    number = int(segment.SegmentNumber)
    kinds: list[Dataset] = list(segment.get("SegmentedPropertyTypeCodeSequence") or [])
    regions: list[Dataset] = list(segment.get("AnatomicRegionSequence") or [])
    side = first_code(regions[0], "AnatomicRegionModifierSequence") if regions else None
    if side is None and kinds:
        side = first_code(kinds[0], "SegmentedPropertyTypeModifierCodeSequence")
    own_uid = f"2.25.{uuid5(NAMESPACE_OID, f'{segmentation_uid} segment {number}').int}"
    finding = Finding(
        label=str(segment.get("SegmentLabel") or label_of(str(segment.get("TrackingID", "")))),
        tracking_uid=str(segment.get("TrackingUID") or own_uid),
        category=first_code(segment, "SegmentedPropertyCategoryCodeSequence") or _NO_CODE,
        type=first_code(segment, "SegmentedPropertyTypeCodeSequence") or _NO_CODE,
        site=first_code(segment, "AnatomicRegionSequence"),
        laterality=side,
    )
    colour = segment.get("RecommendedDisplayCIELabValue")
    return finding if colour is None else replace(finding, colour=rgb_of(tuple(colour)))


def _header(row: InstanceRow, blobs: BlobStore) -> Dataset:
    try:
        with blobs.open(row.blob.key) as stream:
            return dcmread(stream, stop_before_pixels=True)
    except (*_BROKEN, EOFError, NotImplementedError) as error:
        raise FormatRefused("a report or segmentation of it cannot be read: see annogate validate") from error


def is_marking(row: InstanceRow) -> bool:
    """Whether an instance may be a report, a segmentation or somebody's structure set."""
    named = row.sop_class_uid in _SEGMENTATIONS or row.sop_class_uid.startswith(_REPORTS)
    return named or is_structure_set(row)


def is_structure_set(row: InstanceRow) -> bool:
    """Whether it is somebody's structure set; of a model's result one says once more, for peers, what its SEG says."""
    return row.sop_class_uid == _STRUCTURE_SET and row.kind is not ObjectKind.RESULT


def _is_report(one: MarkingObject) -> bool:
    return one.row.sop_class_uid.startswith(_REPORTS) and is_named(one.header, concepts.IMAGING_MEASUREMENT_REPORT)


def _evidence(report: Dataset) -> set[str]:
    """Every instance that a report names as evidence (PS3.3 C.17.2.3)."""
    return _instances(report, "CurrentRequestedProcedureEvidenceSequence") | _instances(
        report, "PertinentOtherEvidenceSequence"
    )


def _instances(header: Dataset, keyword: str) -> set[str]:
    return {
        str(instance.get("ReferencedSOPInstanceUID", ""))
        for study in header.get(keyword) or []
        for series in study.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedSOPSequence") or []
    }


def _evidence_series(header: Dataset) -> set[str]:
    studies = header.get("CurrentRequestedProcedureEvidenceSequence") or []
    return {uid for study in studies for uid in _series(study, "ReferencedSeriesSequence")}


def _series_uid(volume: VolumeSlices | FlatImages) -> str:
    return str(volume.slices[0].source.SeriesInstanceUID)


def _series_of_structure_set(header: Dataset) -> set[str]:
    """The series that it was drawn on (PS3.3 C.8.8.5)."""
    return {
        uid
        for frame in header.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for uid in _series(study, "RTReferencedSeriesSequence")
    }


def _series(header: Dataset, keyword: str) -> set[str]:
    return {str(series.get("SeriesInstanceUID", "")) for series in header.get(keyword) or []}
