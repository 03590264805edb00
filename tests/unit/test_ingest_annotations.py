"""What becomes of annotation objects that others send: which are refused with what words, and which are only listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from service.core.records import ObjectKind, OutcomeKind
from service.objects.rule_catalogue import OnArrival, shipped_catalogue
from tests.broken_objects import BREAKAGES, broken, frames
from tests.datasets import ct_slice
from tests.good_objects import good
from tests.ingest_house import IngestHouse
from tests.sent_objects import image_of, send, send_all, served_segmentation, source_of_nobody

RULES = shipped_catalogue().rules
REFUSED = 0xC011


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    made = IngestHouse(tmp_path, judges=True)
    yield made
    made.close()


GRAVE = sorted(
    name
    for name, rule in RULES.items()
    if rule.on_arrival is OnArrival.REFUSE and BREAKAGES[name][0] != "secondary capture"
)
NOT_GRAVE = sorted(
    name
    for name, rule in RULES.items()
    if rule.on_arrival is not OnArrival.REFUSE and BREAKAGES[name][0] != "secondary capture"
)
# What is found by what only our own results come with: the pixels of a segmentation, or all of a series.
BY_MORE_THAN_ARRIVES = {
    "PLAUSIBLE-VOLUME",
    "PLAUSIBLE-LONG-AXIS",
    "SR-FRAME-OF-REFERENCE",
    "REF-CLASS",
    "SR-PREDECESSOR",
}


@pytest.mark.parametrize("rule", GRAVE)
def test_object_that_would_mislead_is_held_with_rule_and_remedy(house: IngestHouse, rule: str) -> None:
    outcome = send_all(house, broken(rule))
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, REFUSED)
    assert outcome.reason.startswith(f"{rule}: ")
    assert outcome.reason.endswith(RULES[rule].remedy)
    assert not [word for word in ("Doe", "PAT-4711", "ACC-99") if word in outcome.reason]


@pytest.mark.parametrize("rule", GRAVE)
def test_nothing_of_it_is_stored(house: IngestHouse, rule: str) -> None:
    one = broken(rule)
    outcome = send_all(house, one)
    assert house.index.find("clinical", str(one.data_set.SOPInstanceUID)) is None
    assert not [key for key in house.blob_keys() if str(one.data_set.SOPInstanceUID) in key]
    assert house.quarantine.show(outcome.quarantine_id).reason == outcome.reason
    assert house.faults == []


@pytest.mark.parametrize("rule", [rule for rule in NOT_GRAVE if rule not in BY_MORE_THAN_ARRIVES])
def test_object_with_a_harmless_fault_is_kept_and_listed(house: IngestHouse, rule: str) -> None:
    one = broken(rule)
    outcome = send_all(house, one)
    assert outcome.kind is OutcomeKind.ARCHIVED
    ((project, uid, rules),) = house.faults
    assert (project, uid) == ("clinical", str(one.data_set.SOPInstanceUID))
    assert rule in rules
    assert rule in {problem.rule for problem in house.judge.problems_held("clinical", uid)}


@pytest.mark.parametrize("kind", ["segmentation", "label map", "report", "reading", "key object", "bulk annotations"])
def test_good_object_is_kept_and_nothing_is_said(house: IngestHouse, kind: str) -> None:
    assert send_all(house, good(kind)).kind is OutcomeKind.ARCHIVED
    assert house.faults == []


def test_object_may_come_before_its_images(house: IngestHouse) -> None:
    one = good("segmentation")
    assert send(house, one.data_set).kind is OutcomeKind.ARCHIVED
    assert [rules for _, _, rules in house.faults] == [("REF-KNOWN",)]


def test_reader_s_object_about_images_that_are_not_here_is_refused(house: IngestHouse) -> None:
    outcome = send(house, good("segmentation").data_set, author="reader-1")
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, REFUSED)
    assert outcome.reason.startswith("REF-KNOWN: ")


def test_released_object_is_kept_once_its_images_are_here(house: IngestHouse) -> None:
    one = good("segmentation")
    held = send(house, one.data_set, author="reader-1")
    again = house.quarantine.read(held.quarantine_id)
    assert house.pipeline.process_released(again).kind is OutcomeKind.QUARANTINED
    for image in one.sources:
        send(house, image_of(image))
    assert house.pipeline.process_released(again).kind is OutcomeKind.ARCHIVED


def test_object_that_is_held_is_not_judged_again(house: IngestHouse) -> None:
    one = good("segmentation")
    assert send_all(house, one).kind is OutcomeKind.ARCHIVED
    calls = []
    house.pipeline._judge = lambda *args, **named: calls.append(args) or ()
    assert send(house, one.data_set).kind is OutcomeKind.DUPLICATE
    assert calls == []


def test_project_that_refuses_nothing_lists_everything(tmp_path: Path) -> None:
    house = IngestHouse(tmp_path, judges=True, refuses=False)
    assert send_all(house, broken("SEG-LABELS")).kind is OutcomeKind.ARCHIVED
    assert [rules for _, _, rules in house.faults] == [("SEG-LABELS",)]
    house.close()


def test_image_is_never_judged(house: IngestHouse) -> None:
    image = ct_slice()
    image.BurnedInAnnotation = "PERHAPS"
    assert send(house, image).kind is OutcomeKind.ARCHIVED
    assert house.faults == []


def test_object_made_on_the_study_as_served_is_an_annotation(house: IngestHouse) -> None:
    written = served_segmentation(house)
    outcome = send(house, written, "research")
    assert outcome.kind is OutcomeKind.ARCHIVED
    row = house.index.find("research", outcome.sop_instance_uid)
    assert row is not None
    assert row.kind is ObjectKind.ANNOTATION
    assert house.faults == []


def other_frame_of_reference(written: Dataset) -> None:
    written.FrameOfReferenceUID = "2.25.405"


def other_plane(written: Dataset) -> None:
    written.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (source_of_nobody, "REF-KNOWN"),
        (other_frame_of_reference, "VIEW-SEG-FRAME-OF-REFERENCE"),
        (other_plane, "GEO-SOURCE"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_object_that_does_not_fit_the_study_as_served_is_refused(
    house: IngestHouse, damage: Callable[[Dataset], None], rule: str
) -> None:
    written = served_segmentation(house)
    damage(written)
    outcome = send(house, written, "research")
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, REFUSED)
    assert f"{rule}: " in outcome.reason


def test_object_of_the_pacs_is_judged_in_the_uids_under_which_it_is_served(house: IngestHouse) -> None:
    """Its references are replaced with it, so that its geometry is held against the images all the same."""
    one = good("segmentation")
    for image in one.sources:
        send(house, image_of(image), "research")
    assert send(house, one.data_set, "research").kind is OutcomeKind.ARCHIVED
    assert house.faults == []
    off = good("segmentation")
    off.data_set.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.5"
    for frame in frames(off):
        frame.PlanePositionSequence = deepcopy(frame.PlanePositionSequence)  # frames may share the item
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += 900
    assert send(house, off.data_set, "research").reason.startswith("GEO-SOURCE: ")


def test_large_object_is_judged_by_its_header(house: IngestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.ingest.annotation_check.LARGEST", 0)
    assert send_all(house, broken("SEG-IDENTIFICATION")).reason.startswith("SEG-IDENTIFICATION: ")
