"""When studies are complete, and which runs are queued then."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from service.archive.intake import Arrival
from service.core.records import OutcomeKind
from service.jobs.run_inputs import inputs_digest
from tests.datasets import ct_slice
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.ingest_house import IngestHouse
from tests.jobs_house import QUIET_S, JobsHouse
from tests.volumes import ALGORITHM


@pytest.fixture
def house(tmp_path):
    house = JobsHouse(tmp_path, [FixedAnnotator()])
    yield house
    house.close()


def other_series(number, modality="MR", sop_class_uid="1.2.840.10008.5.1.4.1.1.4"):
    data_set = ct_slice(number, series_uid="1.2.826.5.5")
    data_set.Modality, data_set.SOPClassUID = modality, sop_class_uid
    return data_set


def state_of(house, study_uid):
    study = house.index.study(house.project, study_uid)
    return study.state, study.version


def test_study_stays_open_during_its_quiet_time(house):
    outcome = house.receive_slices(3)
    house.clock.now += QUIET_S - 1
    assert house.watch.complete_due() == 0
    assert state_of(house, outcome.study_uid) == ("receiving", 0)


def test_study_is_complete_after_its_quiet_time(house):
    outcome = house.receive_slices(3)
    assert house.go_quiet() == 1
    assert state_of(house, outcome.study_uid) == ("complete", 1)


def test_every_image_begins_the_quiet_time_anew(house):
    house.receive_slices(1)
    house.clock.now += QUIET_S - 1
    house.receive_slices(1, first=2)
    house.clock.now += 2
    assert house.watch.complete_due() == 0


def test_study_is_complete_once(house):
    house.receive_slices(3)
    house.go_quiet()
    assert house.go_quiet() == 0


def test_study_is_complete_once_among_two_processes(house, tmp_path):
    house.receive_slices(3)
    other = JobsHouse(tmp_path, [FixedAnnotator()])
    house.clock.now += QUIET_S + 1
    other.clock.now = house.clock.now
    queued = []
    threads = [
        threading.Thread(target=lambda one=one: queued.append(one.watch.complete_due())) for one in (house, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(queued) == [0, 1]


def test_quiet_time_goes_on_across_a_restart(house, tmp_path):
    outcome = house.receive_slices(3)
    house.close()
    ingest = IngestHouse(tmp_path, clock=house.clock)
    with closing(JobsHouse(tmp_path, [FixedAnnotator()], ingest=ingest)) as again:
        assert again.go_quiet() == 1
        assert state_of(again, outcome.study_uid) == ("complete", 1)


def test_object_on_its_way_holds_the_study_open(house):
    house.receive_slices(3)
    house.ingest.intake.register([Arrival("segment/1", "research", house.clock.now + QUIET_S - 1)])
    assert house.go_quiet() == 0


def test_object_that_ingest_has_not_seen_yet_holds_the_study_open(house):
    house.receive_slices(3)
    house.clock.now += QUIET_S - 1
    house.ingest.spool([ct_slice(4)], called_ae_title="RESEARCH")
    assert house.go_quiet() == 0


def test_study_is_complete_with_what_ingest_was_behind_with(house):
    outcome = house.receive_slices(3)
    house.clock.now += QUIET_S - 1
    house.ingest.spool([ct_slice(4)], called_ae_title="RESEARCH")
    house.go_quiet()
    house.ingest.worker.work()
    assert house.go_quiet() == 1
    assert (state_of(house, outcome.study_uid), len(house.index.instances_of(house.project, outcome.study_uid))) == (
        ("complete", 1),
        4,
    )


def test_object_of_another_project_that_ingest_has_not_seen_yet_holds_nothing_open(house):
    house.receive_slices(3)
    house.ingest.spool([ct_slice(4)], called_ae_title="CLINICAL")
    assert house.go_quiet() == 1


def test_object_of_another_project_holds_nothing_open(house):
    house.receive_slices(3)
    house.ingest.intake.register([Arrival("segment/1", "clinical", house.clock.now)])
    assert house.go_quiet() == 1


def test_object_that_came_after_the_quiet_time_holds_nothing_open(house):
    house.receive_slices(3)
    house.ingest.intake.register([Arrival("segment/1", "research", house.clock.now + QUIET_S + 1)])
    assert house.go_quiet() == 1


def test_late_image_of_a_matching_series_gives_a_new_version(house):
    outcome = house.receive_slices(3)
    house.go_quiet()
    house.receive_slices(1, first=4)
    assert house.go_quiet() == 1
    assert [run.version for run in house.all_runs(outcome.study_uid)] == [1, 2]
    assert state_of(house, outcome.study_uid) == ("complete", 2)


def test_late_image_that_no_annotator_matches_changes_nothing(house):
    outcome = house.receive_slices(3)
    house.go_quiet()
    house.receive([other_series(9)])
    assert house.go_quiet() == 0
    assert state_of(house, outcome.study_uid) == ("complete", 1)


def test_same_images_again_change_nothing(house):
    outcome = house.receive_slices(3)
    house.go_quiet()
    assert house.receive_slices(3).kind is OutcomeKind.DUPLICATE
    assert house.watch.next_due_at() is None
    assert house.go_quiet() == 0
    assert state_of(house, outcome.study_uid) == ("complete", 1)


def test_annotation_does_not_open_a_study_again(house):
    outcome = house.receive_slices(3)
    house.go_quiet()
    annotation = ct_slice(study_uid=outcome.study_uid, series_uid="1.2.826.7", sop_instance_uid="1.2.826.7.1")
    del annotation.PixelData
    annotation.SOPClassUID, annotation.Modality = "1.2.840.10008.5.1.4.1.1.88.34", "SR"
    assert house.receive([annotation]).kind is OutcomeKind.ARCHIVED
    assert state_of(house, outcome.study_uid) == ("complete", 1)


def test_results_do_not_open_a_study_again(house):
    outcome = house.receive_slices(3)
    house.go_quiet()
    house.carry_out()
    assert state_of(house, outcome.study_uid) == ("complete", 1)
    assert house.watch.next_due_at() is None


def test_series_that_is_not_matched_gets_no_run(house):
    outcome = house.receive([other_series(1)])
    assert house.go_quiet() == 0
    assert state_of(house, outcome.study_uid) == ("complete", 1)


def test_each_annotator_runs_on_each_series_that_it_matches(tmp_path):
    annotators = [FixedAnnotator(name="one"), FixedAnnotator(name="two"), FixedAnnotator(name="pet", modality="PT")]
    with closing(JobsHouse(tmp_path, annotators)) as house:
        outcome = house.receive([ct_slice(1), ct_slice(1, series_uid="1.2.826.8")])
        assert house.go_quiet() == 4
        assert {run.annotator for run in house.all_runs(outcome.study_uid)} == {"one", "two"}


def test_next_due_time_is_worked_out(house):
    assert house.watch.next_due_at() is None
    house.receive_slices(1)
    assert house.watch.next_due_at() == house.clock.now + QUIET_S


def test_replaced_content_makes_another_digest(house):
    rows = house.index.instances_of("research", house.receive_slices(2).study_uid)
    replaced = [rows[0], replace(rows[1], content_digest=b"other")]
    assert inputs_digest(rows, FixedAnnotator()) != inputs_digest(replaced, FixedAnnotator())


def test_order_of_arrival_does_not_matter_to_the_digest(house):
    rows = house.index.instances_of("research", house.receive_slices(3).study_uid)
    assert inputs_digest(rows, FixedAnnotator()) == inputs_digest(rows[::-1], FixedAnnotator())


def test_new_version_of_the_annotator_makes_another_digest(house):
    rows = house.index.instances_of("research", house.receive_slices(2).study_uid)
    newer = FixedAnnotator(algorithm=replace(ALGORITHM, version="2"))
    assert inputs_digest(rows, FixedAnnotator()) != inputs_digest(rows, newer)


class Faulty(FixedAnnotator):
    """An annotator that fails at being asked, and counts how often it was."""

    asked = 0

    def matches(self, series):
        self.asked += 1
        raise RuntimeError("a bug")


def test_study_that_gives_trouble_is_not_looked_at_again_at_once(tmp_path):
    annotator = Faulty()
    house = JobsHouse(tmp_path, [annotator])
    house.receive_slices(1)
    house.go_quiet()
    for _ in range(5):
        house.watch.complete_due()
    assert annotator.asked == 1
    house.close()


def test_study_that_gives_trouble_is_looked_at_again_later(tmp_path):
    annotator = Faulty()
    house = JobsHouse(tmp_path, [annotator])
    house.receive_slices(1)
    house.go_quiet()
    house.clock.now += 600
    house.watch.complete_due()
    assert annotator.asked == 2
    house.close()
