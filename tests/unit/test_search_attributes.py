"""Attributes that somebody makes searchable: kept from then on, gathered from before, searched, forgotten."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.sequence import Sequence
from sqlalchemy import func, select, update

from service.archive import search_attribute_table
from service.archive.database import Database
from service.archive.schema import instance_values, search_attributes, series_values
from service.archive.search_attribute_table import SearchAttributeTable
from service.core.search import Level, Match, MatchKind, SearchKey
from service.core.search_attributes import FillState
from service.errors import BadRequest
from service.jobs.attribute_rounds import AttributeRounds
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.small_archive import SmallArchive, item


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    held = SmallArchive(tmp_path)
    yield held
    held.database.close()


def uids(archive: SmallArchive, key: SearchKey, *values: str, level: Level | None = None, **changes: bool) -> list[str]:
    return archive.uids(level or key.level, matches=(Match(key, values, **changes),))


def count_of(archive: SmallArchive, attribute: str) -> int:
    with archive.database.read() as connection:
        query = select(func.count()).select_from(instance_values).where(instance_values.c.attribute == attribute)
        return int(connection.execute(query).scalar_one())


def test_values_from_before_and_after_are_found(archive: SmallArchive) -> None:
    archive.add("1.1", KVP="120.0", instances=2)
    key = archive.make_searchable("KVP")
    archive.add("1.2", KVP="120")
    archive.add("1.3", KVP="80")
    assert uids(archive, key, "1.2e2") == ["1.1.1.1", "1.1.1.2", "1.2.1.1"]


@pytest.mark.parametrize(
    ("name", "held_at", "values"),
    [
        ("PatientAge", Level.STUDY, ("063Y",)),
        ("ProtocolName", Level.SERIES, ("Lung*",)),
        ("ImageType", Level.INSTANCE, ("AXIAL",)),
        ("AcquisitionDateTime", Level.INSTANCE, ("20240102030405+0100",)),
        ("OperatorsName", Level.SERIES, ("muller^*",)),
        ("ViewCodeSequence.CodeValue", Level.INSTANCE, ("R-10206",)),
        ("FrameOfReferenceUID", Level.SERIES, ("9.9", "1.1.9")),
        ("PixelBandwidth", Level.INSTANCE, ("0.333333333",)),
    ],
)
def test_attribute_of_any_kind_is_found(
    archive: SmallArchive, name: str, held_at: Level, values: tuple[str, ...]
) -> None:
    archive.add(
        "1.1",
        PatientAge="063Y",
        ProtocolName="Lung low dose",
        AcquisitionDateTime="20240102020405+0000",
        OperatorsName="Müller^Eva",
        ViewCodeSequence=Sequence([item(CodeValue="R-10202"), item(CodeValue="R-10206")]),
        PixelBandwidth="0.3333333333333",
    )
    archive.add("1.2", ImageType=["DERIVED"])
    key = archive.make_searchable(name)
    assert key.held_at is held_at
    assert [uid[:3] for uid in uids(archive, key, *values)] == ["1.1"]


def test_attribute_is_searched_above_where_it_is_kept(archive: SmallArchive) -> None:
    archive.add("1.1", KVP="120")
    archive.add("1.2", KVP="80", instances=2)
    key = archive.make_searchable("KVP", Level.STUDY)
    assert uids(archive, key, "80") == ["1.2"]
    assert uids(archive, key, "80", level=Level.INSTANCE) == ["1.2.1.1", "1.2.1.2"]
    assert uids(archive, key, level=Level.STUDY, is_empty=True) == []


def test_hidden_instance_gives_its_study_nothing(archive: SmallArchive) -> None:
    archive.add("1.1", KVP="120", instances=2)
    key = archive.make_searchable("KVP", Level.STUDY)
    archive.index.hide("default", ["1.1.1.1"])
    assert uids(archive, key, "120") == ["1.1"]
    archive.index.hide("default", ["1.1.1.2"])
    assert uids(archive, key, "120") == []


def test_fuzzy_names_are_found_by_an_attribute_that_was_added(archive: SmallArchive) -> None:
    archive.add("1.1", OperatorsName="Meier^Hans")
    key = archive.make_searchable("OperatorsName")
    assert uids(archive, key, "hans mayr", fuzzy=True) == ["1.1.1"]


def test_replaced_instance_is_found_by_its_new_values_alone(archive: SmallArchive) -> None:
    archive.add("1.1", KVP="120")
    key = archive.make_searchable("KVP")
    header = ct_slice(1, study_uid="1.1", series_uid="1.1.1")
    header.KVP = "80"
    archive.index.replace(new_instance(header, version=1, content="other"))
    assert (uids(archive, key, "120"), uids(archive, key, "80")) == ([], ["1.1.1.1"])


def test_study_that_learns_a_value_later_is_found_by_it(archive: SmallArchive) -> None:
    archive.add("1.1", PatientName="", OperatorsName="")
    assert archive.uids(PatientName="doe*") == []
    archive.add("1.1", "1.1.2", PatientName="Doe^Jane")
    assert archive.uids(PatientName="doe*") == ["1.1"]


def test_gathering_goes_on_where_it_broke_off(archive: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_attribute_table, "_ROWS_AT_ONCE", 2)
    archive.add("1.1", instances=5)
    key = archive.attributes.add("KVP")

    class Killed(Exception):
        pass

    def die(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        archive.attributes.fill(key, die)
    assert count_of(archive, "00180060") == 2
    assert archive.searching.added_keys() == {key.path: None}
    positions: list[int] = []
    archive.attributes.fill(archive.attributes.add("00180060"), lambda progress: positions.append(progress.position))
    assert len(positions) == 2
    assert count_of(archive, "00180060") == 5
    assert archive.searching.added_keys() == {key.path: key}


def test_large_rows_are_gathered_few_at_a_time(archive: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_attribute_table, "_BYTES_AT_ONCE", 1)
    archive.add("1.1", instances=3)
    positions: list[int] = []
    archive.attributes.fill(archive.attributes.add("KVP"), lambda progress: positions.append(progress.position))
    assert len(positions) == count_of(archive, "00180060") == 3


@pytest.mark.parametrize("state", [FillState.FILLING, FillState.REMOVING])
def test_jobs_end_what_stood_still(archive: SmallArchive, state: FillState) -> None:
    archive.add("1.1", instances=3)
    archive.attributes.add("KVP")
    if state is FillState.REMOVING:
        archive.make_searchable("KVP")
        with archive.database.write() as connection:
            connection.execute(update(search_attributes).values(state=state))
    rounds = AttributeRounds(archive.attributes, look_s=0)
    rounds.look()
    assert [attribute.state for attribute in archive.attributes.all()] == [state]  # its command may still be at work
    rounds.look()
    ended = [FillState.READY] if state is FillState.FILLING else []
    assert [attribute.state for attribute in archive.attributes.all()] == ended
    assert count_of(archive, "00180060") == 3 * len(ended)


def test_late_removal_leaves_what_was_added_anew(archive: SmallArchive) -> None:
    archive.add("1.1")
    key = archive.make_searchable("KVP")
    archive.attributes.forget(key)
    assert uids(archive, key, "120")
    assert [attribute.state for attribute in archive.attributes.all()] == [FillState.READY]


@pytest.mark.sqlite  # the index of another process is told by its file
def test_two_processes_gather_without_harm(tmp_path: Path) -> None:
    archive = SmallArchive(tmp_path)
    archive.add("1.1", instances=6)
    key = archive.attributes.add("KVP")
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_gather, args=(tmp_path / "index.sqlite",)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    assert count_of(archive, "00180060") == 6
    assert archive.attributes.all()[0].state is FillState.READY
    assert uids(archive, key, "120")
    archive.database.close()


def _gather(path: Path) -> None:
    with Database.open(path) as database:
        table = SearchAttributeTable(database, SetClock(), pause=lambda _: None)
        table.fill(table.add("KVP"))


def test_removed_attribute_leaves_nothing(archive: SmallArchive) -> None:
    archive.add("1.1", OperatorsName="Meier^Hans")
    archive.make_searchable("OperatorsName")
    assert archive.attributes.remove("OperatorsName") == "OperatorsName"
    assert archive.attributes.all() == []
    with archive.database.read() as connection:
        left = connection.execute(select(series_values.c.attribute).distinct()).scalars().all()
    assert [attribute for attribute in left if attribute.startswith("00081070")] == []
    archive.add("1.2", OperatorsName="Meier^Hans")
    archive.make_searchable("OperatorsName")
    with pytest.raises(BadRequest):
        archive.attributes.remove("KVP")


def test_added_twice_is_added_once(archive: SmallArchive) -> None:
    archive.make_searchable("KVP")
    archive.attributes.add("00180060", Level.INSTANCE)
    assert [attribute.key.kind for attribute in archive.attributes.all()] == [MatchKind.DECIMAL]
    with pytest.raises(BadRequest, match="level"):
        archive.attributes.add("KVP", Level.STUDY)


def test_values_go_with_their_instance(archive: SmallArchive) -> None:
    archive.add("1.1", KVP="120")
    archive.make_searchable("KVP")
    with archive.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM studies")
    assert count_of(archive, "00180060") == 0
