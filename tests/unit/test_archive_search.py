"""Searches over the index: matching, order, pages and what is returned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import event

from service.core.search import Level
from tests.datasets import ct_slice
from tests.small_archive import SmallArchive as Archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    held = Archive(tmp_path)
    yield held
    held.database.close()


@pytest.mark.parametrize(
    ("keyword", "value", "hit"),
    [
        ("PatientID", "PAT-1", True),
        ("PatientID", "pat-1", False),
        ("PatientID", "PAT*", True),
        ("PatientID", "pat*", False),
        ("PatientID", "PAT-?", True),
        ("PatientID", "PAT-??", False),
        ("PatientID", "*[1]*", False),
        ("PatientName", "Doe^Jane", True),
        ("PatientName", "doe^JANE", True),
        ("PatientName", "Doe^Jane^^^", True),
        ("PatientName", "Doe", False),
        ("PatientName", "doe*", True),
        ("PatientName", "*jane*", True),
        ("PatientName", "D_e^Jane", False),
        ("PatientName", "%", False),
        ("ReferringPhysicianName", "house*", True),
        ("AccessionNumber", "ACC-99", True),
        ("StudyID", "77", True),
        ("StudyDescription", "Tho*", True),
        ("PatientSex", "F", True),
        ("PatientBirthDate", "19610502", True),
        ("StudyDate", "20240317", True),
        ("StudyDate", "20240318", False),
        ("StudyDate", ["20240301", "20240331"], True),
        ("StudyDate", ["20240317", "20240317"], True),
        ("StudyDate", ["", "20240316"], False),
        ("StudyDate", ["20240317", ""], True),
        ("StudyTime", "081530", True),
        ("StudyTime", "08", True),
        ("StudyTime", "0816", False),
        ("StudyTime", ["0815", "0815"], True),
        ("StudyTime", ["081531", ""], False),
        ("ModalitiesInStudy", "CT", True),
        ("ModalitiesInStudy", ("MR", "CT"), True),
        ("ModalitiesInStudy", "MR", False),
        ("StudyInstanceUID", ("9.9", "1.2.3"), True),
        ("StudyInstanceUID", "1.2", False),
    ],
)
def test_study_attribute_is_matched(archive: Archive, keyword: str, value: object, hit: bool) -> None:
    archive.add(PatientID="PAT-1")
    assert bool(archive.found(**{keyword: value})) is hit


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [("yamada*", True), ("山田*", True), ("*太郎*", True), ("やまだ^たろう", True), ("Suzuki*", False)],
)
def test_any_component_group_of_a_name_is_matched(archive: Archive, pattern: str, hit: bool) -> None:
    archive.add(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert bool(archive.found(PatientName=pattern)) is hit


@pytest.mark.parametrize("pattern", ["müller*", "MÜLLER*", "Müller*"])
def test_case_of_letters_beyond_ascii_does_not_matter_in_names(archive: Archive, pattern: str) -> None:
    archive.add(PatientName="Müller^Änne")
    assert archive.found(PatientName=pattern)


def test_study_without_a_date_is_in_no_range(archive: Archive) -> None:
    archive.add(StudyDate="")
    assert not archive.found(StudyDate=["", "99991231"])


@pytest.mark.parametrize(
    ("keyword", "value", "hit"),
    [
        ("Modality", "CT", True),
        ("Modality", ("MR", "PT"), False),
        ("SeriesInstanceUID", "1.2.3.1", True),
        ("SeriesNumber", "3", True),
        ("SeriesNumber", "4", False),
        ("SeriesDescription", "Axial*", True),
        ("BodyPartExamined", "CHEST", True),
        ("PerformedProcedureStepStartDate", ["20240301", ""], True),
        ("PerformedProcedureStepStartTime", "07", True),
        ("RequestAttributesSequence__ScheduledProcedureStepID", "SPS-1", True),
        ("RequestAttributesSequence__ScheduledProcedureStepID", "SPS*", True),
        ("RequestAttributesSequence__ScheduledProcedureStepID", "SPS", False),
        ("RequestAttributesSequence__RequestedProcedureID", "SPS-1", False),
    ],
)
def test_series_attribute_is_matched(archive: Archive, keyword: str, value: object, hit: bool) -> None:
    request = Dataset()
    request.ScheduledProcedureStepID, request.RequestedProcedureID = "SPS-1", "RP-1"
    archive.add(
        RequestAttributesSequence=Sequence([request]),
        PerformedProcedureStepStartDate="20240317",
        PerformedProcedureStepStartTime="0730",
    )
    assert bool(archive.found(Level.SERIES, **{keyword: value})) is hit


def test_instance_attributes_are_matched(archive: Archive) -> None:
    archive.add(instances=3)
    assert archive.uids(Level.INSTANCE, InstanceNumber="2") == ["1.2.3.1.2"]


def test_every_condition_has_to_hold(archive: Archive) -> None:
    archive.add("1.1", PatientID="A", StudyID="1")
    archive.add("1.2", PatientID="A", StudyID="2")
    assert archive.uids(PatientID="A", StudyID="2") == ["1.2"]


def test_upper_levels_narrow_a_search_below(archive: Archive) -> None:
    archive.add("1.1", PatientID="A", instances=2)
    archive.add("1.2", PatientID="B", instances=2)
    assert archive.uids(Level.INSTANCE, PatientID="B", Modality="CT") == ["1.2.1.1", "1.2.1.2"]


def test_other_projects_are_never_found(archive: Archive) -> None:
    archive.add_header(ct_slice(), project="other")
    assert archive.found() == []


def test_studies_come_with_the_latest_first(archive: Archive) -> None:
    for uid, date in (("1.1", "20240101"), ("1.2", "20240301"), ("1.3", ""), ("1.4", "20240201")):
        archive.add(uid, StudyDate=date)
    assert archive.uids() == ["1.2", "1.4", "1.1", "1.3"]


def test_series_and_instances_come_by_number(archive: Archive) -> None:
    archive.add("1.1", series="1.1.7", SeriesNumber=7, instances=2)
    archive.add("1.1", series="1.1.5", SeriesNumber=5)
    archive.add("1.1", series="1.1.6", SeriesNumber=None)
    assert archive.uids(Level.SERIES, study_uid="1.1") == ["1.1.5", "1.1.7", "1.1.6"]
    assert archive.uids(Level.INSTANCE, study_uid="1.1") == ["1.1.5.1", "1.1.7.1", "1.1.7.2", "1.1.6.1"]


@pytest.mark.parametrize("level", list(Level))
def test_pages_join_to_the_whole(archive: Archive, level: Level) -> None:
    for number in range(7):
        archive.add(f"1.{number + 1}")
    pages = [archive.page(level, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [page.remaining for page in pages] == [4, 1, 0, 0]
    whole = archive.page(level).found
    assert [found for page in pages for found in page.found] == whole


def test_pages_of_a_search_in_sequences_join_to_the_whole(archive: Archive) -> None:
    for number in range(5):
        request = Dataset()
        request.ScheduledProcedureStepID = "S1" if number != 2 else "S2"
        archive.add(f"1.{number + 1}", RequestAttributesSequence=Sequence([request]))
    asked = {"RequestAttributesSequence__ScheduledProcedureStepID": "S1"}
    first, second = (archive.page(Level.SERIES, limit=3, offset=offset, **asked) for offset in (0, 3))
    assert (len(first.found), first.remaining, len(second.found), second.remaining) == (3, 1, 1, 0)


def test_study_tells_how_much_it_holds(archive: Archive) -> None:
    archive.add("1.1", series="1.1.1", instances=3)
    archive.add("1.1", series="1.1.2", Modality="PT")
    (found,) = archive.found()
    counted = [found.attributes[tag]["Value"] for tag in ("00080061", "00201206", "00201208")]
    assert counted == [["CT", "PT"], [2], [4]]


def test_hidden_instances_are_not_found_and_not_counted(archive: Archive) -> None:
    archive.add("1.1", series="1.1.1", instances=2)
    archive.add("1.1", series="1.1.2", Modality="SEG")
    archive.index.hide("default", ["1.1.2.1", "1.1.1.2"])
    assert archive.uids(Level.INSTANCE) == ["1.1.1.1"]
    assert archive.uids(Level.SERIES) == ["1.1.1"]
    assert archive.found()[0].attributes["00201208"]["Value"] == [1]
    assert not archive.found(ModalitiesInStudy="SEG")


def test_instance_knows_its_own_columns(archive: Archive) -> None:
    archive.add()
    (found,) = archive.found(Level.INSTANCE)
    values = {tag: found.attributes[tag]["Value"][0] for tag in ("00280010", "00280100", "00083002", "00200013")}
    assert values == {"00280010": 16, "00280100": 16, "00083002": "1.2.840.10008.1.2.1", "00200013": 1}


def test_metadata_is_read_only_when_it_is_wanted(archive: Archive) -> None:
    archive.add()
    (without,) = archive.found(Level.INSTANCE)
    (with_all,) = archive.found(Level.INSTANCE, with_metadata=True)
    assert "00180060" not in without.attributes
    assert with_all.attributes["00180060"]["Value"] == [120]
    assert "7FE00010" not in with_all.attributes


def test_number_of_statements_does_not_grow_with_the_page(archive: Archive) -> None:
    statements: list[str] = []
    for number in range(20):
        archive.add(f"1.{number + 1}", instances=2)
    listen = lambda *args: statements.append(args[2])  # noqa: E731 - SQLAlchemy calls it with what it has
    event.listen(archive.database._engine, "before_cursor_execute", listen)
    archive.found(limit=2)
    few = len(statements)
    archive.found()
    assert len(statements) - few <= few <= 5
