"""Content items: structure, codes and numbers stay; names and free text go; dates and UIDs move."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import Comprehensive3DSRStorage

from service.core.geometry import ShapeKind
from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.own_values import OwnValues
from service.deident.profile import load_profile
from service.objects.shape_items import ALONE, ILLUSTRATION
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral().project_keys("p")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return Deidentifier(load_profile(PROFILES, "default"), KEYS)


def code(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content(value_type: str, concept: tuple[str, str, str], **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    item.ConceptNameCodeSequence = code(*concept)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def report(*items: Dataset) -> Dataset:
    sr = ct_slice()
    for keyword in ("PixelData", "Rows", "Columns", "PixelSpacing"):
        del sr[keyword]
    sr.SOPClassUID = Comprehensive3DSRStorage
    sr.Modality = "SR"
    sr.ValueType = "CONTAINER"
    sr.ContinuityOfContent = "SEPARATE"
    sr.ConceptNameCodeSequence = code("126000", "DCM", "Imaging Measurement Report")
    sr.ContentSequence = Sequence(items)
    return dcmread(BytesIO(as_file(sr)))


def cleaned_items(deidentifier: Deidentifier, *items: Dataset) -> list[Dataset]:
    return list(deidentifier.clean(report(*items)).data_set.ContentSequence)


FINDING = ("121071", "DCM", "Finding")
OBSERVER = ("121008", "DCM", "Person Observer Name")


def test_codes_and_numbers_stay(default):
    value = Dataset()
    value.NumericValue = "12.5"
    value.MeasurementUnitsCodeSequence = code("mm", "UCUM", "millimeter")
    items = cleaned_items(
        default,
        content("CODE", FINDING, ConceptCodeSequence=code("27925004", "SCT", "Nodule")),
        content("NUM", ("103339001", "SCT", "Long axis"), MeasuredValueSequence=Sequence([value])),
    )
    assert items[0].ConceptCodeSequence[0].CodeValue == "27925004"
    assert items[1].MeasuredValueSequence[0].NumericValue == 12.5
    assert items[1].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"


def test_free_text_keeps_what_is_harmless(default):
    (item,) = cleaned_items(default, content("TEXT", FINDING, TextValue="mass in the left lung, tell Dr Xyzzy"))
    assert "in the left lung" in item.TextValue
    assert "Xyzzy" not in item.TextValue
    assert item.ConceptNameCodeSequence[0].CodeValue == "121071"


def test_free_text_that_is_about_somebody_becomes_a_dummy(default):
    (item,) = cleaned_items(default, content("TEXT", FINDING, TextValue="Jane Doe"))
    assert item.TextValue == "REMOVED"


def test_without_the_option_free_text_becomes_a_dummy():
    basic = Deidentifier(load_profile(PROFILES, "basic"), KEYS)
    (item,) = cleaned_items(basic, content("TEXT", FINDING, TextValue="mass in the left lung"))
    assert item.TextValue == "REMOVED"


@pytest.mark.parametrize("concept", [("121022", "DCM", "Accession Number"), ("53", "NCDR", "Procedure Number")])
def test_text_that_says_who_goes_whole(default, concept):
    assert cleaned_items(default, content("TEXT", concept, TextValue="ACC-99")) == []


@pytest.mark.parametrize(
    ("scheme", "code"), [("SCT", "371524004"), ("SRT", "R-42B89"), ("SNM3", "R-42B89"), ("99SDM", "R-42B89")]
)
def test_a_concept_is_known_by_its_old_codes_as_well(scheme, code):
    basic = Deidentifier(load_profile(PROFILES, "basic"), KEYS)
    assert cleaned_items(basic, content("TEXT", (code, scheme, "Clinical report"), TextValue="about lungs")) == []


def test_a_safe_concept_keeps_its_text(default):
    (item,) = cleaned_items(default, content("TEXT", ("111001", "DCM", "Algorithm Name"), TextValue="LungFinder"))
    assert item.TextValue == "LungFinder"


def test_a_safe_concept_is_still_searched(default):
    (item,) = cleaned_items(default, content("TEXT", ("111001", "DCM", "Algorithm Name"), TextValue="for Jane Doe"))
    assert item.TextValue == "REMOVED"


@pytest.mark.parametrize("label", ["Lesion 1", "Cornerstone3DTools@^0.1.0:Length"])
def test_a_tracking_identifier_of_known_words_stays(default, label):
    (item,) = cleaned_items(default, content("TEXT", ("112039", "DCM", "Tracking Identifier"), TextValue=label))
    assert item.TextValue == label


TRACKING = ("112039", "DCM", "Tracking Identifier")
TOOL = "Cornerstone3DTools@^0.1.0"
TOOLS = (
    *("Length", "Bidirectional", "Angle", "CobbAngle", "Probe", "RectangleROI", "EllipticalROI", "CircleROI"),
    *("PlanarFreehandROI", "PlanarFreehandROI:SplineROI", "PlanarFreehandROI:LivewireContour", "ArrowAnnotate"),
    *("UltrasoundDirectionalTool", "Probe:KeyImage", "Probe:KeyImage:SeriesPoint"),
)
"""What OHIF's adapters call their tools."""


