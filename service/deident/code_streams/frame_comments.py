"""Compressed pixel data without what its frames say beside the image; their lengths and offset tables stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes
from service.deident.code_streams.frame_bytes import JPEG, FrameBytes, frames_in
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.code_streams.jpeg2000_segments import jpeg2000_blanks
from service.deident.code_streams.jpeg_segments import jpeg_blanks
from service.deident.code_streams.overwritten_bytes import Blank, OverwrittenBytes
from service.deident.rules import Decision
from service.errors import FramesNotReadable

_UID: Final = "1.2.840.10008.1.2."
_WITHOUT_COMMENTS: Final = frozenset({f"{_UID}5", f"{_UID}1.98", f"{_UID}8.1"})
"""RLE, Encapsulated Uncompressed and Deflated Image Frame: their frames have no place for text."""
_VIDEO: Final = frozenset(
    {f"{_UID}4.{number}{form}" for number in range(100, 107) for form in ("", ".1")} | {f"{_UID}4.107", f"{_UID}4.108"}
)
"""MPEG-2, MPEG-4 and HEVC: the policy for pixels decides on them."""
_MOST_BLANKS: Final = 1 << 20


def without_comments(
    value: EncodedBytes, transfer_syntax_uid: str, frames: int, harmless: HarmlessComments
) -> OverwrittenBytes | None:
    """Return encapsulated pixel data in which comments, application data and boxes other than the image's are zeros.

    Nothing of the image is decoded, changed or moved. Where there is nothing to blank, None.

    Parameters
    ----------
    value : the items from the basic offset table to, and without, the sequence delimiter
    frames : as many as the header says

    Raises
    ------
    FramesNotReadable : frames cannot be told apart, or what stands in one
    """
    if transfer_syntax_uid in _WITHOUT_COMMENTS | _VIDEO:
        return None
    try:
        blanks = list(_blanks(value, frames, harmless))
    except InstanceUnreadable as error:
        raise FramesNotReadable(str(error)) from error
    return OverwrittenBytes(value, blanks) if blanks else None


def decisions_on(blanked: OverwrittenBytes | None) -> tuple[Decision, ...]:
    """Return what to say of pixel data that ``without_comments`` gave; nothing where it found nothing to blank."""
    if blanked is None:
        return ()
    count = blanked.stretches
    what = f"{count} {'stretch' if count == 1 else 'stretches'} of comments and application data in its frames"
    reason = f"{what} that no list calls harmless: zeros in their place, the image as it was"
    return (Decision("(7FE0,0010)", "PixelData", "replaced", "Comments in compressed frames", reason),)


def _blanks(value: EncodedBytes, frames: int, harmless: HarmlessComments) -> Iterator[Blank]:
    found = total = 0
    for frame in frames_in(value):
        found += 1
        for blank in _blanks_of(frame, harmless):
            for stretch in frame.blanks(blank):
                total += 1
                if total > _MOST_BLANKS:
                    raise InstanceUnreadable("More comments in compressed frames than can be blanked")
                yield stretch
    if found < frames:
        raise InstanceUnreadable("The frames in the fragments of Pixel Data cannot be told apart")


def _blanks_of(frame: FrameBytes, harmless: HarmlessComments) -> Iterator[Blank]:
    return (jpeg_blanks if frame.read(0, len(JPEG)) == JPEG else jpeg2000_blanks)(frame, harmless)
