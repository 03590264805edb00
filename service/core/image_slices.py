"""The slices of a series: one per single-frame instance, one per frame of an enhanced multi-frame one.

Reads geometry and rescale from the data set (PS3.3 C.7.6.2, C.11.1) or, for Enhanced and Legacy Converted images, from
the functional groups (PS3.3 C.7.6.16). Whatever cannot be a slice of a volume is refused in words that name elements
and hold no value.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.core.stored_pixels import HOUNSFIELD_UNIT, Rescale
from service.errors import VolumeRefused

Vector = npt.NDArray[np.float64]

# Direction cosines as scanners round them: off by more, the rows and columns are not what they claim to be.
COSINE_TOLERANCE = 1e-3

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66"

SUV_UNIT = "g/ml{SUVbw}"  # UCUM, PS3.16 CID 85
BECQUEREL_UNIT = "Bq/ml"
NO_UNIT = "1"

# Elements by which one position may hold several slices: phases, echoes, diffusion weightings, reconstructions.
# The order is the order in which they are tried.
DISTINGUISHING = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "StackID",
    "FrameAcquisitionNumber",
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "FrameReferenceTime",
    "ImageType",
    "FrameType",
    "ConvolutionKernel",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "SOPInstanceUID",
)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSlice:
    """One slice: where it lies, how large it is and what its stored values mean.

    Parameters
    ----------
    source_index : place of its data set in what the volume is built from
    frame_number : its frame, from 1
    position : centre of the first voxel, mm, LPS
    along_columns, along_rows : unit vectors of growing column index (first triplet of Image Orientation (Patient))
        and growing row index (second triplet)
    spacing_mm : distance between rows, then between columns, as Pixel Spacing (0028,0030)
    depth_mm : Spacing Between Slices or Slice Thickness; None where the header has neither
    distinguishing : values of the elements of ``DISTINGUISHING`` that it has
    """

    source: Dataset = field(repr=False)
    source_index: int
    frame_number: int
    position: Vector
    along_columns: Vector
    along_rows: Vector
    spacing_mm: tuple[float, float]
    depth_mm: float | None
    rows: int
    columns: int
    frame_of_reference_uid: str
    rescale: Rescale
    distinguishing: dict[str, str]

    @property
    def normal(self) -> Vector:
        """Unit vector across the slice: rows × columns, towards the head for the usual axial slice."""
        across: Vector = np.cross(self.along_columns, self.along_rows)
        return across / float(np.linalg.norm(across))


def read_slices(data_sets: Sequence[Dataset]) -> tuple[list[ImageSlice], list[str]]:
    """Every slice in the data sets, and why each of the others is none ("2 of 60 instances: …")."""
    slices: list[ImageSlice] = []
    refused: Counter[str] = Counter()
    for index, data_set in enumerate(data_sets):
        try:
            slices.extend(_slices_of(data_set, index))
        except VolumeRefused as err:
            refused[str(err)] += 1
    return slices, [f"{count} of {len(data_sets)} instances: {reason}" for reason, count in refused.items()]


def _slices_of(data_set: Dataset, index: int) -> list[ImageSlice]:
    _check_image(data_set)
    return [
        _read_slice(data_set, index, number, _Elements(data_set, groups))
        for number, groups in enumerate(_functional_groups(data_set), start=1)
    ]


def _check_image(data_set: Dataset) -> None:
    """Refuse what is not a monochrome slice of a scan."""
    sop_class_uid = str(data_set.get("SOPClassUID", ""))
    if _is_picture(data_set, sop_class_uid):
        raise VolumeRefused("a Secondary Capture is a picture, not a slice of a scan")
    if sop_class_uid.startswith(SEGMENTATION):
        raise VolumeRefused("a Segmentation is not an image")
    if data_set.get("SamplesPerPixel", 1) != 1 or data_set.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise VolumeRefused("colour has no measured value; only monochrome slices make a volume")
    if data_set.get("BitsAllocated", 16) == 1:
        raise VolumeRefused("one bit a pixel is a bitmap, not a slice of a scan")
    if data_set.get("Modality") == "CT" and "LOCALIZER" in _texts(data_set, "ImageType"):
        raise VolumeRefused("a CT localizer is a projection, not a slice (Image Type (0008,0008) value 3)")


def _is_picture(data_set: Dataset, sop_class_uid: str) -> bool:
    """Whether it is a Secondary Capture; a multi-frame one whose frames each say where they lie is none (A.8.4)."""
    if not (sop_class_uid == SECONDARY_CAPTURE or sop_class_uid.startswith(SECONDARY_CAPTURE + ".")):
        return False
    frames = data_set.get("PerFrameFunctionalGroupsSequence") or ()
    return not frames or any("PlanePositionSequence" not in frame for frame in frames)


def _functional_groups(data_set: Dataset) -> list[tuple[Dataset, ...]]:
    """For each frame the functional group items that hold for it, its own first; nothing for a single-frame image."""
    per_frame = data_set.get("PerFrameFunctionalGroupsSequence")
    shared = data_set.get("SharedFunctionalGroupsSequence")
    if not per_frame and not shared:
        if int(data_set.get("NumberOfFrames") or 1) > 1:
            raise VolumeRefused("several frames without functional groups say not where each frame lies")
        return [()]
    common = tuple(shared or ())
    frames = int(data_set.get("NumberOfFrames") or 1)
    if per_frame is not None and len(per_frame) not in (0, frames):
        raise VolumeRefused(f"{len(per_frame)} per-frame functional groups for {frames} frames")
    return [(per_frame[k], *common) if per_frame else common for k in range(frames)]


class _Elements:
    """Where the elements of one slice stand: its functional groups, else the data set itself."""

    def __init__(self, data_set: Dataset, groups: tuple[Dataset, ...]) -> None:
        self._places = [
            *(element.value[0] for group in groups for element in group if element.VR == "SQ" and element.value),
            data_set,
        ]

    def holder(self, keyword: str) -> Dataset | None:
        """The functional group item, or data set, that has the element."""
        return next((place for place in self._places if keyword in place), None)

    def numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """The values of an element; refused where it is missing or not so many finite numbers."""
        holder = self.holder(keyword)
        value = None if holder is None else holder.get(keyword)
        if value is None or value == "":
            raise VolumeRefused(f"{named(keyword)} is missing")
        values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
        try:
            numbers = tuple(float(v) for v in values)
        except (TypeError, ValueError):
            raise VolumeRefused(f"{named(keyword)} is not a number") from None
        if len(numbers) != count or not all(math.isfinite(n) for n in numbers):
            raise VolumeRefused(f"{named(keyword)} does not hold {count} numbers")
        return numbers

    def number(self, keyword: str) -> float | None:
        """The one value of an element, or None where it is missing or unreadable."""
        try:
            return self.numbers(keyword, 1)[0]
        except VolumeRefused:
            return None

    def text(self, keyword: str) -> str:
        """The values of an element as one text; empty where it is missing."""
        holder = self.holder(keyword)
        return "\\".join(_texts(holder, keyword)) if holder is not None else ""


def named(keyword: str) -> str:
    """How a reader of the standard knows an element: "Image Position (Patient) (0020,0032)"."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    return f"{dictionary_description(tag)} ({tag.group:04X},{tag.element:04X})"