def cleaned_identifier(deidentifier: Deidentifier, identifier: str) -> str:
    (item,) = cleaned_items(deidentifier, content("TEXT", TRACKING, TextValue=identifier))
    return str(item.TextValue)


@pytest.mark.parametrize("profile", ["basic", "default"])
@pytest.mark.parametrize("tool", TOOLS)
def test_the_tool_of_a_viewer_stays_with_a_label_of_known_words(profile, tool):
    deidentifier = Deidentifier(load_profile(PROFILES, profile), KEYS)
    for identifier in (f"{TOOL}:{tool}", f"{TOOL}:{tool}:Nodule 1", f"cornerstoneTools@^4.0.0:{tool}"):
        assert cleaned_identifier(deidentifier, identifier) == identifier


@pytest.mark.parametrize(
    ("label", "left"),
    [
        ("my label", "label"),
        ("spiculated left upper lobe", "spiculated left upper lobe"),
        ("Nodule 1 of Smith^John", "Nodule 1 of"),
        ("liver met of Jane Doe", "liver met of"),
        ("lesion 3, 19610502", "lesion 3"),
    ],
)
def test_of_the_label_behind_a_tool_the_known_words_stay(default, label, left):
    assert cleaned_identifier(default, f"{TOOL}:Length:{label}") == f"{TOOL}:Length:{left}"


@pytest.mark.parametrize("label", ["Smith^John", "Doe", "PAT-4711", "Müller", "19610502", "ACC-99"])
@pytest.mark.parametrize("profile", ["basic", "default"])
def test_a_label_behind_a_tool_of_which_nothing_is_known_becomes_a_token(profile, label):
    deidentifier = Deidentifier(load_profile(PROFILES, profile), KEYS)
    tool, mark, token = cleaned_identifier(deidentifier, f"{TOOL}:Length:{label}").partition(":ID-")
    assert (tool, mark, len(token)) == (f"{TOOL}:Length", ":ID-", 8)
    assert cleaned_identifier(deidentifier, f"{TOOL}:Length:{label}") == f"{TOOL}:Length:ID-{token}"


@pytest.mark.parametrize(
    "identifier",
    [
        f"{TOOL}:Smith",
        f"{TOOL}:LengthSmith",
        "Cornerstone3DTools@^19610502:Length",
        "Doe:Length",
        f"{TOOL}:Smith:Length",
    ],
)
def test_what_only_looks_like_the_tool_of_a_viewer_becomes_a_token(default, identifier):
    assert cleaned_identifier(default, identifier).startswith("ID-")


def test_a_patient_called_like_a_known_word_loses_it_behind_a_tool(default):
    header = report(content("TEXT", TRACKING, TextValue=f"{TOOL}:Length:Lung"))
    header.PatientName = "Lung^Jane"
    assert default.clean(header).data_set.ContentSequence[0].TextValue.startswith(f"{TOOL}:Length:ID-")


def test_the_strict_profile_keeps_no_tool():
    strict = Deidentifier(load_profile(PROFILES, "strict"), KEYS)
    assert cleaned_identifier(strict, f"{TOOL}:Length:Nodule 1") == "REMOVED"


@pytest.mark.parametrize(
    "description", ["Measurement Report", "Research Derived series", "Segmentation", "Segmentation 1", "Contour Series"]
)
def test_what_a_viewer_calls_its_series_stays(default, description):
    header = report()
    header.SeriesDescription = description
    assert default.clean(header).data_set.SeriesDescription == description


