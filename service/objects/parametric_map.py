"""A number for each voxel written as a Parametric Map (PS3.3 A.75), frames on the source's own slices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ParametricMapStorage
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.annotations import Author, ParameterMap, PersonObserver
from service.core.codes import Code
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_items import code, code_item, image_reference
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_plane import ImagePlane, planes_of, slice_distance_mm, slice_thickness_mm
from service.objects.result_context import ResultContext
from service.objects.source_images import SourceImages

QUANTITY: Final = Code("246205007", "SCT", "Quantity")
_IMAGE_PROCESSING: Final = Code("110001", "DCM", "Image Processing")
_SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")
_IMAGE_TYPE: Final = ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]


def write_parametric_map(
    parameters: ParameterMap, author: Author, title: str, volume: Volume, context: ResultContext
) -> Dataset:
    """One map in a series of its own, a frame for each slice of the volume, as 32-bit floats; NaN stays NaN.

    Parameters
    ----------
    title : what the author is called in Series Description; the map's label follows it

    Raises
    ------
    ObjectInvalid : the values are not the volume's, none of them is a number, or the volume has no Frame of Reference
    """
    values = np.ascontiguousarray(parameters.values, dtype="<f4")
    finite = values[np.isfinite(values)]
    if values.shape != volume.shape:
        raise ObjectInvalid(f"{parameters.label}: a map of {values.shape} values does not fit {volume.shape} voxels")
    if not finite.size:
        raise ObjectInvalid(f"{parameters.label}: no value is a number, so there is nothing to write")
    if not volume.frame_of_reference_uid:
        raise ObjectInvalid("the images have no Frame of Reference, which a parametric map needs")
    data_set = patient_and_study_of(volume.sources[0])
    _describe_series(data_set, parameters, author, title, volume, context)
    _describe_image(data_set, parameters, author, volume)
    planes = planes_of(volume)
    _describe_dimensions(data_set, context)
    data_set.SharedFunctionalGroupsSequence = [
        _shared_groups(parameters, planes[0], volume, (float(finite.min()), float(finite.max())))
    ]
    data_set.PerFrameFunctionalGroupsSequence = [_frame_groups(number, plane) for number, plane in enumerate(planes, 1)]
    data_set.NumberOfFrames = len(planes)
    data_set.FloatPixelData = values.tobytes()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    return data_set


def _describe_series(
    data_set: Dataset, parameters: ParameterMap, author: Author, title: str, volume: Volume, context: ResultContext
) -> None:
    """General Series, Frame of Reference, equipment, SOP Common, Common Instance Reference (PS3.3 C.12.2)."""
    data_set.SOPClassUID = ParametricMapStorage
    data_set.SOPInstanceUID = context.uid()
    data_set.StudyInstanceUID = volume.study_uid
    data_set.SeriesInstanceUID = context.uid()
    data_set.Modality = volume.modality
    # Type 2C: empty where the source does not say whether the part is a paired one.
    data_set.Laterality = volume.sources[0].get("Laterality")
    data_set.SeriesNumber = context.series_number_base + 3
    data_set.InstanceNumber = 1
    data_set.SeriesDescription = series_description(f"{title}: {parameters.label}", author)
    data_set.ContentDate = data_set.SeriesDate = data_set.InstanceCreationDate = context.date
    data_set.ContentTime = data_set.SeriesTime = data_set.InstanceCreationTime = context.time
    data_set.FrameOfReferenceUID = volume.frame_of_reference_uid
    data_set.PositionReferenceIndicator = None
    describe_equipment(data_set, author, context)
    series = Dataset()
    series.SeriesInstanceUID = volume.series_uid
    series.ReferencedInstanceSequence = [image_reference(*pair) for pair in SourceImages.of_volume(volume).instances]
    data_set.ReferencedSeriesSequence = [series]


def _describe_image(data_set: Dataset, parameters: ParameterMap, author: Author, volume: Volume) -> None:
    """Parametric Map Image, Floating Point Image Pixel, Acquisition Context (PS3.3 C.8.23.2, C.7.6.24, C.7.6.14)."""
    source = volume.sources[0]
    data_set.ImageType = _IMAGE_TYPE
    data_set.Rows, data_set.Columns = volume.shape[1:]
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.BitsAllocated = 32
    data_set.PresentationLUTShape = "IDENTITY"
    data_set.ContentQualification = "RESEARCH"
    data_set.BurnedInAnnotation = "NO"
    data_set.RecognizableVisualFeatures = "YES" if source.get("RecognizableVisualFeatures") == "YES" else "NO"
    data_set.LossyImageCompression = "01" if source.get("LossyImageCompression") == "01" else "00"
    if data_set.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source:
                data_set[keyword] = deepcopy(source[keyword])
    data_set.ContentLabel = re.sub(r"[^A-Z0-9]+", "_", parameters.label.upper()).strip("_")[:16] or "MAP"
    data_set.ContentDescription = parameters.label[:64]
    data_set.ContentCreatorName = author.name if isinstance(author, PersonObserver) else None
    data_set.AcquisitionContextSequence = []


def _describe_dimensions(data_set: Dataset, context: ResultContext) -> None:
    """Frames differ by their position alone (PS3.3 C.7.6.17)."""
    organization, index = Dataset(), Dataset()
    organization.DimensionOrganizationUID = index.DimensionOrganizationUID = context.uid()
    index.DimensionIndexPointer = Tag("ImagePositionPatient")
    index.FunctionalGroupPointer = Tag("PlanePositionSequence")
    index.DimensionDescriptionLabel = "Image Position (Patient)"
    data_set.DimensionOrganizationSequence = [organization]
    data_set.DimensionIndexSequence = [index]


def _shared_groups(
    parameters: ParameterMap, plane: ImagePlane, volume: Volume, extremes: tuple[float, float]
) -> Dataset:
    """What holds for every frame; all carry the first slice's orientation, since rounding differs between slices."""
    measures, orientation, transformation, kind = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = _decimals(plane.spacing_mm)
    between = slice_distance_mm(volume) if volume.shape[0] > 1 else None
    thickness = slice_thickness_mm(volume.sources[0], volume.frame_numbers[0]) or between or 1.0
    measures.SliceThickness = _decimals([thickness])[0]
    if between is not None:
        measures.SpacingBetweenSlices = _decimals([between])[0]
    orientation.ImageOrientationPatient = _decimals(plane.orientation)
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = 0, 1, "US"
    kind.FrameType = _IMAGE_TYPE
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [transformation]
    shared.ParametricMapFrameTypeSequence = [kind]
    shared.FrameVOILUTSequence = [_window(*extremes)]
    shared.RealWorldValueMappingSequence = [_mapping(parameters, extremes)]
    return shared


