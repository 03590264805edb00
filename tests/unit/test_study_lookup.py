"""Studies are found by what the hospital calls them, by whoever may, and nothing of the question stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.archive.audit import AuditQuery
from service.archive.patients import PatientTable
from service.custody.study_lookup import LookupQuestion, StudyLookup
from service.errors import BadRequest
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.unit.test_cli_outbox import OnCall


@pytest.fixture
def house(tmp_path: Path):
    house = IngestHouse(tmp_path)
    for number, (patient, accession) in enumerate([("PAT-1", "ACC-1"), ("PAT-1", "ACC-2"), ("PAT-2", "ACC-3")], 1):
        source = ct_slice(1, study_uid=f"1.2.{number}", series_uid=f"1.2.{number}.1", patient_id=patient)
        source.AccessionNumber, source.IssuerOfPatientID = accession, "HOSPITAL"
        for project in ("research", "clinical"):
            house.pipeline.process(house.incoming(source, project))
    yield house
    house.close()


def lookup(house: IngestHouse, project: str) -> StudyLookup:
    return StudyLookup(
        project,
        vault=house.research_vault if project == "research" else None,
        store=house.vault,
        study=house.index.study,
        kept=PatientTable(house.database).kept,
    )


@pytest.mark.parametrize("project", ["research", "clinical"])
@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        (LookupQuestion("ACC-2"), [2]),
        (LookupQuestion(patient_id="PAT-1"), [1, 2]),
        (LookupQuestion(" ACC-1 ", "PAT-1"), [1]),
        (LookupQuestion("ACC-3", "PAT-1"), []),
        (LookupQuestion("ACC"), []),
    ],
)
def test_study_is_found_by_what_the_hospital_calls_it(
    house: IngestHouse, project: str, question: LookupQuestion, numbers: list[int]
) -> None:
    expected = {f"1.2.{number}" for number in numbers}
    if project == "research":
        expected = {house.deidentifier.map_uid(uid) for uid in expected}
    assert {row.study_uid for row in lookup(house, project).find(question)} == expected


def test_issuer_tells_two_hospitals_apart(house: IngestHouse) -> None:
    assert lookup(house, "research").find(LookupQuestion(patient_id="PAT-2", issuer="ELSEWHERE")) == []
    assert len(lookup(house, "research").find(LookupQuestion(patient_id="PAT-2", issuer="HOSPITAL"))) == 1


@pytest.mark.parametrize("question", [LookupQuestion(), LookupQuestion(" "), LookupQuestion("A" * 65)])
def test_question_that_is_none_is_refused(house: IngestHouse, question: LookupQuestion) -> None:
    with pytest.raises(BadRequest):
        lookup(house, "research").find(question)


def test_question_is_not_shown_by_accident() -> None:
    assert "ACC-2" not in repr(LookupQuestion("ACC-2", "PAT-1"))
    assert LookupQuestion("ACC-2").digest(b"k") != LookupQuestion("", "ACC-2").digest(b"k")


def test_command_line_writes_down_who_asked_and_not_for_whom(tmp_path: Path) -> None:
    on_call = OnCall(tmp_path)
    with on_call.gateway() as gateway:
        gateway.prepare()
    assert on_call.told("study", "lookup", "--accession", "ACC-4711") == []
    with on_call.gateway() as gateway:
        (row,) = gateway.audit.search(AuditQuery())
    assert (row.action, row.detail["found"]) == ("study.lookup", 0)
    assert "ACC-4711" not in str(row)
