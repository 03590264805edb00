"""What was done to a study is told by rule and element, and nothing of anybody is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.archive.study_cleaning import StudyCleaningTable
from service.cli.root import annogate
from service.core.cleaning_report import CleaningLine, StudyCleaning
from service.core.records import Outcome, OutcomeKind
from service.deident.cleaning_lines import MOST_LINES, REST, cleaning_lines
from service.deident.rules import Decision
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.unit.test_crosswalk import folder, gateway
from tests.web_gateway import WebGateway

__all__ = ["folder"]
IDENTITY = ("Doe", "Jane", "PAT-4711", "19610502", "20240317", "House", "ACC-99", "1.2.826")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def send(house: IngestHouse, number: int, **changes: str) -> Outcome:
    return house.pipeline.process(house.incoming(ct_slice(number, **changes), "research"))


def told(house: IngestHouse, study_uid: str) -> StudyCleaning:
    found = StudyCleaningTable(house.database).of("research", study_uid)
    assert found is not None
    return found


def test_study_is_told_by_element_of_the_first_object_of_each_series(house: IngestHouse) -> None:
    outcome = send(house, 1)
    send(house, 2)
    send(house, 3, series_uid="1.2.826.5")
    report = told(house, outcome.study_uid)
    assert len(report.series) == 2
    name = {(line.action, line.rule): line.count for line in report.by_element() if line.keyword == "PatientName"}
    assert name == {("replaced", "profile default: elements"): 2}
    assert {one.profile for one in report.series} == {"default"}
    assert all("2025" in one.edition for one in report.series)


def test_counts_are_those_of_all_objects(house: IngestHouse) -> None:
    outcome = send(house, 1)
    once = told(house, outcome.study_uid).counts
    send(house, 2)
    assert told(house, outcome.study_uid).counts == {name: 2 * count for name, count in once.items()}
    assert once["objects"] == 1
    assert once["elements replaced"] > 5


def test_same_object_again_counts_nothing(house: IngestHouse) -> None:
    outcome = send(house, 1)
    before = told(house, outcome.study_uid)
    assert send(house, 1).kind is OutcomeKind.DUPLICATE
    assert told(house, outcome.study_uid) == before


def test_lines_agree_with_the_counts(house: IngestHouse) -> None:
    source = ct_slice(1)
    source.private_block(0x0019, "SCANNER", create=True).add_new(1, "LO", "1")
    source.StationName = "ROOM 5"
    report = told(house, house.pipeline.process(house.incoming(source, "research")).study_uid)
    removed = sum(line.count for line in report.by_element() if line.action == "removed")
    assert removed == report.counts["elements removed"] > 1


def test_nothing_of_the_patient_is_in_it(house: IngestHouse) -> None:
    source = ct_slice(1)
    source.private_block(0x0019, "Jane Doe's scanner", create=True).add_new(1, "LO", "PAT-4711")
    outcome = house.pipeline.process(house.incoming(source, "research"))
    told_text = repr(told(house, outcome.study_uid))
    assert [value for value in IDENTITY if value in told_text] == []


def test_another_process_adds_to_the_same_report(house: IngestHouse) -> None:
    other = IngestHouse(house.folder)
    outcome = send(house, 1)
    send(other, 2)
    other.close()
    report = told(house, outcome.study_uid)
    assert len(report.series) == 1
    assert report.counts["objects"] == 2


def test_project_that_keeps_identity_has_no_report(house: IngestHouse) -> None:
    outcome = house.pipeline.process(house.incoming(ct_slice(1), "clinical"))
    assert StudyCleaningTable(house.database).of("clinical", outcome.study_uid) is None


def test_report_of_an_object_of_countless_elements_stays_small() -> None:
    decisions = [Decision(f"(0009,{number:04X})", "", "removed", "private", "") for number in range(MOST_LINES + 500)]
    lines = cleaning_lines(decisions)
    assert len(lines) == MOST_LINES + 1
    assert sum(line.count for line in lines) == len(decisions)
    assert [line.count for line in lines if line.path == REST] == [500]


def test_items_of_a_sequence_are_one_line() -> None:
    lines = cleaning_lines(
        [Decision(f"(0040,A730)[{n}].(0040,A160)", "TextValue", "replaced", "r", "") for n in (0, 1)]
    )
    assert lines == (CleaningLine("(0040,A730).(0040,A160)", "TextValue", "replaced", "r", 2),)


def test_command_and_page_tell_the_same(folder: Path, tmp_path: Path) -> None:
    with gateway(folder) as opened:
        uid = opened.instances.studies("default")[0].study.study_uid
        report = opened.study_cleaning.of("default", uid)
    assert report is not None
    where = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data")]
    answer = CliRunner().invoke(annogate, ["study", "report", uid, "--json", *where])
    shown = json.loads(answer.stdout)
    assert shown["counts"] == report.counts
    assert {"action": "replaced", "rule": "profile default: elements", "count": 2} in shown["by_rule"]
    table = CliRunner().invoke(annogate, ["study", "report", uid, *where]).stdout
    assert "PatientName\treplaced" in table
    assert [value for value in IDENTITY if value in table] == []
    (tmp_path / "web").mkdir()
    web = WebGateway(tmp_path / "web", cleaning=lambda *_: report)
    web.add_study("1.2.3")
    page = web.client().get("/studies/default/1.2.3").get_data(as_text=True)
    web.close()
    assert "profile default: elements" in page
    assert "elements replaced" in page
