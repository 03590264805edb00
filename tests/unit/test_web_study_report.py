"""What is told of a study while work on it goes on."""

from __future__ import annotations

from pathlib import Path

from service.archive.overview import Overview
from service.core.archived import RunState
from service.core.view import EVERYTHING
from service.web.study_report import study_report
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.jobs_house import JobsHouse


def test_run_that_is_told_to_be_done_is_told_with_its_results(tmp_path: Path) -> None:
    """Whoever waits for the end of a run takes the results from the same answer."""
    house = JobsHouse(tmp_path, [FixedAnnotator()])

    class EndingMeanwhile(Overview):
        """A run ends just before runs are looked at."""

        def runs_of(self, study_row_ids):
            house.carry_out()
            return super().runs_of(study_row_ids)

    study_uid = house.receive_slices(8).study_uid
    house.go_quiet()
    overview = EndingMeanwhile(house.ingest.database, house.clock)
    report = study_report(house.index, overview, "research", study_uid, EVERYTHING)
    house.close()
    assert [run.state for run in report.runs] == [RunState.DONE]
    assert [result.modality for result in report.results] == ["SR"]
