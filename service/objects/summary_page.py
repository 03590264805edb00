"""Pages of a summary as pictures of 512 × 512: a finding on its image, or lines of text.

Text is drawn in Pillow's own font, so that none need be installed; what it has no letter for is written in ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from service.core.geometry import CLOSED_KINDS, Shape, ShapeKind
from service.objects.shown_picture import Picture

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

SIZE: Final = 512
_MARGIN: Final = 8
_BAR: Final = 32
_FOOT: Final = 84
_VIEW: Final = SIZE - _BAR - _FOOT
_DETAIL: Final = SIZE - _VIEW - 3 * _MARGIN
_LEAST_DETAIL: Final = 24
_HEADING, _TEXT, _SMALL = 19, 15, 13
_WHITE, _GREY, _BLACK, _AMBER = (255, 255, 255), (190, 190, 190), (0, 0, 0), (255, 190, 60)
_ELLIPSE_STEPS: Final = 96
_SPELT: Final = str.maketrans({"µ": "u", "μ": "u", "×": "x", "–": "-", "—": "-", "’": "'", "ß": "ss", "…": "..."})

Line = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PageText:
    """What stands round a picture, or instead of one.

    Parameters
    ----------
    heading : in large letters at the top
    lines : beside the picture, or below the heading
    foot : who made it, and of what
    warning : in a bar at the bottom; empty for none
    number, count : of the page
    """

    heading: str
    lines: tuple[str, ...]
    foot: tuple[str, ...]
    warning: str
    number: int
    count: int


def text_page(text: PageText) -> Picture:
    """A page of lines; shape (512, 512, 3)."""
    page, drawing = _empty(text)
    y = _BAR + _MARGIN
    for line in text.lines:
        _write(drawing, (_MARGIN, y), line, _TEXT)
        y += _line_height(_TEXT)
    return np.asarray(page)


def lines_that_fit(lines: Sequence[str]) -> list[tuple[str, ...]]:
    """Lines, broken where they are too long, in portions of a page each; one empty portion where there are none."""
    broken = [part for line in lines for part in _broken(line, SIZE - 2 * _MARGIN, _TEXT)]
    room = (SIZE - _BAR - _FOOT - _MARGIN) // _line_height(_TEXT)
    return [tuple(broken[first : first + room]) for first in range(0, max(len(broken), 1), room)]


def finding_page(
    text: PageText, picture: Picture, aspect: float, shapes: Sequence[Shape], colour: tuple[int, int, int]
) -> Picture:
    """A finding drawn on its image, with a detail of it beside; shape (512, 512, 3).

    Parameters
    ----------
    picture : RGB, shape (rows, columns, 3)
    aspect : height of a pixel to its width
    shapes : in the pixels of the image
    """
    page, drawing = _empty(text)
    rows, columns = picture.shape[:2]
    whole = (0.0, 0.0, float(columns), float(rows))
    page.paste(_view(picture, whole, aspect, shapes, colour, _VIEW), (_MARGIN, _BAR))
    left = _VIEW + 2 * _MARGIN
    y = _BAR
    around = _around(shapes, whole)
    if around is not None:
        page.paste(_view(picture, around, aspect, shapes, colour, _DETAIL), (left, _BAR))
        y += _DETAIL + _MARGIN
    parts = [part for line in text.lines for part in _broken(line, _DETAIL, _SMALL)]
    room = (SIZE - _FOOT - y) // _line_height(_SMALL)
    if len(parts) > room:
        parts = [*parts[: room - 1], "..."]
    for part in parts:
        _write(drawing, (left, y), part, _SMALL)
        y += _line_height(_SMALL)
    return np.asarray(page)


def drawable(words: str) -> str:
    """Words in letters that the font has; a question mark for what cannot be spelt with them."""
    plain = unicodedata.normalize("NFKD", words.translate(_SPELT))
    kept = (letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else " " if letter.isspace() else "?" for letter in kept)


def _empty(text: PageText) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (SIZE, SIZE), _BLACK)
    drawing = ImageDraw.Draw(page)
    count = f"{text.number} / {text.count}"
    _write(drawing, (SIZE - _MARGIN - _width(count, _SMALL), _MARGIN + 3), count, _SMALL, _GREY)
    heading = _cut(text.heading, SIZE - 4 * _MARGIN - _width(count, _SMALL), _HEADING)
    _write(drawing, (_MARGIN, 5), heading, _HEADING)
    y = SIZE - _FOOT + _MARGIN
    for line in text.foot[:2]:
        _write(drawing, (_MARGIN, y), _cut(line, SIZE - 2 * _MARGIN, _SMALL), _SMALL, _GREY)
        y += _line_height(_SMALL)
    if text.warning:
        drawing.rectangle((0, SIZE - 30, SIZE, SIZE), fill=_AMBER)
        at = ((SIZE - _width(text.warning, _HEADING)) // 2, SIZE - 27)
        _write(drawing, at, text.warning, _HEADING, _BLACK)
    return page, drawing


def _view(
    picture: Picture,
    box: tuple[float, float, float, float],
    aspect: float,
    shapes: Sequence[Shape],
    colour: tuple[int, int, int],
    size: int,
) -> Image.Image:
    """A part of the image (left, top, right, bottom in its pixels) in a square, with what is drawn on it."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    scale = size / max(right - left, (bottom - top) * aspect)
    width, height = max(round((right - left) * scale), 1), max(round((bottom - top) * scale * aspect), 1)
    part = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC, box=box)
    view = Image.new("RGB", (size, size), _BLACK)
    away = ((size - width) // 2, (size - height) // 2)
    view.paste(part, away)
    drawing = ImageDraw.Draw(view)
    lines = [
        [(away[0] + (x - left) * scale, away[1] + (y - top) * scale * aspect) for x, y in line]
        for shape in shapes
        for line in _lines(shape)
    ]
    for ink, thick in ((_BLACK, 4), (colour, 2)):
        for line in lines:
            if len(line) == 1:
                (x, y) = line[0]
                drawing.ellipse((x - thick - 1, y - thick - 1, x + thick + 1, y + thick + 1), fill=ink)
            else:
                drawing.line(line, fill=ink, width=thick, joint="curve")
    return view


def _lines(shape: Shape) -> list[Line]:
    """What to draw of a shape: lines, and points as lines of one."""
    points = [(float(point[0]), float(point[1])) for point in shape.points]
    if shape.kind in (ShapeKind.POINT, ShapeKind.KEYPOINTS):
        edges = [[points[one], points[other]] for one, other in shape.skeleton if one != other]
        return [[point] for point in points] + edges
    if shape.kind is ShapeKind.COBB_ANGLE:
        return [points[:2], points[2:]]
    if shape.kind in (ShapeKind.CIRCLE, ShapeKind.ELLIPSE):
        return [_curve(shape)]
    return [[*points, points[0]] if shape.kind in CLOSED_KINDS else points] if points else []


def _curve(shape: Shape) -> Line:
    """A circle or an ellipse as a line round it."""
    points = np.asarray(shape.points, dtype=np.float64)
    if shape.kind is ShapeKind.CIRCLE:
        middle, first = points[0], points[1] - points[0]
        second = np.array([-first[1], first[0]])
    else:
        middle, first, second = points[:2].mean(axis=0), (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
    turns = np.linspace(0, 2 * np.pi, _ELLIPSE_STEPS + 1)
    around = middle + np.outer(np.cos(turns), first) + np.outer(np.sin(turns), second)
    return [(float(x), float(y)) for x, y in around]


def _around(
    shapes: Sequence[Shape], whole: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """A square round what is drawn, twice as wide, moved into the image; None where it would be no detail."""
    points = np.array([point for shape in shapes for line in _lines(shape) for point in line])
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()) * 2, _LEAST_DETAIL)
    if side > min(whole[2:]):
        return None
    left, top = ((low + high - side) / 2).tolist()
    left, top = min(max(left, 0.0), whole[2] - side), min(max(top, 0.0), whole[3] - side)
    return left, top, left + side, top + side


def _write(
    drawing: ImageDraw.ImageDraw,
    at: tuple[int, int],
    words: str,
    size: int,
    ink: tuple[int, int, int] = _WHITE,
) -> None:
    from PIL import ImageFont

    drawing.text(at, drawable(words), fill=ink, font=ImageFont.load_default(size))


def _width(words: str, size: int) -> int:
    from PIL import ImageFont

    return round(ImageFont.load_default(size).getlength(drawable(words)))


def _line_height(size: int) -> int:
    return size + 5


def _cut(words: str, width: int, size: int) -> str:
    """As much as a line holds, three points after what is missing."""
    if _width(words, size) <= width:
        return words
    while words and _width(f"{words}...", size) > width:
        words = words[:-1]
    return f"{words}..."


def _broken(words: str, width: int, size: int) -> list[str]:
    """Words in lines that fit; a word longer than a line is cut."""
    lines: list[str] = []
    line = ""
    for word in words.split():
        longer = f"{line} {word}" if line else word
        if line and _width(longer, size) > width:
            lines.append(line)
            longer = word
        line = _cut(longer, width, size)
    return [*lines, line] if line else lines
