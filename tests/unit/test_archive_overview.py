"""Counts by state, and the newest run of each annotator on each series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.overview import Overview, Tally
from service.archive.runs import RunTable
from tests.archived import SetClock, new_instance
from tests.datasets import STUDY_UID, ct_slice


class Setting:
    """An index with one study of two images."""

    def __init__(self, database: Database) -> None:
        self.clock = SetClock()
        self.database = database
        self.index = InstanceIndex(database, self.clock)
        self.runs = RunTable(database, self.clock)
        self.overview = Overview(database, self.clock, remember_s=2)
        for number in (1, 2):
            self.index.add(new_instance(ct_slice(number)))
        study = self.index.study("default", STUDY_UID)
        assert study is not None
        self.study = study


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield Setting(database)


def test_studies_and_instances_are_counted(setting: Setting) -> None:
    counts = setting.overview.counts()
    assert counts.studies == (Tally("default", "receiving", 1),)
    assert counts.instances == (Tally("default", "stored", 2),)


def test_conflicts_and_counters_are_counted_by_name(setting: Setting) -> None:
    ConflictTable(setting.database, setting.clock).add("default", "1.2", "kept-first")
    CounterTable(setting.database).add("default", "dropped", 3)
    counts = setting.overview.counts()
    assert counts.conflicts == (Tally("default", "kept-first", 1),)
    assert counts.counters == (Tally("default", "dropped", 3),)


def test_other_projects_are_cut_away(setting: Setting) -> None:
    counts = setting.overview.counts()
    assert counts.within(["other"]).studies == ()
    assert counts.within(["default", "other"]) == counts


def test_counts_are_remembered_for_a_moment(setting: Setting) -> None:
    before = setting.overview.counts()
    setting.index.add(new_instance(ct_slice(3)))
    assert setting.overview.counts() is before
    setting.clock.now += 2
    assert setting.overview.counts().instances == (Tally("default", "stored", 3),)


def test_newest_run_of_each_annotator_on_each_series_is_told(setting: Setting) -> None:
    for annotator, series_uid, digest in (
        ("nodules", "1.2", "first"),
        ("nodules", "1.2", "second"),
        ("nodules", "1.3", "first"),
        ("lungs", "1.2", "first"),
    ):
        setting.runs.enqueue("default", setting.study.id, annotator, series_uid, digest)
    found = setting.overview.runs_of([setting.study.id])[setting.study.id]
    assert [(run.annotator, run.series_uid, run.version) for run in found] == [
        ("lungs", "1.2", 1),
        ("nodules", "1.2", 2),
        ("nodules", "1.3", 1),
    ]


def test_study_without_runs_is_absent(setting: Setting) -> None:
    assert setting.overview.runs_of([setting.study.id, 999]) == {}


def test_no_study_has_no_runs(setting: Setting) -> None:
    assert setting.overview.runs_of([]) == {}
