"""A softcopy presentation state applied to an image that it refers to (PS3.3 A.33; PS3.4 N.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from service.errors import NotAcceptable
from service.web.dicomweb.display import (
    Pixels,
    displayed,
    full_range,
    modality_values,
    through_palette,
    through_table,
    to_bytes,
    window_of,
    windowed,
)
from service.web.dicomweb.graphic_annotation import draw_graphics
from service.web.dicomweb.graphic_layer import GraphicLayer, Ink, layers_of
from service.web.dicomweb.image_geometry import ImageGeometry
from service.web.dicomweb.overlay_plane import activated, has_overlay, mask_in_pixels, overlay_mask
from service.web.dicomweb.pixel_decoding import DecodedFrame
from service.web.dicomweb.render_parameters import Viewport
from service.web.dicomweb.shutter import shut

_GRAYSCALE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
_COLOR: Final = "1.2.840.10008.5.1.4.1.1.11.2"
_PSEUDO_COLOR: Final = "1.2.840.10008.5.1.4.1.1.11.3"
PRESENTATION_STATES: Final = frozenset({_GRAYSCALE, _COLOR, _PSEUDO_COLOR})
_LOST_OVERLAY: Final = "The image lacks an overlay that the presentation state shows"

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Presented:
    """What a state shows, as unsigned bytes; ``warnings`` says what is missing."""

    pixels: Pixels = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image that a presentation state refers to; ``frames`` is empty for all of them."""

    series_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...]


def references(state: Dataset) -> Iterator[ImageReference]:
    """The images that a state is for (PS3.3 C.11.11)."""
    for series in state.get("ReferencedSeriesSequence") or ():
        for image in series.get("ReferencedImageSequence") or ():
            uids = str(series.get("SeriesInstanceUID", "")), str(image.get("ReferencedSOPInstanceUID", ""))
            yield ImageReference(*uids, _frames(image))


def present(
    frame: DecodedFrame, image: Dataset, state: Dataset, number: int, viewport: Viewport | None = None
) -> Presented:
    """The frame as the state shows it.

    Parameters
    ----------
    frame, image, number : the frame, its object's header and its number from 1
    viewport : the size to fill; the displayed area in its own size where there is none

    Raises
    ------
    NotAcceptable : the state is for another kind of image, or cannot be read
    """
    _check_kind(frame, state)
    try:
        return _present(frame, image, state, number, (viewport.width, viewport.height) if viewport else None)
    except NotAcceptable:
        raise
    except Exception as error:  # what stands in a state was written by anybody
        raise NotAcceptable("This presentation state cannot be read") from error


def _present(frame: DecodedFrame, image: Dataset, state: Dataset, number: int, size: Size | None) -> Presented:
    uid = str(image.get("SOPInstanceUID", ""))
    pixels = displayed(frame, image, number) if _kind(state) == _COLOR else _grey(frame, state, uid, number)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    geometry = ImageGeometry.of(picture.size, state, item_for(state, "DisplayedAreaSelectionSequence", uid, number))
    drawn, mapping = geometry.shown(shut(picture, state, number), size)
    layers = layers_of(state)
    marks: list[tuple[GraphicLayer, Callable[[Ink], None]]] = []
    lost = False
    for group, name in activated(state).items():
        mask = _overlay(frame, image, state, group, picture.size, number)
        lost = lost or mask is None
        if mask is not None:
            laid = geometry.shown(mask, size)[0]
            marks.append((layers.get(name, GraphicLayer()), partial(drawn.paste, box=None, mask=laid)))
    for item in items_for(state, "GraphicAnnotationSequence", uid, number):
        layer = layers.get(str(item.get("GraphicLayer", "")), GraphicLayer())
        marks.append((layer, partial(draw_graphics, drawn, item, mapping)))
    for layer, draw in sorted(marks, key=lambda mark: mark[0].order):
        draw(layer.ink(drawn.mode))
    return Presented(np.asarray(drawn), (_LOST_OVERLAY,) if lost else ())


