"""A volume of another format as a DICOM series.

CT or MR Image Storage, a slice an instance, or else one multi-frame Secondary Capture whose frames say where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.volume import Affine
from service.errors import FormatRefused
from service.formats.stable_uids import uid_of
from service.formats.stored_values import StoredValues

_COSINE_TOLERANCE: Final = 1e-3
"""As volumes are built: off by more, rows and columns are not perpendicular."""
_SIGN_OFFSET: Final = 1 << 15
_NO_DATE: Final = "19000101"


@dataclass(frozen=True, slots=True, eq=False)
class ImportedVolume:
    """A volume on its way to become a series.

    Parameters
    ----------
    digest : of the file's content; the same content of one modality gives the same UIDs
    study : what parts a patient's studies; volumes of one study share it
    affine : index (slice, row, column, 1) → mm, LPS
    """

    patient_id: str
    study: str
    modality: str
    description: str
    digest: str
    affine: Affine
    values: StoredValues = field(repr=False)

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return uid_of("study", self.patient_id, self.study)


def series_of(volume: ImportedVolume) -> Iterator[Dataset]:
    """The instances of a volume, one after the other.

    Raises
    ------
    FormatRefused : its rows and columns are not perpendicular, which DICOM cannot say
    """
    plane = _Plane.of(volume.affine, volume.values.voxels.shape[0])
    make = _INSTANCES.get(volume.modality)
    if make is None:
        yield _multi_frame(volume, plane)
        return
    for number in range(len(volume.values.voxels)):
        yield make(volume, plane, number)


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """Where slices lie (PS3.3 C.7.6.2)."""

    affine: Affine
    orientation: list[DSfloat]
    spacing: list[DSfloat]
    between_mm: float

    @classmethod
    def of(cls, affine: Affine, slices: int) -> _Plane:
        step, down, along = (affine[:3, axis] for axis in range(3))
        lengths = np.linalg.norm(down), np.linalg.norm(along)
        down, along = down / lengths[0], along / lengths[1]
        cosine = abs(float(down @ along))
        if cosine > _COSINE_TOLERANCE:
            degrees = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
            raise FormatRefused(
                f"its rows and columns meet at {degrees:.1f}°, and those of a DICOM image at 90°: resample it"
            )
        between = abs(float(step @ np.cross(along, down)))
        return cls(affine, _decimals([*along, *down]), _decimals(lengths), between if between > 0 or slices > 1 else 1)

    def position(self, number: int) -> list[DSfloat]:
        return _decimals(self.affine[:3, 3] + number * self.affine[:3, 0])


def _decimals(values: Any) -> list[DSfloat]:
    return [DSfloat(format_number_as_ds(float(value))) for value in values]


def _common(volume: ImportedVolume) -> Dataset:
    """Patient, study, series, Frame of Reference and equipment; what nobody knows is there, empty (type 2)."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "AccessionNumber"):
        setattr(image, keyword, "")
    for keyword in ("StudyDate", "StudyTime", "StudyID", "Manufacturer", "PositionReferenceIndicator"):
        setattr(image, keyword, "")
    image.PatientID = volume.patient_id
    image.StudyInstanceUID = volume.study_uid
    image.SeriesInstanceUID = uid_of("series", volume.digest, volume.modality)
    image.FrameOfReferenceUID = uid_of("frame of reference", volume.digest)
    image.Modality = volume.modality
    image.SeriesNumber = 1 + int(volume.digest[:4], 16) % 9000
    image.SeriesDescription = volume.description[:64]
    image.Laterality = ""
    image.DerivationDescription = "Converted from NIfTI"
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = volume.values.voxels.shape[1:]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = int(volume.values.is_signed)
    window = _window(volume.values)
    image.WindowCenter, image.WindowWidth = _decimals(window)
    return image


def _window(values: StoredValues) -> tuple[float, float]:
    """From the least to the greatest value."""
    ends = [float(end) * values.slope + values.intercept for end in (values.voxels.min(), values.voxels.max())]
    return sum(ends) / 2, max(abs(ends[1] - ends[0]), 1.0)


