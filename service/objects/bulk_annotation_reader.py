"""Microscopy Bulk Simple Annotations, read back (PS3.3 A.87, C.37.1.2)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import MicroscopyBulkSimpleAnnotationsStorage

from service.core.annotations import Author, PersonObserver
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification
from service.core.geometry import ImagePlace, PatientPlace, Place, ShapeKind
from service.errors import ObjectInvalid
from service.objects.annotation_groups import POINTS_EACH, AnnotationGroup, BulkAnnotations, GroupMeasurement
from service.objects.content_tree import first_code
from service.objects.display_colour import rgb_of
from service.objects.result_context import NOT_FOR_DIAGNOSIS
from service.objects.shape_items import image_place

_UNKNOWN_FAMILY: Final = Code("123110", "DCM", "Artificial Intelligence")


def read_bulk_annotations(data_set: Dataset) -> BulkAnnotations:
    """The groups of Microscopy Bulk Simple Annotations, whoever wrote them.

    Raises
    ------
    ObjectInvalid : it is none, or its arrays do not fit each other
    """
    if str(data_set.get("SOPClassUID", "")) != MicroscopyBulkSimpleAnnotationsStorage:
        raise ObjectInvalid("no Microscopy Bulk Simple Annotations; hand over an object of that class")
    items = data_set.get("AnnotationGroupSequence") or ()
    if not items:
        raise ObjectInvalid("bulk annotations without a group; the object says nothing")
    place = _place_in(data_set)
    axes = 2 if isinstance(place, ImagePlace) else 3
    return BulkAnnotations(_author_in(data_set, items[0]), place, tuple(_group_in(item, axes) for item in items))


def _place_in(data_set: Dataset) -> Place:
    if data_set.get("AnnotationCoordinateType") == "3D":
        return PatientPlace(str(data_set.get("FrameOfReferenceUID", "")))
    references: list[Dataset] = list(data_set.get("ReferencedImageSequence") or [])
    if len(references) != 1:
        raise ObjectInvalid("bulk annotations in pixels name the one image that they are of; this object does not")
    return image_place(references[0])


def _author_in(data_set: Dataset, group: Dataset) -> Author:
    algorithms = group.get("AnnotationGroupAlgorithmIdentificationSequence") or ()
    if not algorithms:
        return PersonObserver(str(data_set.get("ContentCreatorName") or ""))
    item = algorithms[0]
    pairs = (text.partition("=") for text in str(item.get("AlgorithmParameters") or "").splitlines() if text)
    contributing = data_set.get("ContributingEquipmentSequence") or ()
    return AlgorithmIdentification(
        name=str(item.get("AlgorithmName", "")),
        version=str(item.get("AlgorithmVersion", "")),
        manufacturer=str(item.get("AlgorithmSource") or data_set.get("Manufacturer", "")),
        family=first_code(item, "AlgorithmFamilyCodeSequence") or _UNKNOWN_FAMILY,
        device_uid=str(data_set.get("DeviceUID", "")),
        parameters={name: value for name, _, value in pairs},
        demonstrator=any(one.get("ContributionDescription") == NOT_FOR_DIAGNOSIS for one in contributing),
    )


def _group_in(item: Dataset, axes: int) -> AnnotationGroup:
    label = str(item.get("AnnotationGroupLabel", ""))
    category = first_code(item, "AnnotationPropertyCategoryCodeSequence")
    kind_of_property = first_code(item, "AnnotationPropertyTypeCodeSequence")
    if category is None or kind_of_property is None:
        raise ObjectInvalid(f"annotation group {label}: it does not say by codes what it marks")
    graphic = str(item.get("GraphicType", "")).lower()
    if graphic not in [str(kind) for kind in POINTS_EACH]:
        raise ObjectInvalid(f"annotation group {label}: its Graphic Type is none of PS3.3 C.37.1.2")
    kind = ShapeKind(graphic)
    points, starts = _coordinates_in(item, kind, axes, label)
    regions = item.get("AnatomicRegionSequence") or ()
    holder, keyword = (
        (regions[0], "AnatomicRegionModifierSequence")
        if regions
        else (item.AnnotationPropertyTypeCodeSequence[0], "AnnotationPropertyTypeModifierCodeSequence")
    )
    colour = item.get("RecommendedDisplayCIELabValue")
    return AnnotationGroup(
        label=label,
        uid=str(item.get("AnnotationGroupUID", "")),
        category=category,
        type=kind_of_property,
        kind=kind,
        points=points,
        starts=starts,
        measurements=tuple(_measurement_in(one, len(starts), label) for one in item.get("MeasurementsSequence") or ()),
        site=first_code(item, "AnatomicRegionSequence"),
        laterality=first_code(holder, keyword),
        colour=rgb_of(colour) if colour else None,
        description=str(item.get("AnnotationGroupDescription") or ""),
    )


def _coordinates_in(
    item: Dataset, kind: ShapeKind, axes: int, label: str
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    common_z = item.get("CommonZCoordinateValue") if axes == 3 else None
    stored = 2 if common_z is not None else axes
    double = item.get("DoublePointCoordinatesData")
    numbers = _array(double if double is not None else item.get("PointCoordinatesData"), "<f8" if double else "<f4")
    if not len(numbers) or len(numbers) % stored:
        raise ObjectInvalid(f"annotation group {label}: its coordinates are no whole points of {stored} numbers")
    points = numbers.reshape(-1, stored)
    if common_z is not None:
        points = np.column_stack([points, np.full(len(points), common_z, dtype=points.dtype)])
    each = POINTS_EACH[kind]
    if each is not None:
        starts = np.arange(0, len(points), each)
    else:
        first = _array(item.get("LongPrimitivePointIndexList"), "<u4").astype(np.int64) - 1
        if not len(first) or (first % stored).any() or (np.diff(first) <= 0).any() or first[-1] >= len(numbers):
            raise ObjectInvalid(f"annotation group {label}: Long Primitive Point Index List points at no points of it")
        starts = first // stored
    if int(item.get("NumberOfAnnotations") or 0) != len(starts):
        raise ObjectInvalid(f"annotation group {label}: Number of Annotations is not how many there are")
    return points, starts


def _measurement_in(item: Dataset, count: int, label: str) -> GroupMeasurement:
    name, unit = first_code(item, "ConceptNameCodeSequence"), first_code(item, "MeasurementUnitsCodeSequence")
    stored: list[Dataset] = list(item.get("MeasurementValuesSequence") or [])
    if name is None or unit is None or len(stored) != 1:
        raise ObjectInvalid(f"annotation group {label}: a measurement without name, unit or values")
    numbers = _array(stored[0].get("FloatingPointValues"), "<f4")
    which = _array(stored[0].get("AnnotationIndexList"), "<u4").astype(np.int64) - 1
    if not len(which):
        which = np.arange(count)
    if len(which) != len(numbers) or (len(which) and not 0 <= which.min() <= which.max() < count):
        raise ObjectInvalid(f"annotation group {label}: {name.meaning} is of annotations that are not there")
    values = np.full(count, np.nan, dtype=np.float32)
    values[which] = numbers
    return GroupMeasurement(name, unit, values)


def _array(data: Any, form: str) -> npt.NDArray[Any]:
    content = bytes(data or b"")
    size = np.dtype(form).itemsize
    return np.frombuffer(content[: len(content) // size * size], dtype=form)