def _texts(data_set: Dataset, keyword: str) -> list[str]:
    value = data_set.get(keyword)
    if value is None or value == "":
        return []
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [str(value)]
    return [str(v) for v in value]


def _read_slice(data_set: Dataset, index: int, frame_number: int, elements: _Elements) -> ImageSlice:
    frame_of_reference_uid = str(data_set.get("FrameOfReferenceUID") or "")
    if not frame_of_reference_uid:
        raise VolumeRefused(f"{named('FrameOfReferenceUID')} is missing")
    position = np.array(elements.numbers("ImagePositionPatient", 3))
    along_columns, along_rows = _directions(elements.numbers("ImageOrientationPatient", 6))
    between_rows, between_columns = elements.numbers("PixelSpacing", 2)
    if min(between_rows, between_columns) <= 0:
        raise VolumeRefused(f"{named('PixelSpacing')} is not positive")
    return ImageSlice(
        source=data_set,
        source_index=index,
        frame_number=frame_number,
        position=position,
        along_columns=along_columns,
        along_rows=along_rows,
        spacing_mm=(between_rows, between_columns),
        depth_mm=_depth_mm(elements),
        rows=_size(data_set, "Rows"),
        columns=_size(data_set, "Columns"),
        frame_of_reference_uid=frame_of_reference_uid,
        rescale=_rescale(data_set, elements),
        distinguishing={keyword: text for keyword in DISTINGUISHING if (text := elements.text(keyword))},
    )


