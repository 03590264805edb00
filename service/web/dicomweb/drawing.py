"""Frames of stored instances, drawn as a display shows them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_nodes.errors import GatewayError
from service.core.archived import InstanceRow
from service.core.explicit_little_endian import to_explicit_little_endian
from service.core.ports import BlobStore
from service.errors import NotAcceptable
from service.web.dicomweb.burned_in import Label, labels_of
from service.web.dicomweb.colour_profile import profile_of
from service.web.dicomweb.display import displayed
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.media_types import is_video
from service.web.dicomweb.presentation_state import present
from service.web.dicomweb.render_parameters import RenderRequest
from service.web.dicomweb.rendering import encode_animation, encode_image
from service.web.dicomweb.stored_object import StoredObject

_ANY_PRESENTATION_STATE: Final = "1.2.840.10008.5.1.4.1.1.11."
_REPRESENTATIVE_FRAME: Final = "RepresentativeFrameNumber"
_FRAME_MS: Final = 100
_FASTEST_MS: Final = 20
_SLOWEST_MS: Final = 10_000
_MOST_MOVING_FRAMES: Final = 2000
_LARGEST_DRAWN: Final = 1 << 26  # pixels; each takes some dozens of bytes on its way to the display

_log = logging.getLogger(__name__)


class FrameDrawer:
    """Draws one frame at a time."""

    def __init__(self, blobs: BlobStore, layouts: FrameLayouts) -> None:
        self._blobs = blobs
        self._layouts = layouts

    def check_frames(self, row: InstanceRow, numbers: Sequence[int]) -> None:
        """Refuse what cannot be drawn.

        Raises
        ------
        InstanceNotFound : a frame is not there
        NotAcceptable : there is no image
        """
        check_drawable(row)
        with StoredObject(row, self._blobs) as stored:
            reader = FrameReader(stored, self._layouts)
            for number in numbers:
                reader.check(number)

    def frames_of(self, row: InstanceRow) -> int:
        """How many frames an image has.

        Raises
        ------
        NotAcceptable : there is no image
        """
        check_drawable(row)
        with StoredObject(row, self._blobs) as stored:
            return FrameReader(stored, self._layouts).format.frames

    def draw(self, row: InstanceRow, number: int, image_type: str, wanted: RenderRequest) -> bytes:
        """One frame as an image; 0 stands for the representative one.

        Raises
        ------
        BadRequest : a parameter that does not fit this image
        NotAcceptable : pixels that cannot be drawn
        """
        with StoredObject(row, self._blobs) as stored, attributes_read():
            reader = self._reader(stored)
            header = header_of(stored)
            number = number or representative(header, reader.format.frames)
            pixels = displayed(reader.decoded(number), header, number, wanted.window)
            labels = labels_of(header, wanted, number, reader.format.frames)
            profile = profile_of(header)
        return encode_image(pixels, image_type, wanted, labels=labels, own_profile=profile)

    def read_header(self, row: InstanceRow) -> Dataset:
        """The attributes of an instance up to its pixels."""
        with StoredObject(row, self._blobs) as stored:
            return header_of(stored)

    def draw_presented(
        self, row: InstanceRow, number: int, state: Dataset, image_type: str, wanted: RenderRequest
    ) -> tuple[bytes, tuple[str, ...]]:
        """One frame as a presentation state shows it, and what it lacks; 0 stands for the representative one.

        Raises
        ------
        NotAcceptable : pixels that cannot be drawn, or a state that does not fit
        """
        with StoredObject(row, self._blobs) as stored, attributes_read():
            reader = self._reader(stored)
            header = header_of(stored)
            number = number or representative(header, reader.format.frames)
            reader.check(number)
            shown = present(reader.decoded(number), header, state, number, wanted.viewport)
            labels = labels_of(header, wanted, number, reader.format.frames)
            profile = profile_of(state, header)
        whole = replace(wanted, viewport=None)
        drawn = encode_image(shown.pixels, image_type, whole, labels=labels, own_profile=profile)
        return drawn, shown.warnings

    def animate(self, row: InstanceRow, numbers: Sequence[int], wanted: RenderRequest) -> Iterator[bytes]:
        """Frames as one moving GIF; the first is drawn before anything is yielded.

        Raises
        ------
        BadRequest : a parameter that does not fit this image
        NotAcceptable : pixels that cannot be drawn, or too many frames
        """
        if len(numbers) > _MOST_MOVING_FRAMES:
            raise NotAcceptable(f"A moving image shows at most {_MOST_MOVING_FRAMES} frames; ask for some of them")
        pieces = self._animated(row, numbers, wanted)
        first = next(pieces)

        def body() -> Iterator[bytes]:
            yield first
            yield from pieces

        return body()

    def _animated(self, row: InstanceRow, numbers: Sequence[int], wanted: RenderRequest) -> Iterator[bytes]:
        with StoredObject(row, self._blobs) as stored, attributes_read():
            reader = self._reader(stored)
            header = header_of(stored)

            def drawn() -> Iterator[tuple[np.ndarray[Any, Any], Sequence[Label]]]:
                for number in numbers:
                    pixels = displayed(reader.decoded(number), header, number, wanted.window)
                    yield pixels, labels_of(header, wanted, number, reader.format.frames)

            yield from encode_animation(drawn(), wanted, frame_ms(header))

    def _reader(self, stored: StoredObject) -> FrameReader:
        """The frames of an image that is not too large to be drawn."""
        reader = FrameReader(stored, self._layouts)
        if reader.format.rows * reader.format.columns > _LARGEST_DRAWN:
            raise NotAcceptable(f"Images of more than {_LARGEST_DRAWN} pixels are not drawn here; ask for the frames")
        return reader


@contextmanager
def attributes_read() -> Iterator[None]:
    """Says in words that an attribute cannot be read: pydicom raises what it likes over broken values, and late.

    Raises
    ------
    NotAcceptable : one cannot
    """
    try:
        yield
    except (GatewayError, OSError, MemoryError):
        raise
    except Exception as error:
        _log.warning("an instance could not be rendered: %s", type(error).__name__)
        raise NotAcceptable(
            "This instance cannot be rendered: an attribute that says how cannot be read; ask for the instance itself"
        ) from error


def is_image(row: InstanceRow) -> bool:
    """Whether there are frames that can be drawn."""
    return row.blob.pixels is not None and bool(row.rows) and not is_video(row.transfer_syntax_uid)


def check_drawable(row: InstanceRow) -> None:
    """Refuse what holds no frames.

    Raises
    ------
    NotAcceptable : there is no image, or a video
    """
    if row.blob.pixels is None and row.sop_class_uid.startswith(_ANY_PRESENTATION_STATE):
        raise NotAcceptable("Of presentation states those for grayscale, color and pseudo-color images are drawn here")
    if row.blob.pixels is None:
        raise NotAcceptable("This instance holds no image that could be drawn")
    if is_video(row.transfer_syntax_uid):
        raise NotAcceptable("A video is not drawn here; ask for its bulk data")


def header_of(stored: StoredObject) -> Dataset:
    """The attributes up to the pixels.

    Raises
    ------
    GatewayError : what is stored cannot be read
    """
    try:
        if not stored.encoding.little_endian:  # pydicom leaves words of OW as they are
            turned = to_explicit_little_endian(stored.header(), stored.encoding)
            return read_dataset(io.BytesIO(turned), is_implicit_VR=False, is_little_endian=True)
        return read_dataset(
            io.BytesIO(stored.header()), is_implicit_VR=stored.encoding.implicit_vr, is_little_endian=True
        )
    except Exception as error:
        raise GatewayError("A stored header cannot be read") from error


def representative(header: Dataset, frames: int) -> int:
    """The frame that stands for the instance: the one that it names, else the one in the middle."""
    named = header.get(_REPRESENTATIVE_FRAME)
    if isinstance(named, int) and 1 <= named <= frames:
        return named
    return frames // 2 + 1 if frames > 1 else 1


def frame_ms(header: Dataset) -> int:
    """How long each frame is shown: as the object says (PS3.3 C.7.6.5), else a tenth of a second."""
    milliseconds = _positive(header, "FrameTime")
    if milliseconds is None:
        rate = _positive(header, "RecommendedDisplayFrameRate") or _positive(header, "CineRate")
        milliseconds = 1000 / rate if rate else _FRAME_MS
    return round(min(max(milliseconds, _FASTEST_MS), _SLOWEST_MS))


def _positive(header: Dataset, keyword: str) -> float | None:
    try:
        value = float(header.get(keyword) or 0)
    except (TypeError, ValueError):
        return None
    return value if value > 0 else None