def _overlay(
    frame: DecodedFrame, image: Dataset, state: Dataset, group: int, size: Size, number: int
) -> Image.Image | None:
    """The overlay of the state, else that of the image; None where both lack it."""
    for item in (state, image):
        if has_overlay(item, group):
            return overlay_mask(item, group, size, number)
    return mask_in_pixels(image, group, frame)


def _check_kind(frame: DecodedFrame, state: Dataset) -> None:
    """Refuse what the state is not for, and what it does that is not done here.

    Raises
    ------
    NotAcceptable : which of them
    """
    grey = frame.format.samples == 1 and frame.format.photometric.startswith("MONOCHROME")
    if grey == (_kind(state) == _COLOR):
        wanted = "an image in colour" if grey else "a grayscale image"
        raise NotAcceptable(f"This presentation state is for {wanted}, which the image is not")
    if state.get("MaskSubtractionSequence"):
        raise NotAcceptable("This presentation state subtracts a mask, which is not done here")


def items_for(state: Dataset, keyword: str, uid: str, number: int) -> Iterator[Dataset]:
    """The items of a sequence that hold for a frame: those that refer to it, and those that refer to nothing."""
    for item in state.get(keyword) or ():
        images = item.get("ReferencedImageSequence")
        if not images or any(_refers(image, uid, number) for image in images):
            yield item


def item_for(state: Dataset, keyword: str, uid: str, number: int) -> Dataset | None:
    """The first of them."""
    return next(items_for(state, keyword, uid, number), None)


def _kind(state: Dataset) -> str:
    return str(state.get("SOPClassUID", ""))


def _refers(image: Dataset, uid: str, number: int) -> bool:
    frames = _frames(image)
    return str(image.get("ReferencedSOPInstanceUID", "")) == uid and (not frames or number in frames)


def _frames(image: Dataset) -> tuple[int, ...]:
    value = image.get("ReferencedFrameNumber")
    if value is None or value == "":
        return ()
    return tuple(int(one) for one in value) if hasattr(value, "__iter__") else (int(value),)


def _grey(frame: DecodedFrame, state: Dataset, uid: str, number: int) -> Pixels:
    """The state's own transformations take the place of all of the image's, its inversion included."""
    values = modality_values(frame, state, [])
    voi = item_for(state, "SoftcopyVOILUTSequence", uid, number)
    window = window_of(voi) if voi is not None else None
    if voi is not None and window is None and voi.get("VOILUTSequence"):
        grey = through_table(values, voi)
    else:
        grey = windowed(values, window or full_range(values, frame, state))
    return _presented(grey, state)


def _presented(grey: Pixels, state: Dataset) -> Pixels:
    """Through the presentation LUT (PS3.3 C.11.6), or the palette of a pseudo-colour state (PS3.3 C.7.6.19)."""
    if _kind(state) == _PSEUDO_COLOR:
        entries, first, _ = (int(value) for value in state.RedPaletteColorLookupTableDescriptor)
        places = np.rint(grey.astype(np.float64) * ((entries or 1 << 16) - 1) / 255) + first
        return through_palette(places.astype(np.uint16), state)
    tables = state.get("PresentationLUTSequence")
    if tables:
        return _through(grey, tables[0])
    return 255 - grey if str(state.get("PresentationLUTShape", "")) == "INVERSE" else grey


def _through(grey: Pixels, item: Dataset) -> Pixels:
    entries, _, bits = (int(value) for value in item.LUTDescriptor)
    data: Any = item.LUTData
    table = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data, dtype=np.float64)
    table = table[: entries or 1 << 16]
    places = np.rint(grey.astype(np.float64) * (len(table) - 1) / 255).astype(np.intp)
    return to_bytes(table[places].astype(np.float64) * 255 / ((1 << bits) - 1))