def _window(lowest: float, highest: float) -> Dataset:
    """From the lowest value to the highest (PS3.3 C.11.2.1.3.2)."""
    window = Dataset()
    window.WindowCenter, window.WindowWidth = _decimals([(lowest + highest) / 2, (highest - lowest) or 1.0])
    window.VOILUTFunction = "LINEAR_EXACT"
    return window


def _mapping(parameters: ParameterMap, extremes: tuple[float, float]) -> Dataset:
    """Real World Value Mapping (PS3.3 C.7.6.16.2.11): the values themselves, what they are and in which unit."""
    mapping = Dataset()
    mapping.LUTLabel = parameters.label[:16]
    mapping.LUTExplanation = parameters.label[:64]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.0, 0.0
    (
        mapping.DoubleFloatRealWorldValueFirstValueMapped,
        mapping.DoubleFloatRealWorldValueLastValueMapped,
    ) = extremes
    mapping.MeasurementUnitsCodeSequence = [code_item(parameters.unit)]
    said = (
        (QUANTITY, parameters.quantity),
        (concepts.MEASUREMENT_METHOD, parameters.method),
        (concepts.DERIVATION, parameters.derivation),
    )
    items = [code(name, value) for name, value in said if value is not None]
    for item in items:
        del item.RelationshipType  # of a content tree, which this is not
    mapping.QuantityDefinitionSequence = items
    return mapping


def _frame_groups(number: int, plane: ImagePlane) -> Dataset:
    """Where a frame lies, and the frame that it was made from (PS3.3 C.7.6.16.2.6)."""
    content, position, derivation, source = Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [number]
    position.ImagePositionPatient = _decimals(plane.position)
    source.update(image_reference(plane.sop_class_uid, plane.sop_instance_uid))
    if plane.frame_number is not None:
        source.ReferencedFrameNumber = plane.frame_number
    source.PurposeOfReferenceCodeSequence = [code_item(_SOURCE_IMAGE)]
    source.SpatialLocationsPreserved = "YES"
    derivation.DerivationCodeSequence = [code_item(_IMAGE_PROCESSING)]
    derivation.SourceImageSequence = [source]
    groups = Dataset()
    groups.FrameContentSequence = [content]
    groups.PlanePositionSequence = [position]
    groups.DerivationImageSequence = [derivation]
    return groups


def _decimals(values: Iterable[float]) -> Sequence[DSfloat]:
    return [DSfloat(format_number_as_ds(float(value))) for value in values]