def _slice(volume: ImportedVolume, plane: _Plane, number: int) -> Dataset:
    """What CT and MR slices share."""
    image = _common(volume)
    image.SOPInstanceUID = uid_of("instance", volume.digest, volume.modality, str(number))
    image.InstanceNumber = number + 1
    image.PatientPosition = ""
    image.AcquisitionNumber = None
    image.ImagePositionPatient = plane.position(number)
    image.ImageOrientationPatient = plane.orientation
    image.PixelSpacing = plane.spacing
    image.SliceThickness = _decimals([plane.between_mm])[0]
    image.PixelData = _little_endian(volume.values.voxels[number])
    image["PixelData"].VR = "OW"
    return image


def _ct_slice(volume: ImportedVolume, plane: _Plane, number: int) -> Dataset:
    """PS3.3 A.3; values are taken for Hounsfield units."""
    image = _slice(volume, plane, number)
    image.SOPClassUID = CTImageStorage
    image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    image.KVP = None
    image.RescaleIntercept, image.RescaleSlope = _decimals([volume.values.intercept, volume.values.slope])
    image.RescaleType = "HU"
    return image


def _mr_slice(volume: ImportedVolume, plane: _Plane, number: int) -> Dataset:
    """PS3.3 A.4; a rescale, which its IOD does not have, only where values need it."""
    image = _slice(volume, plane, number)
    image.SOPClassUID = MRImageStorage
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.ScanningSequence, image.SequenceVariant = "RM", "NONE"
    for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(image, keyword, None)
    if (volume.values.slope, volume.values.intercept) != (1.0, 0.0):
        image.RescaleIntercept, image.RescaleSlope = _decimals([volume.values.intercept, volume.values.slope])
        image.RescaleType = "US"
    return image


_INSTANCES: Final[dict[str, Callable[[ImportedVolume, _Plane, int], Dataset]]] = {"CT": _ct_slice, "MR": _mr_slice}


def _multi_frame(volume: ImportedVolume, plane: _Plane) -> Dataset:
    """Multi-frame Grayscale Word Secondary Capture (PS3.3 A.8.4), whose pixels have no sign."""
    image = _common(volume)
    values = volume.values
    image.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image.SOPInstanceUID = uid_of("instance", volume.digest, volume.modality)
    image.InstanceNumber = 1
    image.ImageType = ["DERIVED", "SECONDARY"]
    # A volume of another format has no date, and functional groups ask for one: always the same, or the same file would
    # be another object each time.
    image.ContentDate, image.ContentTime = _NO_DATE, "000000"
    image.PatientOrientation = ""
    image.ConversionType = "WSD"
    image.BurnedInAnnotation = "NO"
    image.PixelRepresentation = 0
    intercept = values.intercept - (_SIGN_OFFSET * values.slope if values.is_signed else 0)
    image.RescaleIntercept, image.RescaleSlope = _decimals([intercept, values.slope])
    image.RescaleType = "US"
    image.PresentationLUTShape = "IDENTITY"
    image.NumberOfFrames = len(values.voxels)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = plane.spacing, _decimals([plane.between_mm])[0]
    orientation.ImageOrientationPatient = plane.orientation
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [_frame(plane.position(number)) for number in range(len(values.voxels))]
    # Pointing at the elements in which frames differ (PS3.3 C.7.6.6.1.1).
    image.FrameIncrementPointer = 0x52009230
    unsigned = values.voxels
    if values.is_signed:
        unsigned = (values.voxels.astype(np.int32) + _SIGN_OFFSET).astype(np.uint16)
    image.PixelData = _little_endian(unsigned)
    image["PixelData"].VR = "OW"
    return image


def _frame(position: list[DSfloat]) -> Dataset:
    frame, place = Dataset(), Dataset()
    place.ImagePositionPatient = position
    frame.PlanePositionSequence = [place]
    return frame


def _little_endian(voxels: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder("<")).tobytes()
