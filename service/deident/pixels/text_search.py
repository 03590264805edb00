"""Looking for text in the frames of one object, so that none is looked at twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.deident.pixels.blackened_native import regions_of
from service.deident.pixels.frame_reader import FrameReader
from service.deident.pixels.pixel_outcome import Region, RegionOrigin
from service.deident.pixels.shown_frame import pictures
from service.deident.pixels.text_finder import TextBox, TextFinder
from service.deident.pixels.text_model import Picture

STILLS: Final = 24
"""Up to so many different frames each one is looked at; more are a cine, whose text mostly stands still."""
SAMPLES: Final = 5
MOST_CHANGED: Final = 6
THINNED: Final = 5
"""A second look at a cine takes every fifth frame in: what stood still was blackened in all of them alike."""
_BLOCK: Final = 8
_MOVED: Final = 24
_MOVED_PIXELS: Final = 4
_QUIET: Final = 0.1
_CHANGED_BLOCKS: Final = 2


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    regions : where text stands; without a frame where it is the same in all
    looked_at : how many pictures were looked at
    """

    regions: tuple[Region, ...]
    looked_at: int


class TextSearch:
    """Looks for text in frames, some rectangles of which are known to be black before long.

    Parameters
    ----------
    every_frame : whether frames show different things, as scanned pages do, so that each must be looked at
    again : whether this is the look at what was blackened
    """

    def __init__(
        self,
        finder: TextFinder,
        frames: FrameReader,
        header: Dataset,
        *,
        every_frame: bool = False,
        again: bool = False,
    ) -> None:
        self._finder = finder
        self._frames = frames
        self._header = header
        self._every_frame = every_frame
        self._step = THINNED if again else 1
        self.looked_at = 0

    def search(self, known: Sequence[Region] = ()) -> SearchResult:
        """Find text outside of ``known`` regions.

        Raises
        ------
        InstanceUnreadable : a frame cannot be decoded or drawn
        """
        self.looked_at = 0
        different = self._different_frames()
        if self._every_frame or len(different) <= STILLS:
            regions = [region for first, same in different for region in self._in_frame(first, same, known)]
        else:
            regions = self._in_cine([first for first, _ in different], known)
        return SearchResult(tuple(regions), self.looked_at)

    def _different_frames(self) -> list[tuple[int, list[int]]]:
        """The first of each set of identical frames, with all of them."""
        if self._frames.count == 1:
            return [(0, [0])]
        seen: dict[bytes, list[int]] = {}
        for index in range(self._frames.count):
            seen.setdefault(hashlib.blake2b(self._frames.encoded(index), digest_size=16).digest(), []).append(index)
        return [(same[0], same) for same in seen.values()]

    def _in_frame(self, index: int, same: list[int], known: Sequence[Region]) -> Iterator[Region]:
        boxes = self._look(self._pictures(index), regions_of(known, index, self._frames.format))
        numbers: Iterable[int | None] = [None] if len(same) == self._frames.count else [each + 1 for each in same]
        for number in numbers:
            for box in boxes:
                yield Region(box.x, box.y, box.width, box.height, number, RegionOrigin.TEXT)

    def _in_cine(self, indices: list[int], known: Sequence[Region]) -> list[Region]:
        """Text that stands still shows in what each pixel is at least, at most and on average; the rest by samples.

        Found in one frame, it is blackened in all: it stands there as long as nobody saw it go.
        """
        indices = indices[:: self._step]
        motion = _Motion()
        for index in indices:
            motion.add(self._pictures(index)[0])
        known_here = regions_of(known, 0, self._frames.format)
        boxes = self._look(motion.extremes(), known_here, thoroughly=self._step == 1)
        found = [Region(box.x, box.y, box.width, box.height) for box in boxes]
        last = len(indices) - 1
        samples = {round(each * last / (SAMPLES - 1)) for each in range(SAMPLES)} | set(motion.changed())
        for sample in sorted(samples):
            hidden = regions_of([*known, *found], indices[sample], self._frames.format)
            boxes = self._look(self._pictures(indices[sample])[:1], hidden, thoroughly=False)
            found += [Region(box.x, box.y, box.width, box.height) for box in boxes]
        return found

    def _pictures(self, index: int) -> list[Picture]:
        stored, photometric = self._frames.stored(index)
        return pictures(stored, photometric, self._frames.format, self._header)

    def _look(self, shown: Sequence[Picture], known: Sequence[Region], *, thoroughly: bool = True) -> list[TextBox]:
        boxes: list[TextBox] = []
        for picture in shown:
            for region in known:
                picture[region.y : region.y + region.height, region.x : region.x + region.width] = 0
            self.looked_at += 1
            found = self._finder.find(picture, thoroughly=thoroughly)
            boxes += [box for box in found if not box.harmless and box not in boxes]
        return boxes


class _Motion:
    """What the frames of a cine have in common, and where they change; grows by a few kB with each frame."""

    def __init__(self) -> None:
        self._least: Picture | None = None
        self._most: Picture | None = None
        self._sum: npt.NDArray[np.uint32] | None = None
        self._before: npt.NDArray[np.int16] | None = None
        self._count = 0
        self._moved: list[npt.NDArray[np.bool_]] = []

    def add(self, picture: Picture) -> None:
        """Take in the next frame."""
        grey = picture.max(axis=2).astype(np.int16)
        if self._least is None or self._most is None or self._sum is None or self._before is None:
            self._least, self._most, self._sum = picture.copy(), picture.copy(), picture.astype(np.uint32)
        else:
            np.minimum(self._least, picture, out=self._least)
            np.maximum(self._most, picture, out=self._most)
            self._sum += picture
            self._moved.append(_blocks_moved(self._before, grey))
        self._before = grey
        self._count += 1

    def extremes(self) -> list[Picture]:
        """Each pixel's largest, smallest and average value."""
        if self._least is None or self._most is None or self._sum is None:
            return []
        return [self._most.copy(), self._least.copy(), (self._sum // self._count).astype(np.uint8)]

    def changed(self) -> list[int]:
        """Frames at which something changed where it is quiet otherwise; the most changed where there are many."""
        if not self._moved:
            return []
        moved = np.stack(self._moved)
        quiet = moved.mean(axis=0) < _QUIET
        counts = (moved & quiet).sum(axis=(1, 2))
        order = np.argsort(counts)[::-1][:MOST_CHANGED]
        return [int(index) + 1 for index in order if counts[index] >= _CHANGED_BLOCKS]


def _blocks_moved(before: npt.NDArray[np.int16], now: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Which blocks of 8 × 8 pixels changed by more than noise."""
    rows, columns = (length // _BLOCK * _BLOCK for length in now.shape)
    moved = np.abs(now[:rows, :columns] - before[:rows, :columns]) > _MOVED
    blocks = moved.reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    return np.asarray(blocks.sum(axis=(1, 3)) >= _MOVED_PIXELS)
