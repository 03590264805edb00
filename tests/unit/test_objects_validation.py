"""What the rules say: nothing of good objects, and of each planted breach its rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_tree import children
from service.objects.rule_catalogue import OnArrival, RuleCatalogue, Severity, shipped_catalogue
from service.objects.validation import Problem, refuse_errors, validate
from tests.broken_objects import (
    BREAKAGES,
    broken,
    every_position,
    first_group,
    frames,
    no_coordinates,
    numbers_of,
    other_tool,
    pixels_of_more_frames,
    raw,
    shared,
    volume_group,
    without,
)
from tests.good_objects import KINDS, GoodObject, good, item
from tests.volumes import nodule, organ
from tests.written_results import VOLUMES, axial, groups, write
from tools.make_rule_list import PAGE, rule_list, with_list

RULES = shipped_catalogue().rules


@cache
def problems_of(rule: str) -> list[Problem]:
    return broken(rule).problems()


@pytest.mark.parametrize("kind", KINDS)
def test_good_object_breaks_no_rule(kind: str) -> None:
    assert [str(problem) for problem in good(kind).problems()] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_an_object_that_breaks_it_and_no_other(rule: str) -> None:
    assert rule in BREAKAGES, "a rule needs an object that breaks only it: tests/broken_objects.py"
    assert [str(problem) for problem in problems_of(rule) if problem.rule != rule] == []
    assert {problem.rule for problem in problems_of(rule)} == {rule}


def test_every_breakage_is_of_a_rule() -> None:
    assert set(BREAKAGES) == set(RULES)


def test_rules_that_the_program_names_are_those_of_the_catalogue(repository: Path) -> None:
    pattern = r'"((?:IOD|UID|CODE|NUMBER|GROUP|REF|GEO|SEG|VIEW|SR|TID|PLAUSIBLE|AIR|KO|PM|ANN|PR|SC|RT)-[A-Z0-9-]+)"'
    named = {
        name
        for path in (repository / "service" / "objects").rglob("*.py")
        for name in re.findall(pattern, path.read_text("utf-8"))
    }
    tables = "".join(path.read_text("utf-8") for path in (repository / "config" / "validation").glob("*.*"))
    assert named <= set(RULES) | {"IOD-TYPE-"}
    built = {"IOD-TYPE-1", "IOD-TYPE-2"}
    assert [name for name in RULES if name not in named | built and tables.count(name) < 2] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_what_to_do(rule: str) -> None:
    remedy = RULES[rule].remedy
    assert remedy[0].isupper()
    assert not remedy.endswith(".")


def test_page_lists_the_rules_as_they_are(repository: Path) -> None:
    page = (repository / PAGE).read_text("utf-8")
    assert page == with_list(page, rule_list(shipped_catalogue())), "run tools/make_rule_list.py"


@pytest.mark.parametrize("name", VOLUMES)
def test_own_objects_break_no_rule(name: str) -> None:
    volume = VOLUMES[name]()
    made = write(volume, nodule(volume), *([] if name == "enhanced" else [organ(volume)]))
    assert made.segmentation is not None
    assert validate(made.segmentation, sources=volume.sources) == []
    assert validate(made.report, sources=volume.sources, referenced=[made.segmentation]) == []


def test_report_without_findings_breaks_no_rule() -> None:
    volume = axial()
    assert validate(write(volume).report, sources=volume.sources) == []


# More ways to break a rule than the one that the catalogue is tested with.
def empty_type_1(one: GoodObject) -> None:
    one.data_set.ContentLabel = ""


def label_map_type(one: GoodObject) -> None:
    one.data_set.SegmentationType = "LABELMAP"


def eight_bits(one: GoodObject) -> None:
    one.data_set.BitsAllocated = one.data_set.BitsStored = 8


def fraction_without_meaning(one: GoodObject) -> None:
    one.data_set.SegmentationType = "FRACTIONAL"


def half_a_tracking_pair(one: GoodObject) -> None:
    del one.data_set.SegmentSequence[0].TrackingID


def unheard_of_algorithm_type(one: GoodObject) -> None:
    one.data_set.SegmentSequence[0].SegmentAlgorithmType = "GUESSED"


def no_orientation(one: GoodObject) -> None:
    del shared(one).PlaneOrientationSequence


def undeclared_organization(one: GoodObject) -> None:
    one.data_set.DimensionIndexSequence[0].DimensionOrganizationUID = "2.25.1"


def index_from_nothing(one: GoodObject) -> None:
    frames(one)[0].FrameContentSequence[0].DimensionIndexValues = [0, 1]


def spacing_below_nothing(one: GoodObject) -> None:
    shared(one).PixelMeasuresSequence[0].PixelSpacing = [-1, 1]


def frames_in_another_plane(one: GoodObject) -> None:
    shared(one).PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def content_shared(one: GoodObject) -> None:
    shared(one).FrameContentSequence = deepcopy(frames(one)[0].FrameContentSequence)


def source_not_listed(one: GoodObject) -> None:
    listed = one.data_set.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    one.data_set.ReferencedSeriesSequence[0].ReferencedInstanceSequence = listed[:2]


def number_one_frame_after_the_last(one: GoodObject) -> None:
    source = frames(one)[0].DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedFrameNumber = 3


def position_that_is_none(one: GoodObject) -> None:
    frames(one)[0].PlanePositionSequence[0]["ImagePositionPatient"] = raw(
        "ImagePositionPatient", "DS", ["NaN", "0", "0"]
    )


def pixels_cut(one: GoodObject) -> None:
    one.data_set.PixelData = one.data_set.PixelData[:-2]


def date_of_words(one: GoodObject) -> None:
    one.data_set["ContentDate"] = raw("ContentDate", "DA", "yesterday")


SEGMENTATION_BREACHES: list[tuple[Callable[[GoodObject], None], str]] = [
    (empty_type_1, "IOD-TYPE-1"),
    (label_map_type, "SEG-TYPE"),
    (eight_bits, "SEG-BITS"),
    (fraction_without_meaning, "SEG-FRACTION"),
    (half_a_tracking_pair, "SEG-TRACKING"),
    (unheard_of_algorithm_type, "SEG-ALGORITHM"),
    (no_orientation, "SEG-PLACE"),
    (undeclared_organization, "SEG-DIMENSIONS"),
    (index_from_nothing, "SEG-DIMENSIONS"),
    (spacing_below_nothing, "GEO-SPACING"),
    (frames_in_another_plane, "GEO-SOURCE"),
    (content_shared, "GROUP-PLACE"),
    (source_not_listed, "REF-LISTED"),
    (number_one_frame_after_the_last, "REF-FRAME"),
    (position_that_is_none, "NUMBER-FINITE"),
    (date_of_words, "IOD-VALUE"),
    (pixels_cut, "SEG-PIXELS"),
]


@pytest.mark.parametrize(("plant", "rule"), SEGMENTATION_BREACHES, ids=lambda one: getattr(one, "__name__", one))
def test_breach_in_a_segmentation_is_named(plant: Callable[[GoodObject], None], rule: str) -> None:
    one = good("segmentation")
    plant(one)
    assert rule in one.rules_broken()


def nobody_observed(one: GoodObject) -> None:
    without(one.data_set, concepts.OBSERVER_TYPE)


def group_without_region(one: GoodObject) -> None:
    without(volume_group(one), concepts.REFERENCED_SEGMENT)


def item_of_no_kind(one: GoodObject) -> None:
    del numbers_of(first_group(one))[0].ValueType


def kind_that_is_none(one: GoodObject) -> None:
    numbers_of(first_group(one))[0].ValueType = "GUESS"


def reference_to_what_it_stands_below(one: GoodObject) -> None:
    number = numbers_of(first_group(one))[0]
    number.ContentSequence.append(item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1]))


def segment_without_number(one: GoodObject) -> None:
    reference = children(volume_group(one), concepts.REFERENCED_SEGMENT)[0].ReferencedSOPSequence[0]
    del reference.ReferencedSegmentNumber


def segmentation_that_is_not_there(one: GoodObject) -> None:
    one.referenced = [one.data_set]


def verified_in_part(one: GoodObject) -> None:
    one.data_set.VerificationFlag, one.data_set.CompletionFlag = "VERIFIED", "PARTIAL"


def unverified_by_somebody(one: GoodObject) -> None:
    one.data_set.VerifyingObserverSequence = good("reading").data_set.VerifyingObserverSequence


def verified_by_the_machine(one: GoodObject) -> None:
    unverified_by_somebody(one)
    one.data_set.VerificationFlag = "VERIFIED"
    one.data_set.VerifyingObserverSequence[0].VerifyingObserverName = "Round things"


def measured_without_number(one: GoodObject) -> None:
    del numbers_of(first_group(one))[0].MeasuredValueSequence[0].NumericValue


def unit_of_no_scheme(one: GoodObject) -> None:
    measured = numbers_of(first_group(one))[0].MeasuredValueSequence[0]
    measured.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator = "99HERE"


def template_of_words(one: GoodObject) -> None:
    one.data_set.ContentTemplateSequence[0].TemplateIdentifier = "MINE"


def group_too_deep(one: GoodObject) -> None:
    deep = first_group(one)
    for _ in range(80):
        nested = deepcopy(item(RelationshipType="CONTAINS", ValueType="CONTAINER", ContinuityOfContent="SEPARATE"))
        deep.ContentSequence = [*(deep.get("ContentSequence") or ()), nested]
        deep = nested


REPORT_BREACHES: list[tuple[Callable[[GoodObject], None], str]] = [
    (nobody_observed, "TID-OBSERVER"),
    (group_without_region, "TID-REGION"),
    (item_of_no_kind, "SR-TREE"),
    (kind_that_is_none, "SR-VALUE"),
    (reference_to_what_it_stands_below, "SR-TREE"),
    (segment_without_number, "SR-SEGMENT"),
    (segmentation_that_is_not_there, "SR-SEGMENT"),
    (verified_in_part, "SR-VERIFIED"),
    (unverified_by_somebody, "SR-VERIFIED"),
    (verified_by_the_machine, "SR-VERIFIER"),
    (measured_without_number, "SR-VALUE"),
    (unit_of_no_scheme, "TID-UNITS"),
    (template_of_words, "TID-UNKNOWN"),
    (group_too_deep, "IOD-DEPTH"),
]


@pytest.mark.parametrize(("plant", "rule"), REPORT_BREACHES, ids=lambda one: getattr(one, "__name__", one))
def test_breach_in_a_report_is_named(plant: Callable[[GoodObject], None], rule: str) -> None:
    one = good("report")
    plant(one)
    assert rule in one.rules_broken()


def test_predecessor_that_nobody_knows_is_named_where_everything_is_known() -> None:
    one = good("report")
    series = item(SeriesInstanceUID="2.25.8", ReferencedSOPSequence=[item(ReferencedSOPInstanceUID="2.25.9")])
    one.data_set.PredecessorDocumentsSequence = [item(StudyInstanceUID="2.25.7", ReferencedSeriesSequence=[series])]
    assert "SR-PREDECESSOR" not in one.rules_broken()
    one.is_complete = True
    assert "SR-PREDECESSOR" in one.rules_broken()


def test_mask_that_reaches_over_the_image_with_nothing_marked_there_is_none() -> None:
    """A frame may be larger than what it marks."""
    one = good("segmentation")
    every_position(one, 0, -46.0)
    assert "GEO-INSIDE" not in one.rules_broken()


def test_label_map_is_read_where_it_is_compressed() -> None:
    one = good("label map")
    pixels = np.frombuffer(one.data_set.PixelData, np.uint8).copy()
    pixels[0] = 9
    encoder = get_encoder(RLELossless)
    side = one.data_set.Rows, one.data_set.Columns
    planes = pixels.reshape(-1, *side)
    layout = {
        "rows": side[0],
        "columns": side[1],
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_representation": 0,
        "bits_allocated": 8,
        "bits_stored": 8,
        "number_of_frames": 1,
    }
    one.data_set.PixelData = encapsulate([encoder.encode(plane, **layout) for plane in planes])
    one.data_set["PixelData"].VR = "OB"
    one.data_set["PixelData"].is_undefined_length = True
    one.data_set.file_meta.TransferSyntaxUID = RLELossless
    assert one.rules_broken() == {"SEG-LABELS"}


def test_label_map_may_number_with_gaps() -> None:
    one = good("label map")
    segment = one.data_set.SegmentSequence[-1]
    one.data_set.PixelData = one.data_set.PixelData.replace(bytes([segment.SegmentNumber]), b"\x28")
    segment.SegmentNumber = 40
    assert one.rules_broken() == set()


def test_frames_of_several_times_may_lie_in_one_place() -> None:
    one = good("label map")
    dimension = deepcopy(one.data_set.DimensionIndexSequence[0])
    dimension.DimensionIndexPointer = 0x00209128  # Temporal Position Index
    one.data_set.DimensionIndexSequence.append(dimension)
    first, second = frames(one)[:2]
    second.update(deepcopy(first))
    for number, frame in enumerate(frames(one)):
        content = frame.FrameContentSequence[0]
        values = content.DimensionIndexValues
        content.DimensionIndexValues = [*([values] if isinstance(values, int) else values), 1 + (number == 1)]
    assert "SEG-OVERLAP" not in one.rules_broken()


def test_predecessors_of_the_catalogue_are_read_under_their_old_codes() -> None:
    """Finding Site was (G-C0E3, SRT) until 2020."""
    one = good("report")
    for group in groups(one.data_set):
        for site in children(group, concepts.FINDING_SITE):
            name = site.ConceptNameCodeSequence[0]
            name.CodeValue, name.CodingSchemeDesignator = "G-C0E3", "SRT"
            site.RelationshipType = "CONTAINS"
    assert one.rules_broken() == {"TID-ROW"}


def test_problem_names_rule_clause_severity_and_remedy() -> None:
    one = good("segmentation")
    pixels_of_more_frames(one)
    (problem,) = one.problems()
    assert str(problem).startswith("ERROR SEG-PIXELS (PS3.5 8.1.1, PS3.3 C.7.6.3): ")
    assert problem.remedy in str(problem)
    assert problem.on_arrival is OnArrival.REFUSE


def test_errors_refuse_and_warnings_pass() -> None:
    one = good("report")
    other_tool(one)
    refuse_errors(one.problems())
    no_coordinates(one)
    with pytest.raises(ObjectInvalid, match="VIEW-SR-COORDINATES"):
        refuse_errors(one.problems())


@pytest.mark.parametrize("rule", RULES)
def test_problems_never_quote_values_of_the_patient(rule: str) -> None:
    told = " ".join(str(problem) for problem in problems_of(rule))
    assert not [value for value in ("Doe", "PAT-4711", "ACC-99", "19610502", "House") if value in told]


@pytest.mark.parametrize("kind", KINDS)
def test_object_is_judged_alike_in_memory_and_from_a_file(kind: str, tmp_path: Path) -> None:
    one = good(kind)
    one.data_set.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    assert validate(dcmread(tmp_path / "object.dcm"), sources=one.sources, referenced=one.referenced) == []


def test_catalogue_severities_are_known() -> None:
    assert {rule.severity for rule in RULES.values()} == {Severity.ERROR, Severity.WARNING}


def test_catalogue_is_loaded_from_a_directory(repository: Path) -> None:
    assert RuleCatalogue.load(repository / "config" / "validation").rules == RULES


def all_items(data_set: Dataset) -> list[Dataset]:
    found = [data_set]
    for element in data_set:
        if isinstance(element.value, Sequence):
            for one in element.value:
                found += all_items(one)
    return found


# What is damaged is drawn as plain numbers, so that an example means the same whatever the object holds.
DAMAGE = st.tuples(st.integers(0, 9999), st.integers(0, 9999), st.sampled_from(["removed", "emptied", "strange"]))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damages=st.lists(DAMAGE, min_size=1, max_size=6))
def test_damaged_objects_are_judged_without_an_exception(kind: str, damages: list[tuple[int, int, str]]) -> None:
    one = good(kind)
    for place, element, damage in damages:
        items = [found for found in all_items(one.data_set) if len(found)]
        chosen = items[place % len(items)]
        tags = sorted(chosen.keys())
        tag = tags[element % len(tags)]
        if damage == "removed":
            del chosen[tag]
        elif chosen[tag].VR == "SQ":
            chosen[tag].value = [] if damage == "emptied" else [Dataset()]
        else:
            chosen[tag] = raw(tag, chosen[tag].VR, None if damage == "emptied" else strange(chosen[tag].VR))
    for problem in one.problems():
        assert problem.message


def strange(vr: str) -> object:
    """What a sender might write where something else belongs."""
    if vr in ("US", "UL", "SS", "SL", "FL", "FD"):
        return 65535 if vr == "US" else 0
    if vr == "AT":
        return 0x00100010
    if vr.startswith("O"):
        return b"\x01\x02\x03"
    return ["1", "2"] if vr in ("IS", "DS") else "\u2603"