def test_a_name_in_what_a_reader_calls_a_report_goes(default):
    header = report()
    header.SeriesDescription = "Measurement Report Doe"
    assert default.clean(header).data_set.SeriesDescription == "Measurement Report"


def test_a_viewers_report_of_a_reader_can_be_drawn_again_after_adoption(default):
    """What OHIF 3.13 looks for: the tool, the label as a comment or a free-text code, and where the label is drawn."""
    study = served_study(default)
    label = content("TEXT", ("121106", "DCM", "Comment"), TextValue="spiculated nodule")
    free = content(
        "CODE", FINDING, ConceptCodeSequence=code("CORNERSTONEFREETEXT", "CORNERSTONEJS", "spiculated nodule")
    )
    position = content("SCOORD", ("TextPosition", "99CS3D", "Text Annotation Position"), GraphicData=[1.0, 2.0])
    position.GraphicType = "POINT"
    identifier = content("TEXT", TRACKING, TextValue=f"{TOOL}:Length:spiculated nodule")
    header = annotation(study, identifier, label, free, position)
    assert list(default.adopt_annotation(header, study).data_set.ContentSequence) == [identifier, label, free, position]


@pytest.mark.parametrize("profile", ["basic", "default", "strict"])
@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("shape-kinds", " ".join([*ShapeKind, f"{ShapeKind.COBB_ANGLE}{ALONE}", ILLUSTRATION])),
        ("skeleton", "1-2 2-3 11-12 31-12"),
    ],
)
def test_what_tells_the_shapes_of_a_report_apart_stays(profile, concept, words):
    cleaner = Deidentifier(load_profile(PROFILES, profile), KEYS)
    (item,) = cleaned_items(cleaner, content("TEXT", (concept, "99ANNOGATE", "Words"), TextValue=words))
    assert (item.TextValue, item.ConceptNameCodeSequence[0].CodeValue) == (words, concept)


def test_words_that_are_no_kinds_of_shapes_go(default):
    concept = ("shape-kinds", "99ANNOGATE", "Kinds of shapes")
    (item,) = cleaned_items(default, content("TEXT", concept, TextValue="line Xyzzy"))
    assert item.TextValue == "REMOVED"


def test_other_tracking_identifiers_become_tokens_that_still_match(default):
    tracking = ("112039", "DCM", "Tracking Identifier")
    texts = ["Mrs Miller left", "Mrs Miller left", "Mr Smith"]
    items = cleaned_items(default, *(content("TEXT", tracking, TextValue=text) for text in texts))
    tokens = [item.TextValue for item in items]
    assert tokens[0] == tokens[1] != tokens[2]
    assert all(token.startswith("ID-") for token in tokens)


def test_a_persons_name_becomes_a_dummy(default):
    (item,) = cleaned_items(default, content("PNAME", OBSERVER, PersonName="House^Gregory"))
    assert item.PersonName == "REMOVED"


def test_the_subjects_name_becomes_the_pseudonym(default):
    header = report(content("PNAME", ("121029", "DCM", "Subject Name"), PersonName="Doe^Jane"))
    cleaned = default.clean(header).data_set
    assert str(cleaned.ContentSequence[0].PersonName) == cleaned.PatientID


def test_dates_in_content_move_like_all_others(default):
    header = report(
        content("DATE", ("111060", "DCM", "Study Date"), Date="20240317"),
        content("DATETIME", ("111526", "DCM", "DateTime Started"), DateTime="20240317081530.5+0100"),
        content("TIME", ("111061", "DCM", "Study Time"), Time="081530"),
    )
    cleaned = default.clean(header).data_set
    date, date_time, time = cleaned.ContentSequence
    assert date.Date == cleaned.StudyDate
    assert str(date_time.DateTime) == f"{cleaned.StudyDate}081530.5+0100"
    assert time.Time == "081530"


def test_the_subjects_birth_date_goes(default):
    assert cleaned_items(default, content("DATE", ("121031", "DCM", "Subject Birth Date"), Date="19610502")) == []


