"""Display values → an image file of the size that was asked for (PS3.18 8.7.4)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.media_types import ANY, MediaRange
from service.web.dicomweb.render_parameters import RenderRequest, Viewport

IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif")
_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}


def choose_image_type(ranges: Sequence[MediaRange], *, single: bool) -> tuple[str, bool]:
    """The media type to draw in, and whether as multipart; JPEG where the caller leaves it open.

    Parameters
    ----------
    single : whether there is one image, so that it needs no multipart

    Raises
    ------
    NotAcceptable : with what could be had
    """
    for media_range in ranges:
        if media_range.multipart is False and not single:
            continue
        multipart = bool(media_range.multipart) or (media_range.multipart is None and not single)
        for image_type in IMAGE_TYPES:
            if media_range.media_type == ANY or media_range.covers(image_type):
                return image_type, multipart
    several = "" if single else 'multipart/related; type="…" of '
    raise NotAcceptable(f"Rendered images are to be had as {several}{', '.join(IMAGE_TYPES)}")


def encode_image(pixels: np.ndarray[Any, Any], image_type: str, wanted: RenderRequest) -> bytes:
    """Crop, scale and encode.

    Raises
    ------
    BadRequest : the viewport lies outside the image
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if wanted.viewport is not None:
        image = _in_viewport(image, wanted.viewport)
    target = io.BytesIO()
    if image_type == "image/jpeg":
        image.save(target, _FORMATS[image_type], quality=wanted.quality)
    else:
        image.save(target, _FORMATS[image_type])
    return target.getvalue()


def _in_viewport(image: Image.Image, viewport: Viewport) -> Image.Image:
    """Cut the source region out, flip it where its size is negative, make it as large as fits (PS3.18 8.3.5.1.3)."""
    width = viewport.source_width if viewport.source_width is not None else image.width - viewport.source_x
    height = viewport.source_height if viewport.source_height is not None else image.height - viewport.source_y
    left, top = round(viewport.source_x), round(viewport.source_y)
    right, bottom = round(viewport.source_x + abs(width)), round(viewport.source_y + abs(height))
    if left < 0 or top < 0 or left >= image.width or top >= image.height or right <= left or bottom <= top:
        raise BadRequest("viewport: the source region lies outside the image")
    region = image.crop((left, top, min(right, image.width), min(bottom, image.height)))
    if width < 0:
        region = region.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if height < 0:
        region = region.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    scale = min(viewport.width / region.width, viewport.height / region.height)
    size = (max(1, round(region.width * scale)), max(1, round(region.height * scale)))
    return region if size == region.size else region.resize(size, Image.Resampling.BILINEAR)
