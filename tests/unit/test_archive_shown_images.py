"""What is known of shown images never shows a study or series of which nothing is shown, whatever was hidden how."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from sqlalchemy import Table, select

from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.rejections import RejectionTable
from service.archive.schema import instances, series, studies
from service.archive.search import InstanceSearch
from service.archive.trash import TrashTable
from service.core.deletion import DeletedPlace
from service.core.records import ObjectKind
from service.core.search import Level, Match, SearchQuery
from tests.archived import NOW, new_instance
from tests.datasets import ct_slice
from tests.small_archive import KEYS

PROJECT = "default"
STUDIES = ("1.2.1", "1.2.2")
NUMBERS = (1, 2, 3)
PLACES = [(study, number) for study in STUDIES for number in NUMBERS]
STEPS = ("image", "annotation", "hide", "show", "trash", "restore", "move")


def uid(study: str, number: int) -> str:
    return f"{study}.0.{number}"


def header(study: str, number: int, series_uid: str = "") -> Dataset:
    """Number 1 is in a series of its own, 2 and 3 share one."""
    series_uid = series_uid or f"{study}.{min(number, 2)}"
    return ct_slice(number, study_uid=study, series_uid=series_uid, sop_instance_uid=uid(study, number))


class Shelf:
    """An index, and everything that adds, hides, moves and shows again."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.index = InstanceIndex(database, lambda: NOW)
        self.trash = TrashTable(database, lambda: NOW)
        self.rejections = RejectionTable(database, lambda: NOW)
        self.deleted: dict[str, int] = {}

    def take(self, step: str, study: str, number: int) -> None:
        """One step with the instance of a place, if it is there."""
        held = self.index.find(PROJECT, uid(study, number)) is not None
        if step in {"image", "annotation"} and not held:
            kind = ObjectKind(step)
            self.index.add_all([new_instance(header(study, number), kind=kind, author="reader")])
        elif step == "image":
            self.index.add_all([new_instance(header(study, number))])
        elif step == "hide" and held:
            self.index.hide(PROJECT, [uid(study, number)])
        elif step == "show" and held:
            with self.database.write() as connection:
                self.rejections.show(PROJECT, [uid(study, number)], connection)
        elif step == "trash" and held:
            self._delete(study, f"{study}.{number}" if number == 1 else "")
        elif step == "restore" and study in self.deleted:
            self.trash.restore(self.deleted.pop(study), "lead")
        elif step == "move" and held:
            moved = header(study, number, f"{study}.9")
            self.index.replace(new_instance(moved, version=1, content="moved"))

    def _delete(self, study: str, series_uid: str) -> None:
        place = DeletedPlace(study, series_uid)
        row = self.trash.put(PROJECT, place, by="lead", reason="", remove_at=NOW + 1)
        if row is not None:
            self.deleted[study] = row.id

    def said(self, table: Table) -> set[int]:
        """Rows of which an image is said to be shown."""
        with self.database.read() as connection:
            return set(connection.execute(select(table.c.id).where(table.c.shows_image)).scalars())

    def true(self, key: str) -> set[int]:
        """Rows of which an image is shown."""
        shown = select(instances.c[key]).where(instances.c.visible, instances.c.kind == "image")
        with self.database.read() as connection:
            return set(connection.execute(shown).scalars())

    def found(self, level: Level, matches: Sequence[Match] = ()) -> int:
        """How many are found one by one, which is what is counted too."""
        page = InstanceSearch(self.database).search(SearchQuery(PROJECT, level, matches=tuple(matches), limit=1))
        return len(page.found) + page.remaining


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(PLACES)), max_size=12))
@pytest.mark.hypothesis
def test_what_is_said_to_be_shown_is(steps: list[tuple[str, tuple[str, int]]]) -> None:
    of_modality = Match(KEYS["ModalitiesInStudy"], ("CT",))
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder) / "index.sqlite") as database:
        shelf = Shelf(database)
        for step, place in steps:
            shelf.take(step, *place)
            assert shelf.said(studies) <= shelf.true("study_id"), step
            assert shelf.said(series) <= shelf.true("series_id"), step
        with database.read() as connection:
            visible = connection.execute(select(instances).where(instances.c.visible)).all()
        assert shelf.found(Level.STUDY) == len({row.study_id for row in visible})
        assert shelf.found(Level.STUDY, [of_modality]) == len({row.study_id for row in visible})
        assert shelf.found(Level.SERIES) == len({row.series_id for row in visible})


def test_images_that_came_are_said_to_be_shown(tmp_path: Path) -> None:
    with Database.open(tmp_path / "index.sqlite") as database:
        shelf = Shelf(database)
        for place in PLACES:
            shelf.take("image", *place)
        assert len(shelf.said(studies)) == len(STUDIES)
        assert len(shelf.said(series)) == 2 * len(STUDIES)


@pytest.mark.parametrize("step", ["hide", "trash", "move"])
def test_series_whose_only_image_goes_is_said_to_show_none(tmp_path: Path, step: str) -> None:
    with Database.open(tmp_path / "index.sqlite") as database:
        shelf = Shelf(database)
        shelf.take("image", STUDIES[0], 1)
        (alone,) = shelf.said(series)
        shelf.take(step, STUDIES[0], 1)
        assert alone not in shelf.said(series)
        assert shelf.said(studies) <= shelf.true("study_id")
