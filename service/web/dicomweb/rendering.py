"""Display values → an image file of the size that was asked for (PS3.18 8.7.4)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from PIL import GifImagePlugin, Image

from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.burned_in import Label, burn_in
from service.web.dicomweb.colour_profile import with_profile
from service.web.dicomweb.media_types import MediaRange
from service.web.dicomweb.render_parameters import RenderRequest, Viewport

GIF: Final = "image/gif"
IMAGE_TYPES: Final = ("image/jpeg", "image/png", GIF)
_LARGEST_AREA: Final = 1 << 26
_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}


def choose_image_type(ranges: Sequence[MediaRange], *, single: bool, animated: bool = False) -> tuple[str, bool]:
    """The media type to draw in, and whether as multipart; JPEG where the caller leaves it open.

    Parameters
    ----------
    single : whether there is one image, so that it needs no multipart
    animated : whether several can be one moving image for who names image/gif

    Raises
    ------
    NotAcceptable : with what could be had
    """
    for media_range in ranges:
        if media_range.multipart is False and not single:
            if animated and media_range.media_type == GIF:
                return GIF, False
            continue
        multipart = bool(media_range.multipart) or (media_range.multipart is None and not single)
        for image_type in IMAGE_TYPES:
            if media_range.covers(image_type) and media_range.allows(image_type, multipart=multipart):
                return image_type, multipart
    several = "" if single else 'multipart/related; type="…" of '
    raise NotAcceptable(f"Rendered images are to be had as {several}{', '.join(IMAGE_TYPES)}")


def encode_image(
    pixels: np.ndarray[Any, Any],
    image_type: str,
    wanted: RenderRequest,
    *,
    labels: Sequence[Label] = (),
    own_profile: bytes | None = None,
) -> bytes:
    """Crop, scale, burn in and encode.

    Parameters
    ----------
    labels : what is burned in
    own_profile : the ICC profile of the image itself

    Raises
    ------
    BadRequest : the viewport lies outside the image, or the media type cannot carry a profile
    """
    check_profile(image_type, wanted)
    image = _finished(pixels, wanted, labels)
    options: dict[str, Any] = {"quality": wanted.quality} if image_type == "image/jpeg" else {}
    if wanted.profile != "no":
        image, options["icc_profile"] = with_profile(image, wanted.profile, own_profile)
    target = io.BytesIO()
    image.save(target, _FORMATS[image_type], **options)
    return target.getvalue()


def check_profile(image_type: str, wanted: RenderRequest) -> None:
    """Refuse a profile in a form that cannot carry one (PS3.18 8.3.5.1.5).

    Raises
    ------
    BadRequest : it cannot
    """
    if image_type == GIF and wanted.profile != "no":
        raise BadRequest(f"iccprofile: {GIF} carries no profile; ask for image/jpeg or image/png")


def encode_animation(
    frames: Iterable[tuple[np.ndarray[Any, Any], Sequence[Label]]], wanted: RenderRequest, frame_ms: int
) -> Iterator[bytes]:
    """One moving GIF that repeats, made frame by frame: only one of them is ever held.

    Parameters
    ----------
    frames : each with what is burned into it
    frame_ms : how long each is shown

    Raises
    ------
    BadRequest : the viewport lies outside the image
    """
    begun = False
    for pixels, labels in frames:
        image = _finished(pixels, wanted, labels)
        if image.mode != "L":
            image = image.convert("RGB").quantize(256)
        if not begun:
            begun = True
            header, _ = GifImagePlugin.getheader(image.copy(), info={"loop": 0})
            yield b"".join(header)
        local = image.mode != "L"
        made = GifImagePlugin.getdata(image, duration=frame_ms, include_color_table=local)
        yield b"".join(bytes(piece) for piece in made)
    yield b";"


def _finished(pixels: np.ndarray[Any, Any], wanted: RenderRequest, labels: Sequence[Label]) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if wanted.viewport is not None:
        image = _in_viewport(image, wanted.viewport)
    return burn_in(image, labels) if labels else image


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
    if size[0] * size[1] > max(_LARGEST_AREA, image.width * image.height):
        raise BadRequest(f"viewport: at most {_LARGEST_AREA} pixels are drawn at once")
    return region if size == region.size else region.resize(size, Image.Resampling.BILINEAR)