def test_references_stay_with_new_uids(default):
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    items = cleaned_items(
        default,
        content("IMAGE", ("121191", "DCM", "Referenced Segment"), ReferencedSOPSequence=Sequence([image])),
        content("UIDREF", ("112040", "DCM", "Tracking Unique Identifier"), UID="1.2.3.5"),
    )
    assert items[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == default.map_uid("1.2.3.4")
    assert default.map_uid("1.2.3.5") == items[1].UID


def test_a_subjects_age_over_89_becomes_90(default):
    value = Dataset()
    value.NumericValue = "97"
    value.MeasurementUnitsCodeSequence = code("a", "UCUM", "year")
    (item,) = cleaned_items(
        default, content("NUM", ("121033", "DCM", "Subject Age"), MeasuredValueSequence=Sequence([value]))
    )
    assert item.MeasuredValueSequence[0].NumericValue == 90


def test_items_stay_in_their_places_where_others_point_at_them(default):
    by_reference = Dataset()
    by_reference.RelationshipType = "INFERRED FROM"
    by_reference.ReferencedContentItemIdentifier = [1, 2]
    items = cleaned_items(
        default,
        content("TEXT", ("121022", "DCM", "Accession Number"), TextValue="ACC-99"),
        content("TEXT", FINDING, TextValue="Jane Doe", ContentSequence=Sequence([by_reference])),
    )
    assert [item.TextValue for item in items] == ["REMOVED", "REMOVED"]


def test_deep_items_are_cleaned_too(default):
    inner = content("PNAME", OBSERVER, PersonName="House^Gregory")
    for _ in range(5):
        group = content("CONTAINER", ("125007", "DCM", "Measurement Group"), ContinuityOfContent="SEPARATE")
        group.ContentSequence = Sequence([inner])
        inner = group
    (item,) = cleaned_items(default, inner)
    for _ in range(5):
        item = item.ContentSequence[0]
    assert item.PersonName == "REMOVED"


def test_verifying_observers_lose_their_names(default):
    header = report()
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "House^Gregory", "Princeton"
    observer.VerificationDateTime = "20240318"
    observer.VerifyingObserverIdentificationCodeSequence = code("H1", "99X", "House")
    header.VerifyingObserverSequence = Sequence([observer])
    cleaned = default.clean(header).data_set.VerifyingObserverSequence[0]
    assert (cleaned.VerifyingObserverName, cleaned.VerifyingOrganization) == ("REMOVED", "REMOVED")
    assert len(cleaned.VerifyingObserverIdentificationCodeSequence) == 0


# -- segmentations -------------------------------------------------------------------------------------------------


def segmentation(label: str, **more: object) -> Dataset:
    seg = ct_slice()
    seg.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, label
    segment.SegmentedPropertyCategoryCodeSequence = code("49755003", "SCT", "Morphologically Altered Structure")
    segment.SegmentedPropertyTypeCodeSequence = code("27925004", "SCT", "Nodule")
    for keyword, value in more.items():
        setattr(segment, keyword, value)
    seg.SegmentSequence = Sequence([segment])
    return dcmread(BytesIO(as_file(seg)))


@pytest.mark.parametrize("label", ["Nodule", "nodule 3", "Segment 1", "left lung", "altered structure"])
def test_a_segment_label_of_known_words_stays(default, label):
    assert default.clean(segmentation(label)).data_set.SegmentSequence[0].SegmentLabel == label


@pytest.mark.parametrize(
    ("label", "kept"),
    [("Doe nodule", "nodule"), ("nodule 4711", "nodule"), ("Jane Doe", "Nodule")],
)
def test_of_any_other_segment_label_the_known_words_or_the_codes_meaning_stay(default, label, kept):
    assert default.clean(segmentation(label)).data_set.SegmentSequence[0].SegmentLabel == kept


def test_without_the_option_any_other_segment_label_becomes_the_codes_meaning():
    basic = Deidentifier(load_profile(PROFILES, "basic"), KEYS)
    assert basic.clean(segmentation("Doe nodule")).data_set.SegmentSequence[0].SegmentLabel == "Nodule"


def test_a_segments_description_and_tracking_are_cleaned(default):
    header = segmentation("Nodule", SegmentDescription="as Dr House said", TrackingID="Smith 1", TrackingUID="1.2.3.9")
    segment = default.clean(header).data_set.SegmentSequence[0]
    assert "House" not in segment.get("SegmentDescription", "")
    assert segment.TrackingID.startswith("ID-")
    assert segment.TrackingUID == default.map_uid("1.2.3.9")


# -- annotations of studies as served ------------------------------------------------------------------------------


def served_study(default: Deidentifier) -> Dataset:
    cleaned = default.clean(ct_slice()).data_set
    study = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"):
        study[keyword] = cleaned[keyword]
    return study


def annotation(study: Dataset, *items: Dataset) -> Dataset:
    sr = report(*items)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
        sr[keyword] = deepcopy(study[keyword])
    sr.PatientName = "typed by a reader"
    sr.StudyDescription = "typed as well"
    sr.OperatorsName = "Reader^Rita"
    return sr


def test_an_adopted_annotation_keeps_its_uids(default):
    study = served_study(default)
    header = annotation(study, content("UIDREF", ("112040", "DCM", "Tracking Unique Identifier"), UID="1.2.3.5"))
    adopted = default.adopt_annotation(header, study).data_set
    assert adopted.SOPInstanceUID == header.SOPInstanceUID
    assert adopted.SeriesInstanceUID == header.SeriesInstanceUID
    assert adopted.StudyInstanceUID == study.StudyInstanceUID
    assert adopted.ContentSequence[0].UID == "1.2.3.5"


def test_an_adopted_annotation_says_of_the_patient_what_the_project_says(default):
    study = served_study(default)
    adopted = default.adopt_annotation(annotation(study), study).data_set
    assert str(adopted.PatientName) == study.PatientID
    assert adopted.PatientSex == "F"
    assert "StudyDescription" not in adopted


def test_the_other_rules_hold_for_an_adopted_annotation(default):
    study = served_study(default)
    header = annotation(
        study,
        content("PNAME", OBSERVER, PersonName="Reader^Rita"),
        content("TEXT", FINDING, TextValue="Jane's nodule"),
    )
    header.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "x")
    adopted = default.adopt_annotation(header, study).data_set
    observer, finding = adopted.ContentSequence
    assert observer.PersonName == "REMOVED"
    assert "Jane" not in finding.TextValue
    assert "OperatorsName" not in adopted
    assert not list(adopted.group_dataset(0x0009))
    assert adopted.PatientIdentityRemoved == "YES"


