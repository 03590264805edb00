"""Microscopy Bulk Simple Annotations, written from groups of annotations (PS3.3 A.87, C.37.1)."""

from __future__ import annotations

from copy import deepcopy
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MicroscopyBulkSimpleAnnotationsStorage

from service.core.annotations import Author, PersonObserver
from service.core.findings import AlgorithmIdentification
from service.core.geometry import ImagePlace, Place
from service.errors import ObjectInvalid
from service.objects.annotation_groups import POINTS_EACH, AnnotationGroup, BulkAnnotations, GroupMeasurement
from service.objects.code_strings import code_string
from service.objects.content_items import code_item, image_reference
from service.objects.display_colour import cielab_of
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.result_context import ResultContext

_SPECIMEN: Final = (
    "ContainerIdentifier",
    "IssuerOfTheContainerIdentifierSequence",
    "ContainerTypeCodeSequence",
    "SpecimenDescriptionSequence",
)
_MOST_BYTES: Final = 2**32 - 2


def write_bulk_annotations(annotations: BulkAnnotations, title: str, image: Dataset, context: ResultContext) -> Dataset:
    """What one author marked on a tiled microscopy image, group by group, coordinates as arrays of numbers.

    Parameters
    ----------
    title : what the author is called in Series Description
    image : the header of the image that the coordinates are of
    context : its series number is that of the annotations

    Raises
    ------
    ObjectInvalid : the image has no tiles, or is not the one that the place names, or a coordinate lies outside of it
    """
    _check(annotations, image)
    data_set = patient_and_study_of(image)
    _describe(data_set, annotations, title, image, context)
    _place(data_set, annotations.place, image)
    data_set.AnnotationGroupSequence = [
        _group_item(group, number, annotations.author) for number, group in enumerate(annotations.groups, start=1)
    ]
    return data_set


def _check(annotations: BulkAnnotations, image: Dataset) -> None:
    if "TotalPixelMatrixColumns" not in image:
        raise ObjectInvalid("bulk annotations are of tiled microscopy images; write a report for others")
    if not annotations.groups:
        raise ObjectInvalid("there is no group of annotations; write a report that says that nothing was found")
    place = annotations.place
    on_image = isinstance(place, ImagePlace)
    if isinstance(place, ImagePlace):
        if place.sop_instance_uid != str(image.SOPInstanceUID):
            raise ObjectInvalid("the annotations were drawn on another image than the one that they are written for")
        if len(place.frames) > 1:
            raise ObjectInvalid("bulk annotations lie on one frame, or on the whole of all tiles; write one for each")
    elif place.frame_of_reference_uid not in ("", str(image.get("FrameOfReferenceUID", ""))):
        raise ObjectInvalid("the annotations are in another Frame of Reference than the image")
    for group in annotations.groups:
        if (group.points.shape[1] == 2) is not on_image:
            raise ObjectInvalid(f"annotation group {group.label}: an image has two coordinates, a patient three")
        if group.points.nbytes > _MOST_BYTES:
            raise ObjectInvalid(f"annotation group {group.label}: more than one object can hold; part it")
        if isinstance(place, ImagePlace):
            _check_inside(group, image, whole=not place.frames)


def _check_inside(group: AnnotationGroup, image: Dataset, *, whole: bool) -> None:
    size = (image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows) if whole else (image.Columns, image.Rows)
    outside = np.flatnonzero(((group.points < 0) | (group.points > np.asarray(size, dtype=np.float64))).any(axis=1))
    if len(outside):
        number = int(np.searchsorted(group.starts, outside[0], side="right"))
        raise ObjectInvalid(
            f"annotation group {group.label}: annotation {number} lies outside the image of {size[0]} columns "
            f"and {size[1]} rows; give coordinates of the Total Pixel Matrix"
        )


def _describe(
    data_set: Dataset, annotations: BulkAnnotations, title: str, image: Dataset, context: ResultContext
) -> None:
    """Series, equipment, specimen, content identification, SOP Common and Common Instance Reference."""
    data_set.SOPClassUID = MicroscopyBulkSimpleAnnotationsStorage
    data_set.StudyInstanceUID = image.StudyInstanceUID
    data_set.SeriesInstanceUID, data_set.SOPInstanceUID = context.uid(), context.uid()
    data_set.Modality = "ANN"
    data_set.SeriesNumber, data_set.InstanceNumber = context.series_number_base, 1
    data_set.Laterality = image.get("Laterality")
    data_set.SeriesDescription = data_set.ContentDescription = series_description(title, annotations.author)
    data_set.ContentLabel = code_string(title, "ANNOTATIONS")
    if isinstance(annotations.author, PersonObserver):
        data_set.ContentCreatorName = annotations.author.name
    data_set.ContentDate = data_set.SeriesDate = data_set.InstanceCreationDate = context.date
    data_set.ContentTime = data_set.SeriesTime = data_set.InstanceCreationTime = context.time
    describe_equipment(data_set, annotations.author, context)
    for keyword in _SPECIMEN:
        if keyword in image:
            data_set[keyword] = deepcopy(image[keyword])
    reference = image_reference(str(image.SOPClassUID), str(image.SOPInstanceUID))
    series = Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference]
    data_set.ReferencedSeriesSequence = [series]
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID


