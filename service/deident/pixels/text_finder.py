"""Where text stands in a picture as it is shown.

The detection network sees the picture as it is, and once more with its local contrast stretched: the first finds
what everybody sees, the second faint text and text on bright anatomy, and tells text from large bright shapes. A noisy
picture is looked at smoothed as well. Text turned by 90° is found as it stands. What it is sure of counts as text when
it can be read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from service.deident.pixels.text_model import Picture

# Found on text of 12 to 60 px and on images without text; benchmarks/deid_pixels.py measures both.
_FAINT: Final = 0.2
_SURE: Final = 0.6
_SURE_MEAN: Final = 0.35
_CERTAIN_MEAN: Final = 0.92
_LIKELY_MEAN: Final = 0.82
_WEAK_MEAN: Final = 0.6
_WORD: Final = 2.5
_LINE: Final = 5.0
_LARGE: Final = 30
_SMALL: Final = 14
_FEW: Final = 4
_READ_FEW: Final = 0.8
_DOUBTFUL_MEAN: Final = 0.7
_READ: Final = 0.6
_READ_IN_DOUBT: Final = 0.25
_READ_ONE: Final = 0.9
_READ_LARGE: Final = 0.75
_READ_FOR_HARMLESS: Final = 0.9
_THICKEST: Final = 60
_SMALLEST_AREA: Final = 8
_BRIDGED: Final = 2.5
_MOST_READ: Final = 400
_MOST_FAINT: Final = 2000

_TILE: Final = 1024
_OVERLAP: Final = 96
_BORDER: Final = 32
_FLAT: Final = 3
_MARGIN: Final = 16
_HALF_FROM: Final = 192
_NOISY: Final = 12
_DROWNED: Final = 20
_BLUR: Final = 1.0
_NOISE_BLOCK: Final = 32
_ENLARGED: Final = 1.5
_ENLARGED_UP_TO: Final = 640 * 1024


@dataclass(frozen=True, slots=True)
class TextBox:
    """A rectangle of pixels in which text stands; ``harmless`` text says nothing about a person."""

    x: int
    y: int
    width: int
    height: int
    harmless: bool = False


class LineReader(Protocol):
    """The networks, ``service.deident.pixels.text_model.TextModel``."""

    def text_map(self, picture: Picture) -> npt.NDArray[np.float32]:
        """How likely each pixel lies in the core of a line of text."""

    def read_line(self, picture: Picture) -> tuple[str, float]:
        """What a line reads, and how sure that is."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A connected piece of a text map, grown to what it stands for; ``slender`` is how often its width fits along.

    ``thickness`` is in pixels of the map.
    """

    box: TextBox
    mean: float
    peak: float
    thickness: int
    slender: float


class TextFinder:
    """Finds text in pictures.

    Parameters
    ----------
    harmless : texts that may stay when they stand alone, upper case
    harmless_patterns : regular expressions of further ones
    """

    def __init__(
        self, model: LineReader, harmless: frozenset[str] = frozenset(), harmless_patterns: Sequence[str] = ()
    ) -> None:
        self._model = model
        self._harmless = harmless
        self._patterns = [re.compile(pattern) for pattern in harmless_patterns]

    def find(self, picture: Picture, *, thoroughly: bool = True) -> list[TextBox]:
        """Boxes around all text, wide enough for its glyphs; harmless ones marked.

        Parameters
        ----------
        thoroughly : whether a small picture is looked at enlarged as well, at twice the cost
        """
        drawn_on = _drawn_on(picture)
        if drawn_on is None:
            return []
        left, top, right, bottom = drawn_on
        boxes = self._find(np.ascontiguousarray(picture[top:bottom, left:right]), thoroughly)
        return [replace(box, x=box.x + left, y=box.y + top) for box in boxes]

    def _find(self, picture: Picture, thoroughly: bool) -> list[TextBox]:
        found: list[TextBox] = []
        faint: list[TextBox] = []
        for seen, scale in _views(picture, thoroughly):
            pieces = _pieces(self._map(seen), scale)
            sure = [piece for piece in pieces if piece.peak >= _SURE and piece.mean >= _SURE_MEAN]
            faint += [piece.box for piece in sorted(pieces, key=_by_peak)[:_MOST_FAINT]]
            readable = len(sure) <= _MOST_READ
            for piece in sure:
                box = self._judge(piece, seen, scale) if readable else piece.box
                if box is not None:
                    found.append(box)
        return _settled(found, faint, picture.shape[1], picture.shape[0])

    def _map(self, picture: Picture) -> npt.NDArray[np.uint8]:
        """The text map of a picture of any size, in 256 steps, tile by tile."""
        rows, columns = picture.shape[:2]
        whole = np.zeros((rows, columns), dtype=np.uint8)
        for top, left in _tiles(rows, columns):
            part = picture[top : top + _TILE, left : left + _TILE]
            if int(part.max()) - int(part.min()) <= _FLAT:
                continue
            likely = self._model.text_map(_bordered(part))[_BORDER:-_BORDER, _BORDER:-_BORDER]
            target = whole[top : top + _TILE, left : left + _TILE]
            np.maximum(target, (likely * 255).astype(np.uint8), out=target)
        return whole

    def _judge(self, piece: _Piece, seen: Picture, scale: float) -> TextBox | None:
        """The piece's box where it is text; reading tells letters from edges, bars and lesions."""
        text, sure = self._read(piece.box, seen, scale)
        if not _is_text(piece, sure, sum(character.isalnum() for character in text)):
            return None
        return replace(piece.box, harmless=sure >= _READ_FOR_HARMLESS and self._is_harmless(text))

    def _read(self, box: TextBox, seen: Picture, scale: float) -> tuple[str, float]:
        top, left = max(0, int(box.y * scale)), max(0, int(box.x * scale))
        bottom, right = int((box.y + box.height) * scale) + 1, int((box.x + box.width) * scale) + 1
        crop = np.ascontiguousarray(seen[top:bottom, left:right])
        readings = []
        if box.width >= 0.7 * box.height:
            readings.append(self._model.read_line(crop))
        if box.height >= 0.7 * box.width:
            readings += [self._model.read_line(np.ascontiguousarray(np.rot90(crop, turns))) for turns in (1, 3)]
        return max(readings, key=lambda reading: reading[1])

    def _is_harmless(self, text: str) -> bool:
        word = " ".join(text.upper().split())
        return word in self._harmless or any(pattern.fullmatch(word) for pattern in self._patterns)