def test_dates_stamped_by_the_readers_tool_are_shifted(default):
    from datetime import date, timedelta

    study = served_study(default)
    header = annotation(study)
    header.ContentDate = header.InstanceCreationDate = "20251122"
    adopted = default.adopt_annotation(header, study).data_set
    moved = date(2025, 11, 22) - timedelta(days=default.shift_days("PAT-4711"))
    assert adopted.ContentDate == adopted.InstanceCreationDate == moved.strftime("%Y%m%d")


def test_dates_copied_from_served_images_are_not_shifted_again(default):
    study = served_study(default)
    header = annotation(study)
    header.SeriesDate = study.StudyDate
    assert default.adopt_annotation(header, study).data_set.SeriesDate == study.StudyDate


def test_an_adopted_annotation_is_searched_for_the_patients_values(default):
    study = served_study(default)
    header = annotation(study)
    header.ManufacturerModelName = "viewer of Jane Doe"
    own = OwnValues.of_vault_entry({"elements": ct_slice().group_dataset(0x0010).to_json_dict()})
    assert "ManufacturerModelName" in default.adopt_annotation(header, study).data_set
    assert "ManufacturerModelName" not in default.adopt_annotation(header, study, own).data_set


@pytest.mark.parametrize("text", ["of Rita Reader", "PAT 77/812-3", "Tippfehler"])
def test_an_adopted_annotation_is_searched_for_the_names_and_numbers_that_it_carries(default, text):
    study = served_study(default)
    header = annotation(study)
    header.PatientName, header.OtherPatientIDs = "Tippfehler^Jane", "778123"
    assert default.adopt_annotation(header, study).data_set.Manufacturer == "Maker"
    header.Manufacturer = text
    assert default.adopt_annotation(header, study).data_set.Manufacturer == ""


def test_an_adopted_annotation_may_call_the_patient_by_the_pseudonym(default):
    study = served_study(default)
    header = annotation(study)
    header.PatientName = study.PatientID
    header.Manufacturer = f"viewer of {study.PatientID}, {study.StudyDate}"
    assert default.adopt_annotation(header, study).data_set.Manufacturer == header.Manufacturer


def test_adopting_twice_changes_nothing_more(default):
    study = served_study(default)
    header = annotation(study, content("TEXT", ("112039", "DCM", "Tracking Identifier"), TextValue="Lesion 1"))
    once = default.adopt_annotation(header, study).data_set
    assert default.adopt_annotation(once, study).data_set == once
