"""Annotations that come in become versions: each has its parent, and nothing that was said is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from pydicom.dataset import Dataset

from service.archive.migration import MIGRATIONS
from service.archive.trash import TrashTable
from service.core.deletion import DeletedPlace
from service.core.records import OutcomeKind
from service.core.versions import VersionRow
from service.core.view import EVERYTHING, View
from tests.datasets import STUDY_UID
from tests.ingest_house import IngestHouse
from tests.marked_studies import finding, images, saved

ANNA, BERT = "a" * 32, "b" * 32


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    house.pipeline.process_batch([house.incoming(one) for one in images()])
    yield house
    house.close()


def store(house: IngestHouse, *objects: Dataset, author: str = ANNA) -> None:
    source = {"source": "stow", "calling_ae_title": "", "author": author, "stored_by": author} if author else {}
    outcomes = house.pipeline.process_batch([house.incoming(one, **source) for one in objects])
    assert [one.kind for one in outcomes] == [OutcomeKind.ARCHIVED] * len(objects), outcomes


def versions(house: IngestHouse, view: View = EVERYTHING) -> list[VersionRow]:
    """All of the study, as they were added."""
    return sorted(house.versions.of_study("clinical", STUDY_UID, view), key=lambda one: one.id)


def shown(house: IngestHouse, *objects: Dataset) -> list[bool]:
    held = [house.index.find("clinical", str(one.SOPInstanceUID)) for one in objects]
    return [one is not None and one.visible for one in held]


def test_a_report_and_the_masks_that_it_is_about_are_one_version(house: IngestHouse) -> None:
    store(house, *reversed(saved(finding())))
    (version,) = versions(house)
    assert (version.number, version.parent, version.origin.author, version.is_newest) == (1, None, ANNA, True)
    assert [one.modality for one in version.objects] == ["SEG", "SR"]


def test_what_is_saved_again_is_the_next_version_and_takes_the_place_of_the_first(house: IngestHouse) -> None:
    first = saved(finding())
    second = saved(finding(length=7.0), after=first[1])
    store(house, *first)
    store(house, *second)
    before, after = versions(house)
    assert (after.line, after.number, after.parent) == (before.line, 2, before.id)
    assert (before.is_newest, after.is_newest) == (False, True)
    assert shown(house, *first, *second) == [False, False, True, True]


def test_masks_saved_again_leave_what_the_report_rests_on(house: IngestHouse) -> None:
    """A viewer saves a segmentation alone: the report that is about the earlier one still finds it."""
    segmentation, report = saved(finding())
    newer, its_report = saved(finding(at=5), after=report)
    store(house, segmentation, report)
    store(house, newer)
    assert shown(house, segmentation, report, newer) == [True, True, True]
    store(house, its_report)
    assert shown(house, segmentation, report, newer, its_report) == [False, False, True, True]


def test_a_reader_who_says_not_after_what_goes_on_with_what_they_marked_before(house: IngestHouse) -> None:
    first, _ = saved(finding(1), finding(2))
    second, _ = saved(finding(1, at=6))
    store(house, first)
    store(house, second)
    assert [one.number for one in versions(house)] == [1, 2]
    assert shown(house, first, second) == [False, True]


def test_marks_of_other_things_are_another_line(house: IngestHouse) -> None:
    store(house, saved(finding(1))[0])
    store(house, saved(finding(2))[0])
    assert [one.number for one in versions(house)] == [1, 1]
    assert len({one.line for one in versions(house)}) == 2


def test_what_one_reader_saves_hides_nothing_of_another(house: IngestHouse) -> None:
    first = saved(finding())
    second = saved(finding(length=9.0), after=first[1])
    store(house, *first, author=ANNA)
    store(house, *second, author=BERT)
    anna, bert = versions(house)
    assert (bert.line == anna.line, bert.number, bert.parent) == (False, 1, anna.id)
    assert shown(house, *first, *second) == [True] * 4


def test_a_reader_sees_their_own_versions_alone(house: IngestHouse) -> None:
    store(house, *saved(finding()), author=ANNA)
    store(house, *saved(finding()), author=BERT)
    assert [one.origin.author for one in versions(house, View(BERT))] == [BERT]


def test_a_node_that_names_no_predecessor_starts_a_line_each_time(house: IngestHouse) -> None:
    """Who sent it is known by an AE title alone, behind which several people may sit."""
    first, second = saved(finding()), saved(finding())
    store(house, *first, author="")
    store(house, *second, author="")
    assert [one.number for one in versions(house)] == [1, 1]
    assert {one.origin.sender for one in versions(house)} == {"SCANNER"}
    assert shown(house, *first, *second) == [True] * 4


def test_two_who_go_on_from_one_version_are_numbered_one_after_the_other(house: IngestHouse) -> None:
    first = saved(finding())
    store(house, *first)
    store(house, saved(finding(length=7.0), after=first[1])[1])
    store(house, saved(finding(length=8.0), after=first[1])[1])
    one, two, three = versions(house)
    assert [one.number, two.number, three.number] == [1, 2, 3]
    assert [two.parent, three.parent] == [one.id, one.id]


def test_the_same_object_again_is_no_version(house: IngestHouse) -> None:
    _, report = saved(finding())
    store(house, report)
    house.pipeline.process(house.incoming(report, author=ANNA, stored_by=ANNA, source="stow"))
    assert len(versions(house)) == 1


def test_a_deleted_version_is_not_listed_until_it_is_restored(house: IngestHouse) -> None:
    _, report = saved(finding())
    store(house, report)
    trash = TrashTable(house.database, house.clock)
    place = DeletedPlace(STUDY_UID, str(report.SeriesInstanceUID), str(report.SOPInstanceUID))
    row = trash.put("clinical", place, by="lead", reason="", remove_at=house.clock() + 1)
    assert row is not None
    assert versions(house) == []
    trash.restore(row.id, "lead")
    assert len(versions(house)) == 1


def test_a_broken_report_is_filed_as_one_that_says_nothing_of_its_place(house: IngestHouse) -> None:
    segmentation, _ = saved(finding())
    segmentation.PredecessorDocumentsSequence = [Dataset()]
    store(house, segmentation)
    (version,) = versions(house)
    assert version.parent is None


def test_what_was_there_before_versions_is_filed_when_the_index_is_upgraded(house: IngestHouse) -> None:
    first, second = saved(finding()), saved(finding(2))
    store(house, *first)
    store(house, *second, author="")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with house.database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0020")
        command.upgrade(config, "head")
    found = versions(house)
    assert [(one.number, one.is_newest, len(one.objects)) for one in found] == [(1, True, 1)] * 4
    assert [one.origin.author for one in found] == [ANNA, ANNA, "", ""]
    again = saved(finding(length=7.0), after=first[1])
    store(house, again[1])
    assert versions(house)[-1].parent == found[1].id
    assert shown(house, first[1], again[1]) == [False, True]
