"""A result in two forms: BINARY for what archives take, Label Map for what is fast, one of them for each peer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.core.deliveries import BINARY, LABEL_MAP, DeliveryState
from service.delivery.forms import chosen_form
from service.delivery.peer_rules import PeerRules
from service.objects.label_map_twin import write_label_map_twin
from service.objects.result_context import WrittenResult
from service.objects.validation import Severity, validate
from service.objects.writer import write_results
from tests.delivery_house import DeliveryHouse, delivering, dimse
from tests.fakes.scripted_storage_scp import ScriptedStorageScp
from tests.volumes import nodule, organ, result_of
from tests.written_results import VOLUMES, axial, context

SEG, LABELS, REPORT = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("66.4", "66.7", "88.34"))


def twins(volume_name: str = "axial") -> tuple[WrittenResult, WrittenResult]:
    volume, own = VOLUMES[volume_name](), context()
    result = result_of(nodule(volume), nodule(volume, 2, (6, 11, 3)))
    written = write_results(result, "Lung nodules", volume, own)
    twin = write_label_map_twin(result, "Lung nodules", volume, written, own)
    assert twin is not None
    return written, twin


@pytest.mark.parametrize("volume_name", ["axial", "oblique", "enhanced"])
def test_twin_is_valid_and_says_the_same(volume_name: str) -> None:
    written, twin = twins(volume_name)
    assert written.segmentation is not None
    assert twin.segmentation is not None
    for one, other in ((twin.segmentation, twin.report), (twin.report, twin.segmentation)):
        assert [str(p) for p in validate(one, referenced=[other]) if p.severity is Severity.ERROR] == []
    assert twin.segmentation.SOPClassUID == LABELS
    binary = hd.seg.Segmentation.from_dataset(written.segmentation).pixel_array
    labels = hd.seg.Segmentation.from_dataset(twin.segmentation).pixel_array
    for number in (1, 2):
        frames = [
            frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
            for frame in written.segmentation.PerFrameFunctionalGroupsSequence
        ]
        assert int(np.atleast_3d(binary)[frames].sum()) == int((labels == number).sum())


def test_four_objects_have_uids_of_their_own_and_name_each_other() -> None:
    written, twin = twins()
    uids = {str(one.SOPInstanceUID) for pair in (written, twin) for one in (pair.segmentation, pair.report) if one}
    assert len(uids) == 4
    for report, others in ((written.report, twin), (twin.report, written)):
        named = {
            str(reference.ReferencedSOPInstanceUID)
            for study in report.PertinentOtherEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for reference in series.ReferencedSOPSequence
        }
        assert others.segmentation is not None
        assert named == {str(others.segmentation.SOPInstanceUID), str(others.report.SOPInstanceUID)}


def tracking(segmentation: Dataset) -> list[str]:
    return [str(one.TrackingUID) for one in segmentation.SegmentSequence if one.SegmentNumber]


def test_segments_are_joined_by_their_tracking_uids() -> None:
    written, twin = twins()
    assert written.segmentation is not None
    assert twin.segmentation is not None
    assert tracking(written.segmentation) == tracking(twin.segmentation)


def test_segments_that_overlap_have_no_twin() -> None:
    volume, own = axial(), context()
    result = result_of(nodule(volume), organ(volume))
    written = write_results(result, "Lung nodules", volume, own)
    assert write_label_map_twin(result, "Lung nodules", volume, written, own) is None
    assert "PertinentOtherEvidenceSequence" not in written.report


def test_result_without_masks_has_no_twin() -> None:
    volume, own = axial(), context()
    written = write_results(result_of(), "Lung nodules", volume, own)
    assert write_label_map_twin(result_of(), "Lung nodules", volume, written, own) is None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path) as house:
        yield house


@pytest.mark.parametrize(
    ("classes", "wanted", "sent"),
    [
        ([SEG, LABELS, REPORT], "auto", [SEG, REPORT]),
        ([SEG, REPORT], "auto", [SEG, REPORT]),
        ([LABELS, REPORT], "auto", [LABELS, REPORT]),
        ([SEG, LABELS, REPORT], "label-map", [LABELS, REPORT]),
    ],
)
def test_peer_gets_the_form_that_it_takes_with_its_own_report(
    house: DeliveryHouse, classes: list[str], wanted: str, sent: list[str]
) -> None:
    study_uid = house.make_results()
    house.release_all()
    with ScriptedStorageScp(classes) as scp:
        rules = PeerRules("pacs", check_identity=False, segmentation=wanted)
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), rules=rules).turn()
    (delivery,) = house.deliveries()
    assert delivery.state is DeliveryState.SENT
    assert [item.sop_class_uid for item in house.outbox.items(delivery.id)] == sent
    form = LABEL_MAP if LABELS in sent else BINARY
    assert scp.received == list(delivery.objects[form])
    # People see one of the two.
    assert sorted(row.sop_class_uid for row in house.jobs.results(study_uid)) == [SEG, REPORT]


def test_form_that_nobody_takes_is_offered_all_the_same(house: DeliveryHouse) -> None:
    house.make_results()
    (release,) = house.release_all()
    rows = {uid: house.preparation.instance(house.project, uid) for uid in release.all_objects}
    assert chosen_form(release.objects, rows, "auto", lambda _: False) == list(release.objects[BINARY])
