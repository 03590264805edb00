"""What leaves is what a run on the original images would have made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RTStructureSetStorage,
)

from service.core.records import ObjectKind
from service.custody.way_back import WayBack
from service.errors import InstanceNotFound
from tests.datasets import STUDY_UID, ct_slice
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.jobs_house import JobsHouse
from tests.phantoms import annotator, pet
from tests.volumes import nodule, organ

SLICES = 8
NUMBERS = itertools.count(1)
PRIOR_UID = "1.2.826.0.1.3680043.8.498.2"


def rich_slice(number: int, **changes: str) -> Dataset:
    """A slice with more of patient and study than any result needs, in a character set of its own."""
    source = ct_slice(number, patient_name="Müller^Jörg", **changes)
    source.SpecificCharacterSet = "ISO_IR 100"
    # Long ago, so that results of today are dated after it in the project's time as well.
    source.StudyDate = source.SeriesDate = source.AcquisitionDate = source.ContentDate = "20080317"
    source.IssuerOfPatientID = "HOSPITAL"
    source.PatientAge, source.PatientWeight = "062Y", "71.5"
    source.PregnancyStatus = 4
    source.OtherPatientNames = "Mueller^J"
    source.StudyDescription = "Thörax nach Plan"
    source.ProcedureCodeSequence = [Dataset()]
    source.ProcedureCodeSequence[0].CodeValue = "P1-1"
    source.ProcedureCodeSequence[0].CodingSchemeDesignator = "99HOUSE"
    source.ProcedureCodeSequence[0].CodeMeaning = "Thorax"
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3.77"
    source.ReferencedStudySequence = [referenced]
    source.TimezoneOffsetFromUTC = "+0100"
    return source


class TwoRuns:
    """The same series in a project that keeps identity and in one that takes it out, both with their results."""

    def __init__(self, folder: Path) -> None:
        self.houses = {}
        for project in ("clinical", "research"):
            numbers = itertools.count(1)
            place = folder / project
            place.mkdir()
            annotator = FixedAnnotator(lambda volume: [nodule(volume), organ(volume)])
            house = JobsHouse(place, [annotator], project=project, new_uid=lambda n=numbers: f"2.25.700{next(n)}")
            house.receive([rich_slice(number) for number in range(1, SLICES + 1)])
            house.receive([ct_slice(1, study_uid=PRIOR_UID, series_uid=f"{PRIOR_UID}.1")])
            house.go_quiet()
            house.carry_out()
            self.houses[project] = house
        self.research = self.houses["research"]
        ingest = self.research.ingest
        self.way_back = WayBack(ingest.research_vault, ingest.vault, "research")
        self.study_uid = ingest.deidentifier.map_uid(STUDY_UID)

    def results(self, project: str) -> list[Dataset]:
        house = self.houses[project]
        uid = STUDY_UID if project == "clinical" else self.study_uid
        found = [house.ingest.stored(row) for row in house.results(uid)]
        return sorted(found, key=lambda result: str(result.Modality))

    def served(self, number: int = 1) -> Dataset:
        rows = self.research.index.instances_of("research", self.study_uid)
        (row,) = [row for row in rows if row.kind is ObjectKind.IMAGE and row.instance_number == number]
        return self.research.ingest.stored(row)

    def adopted(self, annotation: Dataset) -> Dataset:
        outcome = self.research.receive([annotation])
        row = self.research.index.find("research", outcome.sop_instance_uid)
        assert row is not None, outcome.reason
        assert row.kind is ObjectKind.ANNOTATION
        return self.research.ingest.stored(row)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRuns]:
    runs = TwoRuns(tmp_path_factory.mktemp("runs"))
    yield runs
    for house in runs.houses.values():
        house.close()


def differences(one: Dataset, other: Dataset, path: str = "") -> list[str]:
    """Elements that the two do not share with the same value, at every depth."""
    found = []
    for tag in sorted({*one.keys(), *other.keys()}):
        name = f"{path}{one[tag].keyword if tag in one else other[tag].keyword or tag}"
        if tag not in one or tag not in other:
            found.append(f"{name} in one of the two")
        elif one[tag].VR == "SQ" and len(one[tag].value or ()) == len(other[tag].value or ()):
            for number, pair in enumerate(zip(one[tag].value or (), other[tag].value or (), strict=True)):
                found += differences(*pair, f"{name}[{number}].")
        elif (one[tag].VR, one[tag].value) != (other[tag].VR, other[tag].value):
            found.append(name)
    return found


def test_restored_results_equal_those_of_a_run_that_never_saw_a_pseudonym(runs: TwoRuns) -> None:
    originals, served = runs.results("clinical"), runs.results("research")
    assert [result.Modality for result in served] == ["SEG", "SR"] == [result.Modality for result in originals]
    for original, result in zip(originals, served, strict=True):
        restored = runs.way_back.restore(result, ObjectKind.RESULT)
        assert restored.unresolved == ()
        assert differences(restored.data_set, original) == []


def test_served_results_are_far_from_the_originals(runs: TwoRuns) -> None:
    for original, result in zip(runs.results("clinical"), runs.results("research"), strict=True):
        assert len(differences(result, original)) > SLICES


def test_restoring_leaves_the_served_object_alone(runs: TwoRuns) -> None:
    (segmentation, _) = runs.results("research")
    before = deepcopy(segmentation)
    runs.way_back.restore(segmentation, ObjectKind.RESULT)
    assert segmentation == before


def test_character_set_of_the_sender_is_told(runs: TwoRuns) -> None:
    assert runs.way_back.character_set(runs.study_uid) == ("ISO_IR 100",)


def test_study_that_nobody_sent_has_no_way_back(runs: TwoRuns) -> None:
    (segmentation, _) = runs.results("research")
    segmentation.StudyInstanceUID = "2.25.1"
    with pytest.raises(InstanceNotFound, match="no way back"):
        runs.way_back.restore(segmentation, ObjectKind.RESULT)


def test_uptake_of_a_pet_is_restored_as_measured_on_the_originals(tmp_path: Path) -> None:
    """SUV rests on weight and times of injection and scan, which the profile keeps or moves together."""
    phantom, _ = pet(1)
    results = []
    for project in ("clinical", "research"):
        place = tmp_path / project
        place.mkdir()
        numbers = itertools.count(1)
        house = JobsHouse(
            place, [annotator("hotspots")], project=project, new_uid=lambda n=numbers: f"2.25.700{next(n)}"
        )
        study_uid = house.receive(phantom.data_sets).study_uid
        house.go_quiet()
        house.carry_out()
        made = [house.ingest.stored(row) for row in house.results(study_uid)]
        if project == "research":
            way_back = WayBack(house.ingest.research_vault, house.ingest.vault, "research")
            made = [way_back.restore(one, ObjectKind.RESULT).data_set for one in made]
        results.append(sorted(made, key=lambda one: str(one.Modality)))
        house.close()
    assert [one.Modality for one in results[0]] == ["SEG", "SR"]
    assert [differences(*pair) for pair in zip(*results, strict=True)] == [[], []]


# -- what readers make -------------------------------------------------------------------------------------------------


def annotation_on(image: Dataset, sop_class_uid: str, modality: str, stamped: str) -> Dataset:
    """An annotation as a reader's program makes it of an image: patient and study copied, dates of its own beside."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = sop_class_uid, f"1.2.9.{next(NUMBERS)}", "1.2.9.1"
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "StudyDate", "StudyTime"):
        made[keyword] = deepcopy(image[keyword])
    made.Modality = modality
    made.SeriesNumber, made.InstanceNumber = 99, 1
    made.SeriesDate, made.SeriesTime = image.SeriesDate, image.SeriesTime
    made.InstanceCreationDate = made.ContentDate = stamped
    made.ContentTime = "101112"
    return made


