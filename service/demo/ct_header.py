"""The header of a phantom's slices: a CT Image (PS3.3 A.3) that a scanner could have written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.demo.voxel_grid import Image, VoxelGrid

# PS3.15 leaves nothing of a device that no one sold.
MANUFACTURER = "Annogate"
MODEL = "Thorax phantom"
RESCALE_INTERCEPT = -1024


@dataclass(frozen=True, slots=True)
class PhantomUids:
    """UIDs of one phantom; the same words give the same UIDs."""

    words: str

    def uid(self, of: str) -> str:
        """``2.25.`` and 128 bits of a digest (PS3.5 B.2)."""
        digest = hashlib.sha256(f"annogate phantom {self.words} {of}".encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def file_data_set(header: Dataset, sop_class_uid: str) -> FileDataset:
    """A header as a data set that can be written as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = "ANNOGATE_PHANTOM"
    return FileDataset("", header, file_meta=meta, preamble=b"\0" * 128)


def study_header(uids: PhantomUids, random: np.random.Generator) -> Dataset:
    """Patient, study, series, frame of reference and equipment attributes, without identity."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    date = f"20{int(random.integers(11, 24)):02d}{int(random.integers(1, 13)):02d}{int(random.integers(1, 29)):02d}"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate"):
        setattr(header, keyword, date)
    for minute, keyword in enumerate(
        ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "InstanceCreationTime"), start=10
    ):
        setattr(header, keyword, f"08{minute}00")
    header.StudyInstanceUID = uids.uid("study")
    header.SeriesInstanceUID = uids.uid("series")
    header.FrameOfReferenceUID = uids.uid("frame of reference")
    header.PositionReferenceIndicator = ""
    header.SeriesNumber = 2
    header.Manufacturer = MANUFACTURER
    header.ManufacturerModelName = MODEL
    header.SoftwareVersions = "1"
    return header


def add_ct_attributes(header: Dataset, grid: VoxelGrid, patient_position: str) -> None:
    """CT Image, Image Plane and Image Pixel attributes that all slices share."""
    header.SOPClassUID = CTImageStorage
    header.Modality = "CT"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.BodyPartExamined = "CHEST"
    header.PatientPosition = patient_position
    header.KVP = "120"
    header.XRayTubeCurrent = 180
    header.ExposureTime = 500
    header.Exposure = 90
    header.ConvolutionKernel = "PHANTOM"
    header.AcquisitionNumber = 1
    header.RescaleIntercept = str(RESCALE_INTERCEPT)
    header.RescaleSlope = "1"
    header.RescaleType = "HU"
    header.WindowCenter, header.WindowWidth = "-550", "1500"
    header.BurnedInAnnotation = "NO"
    header.LossyImageCompression = "00"
    add_plane(header, grid)


def add_plane(header: Dataset, grid: VoxelGrid) -> None:
    """Image Plane and Image Pixel attributes, the same for every slice of a grid; 16 bits unsigned."""
    cosines = np.concatenate([grid.along_columns, grid.along_rows]) / grid.pixel_mm
    header.ImageOrientationPatient = [decimal(value) for value in cosines]
    header.PixelSpacing = [decimal(grid.pixel_mm)] * 2
    normal = np.cross(cosines[:3], cosines[3:])
    header.SliceThickness = decimal(abs(float(grid.step @ normal)))
    _, header.Rows, header.Columns = grid.shape
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit = 15
    header.PixelRepresentation = 0


def decimal(value: float) -> str:
    """A Decimal String of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.8f}"[:16] if abs(value) < 1e6 else f"{value:.8e}"[:16]


def stored_ct(image: Image) -> bytes:
    """Pixel Data of one slice in Hounsfield units, little endian."""
    stored = np.clip(np.rint(image - RESCALE_INTERCEPT), 0, 4095)
    return stored.astype("<u2").tobytes()