def _directions(cosines: tuple[float, ...]) -> tuple[Vector, Vector]:
    along_columns, along_rows = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(along_columns), np.linalg.norm(along_rows)
    skew = abs(float(along_columns @ along_rows))
    if max(abs(length - 1) for length in lengths) > COSINE_TOLERANCE or skew > COSINE_TOLERANCE:
        raise VolumeRefused(f"{named('ImageOrientationPatient')} is not two perpendicular unit vectors")
    return along_columns / lengths[0], along_rows / lengths[1]


def _size(data_set: Dataset, keyword: str) -> int:
    value = data_set.get(keyword)
    if not isinstance(value, int) or value < 1:
        raise VolumeRefused(f"{named(keyword)} is missing or not positive")
    return value


def _depth_mm(elements: _Elements) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = elements.number(keyword)
        if value is not None and value > 0:
            return value
    return None


def _rescale(data_set: Dataset, elements: _Elements) -> Rescale:
    """How stored values become real ones; the unit is 1 where the header does not say what they measure."""
    modality = str(data_set.get("Modality", ""))
    if "ModalityLUTSequence" in data_set:
        raise VolumeRefused(f"{named('ModalityLUTSequence')} instead of a rescale is not handled")
    if modality == "PT":
        mapped = _real_world_mapping(elements)
        if mapped is not None:
            return mapped
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    unit = NO_UNIT
    if slope is not None and modality == "CT" and _is_hounsfield(data_set, elements.text("RescaleType")):
        unit = HOUNSFIELD_UNIT
    elif slope is not None and modality == "PT":
        unit = _pet_unit(data_set)
    return Rescale(1.0 if slope is None else slope, intercept or 0.0, unit)


def _is_hounsfield(data_set: Dataset, rescale_type: str) -> bool:
    """Whether a CT's values are Hounsfield units.

    Rescale Type (0028,1054) may be left out only where they are (PS3.3 C.8.2.1). Legacy conversion writes US
    (unspecified) where the original left it out, so an original image stays one.
    """
    if rescale_type in ("", "HU"):
        return True
    return rescale_type == "US" and _texts(data_set, "ImageType")[:1] == ["ORIGINAL"]


def _pet_unit(data_set: Dataset) -> str:
    """UCUM unit of Units (0054,1001); SUV Type (0054,1006) left out means body weight (PS3.3 C.8.9.1)."""
    units = str(data_set.get("Units", ""))
    if units == "BQML":
        return BECQUEREL_UNIT
    if units == "GML":
        kind = str(data_set.get("SUVType") or "BW")
        return SUV_UNIT if kind == "BW" else f"g/ml{{SUV {kind}}}"
    return {"CNTS": "{counts}", "PROPCNTS": "{propcounts}"}.get(units, NO_UNIT)


def _real_world_mapping(elements: _Elements) -> Rescale | None:
    """Slope, intercept and unit of Real World Value Mapping Sequence (0040,9096), as enhanced PET carries them."""
    slope = elements.number("RealWorldValueSlope")
    holder = elements.holder("MeasurementUnitsCodeSequence")
    codes = holder.get("MeasurementUnitsCodeSequence") if holder is not None else None
    if slope is None or not codes:
        return None
    unit = str(codes[0].get("CodeValue", ""))
    # Older editions wrote the annotation before the unit.
    unit = SUV_UNIT if unit in ("{SUVbw}g/ml", "g/ml") else unit
    return Rescale(slope, elements.number("RealWorldValueIntercept") or 0.0, unit)