def reference_to(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def series_of(image: Dataset) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = image.SeriesInstanceUID
    item.ReferencedSOPSequence = [reference_to(image)]
    return item


def study_of(image: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID, item.ReferencedSeriesSequence = image.StudyInstanceUID, [series_of(image)]
    return item


def key_object(image: Dataset, stamped: str) -> Dataset:
    made = annotation_on(image, KeyObjectSelectionDocumentStorage, "KO", stamped)
    made.CurrentRequestedProcedureEvidenceSequence = [study_of(image)]
    content = Dataset()
    content.RelationshipType, content.ValueType = "CONTAINS", "IMAGE"
    content.ReferencedSOPSequence = [reference_to(image)]
    when = Dataset()
    when.RelationshipType, when.ValueType, when.DateTime = "HAS OBS CONTEXT", "DATETIME", f"{stamped}101112.5+0100"
    when.ConceptNameCodeSequence = [Dataset()]
    when.ConceptNameCodeSequence[0].CodeValue = "111526"
    when.ConceptNameCodeSequence[0].CodingSchemeDesignator = "DCM"
    when.ConceptNameCodeSequence[0].CodeMeaning = "DateTime Started"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ContentSequence = [content, when]
    return made


def presentation_state(image: Dataset, stamped: str) -> Dataset:
    made = annotation_on(image, GrayscaleSoftcopyPresentationStateStorage, "PR", stamped)
    made.PresentationCreationDate, made.PresentationCreationTime = stamped, "101112"
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [reference_to(image)]
    made.ReferencedSeriesSequence = [series]
    area = Dataset()
    area.ReferencedImageSequence = [reference_to(image)]
    made.DisplayedAreaSelectionSequence = [area]
    return made


def structure_set(image: Dataset, stamped: str) -> Dataset:
    made = annotation_on(image, RTStructureSetStorage, "RTSTRUCT", stamped)
    made.StructureSetDate, made.StructureSetTime = stamped, "101112"
    rt_series, rt_study, frame = Dataset(), Dataset(), Dataset()
    rt_series.SeriesInstanceUID, rt_series.ContourImageSequence = image.SeriesInstanceUID, [reference_to(image)]
    rt_study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    rt_study.ReferencedSOPInstanceUID, rt_study.RTReferencedSeriesSequence = image.StudyInstanceUID, [rt_series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = image.FrameOfReferenceUID, [rt_study]
    made.ReferencedFrameOfReferenceSequence = [frame]
    contour, roi, of_set = Dataset(), Dataset(), Dataset()
    contour.ContourImageSequence, contour.ContourGeometricType = [reference_to(image)], "POINT"
    contour.NumberOfContourPoints, contour.ContourData = 1, [1, 2, 3]
    roi.ReferencedROINumber, roi.ContourSequence = 1, [contour]
    of_set.ROINumber, of_set.ReferencedFrameOfReferenceUID = 1, image.FrameOfReferenceUID
    made.ROIContourSequence, made.StructureSetROISequence = [roi], [of_set]
    return made


def parametric_map(image: Dataset, stamped: str) -> Dataset:
    made = annotation_on(image, ParametricMapStorage, "MAP", stamped)
    made.ReferencedSeriesSequence = [series_of(image)]
    derivation, frame = Dataset(), Dataset()
    derivation.SourceImageSequence = [reference_to(image)]
    frame.DerivationImageSequence = [derivation]
    made.PerFrameFunctionalGroupsSequence = [frame]
    made.Rows, made.Columns, made.BitsAllocated, made.SamplesPerPixel = 1, 1, 16, 1
    made.PixelData = bytes(2)
    made["PixelData"].VR = "OW"
    return made


MADE_BY_READERS: list[Callable[[Dataset, str], Dataset]] = [
    key_object,
    presentation_state,
    structure_set,
    parametric_map,
]


@pytest.mark.parametrize("make", MADE_BY_READERS, ids=lambda make: make.__name__)
def test_restored_annotation_is_the_one_made_on_the_original(
    runs: TwoRuns, make: Callable[[Dataset, str], Dataset]
) -> None:
    stamped = "20261120"
    adopted = runs.adopted(make(runs.served(), stamped))
    assert stamped not in str(adopted)
    restored = runs.way_back.restore(adopted, ObjectKind.ANNOTATION).data_set
    expected = make(rich_slice(1), stamped)
    expected.SOPInstanceUID = adopted.SOPInstanceUID
    # The project's patient and study are complete; what a program copied of them is a part.
    wanted = [name for name in differences(expected, restored) if not name.endswith("in one of the two")]
    assert wanted == []
    missing = [element.keyword for element in expected if element.tag not in restored]
    assert missing == []


@pytest.mark.parametrize("make", MADE_BY_READERS, ids=lambda make: make.__name__)
def test_nothing_of_the_project_is_left_in_what_leaves(runs: TwoRuns, make: Callable[[Dataset, str], Dataset]) -> None:
    image = runs.served()
    adopted = runs.adopted(make(image, "20261120"))
    restored = str(runs.way_back.restore(adopted, ObjectKind.ANNOTATION).data_set)
    ours = [image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, image.FrameOfReferenceUID]
    assert [token for token in (*ours, image.PatientID, "De-identi", "Annogate") if token in restored] == []


def test_reference_to_what_never_came_in_is_named(runs: TwoRuns) -> None:
    image = runs.served()
    stranger = deepcopy(image)
    stranger.SOPInstanceUID = runs.research.ingest.deidentifier.map_uid("1.2.3.never.sent")
    made = key_object(image, "20261120")
    made.CurrentRequestedProcedureEvidenceSequence.append(study_of(stranger))
    restored = runs.way_back.restore(runs.adopted(made), ObjectKind.ANNOTATION)
    assert restored.unresolved == (stranger.SOPInstanceUID,)


def test_date_copied_from_a_result_of_the_project_is_not_moved_again(runs: TwoRuns) -> None:
    """A result made years after the study bears a date after the study's real one, and in the project's time still."""
    (_, report) = runs.results("research")
    shift = timedelta(days=runs.research.ingest.deidentifier.shift_days("PAT-4711", "HOSPITAL"))
    assert date.fromisoformat(report.ContentDate) + shift == date.fromisoformat(runs.results("clinical")[1].ContentDate)
    made = key_object(runs.served(), "20261120")
    made.SeriesDate = report.ContentDate
    adopted = runs.adopted(made)
    assert adopted.SeriesDate == report.ContentDate
    restored = runs.way_back.restore(adopted, ObjectKind.ANNOTATION).data_set
    assert restored.SeriesDate == runs.results("clinical")[1].ContentDate
    assert restored.ContentDate == "20261120"


def test_corrected_patient_reaches_what_leaves(runs: TwoRuns) -> None:
    (segmentation, _) = runs.results("research")
    for number in range(1, SLICES + 1):
        again = rich_slice(number)
        again.PatientName = "Müller^Jörg^Maria"
        runs.research.receive([again])
    restored = runs.way_back.restore(segmentation, ObjectKind.RESULT).data_set
    assert str(restored.PatientName) == "Müller^Jörg^Maria"
