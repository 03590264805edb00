"""What a run makes of a series, and what it stores."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGExtended12Bit

from service.core.archived import RunState
from service.errors import VolumeRefused
from service.ingest.part10 import read_file
from tests.datasets import as_file, ct_slice
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.jobs_house import JobsHouse
from tests.volumes import VOLUME, nodule

SLICES = 8


def find_nodule(volume):
    return [nodule(volume)]


@pytest.fixture
def open_house(tmp_path):
    houses = []

    def open_house(*annotators, **options):
        houses.append(JobsHouse(tmp_path, annotators or [FixedAnnotator(find_nodule)], **options))
        return houses[-1]

    yield open_house
    for house in houses:
        house.close()


def carried_out(house, count=SLICES):
    """A study of slices with every run done; its UID and how the runs ended."""
    outcome = house.receive_slices(count)
    house.go_quiet()
    return outcome.study_uid, house.carry_out()


def test_findings_become_a_segmentation_and_a_report(open_house):
    house = open_house()
    study_uid, ends = carried_out(house)
    assert [end.state for end in ends] == [RunState.DONE]
    stored = [house.ingest.stored(row) for row in house.results(study_uid)]
    assert sorted(one.Modality for one in stored) == ["SEG", "SR"]


def test_nothing_found_is_a_report_without_segmentation(open_house):
    house = open_house(FixedAnnotator())
    study_uid, ends = carried_out(house)
    assert ends[0].state is RunState.DONE
    assert [house.ingest.stored(row).Modality for row in house.results(study_uid)] == ["SR"]


def test_results_say_which_annotator_and_run_made_them(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    (run,) = house.all_runs(study_uid)
    assert {(row.annotator, row.run_id) for row in house.results(study_uid)} == {("fixed", run.id)}


def test_stored_result_is_read_back_with_its_pixels(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    row = next(row for row in house.results(study_uid) if row.blob.pixels)
    content = house.ingest.blobs.path(row.blob.key).read_bytes()
    pixels = row.blob.pixels
    segmentation = house.ingest.stored(row)
    assert content[pixels.offset : pixels.offset + pixels.length] == segmentation.PixelData
    assert segmentation.pixel_array.any()


def test_run_row_tells_the_findings(open_house):
    found = []
    house = open_house(FixedAnnotator(lambda volume: found.append(nodule(volume)) or found[-1:]))
    study_uid, _ = carried_out(house)
    (run,) = house.all_runs(study_uid)
    (finding,) = json.loads(run.findings)
    assert (finding["label"], finding["confidence"]) == ("Nodule 1", 0.875)
    assert finding["long_axis_mm"] == pytest.approx(5.0)
    (volume_mm3,) = [one.value for one in found[-1].measurements if one.name == VOLUME]
    assert finding["volume_mm3"] == pytest.approx(volume_mm3, rel=1e-6)


def test_results_carry_a_date_moved_like_the_patients(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    days = house.ingest.deidentifier.shift_days("PAT-4711")
    made = datetime.fromtimestamp(house.clock()) - timedelta(days=days)
    dates = {house.ingest.stored(row).ContentDate for row in house.results(study_uid)}
    assert dates == {made.strftime("%Y%m%d")}


def test_results_carry_the_real_date_where_identity_is_kept(open_house):
    house = open_house(project="clinical")
    study_uid, _ = carried_out(house)
    today = datetime.fromtimestamp(house.clock()).strftime("%Y%m%d")
    assert {house.ingest.stored(row).ContentDate for row in house.results(study_uid)} == {today}


def test_results_belong_to_the_patient_of_the_study(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    study = house.index.study("research", study_uid)
    stored = [house.ingest.stored(row) for row in house.results(study_uid)]
    assert {(one.PatientID, one.StudyDate) for one in stored} == {(study.patient_id, study.study_date)}


def test_new_version_takes_the_place_of_the_older_one(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    first = {row.sop_instance_uid for row in house.results(study_uid)}
    house.receive_slices(1, first=SLICES + 1)
    house.go_quiet()
    house.carry_out()
    shown = {row.sop_instance_uid for row in house.results(study_uid)}
    assert len(shown) == 2
    assert shown.isdisjoint(first)
    assert len(house.results(study_uid, visible_only=False)) == 8  # two versions, each in two forms


def test_runs_on_a_series_are_versions_of_one_line(open_house):
    house = open_house()
    study_uid = house.receive_slices(4).study_uid
    house.go_quiet()
    house.carry_out()
    house.receive_slices(4, first=5)
    house.go_quiet()
    house.carry_out()
    after, before = house.ingest.versions.of_study("research", study_uid)
    assert (before.number, before.parent, before.is_newest) == (1, None, False)
    assert (after.number, after.parent, after.line, after.is_newest) == (2, before.id, before.line, True)
    assert before.origin.run_id != after.origin.run_id
    # In two forms each; twins are kept for peers and not shown.
    assert [one.modality for one in after.objects] == ["SEG", "SEG", "SR", "SR"]


def test_new_version_names_the_report_that_it_replaces(open_house):
    house = open_house()
    study_uid, _ = carried_out(house)
    first = next(row for row in house.results(study_uid) if not row.blob.pixels)
    house.receive_slices(1, first=SLICES + 1)
    house.go_quiet()
    house.carry_out()
    second = next(row for row in house.results(study_uid) if not row.blob.pixels)
    predecessor = house.ingest.stored(second).PredecessorDocumentsSequence[0]
    referenced = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert referenced.ReferencedSOPInstanceUID == first.sop_instance_uid


def test_series_that_no_codec_reads_is_refused_with_the_reason(open_house):
    house = open_house()
    files = []
    for number in range(1, SLICES + 1):
        source = ct_slice(number)
        source.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
        source["PixelData"].is_undefined_length = True
        source["PixelData"].VR = "OB"
        files.append(read_file(as_file(source, "1.2.840.10008.1.2.4.53")))
    for file in files:
        house.ingest.pipeline.process(house.ingest.incoming(file.data_set, "research", file.transfer_syntax_uid))
    house.go_quiet()
    (end,) = house.carry_out()
    assert end.state is RunState.REFUSED
    assert "no codec here reads" in end.reason


def test_broken_pixels_are_refused_with_the_reason(open_house):
    house = open_house()
    source = ct_slice(1)
    source.PixelData = encapsulate([b"\xff\xd8\xff\xda\0\2not a picture\xff\xd9"])
    source["PixelData"].is_undefined_length = True
    source["PixelData"].VR = "OB"
    file = read_file(as_file(source, JPEGExtended12Bit))
    house.ingest.pipeline.process(house.ingest.incoming(file.data_set, "research", file.transfer_syntax_uid))
    house.go_quiet()
    (end,) = house.carry_out()
    assert end.state is RunState.REFUSED
    assert end.reason


def test_refusal_of_the_annotator_is_the_runs_reason(open_house):
    def refuse(volume):
        raise VolumeRefused("too few slices")

    house = open_house(FixedAnnotator(refuse))
    _, ends = carried_out(house, 1)
    assert (ends[0].state, ends[0].reason) == (RunState.REFUSED, "too few slices")


def test_fault_of_an_annotator_fails_its_run_alone(open_house):
    def fail(volume):
        raise ZeroDivisionError("Doe^Jane")

    house = open_house(FixedAnnotator(fail, name="faulty"), FixedAnnotator(find_nodule))
    study_uid, ends = carried_out(house)
    assert {end.state for end in ends} == {RunState.FAILED, RunState.DONE}
    reasons = " ".join(end.reason for end in ends)
    assert "ZeroDivisionError" in reasons
    assert "Doe" not in reasons
    assert len(house.results(study_uid)) == 2


def test_object_that_breaks_a_rule_is_not_stored(open_house):
    house = open_house(FixedAnnotator(lambda volume: [replace(nodule(volume), tracking_uid="1.2.03")]))
    study_uid, (end,) = carried_out(house)
    assert end.state is RunState.FAILED
    assert "breaks a rule" in end.reason
    assert house.results(study_uid, visible_only=False) == []


def test_results_under_a_uid_that_is_taken_are_not_stored(open_house):
    house = open_house(new_uid=lambda: "1.2.826.0.1.3680043.8.498.77")
    study_uid, (end,) = carried_out(house)
    assert end.state is RunState.FAILED
    assert house.results(study_uid, visible_only=False) == []


def test_run_whose_lease_is_lost_stores_nothing(open_house):
    house = open_house()
    outcome = house.receive_slices(SLICES)
    house.go_quiet()
    run = house.runs.lease("first", 60.0)
    house.clock.now += 61
    house.runs.requeue_expired(3)
    assert house.runs.lease("second", 60.0) is not None
    house.executor.execute(run, "first")
    assert house.results(outcome.study_uid) == []
    assert len(house.ingest.blob_keys()) == SLICES


def test_run_that_a_newer_one_overtook_stores_nothing(open_house):
    house = open_house()
    outcome = house.receive_slices(SLICES)
    house.go_quiet()
    slow = house.runs.lease("slow", 1000.0)
    house.receive_slices(1, first=SLICES + 1)
    house.go_quiet()
    house.carry_out("fast")
    end = house.executor.execute(slow, "slow")
    assert end.state is RunState.REFUSED
    assert len(house.results(outcome.study_uid, visible_only=False)) == 4  # in two forms


def test_run_over_images_that_are_not_all_any_more_leaves_them_to_the_newer_one(open_house):
    house = open_house()
    outcome = house.receive_slices(SLICES)
    house.go_quiet()
    house.receive_slices(1, first=SLICES + 1)
    (end,) = house.carry_out()
    assert end.state is RunState.REFUSED
    house.go_quiet()
    house.carry_out()
    assert [run.state for run in house.all_runs(outcome.study_uid)] == [RunState.REFUSED, RunState.DONE]


def test_own_result_that_comes_back_from_the_pacs_changes_nothing(open_house):
    house = open_house(project="clinical")
    study_uid, _ = carried_out(house)
    before = house.index.study("clinical", study_uid)
    for row in house.results(study_uid):
        content = house.ingest.stored_bytes(row)
        outcome = house.ingest.pipeline.process(house.ingest.incoming(content))
        assert outcome.kind == "own-object"
    assert house.index.study("clinical", study_uid) == before