def _is_text(piece: _Piece, sure: float, letters: int) -> bool:
    """Whether a reading tells text from edges, bars and lesions, which at most look like a few letters.

    A line that the network is certain of needs no reading: it may be in a script that nobody here reads.
    """
    mean = piece.mean
    if mean >= _CERTAIN_MEAN and piece.slender >= _WORD:
        return True
    if piece.thickness > _LARGE:  # such are also the folds of a brain, and letters are seen better at half their size
        return letters >= _FEW and sure >= _READ_LARGE
    if mean >= _LIKELY_MEAN and piece.slender >= _LINE:
        return True
    if letters < 2:
        return letters == 1 and sure >= _READ_ONE and mean >= _DOUBTFUL_MEAN
    if letters < _FEW:
        # Two digits can be read in cartilage; what is as large as that is read well where it is text.
        least = _READ if piece.thickness <= _SMALL else _READ_FEW
        return (sure >= _READ_FEW and mean >= _WEAK_MEAN) or (sure >= least and mean >= _LIKELY_MEAN)
    return sure >= _READ or (mean >= _DOUBTFUL_MEAN and sure >= _READ_IN_DOUBT)


def _drawn_on(picture: Picture) -> tuple[int, int, int, int] | None:
    """What of a picture is not one colour all along an edge: first column and row, and those after the last."""
    differs = np.abs(picture.astype(np.int16) - picture[0, 0]).max(axis=2) > _FLAT
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return None
    height, width = picture.shape[:2]
    left, top = max(0, int(columns[0]) - _MARGIN), max(0, int(rows[0]) - _MARGIN)
    return left, top, min(width, int(columns[-1]) + 1 + _MARGIN), min(height, int(rows[-1]) + 1 + _MARGIN)


