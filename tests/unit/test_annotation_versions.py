"""Older versions are fetched, compared and restored; what is restored is a version of its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.core.records import OutcomeKind
from service.core.versions import VersionOrigin, VersionRow
from service.core.view import View
from service.errors import BadRequest, InstanceNotFound
from service.reading.comparison import Change
from service.versions.desk import VersionDesk
from service.versions.restoring import VersionRestoring
from tests.datasets import STUDY_UID
from tests.ingest_house import IngestHouse
from tests.marked_studies import finding, images, saved

ANNA, BERT = "a" * 32, "b" * 32
PROJECT = "clinical"


class Desks:
    """A study with the desks over it."""

    def __init__(self, folder: Path) -> None:
        self.house = IngestHouse(folder)
        house = self.house
        self.desk = VersionDesk(house.versions, house.index.seen_by, house.blobs)
        numbers = count(1)
        self.restoring = VersionRestoring(
            database=house.database,
            index=house.index,
            blobs=house.blobs,
            versions=house.versions,
            desk=self.desk,
            moved_now=lambda _: datetime(2030, 1, 2, 3, 4, 5),
            clock=house.clock,
            new_uid=lambda: f"2.25.8{next(numbers)}",
            version="ANNOGATE_TEST",
        )
        house.pipeline.process_batch([house.incoming(one) for one in images()])

    def store(self, *objects: Dataset, author: str = ANNA) -> VersionRow:
        source = {"source": "stow", "calling_ae_title": "", "author": author, "stored_by": author}
        outcomes = self.house.pipeline.process_batch([self.house.incoming(one, **source) for one in objects])
        assert [one.kind for one in outcomes] == [OutcomeKind.ARCHIVED] * len(objects)
        return max(self.house.versions.of_study(PROJECT, STUDY_UID), key=lambda one: one.id)

    def shown(self) -> list[str]:
        """SOP Instance UIDs of what DICOMweb shows beside the images."""
        found = self.house.index.instances_of(PROJECT, STUDY_UID)
        return [row.sop_instance_uid for row in found if row.kind != "image"]


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    desks = Desks(tmp_path)
    yield desks
    desks.house.close()


def test_an_older_version_is_fetched_as_it_was(desks: Desks) -> None:
    first = saved(finding())
    version = desks.store(*first)
    desks.store(*saved(finding(length=7.0), after=first[1]))
    uid = str(first[1].SOPInstanceUID)
    assert uid not in desks.shown()
    _, content = desks.desk.file_of(PROJECT, version.id, uid)
    held = dcmread(io.BytesIO(content))
    assert held.ContentSequence == first[1].ContentSequence


def test_two_versions_are_compared_finding_by_finding(desks: Desks) -> None:
    first = saved(finding(1), finding(2), finding(3))
    desks.store(*first)
    second = desks.store(*saved(finding(1), finding(2, at=5, length=7.0), finding(4, at=10), after=first[1]))
    compared = desks.desk.compare(PROJECT, second.id)
    assert [(one.change, one.tracking_uid) for one in compared.comparison.findings] == [
        (Change.ACCEPTED, "2.25.6001"),
        (Change.CHANGED, "2.25.6002"),
        (Change.REMOVED, "2.25.6003"),
        (Change.ADDED, "2.25.6004"),
    ]
    changed = compared.comparison.findings[1]
    assert changed.overlap is not None
    # Two slices of 4 × 4 pixels of 1 mm, moved by one along rows and columns.
    assert changed.overlap.dice == pytest.approx(9 / 16)
    assert changed.overlap.hausdorff_mm == pytest.approx(2**0.5)
    assert compared.has_spacing


def test_masks_saved_alone_are_compared_with_what_the_line_held(desks: Desks) -> None:
    """The report is as it was: nothing of it is told as removed."""
    first = saved(finding(1))
    desks.store(*first)
    second = desks.store(saved(finding(1, at=5))[0])
    (change,) = desks.desk.compare(PROJECT, second.id).comparison.findings
    assert change.change is Change.CHANGED
    assert [one.what for one in change.differences] == ["mask"]


def test_what_a_reader_makes_of_anothers_is_told_per_finding(desks: Desks) -> None:
    first = saved(finding(1), finding(2))
    desks.store(*first, author=ANNA)
    second = desks.store(*saved(finding(1, length=8.0), after=first[1]), author=BERT)
    changes = desks.desk.compare(PROJECT, second.id).comparison.findings
    assert [one.change for one in changes] == [Change.CHANGED, Change.REMOVED]
    assert changes[0].differences[0].distance_mm == pytest.approx(2.0, abs=0.01)


def test_a_first_version_has_nothing_to_be_compared_with_unless_named(desks: Desks) -> None:
    first = desks.store(*saved(finding(1)))
    other = desks.store(*saved(finding(1)), author=BERT)
    with pytest.raises(BadRequest, match="name the one to compare it with"):
        desks.desk.compare(PROJECT, first.id)
    assert desks.desk.compare(PROJECT, first.id, other.id).comparison.count(Change.ACCEPTED) == 1


def test_both_outlines_are_drawn_on_the_slice_that_differs_most(desks: Desks) -> None:
    first = saved(finding(1))
    desks.store(*first)
    second = desks.store(*saved(finding(1, at=6), after=first[1]))
    picture = Image.open(io.BytesIO(desks.desk.picture(PROJECT, second.id, "2.25.6001")))
    colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert {(230, 159, 0), (86, 180, 233)} <= colours
    with pytest.raises(InstanceNotFound, match="neither version has anything"):
        desks.desk.picture(PROJECT, second.id, "2.25.6001", 0)
    with pytest.raises(InstanceNotFound, match="there is no slice 9"):
        desks.desk.picture(PROJECT, second.id, "2.25.6001", 9)


def test_a_restored_version_is_the_newest_and_says_what_the_old_one_said(desks: Desks) -> None:
    first = saved(finding(1))
    one = desks.store(*first)
    second = saved(finding(1, at=6, length=9.0), after=first[1])
    two = desks.store(*second)
    three = desks.restoring.restore(PROJECT, one.id, VersionOrigin(stored_by="lead"), "the first was right")
    assert (three.line, three.number, three.parent, three.restored) == (one.line, 3, two.id, one.id)
    assert (three.reason, three.origin.stored_by, three.origin.author) == ("the first was right", "lead", ANNA)
    assert sorted(desks.shown()) == sorted(object_.sop_instance_uid for object_ in three.objects)
    assert desks.desk.compare(PROJECT, three.id, one.id).comparison.count(Change.ACCEPTED) == 1
    report = desks.house.stored(_row(desks, three, "SR"))
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == second[1].SOPInstanceUID
    segmentation = _row(desks, three, "SEG").sop_instance_uid
    assert segmentation in str(report.CurrentRequestedProcedureEvidenceSequence)
    assert report.ContentDate == "20300102"


def test_a_reader_goes_on_from_what_somebody_restored_of_theirs(desks: Desks) -> None:
    first = saved(finding(1))
    one = desks.store(*first)
    desks.store(*saved(finding(1, at=6), after=first[1]))
    three = desks.restoring.restore(PROJECT, one.id, VersionOrigin(stored_by="lead"))
    four = desks.store(*saved(finding(1, at=5)))
    assert (four.line, four.number) == (three.line, 4)


def test_the_newest_is_not_restored_again(desks: Desks) -> None:
    version = desks.store(*saved(finding(1)))
    with pytest.raises(BadRequest, match="the newest of its line already"):
        desks.restoring.restore(PROJECT, version.id, VersionOrigin(stored_by="lead"))


def test_another_reader_finds_restores_and_fetches_nothing_of_it(desks: Desks) -> None:
    first = saved(finding(1))
    version = desks.store(*first, author=ANNA)
    view = View(BERT)
    assert desks.desk.of_study(PROJECT, STUDY_UID, view) == []
    for attempt in (
        lambda: desks.desk.get(PROJECT, version.id, view),
        lambda: desks.desk.file_of(PROJECT, version.id, str(first[0].SOPInstanceUID), view),
        lambda: desks.desk.compare(PROJECT, version.id, version.id, view),
        lambda: desks.restoring.restore(PROJECT, version.id, VersionOrigin(author=BERT), view=view),
    ):
        with pytest.raises(InstanceNotFound):
            attempt()


def _row(desks: Desks, version: VersionRow, modality: str) -> InstanceRow:
    uid = next(one.sop_instance_uid for one in version.objects if one.modality == modality)
    row = desks.house.index.find(PROJECT, uid)
    assert row is not None
    return row
