"""The query of a rendered resource (PS3.18 8.3.5) → what to draw, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from service.errors import BadRequest

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FUNCTIONS: Final = ("linear", "linear-exact", "sigmoid")
_ANNOTATIONS: Final = ("patient", "technique")
_PROFILES: Final = ("no", "yes", "srgb", "adobergb", "rommrgb")
_LARGEST: Final = 16384
_THUMBNAIL: Final = 128
_DEFAULT_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window, in the values that the modality transformation gives (PS3.3 C.11.2)."""

    center: float
    width: float
    function: str = "linear"


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size that is wanted, in pixels, and the part of the image that is to fill it; None for all of it.

    ``source_width`` and ``source_height`` below zero flip the image.
    """

    width: int
    height: int
    source_x: float = 0.0
    source_y: float = 0.0
    source_width: float | None = None
    source_height: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it shows the whole image as it is."""
        return (self.source_x, self.source_y, self.source_width, self.source_height) == (0, 0, None, None)


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """How an image is to be drawn; ``warnings`` says what was not done as asked.

    Parameters
    ----------
    annotations : what is burned in: patient, technique
    profile : the ICC profile to embed: no, yes (the image's own, else sRGB), srgb, adobergb or rommrgb
    """

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = _DEFAULT_QUALITY
    annotations: tuple[str, ...] = ()
    profile: str = "no"
    warnings: tuple[str, ...] = ()


def parse_rendering(parameters: Mapping[str, str], *, thumbnail: bool = False) -> RenderRequest:
    """Read the parameters; a thumbnail is 128 pixels at its longer side unless said otherwise.

    Raises
    ------
    BadRequest : a value that the standard does not allow
    """
    viewport = _viewport(parameters["viewport"], thumbnail=thumbnail) if "viewport" in parameters else None
    if thumbnail and viewport is None:
        viewport = Viewport(_THUMBNAIL, _THUMBNAIL)
    annotations = _annotations(parameters.get("annotation", ""))
    return RenderRequest(
        window=_window(parameters["window"]) if "window" in parameters else None,
        viewport=viewport,
        quality=_quality(parameters["quality"]) if "quality" in parameters else _DEFAULT_QUALITY,
        annotations=() if thumbnail else annotations,
        profile=_profile(parameters.get("iccprofile", "no")),
        # A thumbnail carries no patient identification (PS3.18 10.4.1.1.4), nor room for words.
        warnings=_not_supported(annotations) if thumbnail else (),
    )


def _window(text: str) -> Window:
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) != 3 or pieces[2].lower() not in _FUNCTIONS:
        raise BadRequest(f"window: not center,width,function with a function of {', '.join(_FUNCTIONS)}")
    center, width = (_number("window", piece) for piece in pieces[:2])
    function = pieces[2].lower()
    if (width < 1 and function == "linear") or width <= 0:
        raise BadRequest("window: the width is too small")
    return Window(center, width, function)


def _viewport(text: str, *, thumbnail: bool) -> Viewport:
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) not in ((2,) if thumbnail else (2, 6)) or not all(pieces[:2]):
        raise BadRequest(f"viewport: not {'vw,vh' if thumbnail else 'vw,vh or vw,vh,sx,sy,sw,sh'}")
    sizes = [_number("viewport", piece) for piece in pieces[:2]]
    if not all(1 <= size <= _LARGEST for size in sizes):
        raise BadRequest(f"viewport: a size of 1 to {_LARGEST} pixels")
    x, y, width, height = [*(_number("viewport", piece) if piece else None for piece in pieces[2:]), *[None] * 4][:4]
    if width == 0 or height == 0:
        raise BadRequest("viewport: the source has no size")
    return Viewport(int(sizes[0]), int(sizes[1]), x or 0.0, y or 0.0, width, height)


def _quality(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise BadRequest("quality: not an integer from 1 to 100")
    return int(text)


def _profile(text: str) -> str:
    if text not in _PROFILES:
        raise BadRequest(f"iccprofile: none of {', '.join(_PROFILES)}")
    return text


def _annotations(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if any(word not in _ANNOTATIONS for word in words):
        raise BadRequest(f"annotation: none of {', '.join(_ANNOTATIONS)}")
    return words


def _not_supported(words: tuple[str, ...]) -> tuple[str, ...]:
    return (f"The following annotation values are not supported: {','.join(words)}",) if words else ()


def _number(name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text) or not isfinite(number := float(text)):
        raise BadRequest(f"{name}: not a number")
    return number