def _views(picture: Picture, thoroughly: bool = True) -> Iterator[tuple[Picture, float]]:
    """The picture as the network is to see it, and at which scale."""
    import cv2

    yield picture, 1.0
    yield local_contrast(picture), 1.0
    noise = _noise(picture)
    if noise >= _NOISY:
        yield _stretched(np.asarray(cv2.medianBlur(picture, 3), dtype=np.uint8)), 1.0
    if noise >= _DROWNED:  # too much for a median of nine
        yield _stretched(np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR), dtype=np.uint8)), 1.0
    if min(picture.shape[:2]) >= _HALF_FROM:  # large letters of large images
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        yield local_contrast(np.asarray(half, dtype=np.uint8)), 0.5
    if thoroughly and picture.shape[0] * picture.shape[1] <= _ENLARGED_UP_TO:  # small letters on bright anatomy
        large = cv2.resize(picture, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
        yield np.asarray(large, dtype=np.uint8), _ENLARGED


def _stretched(picture: Picture) -> Picture:
    """The picture over its whole range, but for a few pixels."""
    low, high = np.percentile(picture, (0.5, 99.5))
    return np.asarray(np.clip((picture - low) * (255 / max(1.0, high - low)), 0, 255), dtype=np.uint8)


def _noise(picture: Picture) -> float:
    """How much single pixels differ from those beside them, in the noisiest tenth of the picture at least."""
    import cv2

    grey = np.ascontiguousarray(picture.max(axis=2))
    apart = cv2.absdiff(grey, cv2.medianBlur(grey, 3)).astype(np.float32)
    blocks = max(1, grey.shape[1] // _NOISE_BLOCK), max(1, grey.shape[0] // _NOISE_BLOCK)
    return float(np.percentile(cv2.resize(apart, blocks, interpolation=cv2.INTER_AREA), 90))


def local_contrast(picture: Picture) -> Picture:
    """Each pixel against its surroundings of some 40 pixels, in units of their own spread."""
    import cv2

    grey = np.array_equal(picture[:, :, 0], picture[:, :, 1]) and np.array_equal(picture[:, :, 1], picture[:, :, 2])
    values = (picture[:, :, 0] if grey else picture).astype(np.float32)
    values -= cv2.blur(cv2.blur(values, (29, 29)), (29, 29))
    # Running sums leave a little less than nothing where all is flat.
    spread = np.sqrt(np.maximum(cv2.blur(values * values, (61, 61)), 0))
    stretched = np.clip(128 + 45 * values / (spread + 6), 0, 255).astype(np.uint8)
    return np.repeat(stretched[:, :, None], 3, axis=2) if grey else stretched


def _tiles(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = _TILE - _OVERLAP
    for top in range(0, max(1, rows - _OVERLAP), step):
        for left in range(0, max(1, columns - _OVERLAP), step):
            yield top, left


def _bordered(part: Picture) -> Picture:
    """With a border, since text at the very edge of a picture is not seen."""
    import cv2

    bordered = cv2.copyMakeBorder(part, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE)
    return np.asarray(bordered, dtype=np.uint8)


def _pieces(text_map: npt.NDArray[np.uint8], scale: float) -> list[_Piece]:
    """The connected pieces of a text map in pixels of the picture; a core is thinner than its text."""
    import cv2

    above = (text_map > _FAINT * 255).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    thickness, area = np.minimum(stats[:, 2], stats[:, 3]), stats[:, 4]
    pieces = []
    for label in np.flatnonzero((area >= _SMALLEST_AREA) & (thickness <= _THICKEST)):
        if label == 0:  # what is below
            continue
        x, y, width, height = (int(value) for value in stats[label, :4])
        values = text_map[y : y + height, x : x + width][labels[y : y + height, x : x + width] == label]
        mean, peak = float(values.mean()) / 255, float(values.max()) / 255
        slender = max(width, height) / min(width, height)
        pieces.append(_Piece(_grown(x, y, width, height, scale), mean, peak, min(width, height), slender))
    return pieces


def _by_peak(piece: _Piece) -> float:
    return -piece.peak


def _grown(x: int, y: int, width: int, height: int, scale: float) -> TextBox:
    """The box of the text around a core: wider across, and by a letter or two along the line."""
    thickness = min(width, height)
    across, along = 0.65 * thickness + 2, 2.2 * thickness + 2
    sideways, upright = (along, across) if width >= height else (across, along)
    left, top = int((x - sideways) / scale), int((y - upright) / scale)
    right, bottom = int((x + width + sideways) / scale) + 1, int((y + height + upright) / scale) + 1
    return TextBox(left, top, right - left, bottom - top)


def _settled(found: list[TextBox], faint: list[TextBox], columns: int, rows: int) -> list[TextBox]:
    """The boxes within the picture, those that overlap joined, with what is faint beside what was found.

    Harmless text stays harmless only where it stands alone: an initial beside a name goes with it.
    """
    text = [box for box in found if not box.harmless]
    for box in (box for box in found if box.harmless):
        if any(_touch(box, other, 1.0) for other in text):
            text.append(replace(box, harmless=False))
    text += [box for box in faint if any(_continues(box, other) for other in text)]
    text += [gap for index, box in enumerate(text) for other in text[:index] if (gap := _gap(box, other)) is not None]
    kept = [box for box in found if box.harmless and not any(_touch(box, other, 0.0) for other in text)]
    return [_within(box, columns, rows) for box in [*_joined(text), *_joined(kept)]]


def _touch(one: TextBox, other: TextBox, reach: float) -> bool:
    """Whether two boxes overlap, the first one grown by ``reach`` times its height on each side."""
    grow = reach * min(one.width, one.height)
    return (
        one.x - grow < other.x + other.width
        and other.x < one.x + one.width + grow
        and one.y - grow < other.y + other.height
        and other.y < one.y + one.height + grow
    )


def _continues(faint: TextBox, text: TextBox) -> bool:
    """Whether something faint is part of a line that was found: it overlaps it, and is not much thicker."""
    thickness = min(text.width, text.height)
    return min(faint.width, faint.height) <= 1.6 * thickness and _touch(text, faint, 0.3)


def _gap(one: TextBox, other: TextBox) -> TextBox | None:
    """What lies between two pieces of one line, where what was not found is most likely more of it."""
    if one.width >= one.height and other.width >= other.height:
        first, second = sorted((one, other), key=lambda box: box.x)
        along, thickness = second.x - first.x - first.width, (first.height, second.height)
        shared = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    elif one.width < one.height and other.width < other.height:
        first, second = sorted((one, other), key=lambda box: box.y)
        along, thickness = second.y - first.y - first.height, (first.width, second.width)
        shared = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    else:
        return None
    in_line = shared >= 0.6 * max(thickness)
    return _union(first, second) if in_line and 0 < along <= _BRIDGED * min(thickness) else None


def _joined(boxes: list[TextBox]) -> list[TextBox]:
    """Boxes joined where that blackens little more than they do."""
    joined: list[TextBox] = []
    for box in sorted(boxes, key=lambda box: (box.y, box.x)):
        current = box
        again = True
        while again:
            again = False
            for other in joined:
                union = _union(current, other)
                if _touch(current, other, 0.0) and _area(union) <= 1.2 * (_area(current) + _area(other)):
                    joined.remove(other)
                    current, again = union, True
                    break
        joined.append(current)
    return joined


def _union(one: TextBox, other: TextBox) -> TextBox:
    left, top = min(one.x, other.x), min(one.y, other.y)
    right, bottom = max(one.x + one.width, other.x + other.width), max(one.y + one.height, other.y + other.height)
    return TextBox(left, top, right - left, bottom - top, one.harmless and other.harmless)


def _area(box: TextBox) -> int:
    return box.width * box.height


def _within(box: TextBox, columns: int, rows: int) -> TextBox:
    left, top = max(0, box.x), max(0, box.y)
    right, bottom = min(columns, box.x + box.width), min(rows, box.y + box.height)
    return TextBox(left, top, right - left, bottom - top, box.harmless)
