"""The displayed area, rotation and flip of a presentation state (PS3.3 C.10.4, C.10.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PIL import Image
from pydicom.dataset import Dataset

from service.errors import NotAcceptable

_LARGEST_AREA: Final = 1 << 26
_MOST_STRETCHED: Final = 100
_TURNS: Final = {
    90: Image.Transpose.ROTATE_270,  # Pillow turns anticlockwise, the standard clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mapping:
    """From places in the image, or in the displayed area, to places in what is drawn."""

    geometry: ImageGeometry
    size: tuple[int, int]

    def pixel(self, point: Point) -> Point:
        """Of a place in the image; the corner of its first pixel is 0, 0 (PS3.3 C.10.5.1.2)."""
        geometry = self.geometry
        x, y = point[0] - geometry.left, point[1] - geometry.top
        width, height = geometry.right - geometry.left, geometry.bottom - geometry.top
        x, y = {90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}.get(geometry.rotation, (x, y))
        if geometry.rotation in (90, 270):
            width, height = height, width
        return self.fraction(((width - x if geometry.flipped else x) / width, y / height))

    def fraction(self, point: Point) -> Point:
        """Of a place in the displayed area, both from 0 to 1."""
        return point[0] * self.size[0], point[1] * self.size[1]


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """The displayed area in whole pixels of the image, and how it is then turned, clockwise, and flipped."""

    left: int
    top: int
    right: int
    bottom: int
    rotation: int = 0
    flipped: bool = False
    aspect: float = 1.0  # of a pixel's height to its width, before it is turned

    @classmethod
    def of(cls, size: tuple[int, int], state: Dataset, area: Dataset | None) -> ImageGeometry:
        """What a state says of an image of this size; nothing outside the image is shown.

        Raises
        ------
        NotAcceptable : the displayed area lies outside the image, or the rotation is none
        """
        rotation = int(state.get("ImageRotation") or 0)
        if rotation not in (0, *_TURNS):
            raise NotAcceptable("The presentation state turns the image by something else than quarters")
        flipped = str(state.get("ImageHorizontalFlip") or "N") == "Y"
        if area is None:
            return cls(0, 0, *size, rotation, flipped)
        if str(area.get("PixelOriginInterpretation") or "FRAME") != "FRAME":
            raise NotAcceptable("The displayed area of the presentation state is one of a volume, not of a frame")
        corners = [area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner]
        columns, rows = (sorted(int(corner[axis]) for corner in corners) for axis in (0, 1))
        found = cls(
            max(columns[0] - 1, 0),
            max(rows[0] - 1, 0),
            min(columns[1], size[0]),
            min(rows[1], size[1]),
            rotation,
            flipped,
            _aspect(area),
        )
        if found.left >= found.right or found.top >= found.bottom:
            raise NotAcceptable("The displayed area of the presentation state lies outside the image")
        return found

    def shown(self, image: Image.Image, viewport: tuple[int, int] | None) -> tuple[Image.Image, Mapping]:
        """The area turned, flipped, and as large as fits; and where its places then are."""
        region = image.crop((self.left, self.top, self.right, self.bottom))
        if self.rotation:
            region = region.transpose(_TURNS[self.rotation])
        if self.flipped:
            region = region.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        size = self._size(region.size, viewport)
        if size[0] * size[1] > max(_LARGEST_AREA, region.width * region.height):
            raise NotAcceptable(f"viewport: at most {_LARGEST_AREA} pixels are drawn at once")
        if size != region.size:
            region = region.resize(size, Image.Resampling.BILINEAR)
        return region, Mapping(self, region.size)

    def _size(self, region: tuple[int, int], viewport: tuple[int, int] | None) -> tuple[int, int]:
        """In pixels as wide as high: as large as fits, else no smaller than the region."""
        aspect = 1 / self.aspect if self.rotation in (90, 270) else self.aspect
        width, height = region[0] * max(1.0, 1 / aspect), region[1] * max(1.0, aspect)
        scale = min(viewport[0] / width, viewport[1] / height) if viewport is not None else 1.0
        return max(1, round(width * scale)), max(1, round(height * scale))


def _aspect(area: Dataset) -> float:
    """Height to width of the pixels as they are to be shown (PS3.3 C.10.4): by spacing, else by ratio, else as wide."""
    pair = area.get("PresentationPixelSpacing") or area.get("PresentationPixelAspectRatio")
    if not pair:
        return 1.0
    vertical, horizontal = (float(value) for value in pair)
    if not (horizontal > 0 and 1 / _MOST_STRETCHED <= vertical / horizontal <= _MOST_STRETCHED):
        raise NotAcceptable("The presentation state has pixels of a shape that is not drawn here")
    return vertical / horizontal
