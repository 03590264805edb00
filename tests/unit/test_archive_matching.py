"""Attribute matching over the index, held against the same rules in Python (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sequence import Sequence
from sqlalchemy import Connection, text

from service.archive.search_plan import FEW, SearchPlan
from service.core.moments import combined
from service.core.person_names import fuzzily_matches, literally_matches
from service.core.search import Level, Match, MomentMatch, SearchQuery
from tests.small_archive import KEYS, SmallArchive, item, match_of

NAMES = (
    "Meier^Hans",
    "Mayer^Johanna",
    "Müller^Jörg",
    "Mueller^Jorg",
    "Schmidt^Eva",
    "Schmitt-Meier^Eva Maria",
    "O'Neil^Anna",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Doe^J",
    "[x]^100%_",
)
MOMENTS = (("20240101", "0800"), ("20240101", "2300"), ("20240102", ""), ("20240103", "120000"), ("", ""))
PIECES = st.sampled_from(
    (
        "Meier",
        "mayr",
        "mül",
        "MULLER",
        "jo",
        "eva",
        "o'neil",
        "山田",
        "やま",
        "doe",
        "x",
        "[x]",
        "%",
        "_",
        "^",
        " ",
        "*",
        "?",
    )
)
NOTHING_IS_FEW = dict.fromkeys(FEW, 0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallArchive]:
    """A study for each name, with a few of everything else."""
    held = SmallArchive(tmp_path_factory.mktemp("index"))
    for number, name in enumerate(NAMES):
        date, time = MOMENTS[number % len(MOMENTS)]
        requests = [
            item(ScheduledProcedureStepID=f"S{number % 2}", RequestedProcedureID=f"R{number % 3}"),
            item(ScheduledProcedureStepID="S9", RequestedProcedureID="R0"),
        ]
        held.add(
            f"1.{number + 1}",
            PatientName=name,
            PatientID=f"P{number % 3}" if number else "",
            StudyDate=date,
            StudyTime=time,
            Modality="CT" if number % 2 else "MR",
            RequestAttributesSequence=Sequence(requests if number < 8 else []),
            instances=2,
        )
    for number in (1, 2):
        held.add(f"1.{number}", f"1.{number}.2", PatientName=NAMES[number - 1], PatientID="", Modality="PT")
    yield held
    held.database.close()


def studies_named(archive: SmallArchive, asked: str, *, fuzzy: bool) -> set[str]:
    return set(archive.uids(matches=(Match(KEYS["PatientName"], (asked,), fuzzy=fuzzy),)))


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=4))
@pytest.mark.parametrize("fuzzy", [False, True])
def test_names_are_found_as_the_rule_says(archive: SmallArchive, fuzzy: bool, pieces: list[str]) -> None:
    asked = "".join(pieces)
    rule = fuzzily_matches if fuzzy else literally_matches
    expected = {f"1.{number + 1}" for number, name in enumerate(NAMES) if rule(asked, name)}
    assert studies_named(archive, asked, fuzzy=fuzzy) == expected


@pytest.mark.parametrize("dates", [("20240101", "20240102"), ("20240101", ""), ("", "20240102")])
@pytest.mark.parametrize("times", [("0900", "12"), ("", "0800"), ("2200", "")])
def test_ranges_of_date_and_time_are_one_range(
    archive: SmallArchive, dates: tuple[str, str], times: tuple[str, str]
) -> None:
    first, last = combined(dates, times)
    moments = (MomentMatch(KEYS["StudyDate"], KEYS["StudyTime"], first, last),)
    expected = {
        f"1.{number + 1}"
        for number in range(len(NAMES))
        if (date := MOMENTS[number % 5][0])
        and (not first or date + (MOMENTS[number % 5][1] or "000000") >= first)
        and (not last or date + (MOMENTS[number % 5][1] or "000000") <= last)
    }
    assert set(archive.uids(moments=moments)) == expected


def test_one_item_has_to_meet_all_conditions(archive: SmallArchive) -> None:
    step, procedure = (
        f"RequestAttributesSequence__{name}" for name in ("ScheduledProcedureStepID", "RequestedProcedureID")
    )
    assert len(archive.uids(Level.SERIES, **{step: "S9", procedure: "R0"})) == 8
    assert archive.uids(Level.SERIES, **{step: "S9", procedure: "R1"}) == []
    assert archive.uids(Level.SERIES, **{step: "S1", procedure: "R1"}) == ["1.2.1", "1.8.1"]


@pytest.mark.parametrize(
    ("values", "all_of", "count"),
    [(("CT", "PT"), False, 6), (("CT", "PT"), True, 1), (("MR", "PT"), True, 1), (("CT", "MR"), True, 0)],
)
def test_several_values_are_alternatives_or_all_needed(
    archive: SmallArchive, values: tuple[str, ...], all_of: bool, count: int
) -> None:
    match = Match(KEYS["ModalitiesInStudy"], values, all_of=all_of)
    assert len(archive.uids(matches=(match,))) == count


@pytest.mark.parametrize(
    ("keyword", "level", "uids"),
    [
        ("PatientID", Level.STUDY, ["1.1"]),
        ("StudyDate", Level.STUDY, ["1.10", "1.5"]),
        ("RequestAttributesSequence.RequestedProcedureID", Level.SERIES, ["1.10.1", "1.9.1", "1.1.2", "1.2.2"]),
        ("PatientName", Level.STUDY, []),
        ("ModalitiesInStudy", Level.STUDY, []),
    ],
)
def test_empty_values_are_found(archive: SmallArchive, keyword: str, level: Level, uids: list[str]) -> None:
    assert sorted(archive.uids(level, matches=(Match(KEYS[keyword], is_empty=True),))) == sorted(uids)


QUERIES = (
    (Level.STUDY, {"PatientName": "m*"}),
    (Level.STUDY, {"PatientID": "P1"}),
    (Level.STUDY, {"StudyDate": ["20240101", "20240102"]}),
    (Level.STUDY, {"ModalitiesInStudy": ("CT", "PT")}),
    (Level.STUDY, {"PatientSex": "F"}),
    (Level.SERIES, {"Modality": "CT"}),
    (Level.SERIES, {"Modality": ("CT", "PT"), "PatientID": "P1"}),
    (Level.SERIES, {"RequestAttributesSequence__ScheduledProcedureStepID": "S9"}),
    (Level.SERIES, {"StudyDate": ["20240101", ""]}),
    (Level.INSTANCE, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
    (Level.INSTANCE, {"InstanceNumber": "2", "Modality": "MR"}),
    (Level.INSTANCE, {"PatientName": "m*", "InstanceNumber": "1"}),
    (Level.INSTANCE, {"StudyDate": "20240101"}),
)


@pytest.mark.parametrize(("level", "asked"), QUERIES)
def test_the_way_to_the_rows_does_not_change_what_is_found(
    archive: SmallArchive, level: Level, asked: dict[str, object]
) -> None:
    query = SearchQuery("default", level, matches=tuple(match_of(keyword, value) for keyword, value in asked.items()))
    with archive.database.read() as connection:
        by_few = connection.execute(SearchPlan(connection, query).ids()).scalars().all()
        walked = connection.execute(SearchPlan(connection, query, NOTHING_IS_FEW).ids()).scalars().all()
    assert sorted(by_few) == sorted(walked)
    assert by_few


@pytest.mark.sqlite  # PostgreSQL reads small tables whole, whatever indexes they have
@pytest.mark.parametrize(("level", "asked"), QUERIES)
@pytest.mark.parametrize("walks", [False, True])
def test_no_search_looks_at_every_row_of_a_table(
    archive: SmallArchive, level: Level, asked: dict[str, object], walks: bool
) -> None:
    query = SearchQuery("default", level, matches=tuple(match_of(keyword, value) for keyword, value in asked.items()))
    with archive.database.read() as connection:
        steps = _steps(connection, SearchPlan(connection, query, NOTHING_IS_FEW if walks else FEW))
    assert [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step] == []
    if walks:
        # Only what lies within one study may be sorted.
        assert [step for step in steps if step == "USE TEMP B-TREE FOR ORDER BY"] == []


def _steps(connection: Connection, plan: SearchPlan) -> list[str]:
    """How SQLite comes to the rows."""
    compiled = plan.ids().limit(101).compile(connection.engine, compile_kwargs={"literal_binds": True})
    return [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))]
