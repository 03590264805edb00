"""In which form a segmentation is written: its type, and how its frames are compressed (PS3.3 C.8.20.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from service.core.frame_streams import DEFLATED_FRAMES
from service.errors import ObjectInvalid
from service.objects.frame_compression import RLE_FRAMES
from service.objects.segmentation_rules import LABEL_MAP

NATIVE: Final = str(ExplicitVRLittleEndian)


class SegmentationKind(Enum):
    """What a pixel says."""

    BINARY = "BINARY"
    """In or out; a frame for each segment and place, so segments may overlap."""
    PROBABILITY = "PROBABILITY"
    """FRACTIONAL: how likely the pixel is inside."""
    OCCUPANCY = "OCCUPANCY"
    """FRACTIONAL: how much of the pixel is inside."""
    LABELMAP = "LABELMAP"
    """The number of the one segment that it belongs to."""

    @property
    def is_fractional(self) -> bool:
        """Whether pixels are fractions."""
        return self in (SegmentationKind.PROBABILITY, SegmentationKind.OCCUPANCY)

    @property
    def sop_class_uid(self) -> str:
        """Label maps are a class of their own."""
        return LABEL_MAP if self is SegmentationKind.LABELMAP else str(SegmentationStorage)


@dataclass(frozen=True, slots=True)
class SegmentationForm:
    """How to write.

    Parameters
    ----------
    transfer_syntax_uid : Explicit VR Little Endian; or RLE Lossless or Deflated Image Frame Compression, which make a
        label map some fifty times smaller, for peers that read them

    Raises
    ------
    ObjectInvalid : the kind cannot be written so
    """

    kind: SegmentationKind = SegmentationKind.BINARY
    transfer_syntax_uid: str = NATIVE

    def __post_init__(self) -> None:
        if self.transfer_syntax_uid not in (NATIVE, RLE_FRAMES, DEFLATED_FRAMES):
            raise ObjectInvalid(
                f"a segmentation is written in Explicit VR Little Endian ({NATIVE}), RLE Lossless ({RLE_FRAMES}) or "
                f"Deflated Image Frame Compression ({DEFLATED_FRAMES}), not in {self.transfer_syntax_uid}"
            )
        if self.kind is SegmentationKind.BINARY and self.transfer_syntax_uid == RLE_FRAMES:
            raise ObjectInvalid("RLE of single bits is read in two ways: a BINARY segmentation is native or deflated")