def _place(data_set: Dataset, place: Place, image: Dataset) -> None:
    """In which coordinates: of the tiles as a whole, of one frame, or of the slide (PS3.3 C.37.1.2)."""
    reference = image_reference(str(image.SOPClassUID), str(image.SOPInstanceUID))
    data_set.ReferencedImageSequence = [reference]
    if isinstance(place, ImagePlace):
        data_set.AnnotationCoordinateType = "2D"
        data_set.PixelOriginInterpretation = "FRAME" if place.frames else "VOLUME"
        if place.frames:
            reference.ReferencedFrameNumber = place.frames[0]
        return
    data_set.AnnotationCoordinateType = "3D"
    data_set.FrameOfReferenceUID = image.FrameOfReferenceUID
    data_set.PositionReferenceIndicator = image.get("PositionReferenceIndicator")


def _group_item(group: AnnotationGroup, number: int, author: Author) -> Dataset:
    item = Dataset()
    item.AnnotationGroupNumber = number
    item.AnnotationGroupUID = group.uid
    item.AnnotationGroupLabel = group.label
    if group.description:
        item.AnnotationGroupDescription = group.description
    item.AnnotationGroupGenerationType = "MANUAL" if isinstance(author, PersonObserver) else "AUTOMATIC"
    if isinstance(author, AlgorithmIdentification):
        item.AnnotationGroupAlgorithmIdentificationSequence = [_algorithm_item(author)]
    item.AnnotationPropertyCategoryCodeSequence = [code_item(group.category)]
    item.AnnotationPropertyTypeCodeSequence = [code_item(group.type)]
    _anatomy(item, group)
    if group.colour is not None:
        item.RecommendedDisplayCIELabValue = cielab_of(group.colour)
    item.NumberOfAnnotations = len(group)
    item.GraphicType = str(group.kind).upper()
    _coordinates(item, group)
    item.AnnotationAppliesToAllOpticalPaths = "YES"
    if group.measurements:
        item.MeasurementsSequence = [_measurement_item(one) for one in group.measurements]
    return item


def _anatomy(item: Dataset, group: AnnotationGroup) -> None:
    side = [code_item(group.laterality)] if group.laterality is not None else []
    if group.site is not None:
        item.AnatomicRegionSequence = [code_item(group.site)]
    if side and group.site is not None:
        item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = side
    elif side:
        item.AnnotationPropertyTypeCodeSequence[0].AnnotationPropertyTypeModifierCodeSequence = side


def _coordinates(item: Dataset, group: AnnotationGroup) -> None:
    points = group.points
    if points.shape[1] == 3:
        item.AnnotationAppliesToAllZPlanes = "NO"
        if (points[:, 2] == points[0, 2]).all():
            item.CommonZCoordinateValue = float(points[0, 2])
            points = points[:, :2]
    if POINTS_EACH[group.kind] is None:
        item.LongPrimitivePointIndexList = (group.starts * points.shape[1] + 1).astype("<u4").tobytes()
    if points.dtype == np.float32:
        item.PointCoordinatesData = points.astype("<f4", copy=False).tobytes()
    else:
        item.DoublePointCoordinatesData = points.astype("<f8", copy=False).tobytes()


def _measurement_item(measurement: GroupMeasurement) -> Dataset:
    values = Dataset()
    given = np.isfinite(measurement.values)
    values.FloatingPointValues = measurement.values[given].astype("<f4").tobytes()
    if not given.all():
        values.AnnotationIndexList = (np.flatnonzero(given) + 1).astype("<u4").tobytes()
    item = Dataset()
    item.ConceptNameCodeSequence = [code_item(measurement.name)]
    item.MeasurementUnitsCodeSequence = [code_item(measurement.unit)]
    item.MeasurementValuesSequence = [values]
    return item


def _algorithm_item(author: AlgorithmIdentification) -> Dataset:
    """Algorithm Identification Macro (PS3.3 10.16)."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [code_item(author.family)]
    item.AlgorithmName, item.AlgorithmVersion = author.name[:64], author.version[:64]
    item.AlgorithmSource = author.manufacturer[:64]
    if author.parameters:
        item.AlgorithmParameters = "\n".join(f"{name}={value}" for name, value in author.parameters.items())
    return item
