"""What the formats of pictures share: one picture a slice or frame, grey ones through a window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from service.errors import FormatRefused
from service.formats.case import Case, LabelledFinding
from service.formats.case_record import Json
from service.formats.finding_shapes import PointsShape, Shape, planes_of, shapes_of
from service.formats.labels import Label
from service.formats.layout import CaseFiles, Layout
from service.formats.pictures import Window, picture_maker
from service.formats.tables import PICTURE_TABLE

OnSlice = dict[int, list[tuple[LabelledFinding, Shape]]]


class PictureLayout(Layout):
    """What the formats of pictures share: which slices are written, and how they look.

    Parameters
    ----------
    window : what becomes grey; None for the window of each series' own header
    all_slices : write slices on which nothing is marked as well
    """

    tables = (PICTURE_TABLE,)

    def __init__(self, labels: tuple[Label, ...], *, window: Window | None = None, all_slices: bool = False) -> None:
        super().__init__(labels)
        self._window = window
        self._all_slices = all_slices

    @property
    def options(self) -> Json:
        """Window and choice of slices."""
        window = None if self._window is None else [self._window.center, self._window.width]
        return {"window": window, "all_slices": self._all_slices}

    def pictures(self, case: Case, marked: set[int], path_of: Callable[[int], str], files: CaseFiles) -> list[Json]:
        """Write the pictures of a case; each with its place in the archive."""
        images = case.images
        numbers = range(len(images.slices)) if self._all_slices or case.findings is None else sorted(marked)
        if not numbers:
            return []
        maker = picture_maker(images, self._window)
        pictures = []
        for number in numbers:
            path = path_of(number)
            picture, window = maker.made(number)
            files.write_bytes("image", path, picture)
            one = images.slices[number]
            pictures.append(
                {
                    "file": path,
                    "slice": number,
                    "sop_instance_uid": str(one.source.SOPInstanceUID),
                    "frame": one.frame_number,
                    "window": None if window is None else [window.center, window.width],
                }
            )
        return pictures

    @staticmethod
    def picture_rows(case: Case, pictures: list[Json]) -> list[list[Any]]:
        """Rows of the table of pictures."""
        keys = ("sop_instance_uid", "frame", "slice")
        return [[one["file"], case.name, case.series_uid, *(one[key] for key in keys)] for one in pictures]


def shapes_by_slice(case: Case, *, with_points: bool = True) -> OnSlice:
    """Every region of a case by slice.

    Parameters
    ----------
    with_points : whether the format has a place for points

    Raises
    ------
    FormatRefused : a finding has no region; pictures without it would teach that nothing is there
    """
    planes = planes_of(case.images)
    found: OnSlice = defaultdict(list)
    for one in case.findings or ():
        shapes = [
            (number, shape)
            for number, shape in shapes_of(one.finding, one.mask(), planes)
            if with_points or not isinstance(shape, PointsShape)
        ]
        if not shapes and one.load_mask is None:
            raise FormatRefused(
                f"{one.label.name} was marked without a region that this format holds: choose other labels (--label), "
                "or tables alone"
            )
        for number, shape in shapes:
            found[number].append((one, shape))
    return found
