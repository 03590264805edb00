"""The graphics and texts of a presentation state (PS3.3 C.10.5), drawn where they belong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from service.errors import NotAcceptable
from service.web.dicomweb.graphic_layer import Ink
from service.web.dicomweb.image_geometry import Mapping, Point

_STEPS: Final = 72
_SMALLEST_FONT: Final = 9
_LARGEST_FONT: Final = 28
_LINES_A_HEIGHT: Final = 32
_DOT: Final = 2
_MOST_OBJECTS: Final = 2000
_MOST_NUMBERS: Final = 1 << 18
_LONGEST_TEXT: Final = 1024  # of VR ST


def draw_graphics(image: Image.Image, annotation: Dataset, mapping: Mapping, ink: Ink) -> None:
    """Draw one item of the Graphic Annotation Sequence onto what is shown.

    A compound graphic is drawn by the objects that stand for it (PS3.3 C.10.5.1.2.2), and in no style of its own.

    Raises
    ------
    NotAcceptable : more than is drawn at once, or places in a matrix of tiles
    """
    drawing = ImageDraw.Draw(image)
    black: Ink = 0 if image.mode == "L" else (0, 0, 0)
    shapes, texts = annotation.get("GraphicObjectSequence") or (), annotation.get("TextObjectSequence") or ()
    if len(shapes) + len(texts) > _MOST_OBJECTS:
        raise NotAcceptable(f"The presentation state has more than {_MOST_OBJECTS} graphics or texts in one layer")
    for item in shapes:
        places = _mapped(item.get("GraphicData") or (), str(item.get("GraphicAnnotationUnits", "")), mapping)
        _draw_shape(drawing, item, places, ink)
    for item in texts:
        _draw_text(drawing, item, mapping, (ink, black), image.height)


def _draw_shape(drawing: ImageDraw.ImageDraw, item: Dataset, places: Sequence[Point], ink: Any) -> None:
    kind = str(item.get("GraphicType", ""))
    if kind == "POINT":
        for x, y in places:
            drawing.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=ink)
        return
    line = list(_LINES[kind](places)) if kind in _LINES else []
    if len(line) < 2:
        return
    if str(item.get("GraphicFilled", "N")) == "Y" and len(line) > 2:
        drawing.polygon(line, fill=ink)
    else:
        drawing.line(line, fill=ink, width=1)


def _draw_text(
    drawing: ImageDraw.ImageDraw, item: Dataset, mapping: Mapping, inks: tuple[Any, Any], height: int
) -> None:
    box = item.get("BoundingBoxTopLeftHandCorner")
    units = item.get("BoundingBoxAnnotationUnits") if box else item.get("AnchorPointAnnotationUnits")
    places = _mapped(box or item.get("AnchorPoint") or (), str(units or ""), mapping)
    if not places:
        return
    size = min(max(height // _LINES_A_HEIGHT, _SMALLEST_FONT), _LARGEST_FONT)
    text = str(item.get("UnformattedTextValue", ""))[:_LONGEST_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    drawing.multiline_text(
        places[0], text, fill=inks[0], font=ImageFont.load_default(size), stroke_width=1, stroke_fill=inks[1]
    )


def _mapped(data: Any, units: str, mapping: Mapping) -> list[Point]:
    if units == "MATRIX":
        raise NotAcceptable("The presentation state places graphics in a matrix of tiles, which is not drawn here")
    if len(data) > _MOST_NUMBERS:
        raise NotAcceptable(f"The presentation state has a graphic of more than {_MOST_NUMBERS} numbers")
    values = [float(value) for value in data]
    to_place = mapping.fraction if units == "DISPLAY" else mapping.pixel
    return [to_place(point) for point in zip(values[::2], values[1::2], strict=False)]


def _ellipse_of(center: Point, first: Point, second: Point) -> list[Point]:
    """Places on the ellipse with these two half axes, given as steps from its center."""
    turns = [2 * math.pi * step / _STEPS for step in range(_STEPS + 1)]
    return [
        (
            center[0] + math.cos(turn) * first[0] + math.sin(turn) * second[0],
            center[1] + math.cos(turn) * first[1] + math.sin(turn) * second[1],
        )
        for turn in turns
    ]


def _circle(places: Sequence[Point]) -> Sequence[Point]:
    """Its center and a place on it."""
    if len(places) != 2:
        return ()
    center, edge = places
    step = (edge[0] - center[0], edge[1] - center[1])
    return _ellipse_of(center, step, (-step[1], step[0]))


def _ellipse(places: Sequence[Point]) -> Sequence[Point]:
    """The ends of its longer axis, then those of its shorter one."""
    if len(places) != 4:
        return ()
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = places
    return _ellipse_of(((ax + bx) / 2, (ay + by) / 2), ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2))


_LINES: dict[str, Callable[[Sequence[Point]], Sequence[Point]]] = {
    "POLYLINE": list,
    "INTERPOLATED": list,  # its curve is the implementation's own choice (PS3.3 C.10.5.1.2)
    "CIRCLE": _circle,
    "ELLIPSE": _ellipse,
}
