"""What the rules say: nothing of our own objects, and of each planted breach its rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import KeyObjectSelectionDocumentStorage, ParametricMapStorage, RTStructureSetStorage

from dicom_nodes.errors import InstanceUnreadable
from service.core.codes import Code
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_items import container, image, image_reference, text
from service.objects.content_tree import child, children, template_of
from service.objects.rule_catalogue import RuleCatalogue, Severity, shipped_catalogue
from service.objects.validation import refuse_errors, validate, validate_file
from service.objects.writer import WrittenResult
from tests.volumes import nodule, organ
from tests.written_results import VOLUMES, axial, groups, write

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.fixture(scope="module")
def written() -> WrittenResult:
    volume = axial()
    return write(volume, nodule(volume), organ(volume))


def rules_broken(data_set: Dataset, **known: list[Dataset]) -> set[str]:
    return {problem.rule for problem in validate(data_set, **known)}


@pytest.mark.parametrize("name", VOLUMES)
def test_own_objects_break_no_rule(name: str) -> None:
    volume = VOLUMES[name]()
    made = write(volume, nodule(volume), organ(volume))
    assert made.segmentation is not None
    assert validate(made.segmentation, sources=volume.sources) == []
    assert validate(made.report, sources=volume.sources, referenced=[made.segmentation]) == []


def test_report_without_findings_breaks_no_rule() -> None:
    volume = axial()
    assert validate(write(volume).report, sources=volume.sources) == []


# Each plants one breach in a good segmentation.
def no_label(seg: Dataset) -> None:
    del seg.SegmentSequence[0].SegmentLabel


def empty_type_1(seg: Dataset) -> None:
    seg.ContentLabel = ""


def no_type_2(seg: Dataset) -> None:
    del seg.PatientBirthDate


def uid_with_leading_zero(seg: Dataset) -> None:
    seg.SegmentSequence[0].add(DataElement(0x00620021, "UI", "1.02.3", validation_mode=IGNORE))


def one_uid_twice(seg: Dataset) -> None:
    seg.SeriesInstanceUID = seg.SOPInstanceUID


def label_map_type(seg: Dataset) -> None:
    seg.SegmentationType = "LABELMAP"


def eight_bits(seg: Dataset) -> None:
    seg.BitsAllocated = seg.BitsStored = 8
    seg.HighBit = 7


def fractional(seg: Dataset) -> None:
    seg.SegmentationType = "FRACTIONAL"


def numbers_with_a_gap(seg: Dataset) -> None:
    seg.SegmentSequence[1].SegmentNumber = 3


def automatic_without_name(seg: Dataset) -> None:
    del seg.SegmentSequence[0].SegmentAlgorithmName


def half_a_tracking_pair(seg: Dataset) -> None:
    del seg.SegmentSequence[0].TrackingID


def tracking_uid_twice(seg: Dataset) -> None:
    seg.SegmentSequence[1].TrackingUID = seg.SegmentSequence[0].TrackingUID


def one_frame_item_less(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence = seg.PerFrameFunctionalGroupsSequence[:-1]


def frame_of_no_segment(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def frame_without_place(seg: Dataset) -> None:
    del seg.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def no_orientation(seg: Dataset) -> None:
    del seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


def one_index_value_less(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].DimensionIndexValues = [1]


def undeclared_organization(seg: Dataset) -> None:
    seg.DimensionIndexSequence[0].DimensionOrganizationUID = "2.25.1"


def pixels_cut(seg: Dataset) -> None:
    seg.PixelData = seg.PixelData[:-2]


def source_not_listed(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[
        0
    ].ReferencedSOPInstanceUID = "2.25.3"


def no_series(seg: Dataset) -> None:
    del seg.ReferencedSeriesSequence


def other_size(seg: Dataset) -> None:
    seg.Rows = 8


def other_study(seg: Dataset) -> None:
    seg.StudyInstanceUID = "2.25.4"


def other_frame_of_reference(seg: Dataset) -> None:
    seg.FrameOfReferenceUID = "2.25.5"


SEGMENTATION_BREACHES: list[tuple[Callable[[Dataset], None], str]] = [
    (no_label, "IOD-TYPE-1"),
    (empty_type_1, "IOD-TYPE-1"),
    (no_type_2, "IOD-TYPE-2"),
    (uid_with_leading_zero, "UID-FORM"),
    (one_uid_twice, "UID-ONCE"),
    (label_map_type, "SEG-TYPE"),
    (eight_bits, "SEG-BITS"),
    (fractional, "SEG-FRACTION"),
    (fractional, "SEG-FRACTIONAL-SHOWN"),
    (numbers_with_a_gap, "SEG-NUMBERS"),
    (automatic_without_name, "SEG-ALGORITHM"),
    (half_a_tracking_pair, "SEG-TRACKING"),
    (tracking_uid_twice, "SEG-TRACKING"),
    (one_frame_item_less, "SEG-FRAMES"),
    (frame_of_no_segment, "SEG-IDENTIFICATION"),
    (frame_without_place, "SEG-PLACE"),
    (no_orientation, "SEG-PLACE"),
    (one_index_value_less, "SEG-DIMENSIONS"),
    (undeclared_organization, "SEG-DIMENSIONS"),
    (pixels_cut, "SEG-PIXELS"),
    (source_not_listed, "SEG-SOURCES"),
    (no_series, "VIEW-SEG-SERIES"),
    (other_size, "VIEW-SEG-SIZE"),
    (other_study, "VIEW-SEG-STUDY"),
    (other_frame_of_reference, "VIEW-SEG-FRAME-OF-REFERENCE"),
]


@pytest.mark.parametrize(("plant", "rule"), SEGMENTATION_BREACHES, ids=lambda one: getattr(one, "__name__", one))
def test_breach_in_a_segmentation_is_named(written: WrittenResult, plant: Callable[[Dataset], None], rule: str) -> None:
    segmentation = deepcopy(written.segmentation)
    assert segmentation is not None
    plant(segmentation)
    assert rule in rules_broken(segmentation, sources=list(axial().sources))


def test_frame_from_an_image_that_is_not_known_is_named(written: WrittenResult) -> None:
    assert written.segmentation is not None
    assert "SEG-SOURCES" in rules_broken(written.segmentation, sources=list(axial().sources[:2]))


def label_map(values: bytes) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SegmentationType = LABEL_MAP, "LABELMAP"
    made.Rows, made.Columns, made.NumberOfFrames, made.SamplesPerPixel = 2, 2, 1, 1
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelPaddingValue = 7, 0
    segment = Dataset()
    segment.SegmentNumber = 7
    made.SegmentSequence = [segment]
    made.PixelData = values
    return made


@pytest.mark.parametrize(("values", "strange"), [(b"\x00\x07\x07\x00", False), (b"\x00\x07\x05\x00", True)])
def test_label_without_a_segment_is_named(values: bytes, strange: bool) -> None:
    assert ("SEG-LABELS" in rules_broken(label_map(values))) is strange


def test_label_map_may_number_with_gaps() -> None:
    assert "SEG-NUMBERS" not in rules_broken(label_map(b"\x00\x07\x07\x00"))


# Each plants one breach in a good report.
def first_group(report: Dataset) -> Dataset:
    return groups(report)[0]


def volume_group(report: Dataset) -> Dataset:
    return next(group for group in groups(report) if template_of(group) == "1411")


def without(item: Dataset, concept: Code) -> None:
    item.ContentSequence = [one for one in item.ContentSequence if one not in children(item, concept)]


def root_with_relationship(report: Dataset) -> None:
    report.RelationshipType = "CONTAINS"


def text_without_value(report: Dataset) -> None:
    del children(first_group(report), concepts.COMMENT)[0].TextValue


def number_without_name(report: Dataset) -> None:
    number = next(one for one in children(first_group(report)) if one.ValueType == "NUM")
    del number.ConceptNameCodeSequence


def code_without_meaning(report: Dataset) -> None:
    del children(first_group(report), concepts.FINDING)[0].ConceptCodeSequence[0].CodeMeaning


def image_inferred_from_coordinates(report: Dataset) -> None:
    number = next(one for one in children(first_group(report)) if one.ValueType == "NUM")
    number.ContentSequence[0].ContentSequence[0].RelationshipType = "INFERRED FROM"


def three_coordinates(report: Dataset) -> None:
    number = next(one for one in children(first_group(report)) if one.ValueType == "NUM")
    number.ContentSequence[0].GraphicData = [1.0, 2.0, 3.0]


def coordinates_off_the_image(report: Dataset) -> None:
    number = next(one for one in children(first_group(report)) if one.ValueType == "NUM")
    number.ContentSequence[0].GraphicData = [1.0, 2.0, 300.0, 4.0]


def evidence_without_segmentation(report: Dataset) -> None:
    study = report.CurrentRequestedProcedureEvidenceSequence[0]
    study.ReferencedSeriesSequence = study.ReferencedSeriesSequence[:1]


def verified_by_nobody(report: Dataset) -> None:
    report.VerificationFlag = "VERIFIED"


def no_containers(report: Dataset) -> None:
    without(report, concepts.IMAGING_MEASUREMENTS)
    without(report, concepts.QUALITATIVE_EVALUATIONS)


def device_without_uid(report: Dataset) -> None:
    without(report, concepts.DEVICE_OBSERVER_UID)


def nobody_observed(report: Dataset) -> None:
    without(report, concepts.OBSERVER_TYPE)


def site_is_contained(report: Dataset) -> None:
    children(first_group(report), concepts.FINDING_SITE)[0].RelationshipType = "CONTAINS"


def two_findings_in_a_group(report: Dataset) -> None:
    group = first_group(report)
    group.ContentSequence.append(deepcopy(children(group, concepts.FINDING)[0]))


def group_without_region(report: Dataset) -> None:
    without(volume_group(report), concepts.REFERENCED_SEGMENT)


def segment_without_source(report: Dataset) -> None:
    without(volume_group(report), concepts.SOURCE_SERIES)


def no_template(report: Dataset) -> None:
    del first_group(report).ContentTemplateSequence


def oncology_title(report: Dataset) -> None:
    report.ConceptNameCodeSequence[0].CodeValue = "126001"


def no_tracking_identifier(report: Dataset) -> None:
    without(first_group(report), concepts.TRACKING_IDENTIFIER)


def no_coordinates(report: Dataset) -> None:
    measurements = child(report, concepts.IMAGING_MEASUREMENTS)
    assert measurements is not None
    measurements.ContentSequence = [one for one in measurements.ContentSequence if template_of(one) != "1501"]


def other_tool(report: Dataset) -> None:
    for group in groups(report):
        children(group, concepts.TRACKING_IDENTIFIER)[0].TextValue = "Lesion"


def no_device_uid(report: Dataset) -> None:
    del report.ContributingEquipmentSequence[0].DeviceUID


def segment_that_is_not_there(report: Dataset) -> None:
    reference = children(volume_group(report), concepts.REFERENCED_SEGMENT)[0].ReferencedSOPSequence[0]
    reference.ReferencedSegmentNumber = 5


def segment_of_another_finding(report: Dataset) -> None:
    reference = children(volume_group(report), concepts.REFERENCED_SEGMENT)[0].ReferencedSOPSequence[0]
    reference.ReferencedSegmentNumber = 2


REPORT_BREACHES: list[tuple[Callable[[Dataset], None], str]] = [
    (root_with_relationship, "SR-ROOT"),
    (text_without_value, "SR-VALUE"),
    (number_without_name, "SR-CONCEPT"),
    (code_without_meaning, "SR-CODE"),
    (image_inferred_from_coordinates, "SR-RELATIONSHIP"),
    (three_coordinates, "SR-COORDINATES"),
    (coordinates_off_the_image, "SR-SOURCES"),
    (evidence_without_segmentation, "SR-EVIDENCE"),
    (verified_by_nobody, "SR-VERIFIED"),
    (no_containers, "TID-CONTAINERS"),
    (device_without_uid, "TID-OBSERVER"),
    (nobody_observed, "TID-OBSERVER"),
    (site_is_contained, "TID-ROW"),
    (two_findings_in_a_group, "TID-ROW"),
    (group_without_region, "TID-REGION"),
    (segment_without_source, "TID-REGION"),
    (no_template, "TID-IDENTIFIED"),
    (oncology_title, "VIEW-SR-ROOT"),
    (no_tracking_identifier, "VIEW-SR-TRACKING"),
    (no_coordinates, "VIEW-SR-COORDINATES"),
    (other_tool, "VIEW-SR-TOOL"),
    (no_device_uid, "AIR-EQUIPMENT"),
    (segment_that_is_not_there, "SR-SEGMENT"),
    (segment_of_another_finding, "SR-SEGMENT"),
]


@pytest.mark.parametrize(("plant", "rule"), REPORT_BREACHES, ids=lambda one: getattr(one, "__name__", one))
def test_breach_in_a_report_is_named(written: WrittenResult, plant: Callable[[Dataset], None], rule: str) -> None:
    report = deepcopy(written.report)
    plant(report)
    assert written.segmentation is not None
    assert rule in rules_broken(report, sources=list(axial().sources), referenced=[written.segmentation])


def key_object(title: Code, *below: Dataset) -> Dataset:
    made = container(title, below, relationship=None, template="2010")
    made.SOPClassUID = KeyObjectSelectionDocumentStorage
    return made


OF_INTEREST = Code("113000", "DCM", "Of Interest")


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (key_object(concepts.FINDING, image(image_reference("1.2", "1.3"))), "KO-TITLE"),
        (key_object(OF_INTEREST, text(Code("113012", "DCM", "Key Object Description"), "none")), "KO-REFERENCES"),
        (key_object(Code("113013", "DCM", "Best In Set"), image(image_reference("1.2", "1.3"))), "KO-REASON"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_breach_in_a_key_object_is_named(made: Dataset, rule: str) -> None:
    assert rule in rules_broken(made)


def test_key_object_of_interest_breaks_no_rule_of_its_own() -> None:
    made = key_object(OF_INTEREST, image(image_reference("1.2", "1.3")))
    assert not {rule for rule in rules_broken(made) if rule.startswith("KO-")}


def parametric_map() -> Dataset:
    made, frame, mapping = Dataset(), Dataset(), Dataset()
    made.SOPClassUID = ParametricMapStorage
    made.Rows = made.Columns = 2
    made.NumberOfFrames = made.SamplesPerPixel = 1
    made.BitsAllocated, made.FloatPixelData = 32, bytes(16)
    mapping.RealWorldValueSlope = 1.0
    frame.RealWorldValueMappingSequence = [mapping]
    made.PerFrameFunctionalGroupsSequence = [frame]
    return made


def test_parametric_map_with_short_pixels_is_named() -> None:
    made = parametric_map()
    assert "PM-PIXELS" not in rules_broken(made)
    made.FloatPixelData = bytes(12)
    assert "PM-PIXELS" in rules_broken(made)


def test_parametric_map_without_a_mapping_is_named() -> None:
    made = parametric_map()
    assert "PM-MAPPING" not in rules_broken(made)
    del made.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert "PM-MAPPING" in rules_broken(made)


def structure_set() -> Dataset:
    made, roi, contours, contour = Dataset(), Dataset(), Dataset(), Dataset()
    made.SOPClassUID = RTStructureSetStorage
    roi.ROINumber = contours.ReferencedROINumber = 1
    contour.NumberOfContourPoints, contour.ContourData = 2, [1, 2, 3, 4, 5, 6]
    contours.ContourSequence = [contour]
    made.StructureSetROISequence, made.ROIContourSequence = [roi], [contours]
    return made


def test_contour_of_no_roi_is_named() -> None:
    made = structure_set()
    assert "RT-ROI" not in rules_broken(made)
    made.ROIContourSequence[0].ReferencedROINumber = 2
    assert "RT-ROI" in rules_broken(made)


def test_contour_with_a_coordinate_missing_is_named() -> None:
    made = structure_set()
    assert "RT-CONTOUR" not in rules_broken(made)
    made.ROIContourSequence[0].ContourSequence[0].ContourData = [1, 2, 3, 4, 5]
    assert "RT-CONTOUR" in rules_broken(made)


def test_contour_image_that_is_not_listed_is_named() -> None:
    made = structure_set()
    made.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = [image_reference("1.2", "1.3")]
    assert "RT-SOURCES" in rules_broken(made)


def test_class_without_rules_is_said() -> None:
    made = Dataset()
    made.SOPClassUID = "1.2.3.4"
    assert "IOD-UNKNOWN" in rules_broken(made)


def test_every_rule_of_the_catalogue_has_a_test_and_every_breach_a_rule(repository: Path) -> None:
    rules = set(shipped_catalogue().rules)
    tested = {rule for _, rule in SEGMENTATION_BREACHES + REPORT_BREACHES}
    text_here = Path(__file__).read_text(encoding="utf-8")
    yielded = {
        name
        for path in (repository / "service" / "objects").glob("*_rules.py")
        for name in re.findall(r'"((?:IOD|UID|SEG|VIEW|SR|TID|AIR|KO|PM|RT)-[A-Z0-9-]+)"', path.read_text("utf-8"))
    }
    assert yielded <= rules
    assert {rule for rule in rules if rule not in tested and f'"{rule}"' not in text_here} == set()


def test_docs_say_what_each_rule_says(repository: Path) -> None:
    page = (repository / "docs" / "objects.md").read_text(encoding="utf-8")
    rows = [
        f"| {name} | {rule.severity.lower()} | {rule.says} | {rule.clause} |"
        for name, rule in shipped_catalogue().rules.items()
    ]
    assert [row for row in rows if row not in page] == []


def test_problem_names_rule_clause_and_severity(written: WrittenResult) -> None:
    segmentation = deepcopy(written.segmentation)
    assert segmentation is not None
    pixels_cut(segmentation)
    (problem,) = validate(segmentation)
    assert str(problem).startswith("ERROR SEG-PIXELS (PS3.5 8.1.1, PS3.3 C.7.6.3): ")


def test_errors_refuse_and_warnings_pass(written: WrittenResult) -> None:
    report = deepcopy(written.report)
    other_tool(report)
    refuse_errors(validate(report))
    no_coordinates(report)
    with pytest.raises(ObjectInvalid, match="VIEW-SR-COORDINATES"):
        refuse_errors(validate(report))


def test_problems_never_quote_values_of_the_patient(written: WrittenResult) -> None:
    for plant, _ in REPORT_BREACHES:
        report = deepcopy(written.report)
        plant(report)
        assert not [problem for problem in validate(report) if "Doe" in str(problem) or "PAT-4711" in str(problem)]


def test_file_is_validated(written: WrittenResult, tmp_path: Path) -> None:
    written.report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    assert validate_file(tmp_path / "report.dcm") == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not DICOM")
    with pytest.raises(InstanceUnreadable):
        validate_file(tmp_path / "note.txt")


def test_catalogue_severities_are_known() -> None:
    assert {rule.severity for rule in shipped_catalogue().rules.values()} == {Severity.ERROR, Severity.WARNING}


def test_catalogue_is_loaded_from_a_directory(repository: Path) -> None:
    assert RuleCatalogue.load(repository / "config" / "validation").rules == shipped_catalogue().rules


def all_items(data_set: Dataset) -> list[Dataset]:
    found = [data_set]
    for element in data_set:
        if isinstance(element.value, Sequence):
            for item in element.value:
                found += all_items(item)
    return found


# What is damaged is drawn as plain numbers, so that an example means the same whatever the object holds.
DAMAGE = st.tuples(st.integers(0, 9999), st.integers(0, 9999), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(is_report=st.booleans(), damages=st.lists(DAMAGE, min_size=1, max_size=6))
def test_damaged_objects_are_judged_without_an_exception(
    written: WrittenResult, is_report: bool, damages: list[tuple[int, int, bool]]
) -> None:
    damaged = deepcopy(written.report if is_report else written.segmentation)
    damaged.file_meta = FileMetaDataset()
    for place, element, is_removed in damages:
        items = [item for item in all_items(damaged) if len(item)]
        item = items[place % len(items)]
        tags = sorted(item.keys())
        tag = tags[element % len(tags)]
        if is_removed:
            del item[tag]
        elif item[tag].VR == "SQ":
            item[tag].value = []
        else:
            item[tag].value = None
    for problem in validate(damaged, sources=list(axial().sources), referenced=[written.segmentation]):
        assert problem.message
