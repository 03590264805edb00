"""Images that lie nowhere in the patient: radiographs, mammograms, ultrasound loops, photographs. Marks go by pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.uid import ParametricMapStorage

from service.core.geometry import ImagePlace
from service.core.stored_pixels import Rescale, real_values, without_unused_bits
from service.core.volume_slices import StoredPixels
from service.errors import ObjectInvalid, VolumeRefused
from service.objects.display_items import is_colour
from service.objects.image_plane import plane_of
from service.objects.source_images import SourceImages

_BYTE: Final = 8
_RGB: Final = 3
_PALETTE: Final = "PALETTE COLOR"


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrame:
    """One picture: its image and its frame, from 1."""

    source: Dataset = field(repr=False)
    source_index: int
    frame_number: int

    @property
    def place(self) -> ImagePlace:
        """It as a place to draw on; an image of one frame is named without it."""
        frames = (self.frame_number,) if "NumberOfFrames" in self.source else ()
        return ImagePlace(str(self.source.SOPClassUID), str(self.source.SOPInstanceUID), frames)


class FlatImages:
    """Pictures of one series that are of one size and one kind of colour, in the order of their numbers.

    Parameters
    ----------
    slices : its pictures; called as those of a volume are
    pixels : gives the stored values of an image by its index
    """

    def __init__(self, slices: Sequence[FlatFrame], pixels: StoredPixels) -> None:
        self.slices = tuple(slices)
        self._pixels = pixels
        self._last: tuple[int, npt.NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of pictures, rows and columns."""
        header = self.slices[0].source
        return len(self.slices), int(header.Rows), int(header.Columns)

    @property
    def is_colour(self) -> bool:
        """Whether pictures are in colour."""
        return is_colour(self.slices[0].source)

    @property
    def headers(self) -> tuple[Dataset, ...]:
        """Each image once."""
        return tuple({one.source_index: one.source for one in self.slices}.values())

    @property
    def spacing_mm(self) -> tuple[float | None, float | None]:
        """Between rows, then between columns; None where images say nothing, or not the same."""
        sources = SourceImages.of_images(self.headers)
        known = {sources.spacing_mm(one.place) for one in self.slices}
        return next(iter(known)) or (None, None) if len(known) == 1 else (None, None)

    def real_slice(self, number: int) -> npt.NDArray[np.float32]:
        """Real values of a grey picture (from 0), shape (rows, columns).

        Raises
        ------
        VolumeRefused, TransferSyntaxNotSupported : its pixels cannot be read
        """
        header, stored = self.slices[number].source, self._stored(number)
        if header.get("ModalityLUTSequence"):
            return np.asarray(_through(lambda: apply_modality_lut(stored, header)), dtype=np.float32)
        slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
        rescale = Rescale(1.0 if slope is None else float(slope), float(intercept or 0), "1")
        # What is no measurement is shown as it is, as on a viewer's screen: with MONOCHROME1 zero would be white.
        return real_values(without_unused_bits(stored, int(header.get("BitsStored") or 0)), rescale, None)

    def through_table(self, number: int) -> npt.NDArray[np.float64] | None:
        """A grey picture through its first VOI LUT, 0 to 1, shape (rows, columns); None where it has none.

        Raises
        ------
        VolumeRefused, TransferSyntaxNotSupported : its pixels or the table cannot be read
        """
        header = self.slices[number].source
        tables = header.get("VOILUTSequence")
        if not tables:
            return None
        real = self.real_slice(number).astype(np.int64)
        shown = _through(lambda: apply_voi(real, header))
        top: float = (1 << int(tables[0].LUTDescriptor[2])) - 1
        return shown.astype(np.float64) / top

    def colours(self, number: int) -> npt.NDArray[np.uint8]:
        """A picture in colour (from 0) as RGB, shape (rows, columns, 3).

        Raises
        ------
        VolumeRefused, TransferSyntaxNotSupported : its pixels cannot be read
        """
        header, stored = self.slices[number].source, self._stored(number)
        bits = int(header.get("BitsStored", _BYTE))
        if header.get("PhotometricInterpretation") == _PALETTE:
            coloured = _through(lambda: apply_color_lut(stored, header))
            return (coloured >> max(coloured.dtype.itemsize * _BYTE - _BYTE, 0)).astype(np.uint8)
        return (stored >> max(bits - _BYTE, 0)).astype(np.uint8)

    def _stored(self, number: int) -> npt.NDArray[Any]:
        one = self.slices[number]
        if self._last is None or self._last[0] != one.source_index:
            self._last = one.source_index, self._pixels(one.source_index)
        decoded, header = self._last[1], one.source
        samples = (_RGB,) if int(header.get("SamplesPerPixel") or 1) == _RGB else ()
        frames = decoded.reshape(-1, *decoded.shape[-2 - len(samples) :])
        if frames.shape[1:] != (*self.shape[1:], *samples):
            raise VolumeRefused("the pixel data do not fill Rows (0028,0010) × Columns (0028,0011)")
        if one.frame_number > len(frames):
            raise VolumeRefused("there are fewer frames in the pixel data than Number of Frames (0028,0008)")
        frame: npt.NDArray[Any] = frames[one.frame_number - 1]
        return frame


def flat_images(headers: Sequence[Dataset], pixels: StoredPixels) -> list[FlatImages]:
    """The images of a series that lie nowhere, those of one size and colour together; not the tiles of slides.

    Parameters
    ----------
    headers : of the whole series, in any order
    pixels : gives the stored values of ``headers[i]``
    """
    alike: dict[tuple[Any, ...], list[FlatFrame]] = defaultdict(list)
    for index, header in sorted(enumerate(headers), key=lambda one: _order(one[1])):
        if not _is_flat(header):
            continue
        shown = "colour" if is_colour(header) else str(header.get("PhotometricInterpretation", ""))
        count = int(header.get("NumberOfFrames") or 1)
        frames = [FlatFrame(header, index, number) for number in range(1, count + 1)]
        alike[(int(header.Rows), int(header.Columns), shown)] += frames
    return [FlatImages(alike[key], pixels) for key in sorted(alike)]


def _through(apply: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    try:
        return apply()
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise VolumeRefused("its lookup table cannot be read") from error


def _order(header: Dataset) -> tuple[int, str]:
    number = str(header.get("InstanceNumber") or "")
    return int(number) if number.isdecimal() else 0, str(header.get("SOPInstanceUID", ""))


def _is_flat(header: Dataset) -> bool:
    if not (header.get("Rows") and header.get("Columns")) or "TotalPixelMatrixRows" in header:
        return False
    if header.get("SOPClassUID") == ParametricMapStorage:
        return False
    try:
        plane_of(header, 1)
    except ObjectInvalid:
        return True
    return False
