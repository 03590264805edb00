"""Builders for data sets that tests need; small, whole and readable by every part of the gateway."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.1.1"


def ct_slice(
    number: int = 1,
    *,
    study_uid: str = STUDY_UID,
    series_uid: str = SERIES_UID,
    sop_instance_uid: str | None = None,
    patient_id: str = "PAT-4711",
    patient_name: str = "Doe^Jane",
    rows: int = 16,
    columns: int = 16,
    pixels: np.ndarray | None = None,
) -> Dataset:
    """One axial CT slice with identity in its header; slices are 2 mm apart."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = sop_instance_uid or f"{series_uid}.{number}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240317"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "081530"
    ds.AccessionNumber = "ACC-99"
    ds.Modality = "CT"
    ds.Manufacturer = "Maker"
    ds.ReferringPhysicianName = "House^Gregory"
    ds.StudyDescription = "Thorax"
    ds.SeriesDescription = "Axial 2 mm"
    ds.PatientName = patient_name
    ds.PatientID = patient_id
    ds.PatientBirthDate = "19610502"
    ds.PatientSex = "F"
    ds.BodyPartExamined = "CHEST"
    ds.SliceThickness = 2
    ds.KVP = 120
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = study_uid
    ds.SeriesInstanceUID = series_uid
    ds.StudyID = "77"
    ds.SeriesNumber = 3
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [-50, -50, 2.0 * number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = f"{study_uid}.9"
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.PixelSpacing = [1, 1]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
    if pixels is None:
        pixels = np.full((rows, columns), number, dtype=np.int16)
    ds.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def encode(data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set's bytes without preamble and file meta, in a native little endian transfer syntax."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax_uid == ImplicitVRLittleEndian
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def as_file(data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a DICOM file (PS3.10), in any transfer syntax that its pixels are in."""
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = transfer_syntax_uid
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()
