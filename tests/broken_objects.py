"""For every rule of the catalogue an object that breaks it and no other, made from a good one."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from service.core.codes import Code
from service.objects import concepts
from service.objects.content_items import HAS_CONCEPT_MOD, HAS_OBS_CONTEXT, code, container, num, scoord3d, text
from service.objects.content_tree import child, children, descendants, template_of
from tests.good_objects import GoodObject, good, item, reference_to
from tests.written_results import groups

Breakage = Callable[[GoodObject], None]
BREAKAGES: dict[str, tuple[str, Breakage]] = {}


def breaks(rule: str, kind: str) -> Callable[[Breakage], Breakage]:
    """Names the rule that a function breaks, and the kind of object that it breaks it in."""

    def registered(breakage: Breakage) -> Breakage:
        BREAKAGES[rule] = kind, breakage
        return breakage

    return registered


def broken(rule: str) -> GoodObject:
    """The object that breaks a rule."""
    kind, breakage = BREAKAGES[rule]
    made = good(kind)
    breakage(made)
    return made


def raw(keyword: str | int, vr: str, value: object) -> DataElement:
    """An element as no library would write it."""
    return DataElement(keyword, vr, value, validation_mode=IGNORE)


def frames(one: GoodObject) -> list[Dataset]:
    return list(one.data_set.PerFrameFunctionalGroupsSequence)


def shared(one: GoodObject) -> Dataset:
    group: Dataset = one.data_set.SharedFunctionalGroupsSequence[0]
    return group


def every_position(one: GoodObject, index: int, value: float) -> None:
    for frame in frames(one):
        frame.PlanePositionSequence[0].ImagePositionPatient[index] = value


def first_group(one: GoodObject) -> Dataset:
    return groups(one.data_set)[0]


def volume_group(one: GoodObject) -> Dataset:
    return next(group for group in groups(one.data_set) if template_of(group) == "1411")


def numbers_of(group: Dataset) -> list[Dataset]:
    return [one for one in children(group) if one.ValueType == "NUM"]


def number_named(one: GoodObject, concept: Code) -> Dataset:
    return next(below for group in groups(one.data_set) for below in children(group, concept))


def without(holder: Dataset, concept: Code) -> None:
    holder.ContentSequence = [one for one in holder.ContentSequence if one not in children(holder, concept)]


def measurements(one: GoodObject) -> Dataset:
    found = child(one.data_set, concepts.IMAGING_MEASUREMENTS)
    assert found is not None
    return found


def first_shape(one: GoodObject) -> Dataset:
    return next(below for _, below in descendants(one.data_set) if below.ValueType == "SCOORD")


# The IOD's modules


@breaks("IOD-TYPE-1", "segmentation")
def no_label(one: GoodObject) -> None:
    del one.data_set.SegmentSequence[0].SegmentLabel


@breaks("IOD-TYPE-1C", "bulk annotations")
def automatic_group_without_algorithm(one: GoodObject) -> None:
    del one.data_set.AnnotationGroupSequence[0].AnnotationGroupAlgorithmIdentificationSequence


@breaks("IOD-LOSSY", "segmentation")
def loss_of_nobody_knows_what(one: GoodObject) -> None:
    one.data_set.LossyImageCompression = "01"


@breaks("IOD-TYPE-2", "segmentation")
def no_birth_date(one: GoodObject) -> None:
    del one.data_set.PatientBirthDate


@breaks("IOD-TYPE-2C", "structure set")
def approved_by_nobody(one: GoodObject) -> None:
    one.data_set.ApprovalStatus = "APPROVED"
    one.data_set.ReviewDate = one.data_set.ReviewTime = ""


@breaks("IOD-NOT-ALLOWED", "secondary capture")
def shape_and_spacing_of_pixels(one: GoodObject) -> None:
    one.data_set.PixelSpacing, one.data_set.PixelAspectRatio = [1, 1], [1, 1]


@breaks("IOD-ENUMERATED", "segmentation")
def original_segmentation(one: GoodObject) -> None:
    one.data_set.ImageType = ["ORIGINAL", "PRIMARY"]


@breaks("IOD-DEFINED", "structure set")
def unheard_of_algorithm(one: GoodObject) -> None:
    one.data_set.StructureSetROISequence[0].ROIGenerationAlgorithm = "GUESSED"


@breaks("IOD-NUMBER", "parametric map")
def window_of_no_width(one: GoodObject) -> None:
    shared(one).FrameVOILUTSequence[0].WindowWidth = 0


@breaks("IOD-ITEMS", "segmentation")
def two_property_types(one: GoodObject) -> None:
    types = one.data_set.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    types.append(deepcopy(types[0]))


@breaks("IOD-DEPTH", "segmentation")
def sequences_without_end(one: GoodObject) -> None:
    nested = item(PatientComments="deep")
    for _ in range(70):
        nested = item(ReferencedSeriesSequence=[nested])
    one.data_set.ConversionSourceAttributesSequence = [nested]
    nested.update(reference_to(one.sources[0]))


@breaks("IOD-READABLE", "label map")
def code_stream_that_is_none(one: GoodObject) -> None:
    one.data_set.PixelData = encapsulate([b"no RLE at all, not even its header"] * int(one.data_set.NumberOfFrames))
    one.data_set["PixelData"].VR = "OB"
    one.data_set["PixelData"].is_undefined_length = True
    one.data_set.file_meta.TransferSyntaxUID = RLELossless


@breaks("IOD-VR", "segmentation")
def text_as_short_text(one: GoodObject) -> None:
    one.data_set["SeriesDescription"] = raw("SeriesDescription", "SH", "Nodules")


@breaks("IOD-VM", "segmentation")
def three_series_numbers(one: GoodObject) -> None:
    one.data_set["SeriesNumber"] = raw("SeriesNumber", "IS", ["1", "2", "3"])


@breaks("IOD-VALUE", "segmentation")
def lower_case_code_string(one: GoodObject) -> None:
    one.data_set["ContentLabel"] = raw("ContentLabel", "CS", "nodules of the lung")


@breaks("IOD-COPIED", "segmentation")
def study_id_of_twenty_letters(one: GoodObject) -> None:
    one.data_set["StudyID"] = raw("StudyID", "SH", "THORAX-AND-SO-ON-123")


@breaks("IOD-UNKNOWN", "secondary capture")
def class_of_nobody(one: GoodObject) -> None:
    one.data_set.SOPClassUID = "1.2.3.4"


@breaks("UID-FORM", "segmentation")
def uid_with_leading_zero(one: GoodObject) -> None:
    one.data_set["InstanceCreatorUID"] = raw("InstanceCreatorUID", "UI", "1.02.3")


@breaks("UID-ONCE", "segmentation")
def one_uid_twice(one: GoodObject) -> None:
    one.data_set.SeriesInstanceUID = one.data_set.SOPInstanceUID


@breaks("CODE-MEANING", "segmentation")
def code_without_meaning(one: GoodObject) -> None:
    del one.data_set.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning


@breaks("CODE-SCHEME", "segmentation")
def code_without_scheme(one: GoodObject) -> None:
    del one.data_set.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator


@breaks("NUMBER-FINITE", "report")
def measurement_that_is_no_number(one: GoodObject) -> None:
    measured = number_named(one, Code("112031", "DCM", "")).MeasuredValueSequence[0]
    measured["FloatingPointValue"] = raw("FloatingPointValue", "FD", float("nan"))


# Functional groups


@breaks("GROUP-REQUIRED", "parametric map")
def map_without_frame_type(one: GoodObject) -> None:
    del shared(one).ParametricMapFrameTypeSequence


@breaks("GROUP-PLACE", "segmentation")
def spacing_twice(one: GoodObject) -> None:
    for frame in frames(one):
        frame.PixelMeasuresSequence = deepcopy(shared(one).PixelMeasuresSequence)


# References


@breaks("REF-KNOWN", "segmentation")
def drawn_on_what_is_not_there(one: GoodObject) -> None:
    one.sources = [source for source in one.sources if source is not one.sources[3]]


@breaks("REF-CLASS", "key object")
def image_of_another_class(one: GoodObject) -> None:
    one.sources[0].SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


@breaks("REF-FRAME", "presentation state")
def second_frame_of_a_single_one(one: GoodObject) -> None:
    one.data_set.GraphicAnnotationSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber = 2


@breaks("REF-SEGMENT", "report")
def segment_that_is_not_there(one: GoodObject) -> None:
    reference = children(volume_group(one), concepts.REFERENCED_SEGMENT)[0].ReferencedSOPSequence[0]
    reference.ReferencedSegmentNumber = 5


@breaks("REF-LISTED", "structure set")
def contour_image_that_is_not_listed(one: GoodObject) -> None:
    study = one.data_set.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    del study.RTReferencedSeriesSequence[0].ContourImageSequence[3]


# Geometry


@breaks("GEO-SPACING", "segmentation")
def spacing_of_nothing(one: GoodObject) -> None:
    shared(one).PixelMeasuresSequence[0].PixelSpacing = [0, 0]


@breaks("GEO-ORIENTATION", "segmentation")
def axes_askew(one: GoodObject) -> None:
    shared(one).PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0.6, 0.8, 0]


@breaks("GEO-SOURCE", "segmentation")
def frames_beside_their_images(one: GoodObject) -> None:
    first = frames(one)[0]
    first.PlanePositionSequence[0].ImagePositionPatient[2] += 1.5


@breaks("GEO-INSIDE", "segmentation")
def mask_beyond_the_image(one: GoodObject) -> None:
    every_position(one, 0, 20.0)


# Segmentations


@breaks("SEG-TYPE", "label map")
def label_map_as_binary_segmentation(one: GoodObject) -> None:
    one.data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"


@breaks("SEG-BITS", "segmentation")
def high_bit_of_eight(one: GoodObject) -> None:
    one.data_set.HighBit = 7


@breaks("SEG-FRACTION", "segmentation")
def binary_with_a_largest_value(one: GoodObject) -> None:
    one.data_set.MaximumFractionalValue = 255


@breaks("SEG-NUMBERS", "segmentation")
def numbers_with_a_gap(one: GoodObject) -> None:
    one.data_set.SegmentSequence[1].SegmentNumber = 3
    for frame in frames(one):
        named = frame.SegmentIdentificationSequence[0]
        named.ReferencedSegmentNumber = 1 if named.ReferencedSegmentNumber == 1 else 3  # frames may share the item


@breaks("SEG-ALGORITHM", "segmentation")
def automatic_without_name(one: GoodObject) -> None:
    del one.data_set.SegmentSequence[0].SegmentAlgorithmName


@breaks("SEG-TRACKING", "segmentation")
def tracking_uid_twice(one: GoodObject) -> None:
    one.data_set.SegmentSequence[1].TrackingUID = one.data_set.SegmentSequence[0].TrackingUID


@breaks("SEG-FRAMES", "segmentation")
def one_frame_item_less(one: GoodObject) -> None:
    one.data_set.PerFrameFunctionalGroupsSequence = one.data_set.PerFrameFunctionalGroupsSequence[:-1]


@breaks("SEG-FRAMES-LEFT", "segmentation")
def one_frame_item_more(one: GoodObject) -> None:
    one.data_set.PerFrameFunctionalGroupsSequence.append(deepcopy(one.data_set.PerFrameFunctionalGroupsSequence[-1]))


@breaks("SEG-IDENTIFICATION", "segmentation")
def frame_of_no_segment(one: GoodObject) -> None:
    frames(one)[2].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


@breaks("SEG-PLACE", "segmentation")
def frame_without_place(one: GoodObject) -> None:
    del frames(one)[1].PlanePositionSequence


@breaks("SEG-DIMENSIONS", "segmentation")
def one_index_value_less(one: GoodObject) -> None:
    frames(one)[0].FrameContentSequence[0].DimensionIndexValues = [1]


@breaks("SEG-PIXELS", "segmentation")
def pixels_of_more_frames(one: GoodObject) -> None:
    one.data_set.PixelData += bytes(2)


@breaks("SEG-LABELS", "label map")
def label_of_nothing(one: GoodObject) -> None:
    one.data_set.PixelData = b"\x07" + one.data_set.PixelData[1:]


@breaks("SEG-BACKGROUND", "label map")
def background_of_no_name(one: GoodObject) -> None:
    del one.data_set.PixelPaddingValue


@breaks("SEG-OVERLAP", "label map")
def two_label_maps_in_one_place(one: GoodObject) -> None:
    one.data_set.PerFrameFunctionalGroupsSequence[1] = deepcopy(frames(one)[0])


@breaks("SEG-OVERLAP-SAID", "segmentation")
def overlap_denied(one: GoodObject) -> None:
    one.data_set.SegmentsOverlap = "NO"
    one.data_set.PixelData = b"\xff" * len(one.data_set.PixelData)


@breaks("SEG-FRACTIONAL-SHOWN", "segmentation")
def fractions(one: GoodObject) -> None:
    made = one.data_set
    made.SegmentationType, made.SegmentationFractionalType, made.MaximumFractionalValue = "FRACTIONAL", "OCCUPANCY", 1
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    bits = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little")
    made.PixelData = bits[: made.Rows * made.Columns * int(made.NumberOfFrames)].tobytes()


@breaks("VIEW-SEG-SERIES", "segmentation")
def no_series(one: GoodObject) -> None:
    del one.data_set.ReferencedSeriesSequence


@breaks("VIEW-SEG-SIZE", "segmentation")
def smaller_than_its_source(one: GoodObject) -> None:
    made = one.data_set
    pixels = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little")
    pixels = pixels[: 256 * int(made.NumberOfFrames)].reshape(-1, 16, 16)[:, :12, :]
    made.Rows = 12
    made.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()


@breaks("VIEW-SEG-STUDY", "segmentation")
def other_study(one: GoodObject) -> None:
    one.data_set.StudyInstanceUID = "2.25.4"


@breaks("VIEW-SEG-FRAME-OF-REFERENCE", "segmentation")
def other_frame_of_reference(one: GoodObject) -> None:
    one.data_set.FrameOfReferenceUID = "2.25.5"


# Structured reports


@breaks("SR-ROOT", "report")
def root_with_relationship(one: GoodObject) -> None:
    one.data_set.RelationshipType = "CONTAINS"


@breaks("SR-TREE", "report")
def reference_to_no_item(one: GoodObject) -> None:
    number = numbers_of(first_group(one))[0]
    number.ContentSequence.append(item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 99]))


@breaks("SR-CLASS", "report")
def space_in_a_flat_report(one: GoodObject) -> None:
    one.data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    source = one.sources[3]
    x, y, z = (float(value) for value in source.ImagePositionPatient)
    points = ((x + 1, y + 1, z), (x + 2, y + 2, z))
    first_group(one).ContentSequence.append(
        scoord3d("POLYLINE", points, source.FrameOfReferenceUID, name=concepts.CENTER, relationship="CONTAINS")
    )


@breaks("SR-VALUE", "report")
def text_without_value(one: GoodObject) -> None:
    del children(first_group(one), concepts.COMMENT)[0].TextValue


@breaks("SR-CONCEPT", "report")
def number_without_name(one: GoodObject) -> None:
    del numbers_of(volume_group(one))[-1].ConceptNameCodeSequence


@breaks("SR-RELATIONSHIP", "report")
def image_inferred_from_coordinates(one: GoodObject) -> None:
    library = child(one.data_set, concepts.IMAGE_LIBRARY)
    assert library is not None
    note = text(concepts.COMMENT, "a note", relationship="SELECTED FROM")
    library.ContentSequence.append(note)


@breaks("SR-COORDINATES", "report")
def three_coordinates(one: GoodObject) -> None:
    first_shape(one).GraphicData = [1.0, 2.0, 3.0]


@breaks("SR-CLOSED", "report")
def open_polygon(one: GoodObject) -> None:
    _add_polygon(one, [(1, 1, 0), (4, 1, 0), (4, 4, 0), (1, 4, 0)])


@breaks("SR-REGION-CLOSED", "report")
def open_region(one: GoodObject) -> None:
    region = deepcopy(first_shape(one))
    region.GraphicData = [1.0, 1.0, 6.0, 1.0, 6.0, 6.0]
    region.ConceptNameCodeSequence = code(concepts.IMAGE_REGION, concepts.DEVICE).ConceptNameCodeSequence
    region.RelationshipType = "CONTAINS"
    first = first_group(one)
    head = [one for one in first.ContentSequence if one.RelationshipType == "HAS OBS CONTEXT"]
    measurements(one).ContentSequence.append(container(concepts.MEASUREMENT_GROUP, [*head, region], template="1410"))


@breaks("SR-PLANAR", "report")
def polygon_out_of_its_plane(one: GoodObject) -> None:
    _add_polygon(one, [(1, 1, 0), (9, 1, 4), (9, 9, 0), (1, 9, 4), (1, 1, 0)])


def _add_polygon(one: GoodObject, offsets: list[tuple[float, float, float]]) -> None:
    source = one.sources[3]
    x, y, z = (float(value) for value in source.ImagePositionPatient)
    points = [(x + along, y + down, z + up) for along, down, up in offsets]
    first_group(one).ContentSequence.append(
        scoord3d("POLYGON", points, source.FrameOfReferenceUID, name=concepts.CENTER, relationship="CONTAINS")
    )


@breaks("SR-INSIDE", "reading")
def coordinates_off_the_image(one: GoodObject) -> None:
    shape = first_shape(one)
    shape.GraphicData = [value + 100 for value in shape.GraphicData]


@breaks("SR-FRAME-OF-REFERENCE", "report")
def coordinates_elsewhere(one: GoodObject) -> None:
    points = ((1.0, 1.0, 1.0), (2.0, 2.0, 1.0))
    first_group(one).ContentSequence.append(
        scoord3d("POLYLINE", points, "2.25.99", name=concepts.CENTER, relationship="CONTAINS")
    )


@breaks("SR-EVIDENCE", "report")
def evidence_without_segmentation(one: GoodObject) -> None:
    study = one.data_set.CurrentRequestedProcedureEvidenceSequence[0]
    study.ReferencedSeriesSequence = study.ReferencedSeriesSequence[:1]


@breaks("SR-PREDECESSOR", "report")
def its_own_predecessor(one: GoodObject) -> None:
    series = item(SeriesInstanceUID=one.data_set.SeriesInstanceUID, ReferencedSOPSequence=[reference_to(one.data_set)])
    study = item(StudyInstanceUID=one.data_set.StudyInstanceUID, ReferencedSeriesSequence=[series])
    one.data_set.PredecessorDocumentsSequence = [study]


@breaks("SR-VERIFIED", "report")
def verified_by_nobody(one: GoodObject) -> None:
    one.data_set.VerificationFlag = "VERIFIED"


@breaks("SR-VERIFIER", "reading")
def verified_before_it_was_written(one: GoodObject) -> None:
    one.data_set.VerifyingObserverSequence[0].VerificationDateTime = "20010101120000"


@breaks("SR-SEGMENT", "report")
def segment_of_another_finding(one: GoodObject) -> None:
    reference = children(volume_group(one), concepts.REFERENCED_SEGMENT)[0].ReferencedSOPSequence[0]
    reference.ReferencedSegmentNumber = 2
    without(volume_group(one), Code("118565006", "SCT", "Volume"))


# Templates


@breaks("TID-UNKNOWN", "report")
def template_that_does_not_exist(one: GoodObject) -> None:
    library = child(one.data_set, concepts.IMAGE_LIBRARY)
    assert library is not None
    library.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="99999")]


@breaks("TID-UNCHECKED", "report")
def template_of_another_kind(one: GoodObject) -> None:
    one.data_set.ContentTemplateSequence[0].TemplateIdentifier = "5200"


@breaks("TID-IDENTIFIED", "report")
def no_template(one: GoodObject) -> None:
    del first_group(one).ContentTemplateSequence


@breaks("TID-CONTAINERS", "report")
def no_containers(one: GoodObject) -> None:
    without(one.data_set, concepts.IMAGING_MEASUREMENTS)
    without(one.data_set, concepts.QUALITATIVE_EVALUATIONS)


@breaks("TID-OBSERVER", "report")
def device_without_uid(one: GoodObject) -> None:
    without(one.data_set, concepts.DEVICE_OBSERVER_UID)


@breaks("TID-ROW", "report")
def site_is_contained(one: GoodObject) -> None:
    children(first_group(one), concepts.FINDING_SITE)[0].RelationshipType = "CONTAINS"


@breaks("TID-COUNT", "report")
def two_findings_in_a_group(one: GoodObject) -> None:
    group = first_group(one)
    group.ContentSequence.append(deepcopy(children(group, concepts.FINDING)[0]))


@breaks("TID-REQUIRED", "report")
def algorithm_without_version(one: GoodObject) -> None:
    without(measurements(one), concepts.ALGORITHM_VERSION)


@breaks("TID-CHOICE", "report")
def glucose_of_no_date(one: GoodObject) -> None:
    library = child(one.data_set, concepts.IMAGE_LIBRARY)
    assert library is not None
    group = children(library, concepts.IMAGE_LIBRARY_GROUP)[0]
    glucose = num(Code("14749-6", "LN", "Glucose"), 5, Code("mmol/l", "UCUM", "mmol/l"))
    glucose.RelationshipType = "HAS ACQ CONTEXT"
    when = item(
        RelationshipType="HAS ACQ CONTEXT",
        ValueType="TIME",
        ConceptNameCodeSequence=[item(CodeValue="109082", CodingSchemeDesignator="DCM", CodeMeaning="Time")],
        Time="101500",
    )
    group.ContentSequence = [glucose, when, *group.ContentSequence]


@breaks("TID-REGION", "report")
def segment_without_source(one: GoodObject) -> None:
    without(volume_group(one), concepts.SOURCE_SERIES)


@breaks("TID-CODE", "report")
def observer_of_no_kind(one: GoodObject) -> None:
    children(one.data_set, concepts.OBSERVER_TYPE)[0].ConceptCodeSequence[0].CodeValue = "121999"


@breaks("TID-CODE-GROUP", "report")
def side_of_no_list(one: GoodObject) -> None:
    site = children(first_group(one), concepts.FINDING_SITE)[0]
    children(site, concepts.LATERALITY)[0].ConceptCodeSequence[0].CodeValue = "99999999"


@breaks("TID-UNITS", "report")
def rows_in_millimetres(one: GoodObject) -> None:
    rows = next(
        below
        for _, below in descendants(one.data_set)
        if below.ValueType == "NUM" and below.ConceptNameCodeSequence[0].CodeValue == "110910"
    )
    rows.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "mm"


@breaks("TID-ORDER", "report")
def algorithm_backwards(one: GoodObject) -> None:
    holder = measurements(one)
    algorithm = [below for below in holder.ContentSequence if below.RelationshipType == HAS_CONCEPT_MOD]
    others = [below for below in holder.ContentSequence if below.RelationshipType != HAS_CONCEPT_MOD]
    holder.ContentSequence = [*reversed(algorithm), *others]


# Plausibility


@breaks("PLAUSIBLE-RANGE", "report")
def more_than_certain(one: GoodObject) -> None:
    number_named(one, concepts.CERTAINTY).MeasuredValueSequence[0].NumericValue = "120"


@breaks("PLAUSIBLE-LENGTH", "report")
def axis_longer_than_its_line(one: GoodObject) -> None:
    measured = number_named(one, concepts.SHORT_AXIS).MeasuredValueSequence[0]
    measured.NumericValue = "6"


@breaks("PLAUSIBLE-AREA", "reading")
def area_of_another_region(one: GoodObject) -> None:
    first = first_group(one)
    region = deepcopy(first_shape(one))
    region.GraphicData = [1.0, 1.0, 6.0, 1.0, 6.0, 6.0, 1.0, 6.0, 1.0, 1.0]
    region.ConceptNameCodeSequence = code(concepts.IMAGE_REGION, concepts.DEVICE).ConceptNameCodeSequence
    region.RelationshipType = "CONTAINS"
    head = [below for below in first.ContentSequence if below.RelationshipType == HAS_OBS_CONTEXT]
    area = num(Code("42798000", "SCT", "Area"), 250, Code("mm2", "UCUM", "square millimeter"))
    group = container(concepts.MEASUREMENT_GROUP, [*head, region, area], template="1410")
    measurements(one).ContentSequence.append(group)


@breaks("PLAUSIBLE-VOLUME", "report")
def volume_of_a_liver(one: GoodObject) -> None:
    measured = number_named(one, Code("118565006", "SCT", "")).MeasuredValueSequence[0]
    measured.NumericValue = "1500000"


@breaks("PLAUSIBLE-LONG-AXIS", "report")
def axis_longer_than_its_mask(one: GoodObject) -> None:
    axis = number_named(one, concepts.LONG_AXIS)
    axis.MeasuredValueSequence[0].NumericValue = "14"
    shape = axis.ContentSequence[0]
    shape.GraphicData = [1.0, 6.5, 15.0, 6.5]


# Viewers and profiles


@breaks("VIEW-SR-ROOT", "report")
def oncology_title(one: GoodObject) -> None:
    one.data_set.ConceptNameCodeSequence[0].CodeValue = "126001"


@breaks("VIEW-SR-TRACKING", "report")
def no_tracking_identifier(one: GoodObject) -> None:
    without(groups(one.data_set)[1], concepts.TRACKING_IDENTIFIER)


@breaks("VIEW-SR-COORDINATES", "report")
def no_coordinates(one: GoodObject) -> None:
    holder = measurements(one)
    holder.ContentSequence = [below for below in holder.ContentSequence if template_of(below) != "1501"]


@breaks("VIEW-SR-TOOL", "report")
def other_tool(one: GoodObject) -> None:
    for group in groups(one.data_set):
        children(group, concepts.TRACKING_IDENTIFIER)[0].TextValue = "Lesion"


@breaks("AIR-EQUIPMENT", "report")
def no_device_uid(one: GoodObject) -> None:
    del one.data_set.ContributingEquipmentSequence[0].DeviceUID


# Key objects


@breaks("KO-TITLE", "key object")
def title_of_no_list(one: GoodObject) -> None:
    one.data_set.ConceptNameCodeSequence[0].CodeValue = "113999"


@breaks("KO-REFERENCES", "key object")
def nothing_selected(one: GoodObject) -> None:
    one.data_set.ContentSequence = [below for below in one.data_set.ContentSequence if below.ValueType != "IMAGE"]


@breaks("KO-REASON", "key object")
def best_without_a_reason(one: GoodObject) -> None:
    one.data_set.ConceptNameCodeSequence[0].CodeValue = "113013"
    one.data_set.ConceptNameCodeSequence[0].CodeMeaning = "Best In Set"


# Parametric maps


@breaks("PM-PIXELS", "parametric map")
def map_of_twice_its_pixels(one: GoodObject) -> None:
    one.data_set.FloatPixelData *= 2


@breaks("PM-MAPPING", "parametric map")
def map_of_no_unit(one: GoodObject) -> None:
    for holder in (shared(one), *frames(one)):
        if "RealWorldValueMappingSequence" in holder:
            del holder.RealWorldValueMappingSequence


# Bulk annotations


def annotation_group(one: GoodObject) -> Dataset:
    group: Dataset = one.data_set.AnnotationGroupSequence[0]
    return group


@breaks("ANN-NUMBERS", "bulk annotations")
def groups_from_two(one: GoodObject) -> None:
    annotation_group(one).AnnotationGroupNumber = 2


@breaks("ANN-COUNT", "bulk annotations")
def points_that_are_not_counted(one: GoodObject) -> None:
    group = annotation_group(one)
    group.GraphicType = "POINT"
    del group.LongPrimitivePointIndexList


@breaks("ANN-INDEX", "bulk annotations")
def shape_of_one_point(one: GoodObject) -> None:
    annotation_group(one).LongPrimitivePointIndexList = np.array([1, 3], "<u4").tobytes()


@breaks("ANN-MEASUREMENTS", "bulk annotations")
def one_value_for_two(one: GoodObject) -> None:
    values = annotation_group(one).MeasurementsSequence[0].MeasurementValuesSequence[0]
    values.FloatingPointValues = np.array([8.0], "<f4").tobytes()


@breaks("ANN-INSIDE", "bulk annotations")
def cells_beyond_the_slide(one: GoodObject) -> None:
    group = annotation_group(one)
    group.DoublePointCoordinatesData = (np.frombuffer(group.DoublePointCoordinatesData, "<f8") + 500).tobytes()


# Presentation states


@breaks("PR-LAYERS", "presentation state")
def layer_of_nothing(one: GoodObject) -> None:
    one.data_set.GraphicAnnotationSequence[0].GraphicLayer = "OTHER"


@breaks("PR-GRAPHIC", "presentation state")
def line_of_a_point_too_many(one: GoodObject) -> None:
    one.data_set.GraphicAnnotationSequence[0].GraphicObjectSequence[0].NumberOfGraphicPoints = 3


@breaks("PR-INSIDE", "presentation state")
def line_beyond_the_image(one: GoodObject) -> None:
    one.data_set.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData = [2.0, 2.0, 90.0, 90.0]


# Secondary captures and structure sets


@breaks("SC-PIXELS", "secondary capture")
def picture_cut(one: GoodObject) -> None:
    one.data_set.PixelData = one.data_set.PixelData[:-2]


@breaks("RT-ROI", "structure set")
def contours_of_no_roi(one: GoodObject) -> None:
    one.data_set.ROIContourSequence[0].ReferencedROINumber = 2


@breaks("RT-CONTOUR", "structure set")
def contour_of_five_points(one: GoodObject) -> None:
    one.data_set.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 5


@breaks("RT-PLANAR", "structure set")
def contour_out_of_its_plane(one: GoodObject) -> None:
    contour = one.data_set.ROIContourSequence[0].ContourSequence[0]
    numbers = [float(value) for value in contour.ContourData]
    numbers[2] += 4
    numbers[8] += 4
    contour.ContourData = numbers


@breaks("RT-FRAME-OF-REFERENCE", "structure set")
def roi_elsewhere(one: GoodObject) -> None:
    one.data_set.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "2.25.6"
