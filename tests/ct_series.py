"""CT series on disk, quickly: one template data set, a file for each slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = {"PatientName": "Planted^Identity", "PatientID": "ID-77-PLANTED"}


def ct_template(rows: int = 512, columns: int = 512, **attributes: object) -> Dataset:
    """A CT image as a scanner sends it; ``attributes`` override by keyword."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CTImageStorage
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20240312"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "101500"
    image.AccessionNumber = "ACC-1"
    image.Modality = "CT"
    image.Manufacturer = "Maker"
    image.ReferringPhysicianName = "Referrer^Planted"
    image.StudyDescription = "CT thorax"
    image.SeriesDescription = "axial 1 mm"
    image.PatientName = PATIENT["PatientName"]
    image.PatientID = PATIENT["PatientID"]
    image.PatientBirthDate = "19600229"
    image.PatientSex = "O"
    image.BodyPartExamined = "CHEST"
    image.SliceThickness = "1"
    image.KVP = "120"
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    image.StudyID = "1"
    image.SeriesNumber = 2
    image.AcquisitionNumber = 1
    image.InstanceNumber = 1
    image.ImagePositionPatient = [-180.0, -180.0, 0.0]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.FrameOfReferenceUID = generate_uid()
    image.PositionReferenceIndicator = ""
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = rows, columns
    image.PixelSpacing = [0.7, 0.7]
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "HU"
    image.WindowCenter, image.WindowWidth = "40", "400"
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def write_instance(image: Dataset, file: Path) -> Path:
    """Write one data set as a Part 10 file in Explicit VR Little Endian."""
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(file, enforce_file_format=True)
    return file


def write_ct_series(
    folder: Path,
    slices: int,
    *,
    rows: int = 512,
    columns: int = 512,
    voxels: Callable[[int], np.ndarray] | None = None,
    **attributes: object,
) -> list[Path]:
    """Write ``slices`` axial slices 1 mm apart, Instance Number from 1.

    ``voxels`` gives the stored int16 values of slice k, shape (rows, columns); noise around water by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = ct_template(rows, columns, **attributes)
    random = np.random.default_rng(1)
    noise = random.integers(-60, 60, (rows, columns), dtype=np.int16)
    files = []
    for k in range(slices):
        image.SOPInstanceUID = generate_uid()
        image.InstanceNumber = k + 1
        image.ImagePositionPatient = [-180.0, -180.0, float(k)]
        image.SliceLocation = float(k)
        image.PixelData = (voxels(k) if voxels else np.roll(noise, k)).tobytes()
        files.append(write_instance(image, folder / f"{k + 1:04d}.dcm"))
    return files
