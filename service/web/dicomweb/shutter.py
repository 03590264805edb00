"""The display shutter of a presentation state (PS3.3 C.7.6.11), bitmaps among them (C.7.6.15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PIL import Image, ImageChops, ImageDraw
from pydicom.dataset import Dataset

from service.errors import NotAcceptable
from service.web.dicomweb.cielab import rgb_of
from service.web.dicomweb.overlay_plane import has_overlay, overlay_mask

_BITMAP: Final = "BITMAP"


def shut(image: Image.Image, state: Dataset, number: int = 1) -> Image.Image:
    """The image with everything outside the shutters in their colour or grey; untouched where there are none.

    Parameters
    ----------
    number : of the frame, from 1

    Raises
    ------
    NotAcceptable : a shutter of another shape, or a bitmap that is not there
    """
    shapes = state.get("ShutterShape")
    if not shapes:
        return image
    names = [shapes] if isinstance(shapes, str) else [str(shape) for shape in shapes]
    shown = Image.new("L", image.size, 255)
    for name in names:
        if name == _BITMAP:
            opening = _bitmap(image.size, state, number)
        elif (draw := _SHAPES.get(name)) is not None:
            opening = Image.new("L", image.size, 0)
            draw(ImageDraw.Draw(opening), state)
        else:
            raise NotAcceptable("The presentation state has a shutter of a shape that the standard does not name")
        shown = ImageChops.darker(shown, opening)
    return Image.composite(image, _cover(image, state), shown)


def _cover(image: Image.Image, state: Dataset) -> Image.Image:
    grey = round(int(state.get("ShutterPresentationValue") or 0) * 255 / 65535)
    if image.mode == "L":
        return Image.new("L", image.size, grey)
    colour = state.get("ShutterPresentationColorCIELabValue")
    return Image.new("RGB", image.size, rgb_of(colour) if colour else (grey, grey, grey))


def _bitmap(size: tuple[int, int], state: Dataset, number: int) -> Image.Image:
    """What the overlay that is the shutter leaves open: a bit that is set covers."""
    group = int(state.ShutterOverlayGroup)
    if not has_overlay(state, group):
        raise NotAcceptable("The presentation state lacks the overlay that is its bitmap shutter")
    return ImageChops.invert(overlay_mask(state, group, size, number))


def _rectangle(drawing: ImageDraw.ImageDraw, state: Dataset) -> None:
    """Edges count from 1 and are themselves covered."""
    left, right = int(state.ShutterLeftVerticalEdge), int(state.ShutterRightVerticalEdge) - 2
    top, bottom = int(state.ShutterUpperHorizontalEdge), int(state.ShutterLowerHorizontalEdge) - 2
    if left <= right and top <= bottom:
        drawing.rectangle((left, top, right, bottom), fill=255)


def _circle(drawing: ImageDraw.ImageDraw, state: Dataset) -> None:
    row, column = (int(value) - 1 for value in state.CenterOfCircularShutter)
    radius = int(state.RadiusOfCircularShutter)
    drawing.ellipse((column - radius, row - radius, column + radius, row + radius), fill=255)


def _polygon(drawing: ImageDraw.ImageDraw, state: Dataset) -> None:
    values = [int(value) - 1 for value in state.VerticesOfThePolygonalShutter]
    drawing.polygon(list(zip(values[1::2], values[::2], strict=True)), fill=255)


_SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, Dataset], None]] = {
    "RECTANGULAR": _rectangle,
    "CIRCULAR": _circle,
    "POLYGONAL": _polygon,
}
