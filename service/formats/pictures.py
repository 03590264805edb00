"""Slices as pictures of eight bits, through a window, and images of labels with a palette, as PNG."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.volume_slices import VolumeSlices
from service.errors import BadRequest
from service.formats.flat_images import FlatImages
from service.formats.labels import Label

_COLOURS: Final = 256
_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Window:
    """The real values that become grey: below it is black, above it white (PS3.3 C.11.2.1.2).

    Raises
    ------
    BadRequest : it has no width
    """

    center: float
    width: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.center) and np.isfinite(self.width) and self.width >= 1):
            raise BadRequest("a window has a centre and a width of at least 1, such as 40,400")

    def grey(self, real: npt.NDArray[np.float32], *, is_inverted: bool = False) -> npt.NDArray[np.uint8]:
        """Real values as 0 to 255."""
        if self.width > 1:
            parts = (real.astype(np.float64) - (self.center - 0.5)) / (self.width - 1) + 0.5
        else:
            parts = (real > self.center - 0.5).astype(np.float64)
        grey = np.rint(np.clip(parts, 0, 1) * 255).astype(np.uint8)
        return 255 - grey if is_inverted else grey


def window_of(volume: VolumeSlices) -> Window:
    """The window that the first slice's header gives, else one from the least to the greatest value of the volume."""
    return _stated_window(volume, 0) or _whole_range(volume, range(len(volume.slices)))


def _stated_window(images: VolumeSlices | FlatImages, number: int) -> Window | None:
    header = images.slices[number].source
    given = [_first(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth")]
    if given[0] is not None and given[1] is not None and given[1] >= 1:
        return Window(given[0], given[1])
    return None


def _whole_range(images: VolumeSlices | FlatImages, numbers: Iterable[int]) -> Window:
    low, high = np.inf, -np.inf
    for number in numbers:
        real = images.real_slice(number)
        low, high = min(low, float(real.min())), max(high, float(real.max()))
    return Window((low + high) / 2 + 0.5, max(high - low + 1, 1.0))


class PictureMaker(ABC):
    """Makes pictures of slices."""

    @abstractmethod
    def made(self, number: int) -> tuple[bytes, Window | None]:
        """A slice (from 0) as PNG, and the window that it was seen through, if it was one: not colour, not a table."""


class _GreyVolume(PictureMaker):
    """All slices through one window, so that a tissue is as bright on each."""

    def __init__(self, volume: VolumeSlices, window: Window | None) -> None:
        self._volume = volume
        self._window = window or window_of(volume)
        self._inverted = is_inverted(volume)

    def made(self, number: int) -> tuple[bytes, Window | None]:
        real = self._volume.real_slice(number)
        return picture_png(self._window.grey(real, is_inverted=self._inverted)), self._window


class _GreyImages(PictureMaker):
    """Each image through its own window or table, as a viewer shows it first; frames of one without through one."""

    def __init__(self, images: FlatImages, window: Window | None) -> None:
        self._images = images
        self._chosen = window
        self._inverted = is_inverted(images)
        self._of_image: tuple[int, Window] | None = None

    def made(self, number: int) -> tuple[bytes, Window | None]:
        if self._chosen is None and _stated_window(self._images, number) is None:
            table = self._images.through_table(number)
            if table is not None:
                grey = np.rint(np.clip(table, 0, 1) * 255).astype(np.uint8)
                return picture_png(255 - grey if self._inverted else grey), None
        window = self._chosen or self._window(number)
        return picture_png(window.grey(self._images.real_slice(number), is_inverted=self._inverted)), window

    def _window(self, number: int) -> Window:
        index = self._images.slices[number].source_index
        if self._of_image is None or self._of_image[0] != index:
            alone = [place for place, one in enumerate(self._images.slices) if one.source_index == index]
            self._of_image = index, _stated_window(self._images, alone[0]) or _whole_range(self._images, alone)
        return self._of_image[1]


class _Coloured(PictureMaker):
    """As they are."""

    def __init__(self, images: FlatImages) -> None:
        self._images = images

    def made(self, number: int) -> tuple[bytes, Window | None]:
        return picture_png(self._images.colours(number)), None


def picture_maker(images: VolumeSlices | FlatImages, window: Window | None) -> PictureMaker:
    """What makes pictures of a case's images.

    Parameters
    ----------
    window : what becomes grey; None for what the headers say
    """
    if isinstance(images, VolumeSlices):
        return _GreyVolume(images, window)
    return _Coloured(images) if images.is_colour else _GreyImages(images, window)


def is_inverted(volume: VolumeSlices | FlatImages) -> bool:
    """Whether low values are shown bright (PS3.3 C.7.6.3.1.2)."""
    return bool(volume.slices[0].source.get("PhotometricInterpretation") == "MONOCHROME1")


def picture_png(picture: npt.NDArray[np.uint8]) -> bytes:
    """A picture of shape (rows, columns), in colour (rows, columns, 3), as PNG."""
    from PIL import Image

    return _encoded(Image.fromarray(picture))


def palette_png(numbers: npt.NDArray[np.uint8], labels: Sequence[Label]) -> bytes:
    """Numbers of labels, shape (rows, columns), as PNG with a palette: the pixel is the number, 0 black."""
    from PIL import Image

    colours = np.zeros((_COLOURS, 3), dtype=np.uint8)
    for label in labels:
        colours[label.number] = label.colour
    picture = Image.fromarray(numbers).convert("P")
    picture.putpalette(colours.tobytes())
    return _encoded(picture)


def _encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_LEVEL)
    return buffer.getvalue()


def _first(value: Any) -> float | None:
    try:
        number = float(value if isinstance(value, str) or not hasattr(value, "__iter__") else next(iter(value)))
    except (TypeError, ValueError, StopIteration):
        return None
    return number if np.isfinite(number) else None
