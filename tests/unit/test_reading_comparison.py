"""Two versions side by side: what was accepted, changed, added and removed, and by how much."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread

from service.core.annotations import AnnotationSet, Outcome, PersonObserver
from service.core.codes import ucum
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import ImagePlace, Shape, line, rectangle
from service.objects.annotation_reader import annotations_of
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from service.reading.comparison import Change, Comparison, compare
from service.reading.contour_picture import AFTER, BEFORE, contour_picture
from service.reading.overlap import distance_apart, overlap_of
from tests.annotated_images import LENGTH, SOURCES, annotation_sets
from tests.volumes import ABNORMAL, LEFT, LUNG, NODULE
from tests.written_results import context

READER = PersonObserver("Reader^First")
SPACING = (2.5, 0.7, 0.7)
IMAGE = ImagePlace("1.2.840.10008.5.1.4.1.1.2", "2.25.1")


def ball(radius_mm: float, centre_mm: tuple[float, float, float], shape: tuple[int, int, int] = (24, 80, 80)) -> Mask:
    """A ball in a grid of ``SPACING``; the centre in mm from the middle of the first voxel."""
    grid = np.indices(shape) * np.reshape(SPACING, (3, 1, 1, 1))
    return Mask.cut_from(((grid - np.reshape(centre_mm, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius_mm**2)


def mark(uid: str = "2.25.7", **more: object) -> Finding:
    return replace(Finding("Nodule 1", uid, ABNORMAL, NODULE, LUNG, LEFT), **more)


def compared(before: Finding | None, after: Finding | None) -> Comparison:
    sets = [AnnotationSet(READER, () if one is None else (one,)) for one in (before, after)]
    return compare(sets[0], sets[1], SPACING, lambda _: (0.5, 0.25))


def test_equal_findings_are_accepted() -> None:
    (told,) = compared(mark(mask=ball(8, (25, 25, 25))), mark(mask=ball(8, (25, 25, 25)))).findings
    assert (told.change, told.differences) == (Change.ACCEPTED, ())
    assert told.overlap is not None
    assert (told.overlap.dice, told.overlap.hausdorff_mm, told.overlap.differing_slices) == (1, 0, ())


def test_finding_that_is_gone_was_removed_and_a_new_one_was_added() -> None:
    told = compared(mark("2.25.7"), mark("2.25.8")).findings
    assert [(one.change, one.tracking_uid) for one in told] == [(Change.REMOVED, "2.25.7"), (Change.ADDED, "2.25.8")]


def test_mask_under_a_new_tracking_uid_is_the_same_finding() -> None:
    (told,) = compared(mark(mask=ball(8, (25, 25, 25))), mark("2.25.8", mask=ball(8, (25, 26, 25)))).findings
    assert told.change is Change.CHANGED


def drawn(uid: str, start: tuple[float, float], end: tuple[float, float]) -> Finding:
    drawn_line = line(start, end, IMAGE)
    return mark(uid, measurements=(Measurement(LENGTH, 4.0, ucum("mm", "millimeter"), shape=drawn_line),))


def test_line_under_a_new_tracking_uid_is_the_nearest_one() -> None:
    before = AnnotationSet(READER, (drawn("2.25.7", (10, 10), (30, 10)), drawn("2.25.8", (10, 60), (30, 60))))
    after = AnnotationSet(READER, (drawn("2.25.9", (10, 62), (30, 62)), drawn("2.25.10", (10, 10), (30, 10))))
    told = compare(before, after).findings
    assert [(one.change, one.tracking_uid_before, one.tracking_uid) for one in told] == [
        (Change.ACCEPTED, "2.25.7", "2.25.10"),
        (Change.CHANGED, "2.25.8", "2.25.9"),
    ]


def test_line_drawn_out_of_reach_of_the_earlier_is_another_finding() -> None:
    told = compared(drawn("2.25.7", (10, 10), (30, 10)), drawn("2.25.9", (200, 200), (220, 200))).findings
    assert [one.change for one in told] == [Change.REMOVED, Change.ADDED]


def test_masks_far_apart_are_two_findings() -> None:
    told = compared(mark(mask=ball(4, (10, 10, 10))), mark("2.25.8", mask=ball(4, (40, 40, 40)))).findings
    assert [one.change for one in told] == [Change.REMOVED, Change.ADDED]


@pytest.mark.parametrize("voxels", [1, 3, 6])
def test_ball_that_was_moved_lies_as_far_away_as_it_was_moved(voxels: int) -> None:
    before, after = ball(10, (30, 25, 25)), ball(10, (30, 25 + voxels * 0.7, 25))
    told = overlap_of(before, after, SPACING)
    assert told.hausdorff_mm == pytest.approx(voxels * 0.7, abs=1e-3)
    assert told.volume_difference == 0
    # Two balls of radius r, d apart, share 1 - 3d/4r + d³/16r³ of their volume.
    share = 1 - 3 * voxels * 0.7 / 40 + (voxels * 0.7) ** 3 / 16000
    assert told.dice == pytest.approx(share, abs=0.02)


def test_ball_that_grew_is_told_in_volume_and_surface() -> None:
    told = overlap_of(ball(8, (30, 28, 28)), ball(10, (30, 28, 28)), SPACING)
    assert told.volume_difference == pytest.approx((10 / 8) ** 3 - 1, rel=0.05)
    assert told.surface_95_mm == pytest.approx(2, abs=0.75)
    middle = round(30 / 2.5)
    assert set(told.differing_slices) >= {middle - 3, middle, middle + 3}


def test_line_that_was_moved_is_told_in_millimetres() -> None:
    before, after = (mark(shapes=(line((10, 20), (30, 20 + moved), IMAGE),)) for moved in (0, 6))
    ((told,),) = (one.differences for one in compared(before, after).findings)
    assert (told.what, told.after) == ("line", "drawn elsewhere")
    # Six rows of half a millimetre; the far end's nearest point lies a little before the near line's end.
    assert told.distance_mm == pytest.approx(3, abs=0.01)


def test_line_drawn_the_other_way_round_is_the_same() -> None:
    before, after = line((1, 2), (5, 6), IMAGE), line((5, 6), (1, 2), IMAGE)
    assert distance_apart(before, after) == pytest.approx(0)


def test_words_and_codes_that_changed_are_told_with_both() -> None:
    (told,) = compared(mark(confidence=0.5), mark(confidence=0.75, laterality=None)).findings
    assert [(one.what, one.before, one.after) for one in told.differences] == [
        ("laterality", "Left", ""),
        ("confidence", "0.5", "0.75"),
    ]


def test_outcome_that_changed_is_told_of_the_reading() -> None:
    told = compare(AnnotationSet(READER), AnnotationSet(READER, outcome=Outcome.NOT_ASSESSABLE))
    assert [(one.what, one.before, one.after) for one in told.reading] == [("outcome", "no-finding", "not-assessable")]


def test_numbers_of_each_kind_are_counted() -> None:
    told = compared(mark("2.25.7"), mark("2.25.8"))
    assert [told.count(change) for change in Change] == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["CT slices", "ultrasound cine"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_only_went_through_a_report_is_accepted(kind: str, data: st.DataObject) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    made = data.draw(annotation_sets(sources))
    written = BytesIO()
    write_annotation_report(made, "Reading", sources, None, context()).save_as(written, enforce_file_format=True)
    written.seek(0)
    told = compare(made, annotations_of(dcmread(written)))
    assert told.count(Change.ACCEPTED) == len(made.findings) == len(told.findings)
    assert told.reading == ()


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 50), st.floats(1, 50), st.floats(-20, 20))
def test_distance_of_what_was_shifted_is_never_more_than_the_shift(width: float, height: float, by: float) -> None:
    before = rectangle(5, 5, 5 + width, 5 + height, IMAGE)
    after = Shape(before.kind, tuple((column + by, row) for column, row in before.points), IMAGE)
    assert distance_apart(before, after) <= abs(by) + 0.5


def test_picture_shows_both_outlines() -> None:
    before, after = ball(10, (30, 25, 25)), ball(12, (30, 27, 25))
    pixels = np.zeros((80, 80), np.float32)
    picture = np.asarray(Image.open(BytesIO(contour_picture(pixels, 12, before, after, (-100, 200)))))
    assert min(picture.shape[:2]) >= 384
    for colour in (BEFORE, AFTER):
        assert (picture == colour).all(axis=-1).sum() > 100


def test_picture_of_equal_masks_shows_both_outlines_too() -> None:
    same = ball(10, (30, 25, 25))
    picture = np.asarray(Image.open(BytesIO(contour_picture(np.zeros((80, 80), np.float32), 12, same, same, (0, 1)))))
    assert all((picture == colour).all(axis=-1).any() for colour in (BEFORE, AFTER))


def test_slice_without_a_mark_has_no_picture() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        contour_picture(np.zeros((80, 80), np.float32), 0, ball(4, (30, 25, 25)), None, (0, 1))


def test_measurement_under_another_unit_is_another_measurement() -> None:
    before = mark(measurements=(Measurement(LENGTH, 1, ucum("mm")),))
    after = mark(measurements=(Measurement(LENGTH, 1, ucum("cm")),))
    (told,) = compared(before, after).findings
    assert [(one.before, one.after) for one in told.differences] == [("1 mm", ""), ("", "1 cm")]
