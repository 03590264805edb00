"""A small PET phantom: warm background and hot balls of known SUV, in Bq/ml, with what SUV needs in the header."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import PositronEmissionTomographyImageStorage

from service.demo.ct_header import PhantomUids, add_plane, decimal, file_data_set, study_header
from service.demo.thorax_shapes import Ellipsoid, coverage
from service.demo.voxel_grid import Image, VoxelGrid

VOXEL_MM, SLICE_MM = 4.0, 3.0
BACKGROUND_SUV = 0.8
BALLS = 3
BALL_RADIUS_MM = (9.0, 15.0)
BALL_SUV = (5.0, 14.0)
HALF_LIFE_S = 6586.2  # fluorine-18
# Injected at 23:40, scanned at 00:40 of the next day: the hour that goes wrong where dates are not looked at.
INJECTED, SCANNED = "234000.00", "004000.00"
UPTAKE_S = 3600.0
STORED_MAXIMUM = 32000


@dataclass(frozen=True, slots=True)
class BallTruth:
    """A hot ball: its middle (mm, LPS), radius and SUVbw."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    suv: float

    @property
    def volume_ml(self) -> float:
        """Volume of the ball."""
        return float(4 / 3 * np.pi * self.radius_mm**3 / 1000)


@dataclass(frozen=True, slots=True, eq=False)
class PetPhantom:
    """A PET series and what is in it; ``suv_factor`` turns its Bq/ml into SUVbw."""

    data_sets: tuple[FileDataset, ...] = field(repr=False)
    files: tuple[Path, ...]
    balls: tuple[BallTruth, ...]
    suv_factor: float


def generate_pet_phantom(seed: int, directory: Path | None = None, *, slices: int = 40, rows: int = 64) -> PetPhantom:
    """Draw a PET phantom and, if a directory is given, write it there, one file an instance."""
    random = np.random.default_rng(seed)
    uids = PhantomUids(f"pet {seed} {slices} {rows}")
    grid = VoxelGrid.centred(
        (slices, rows, rows),
        np.array([0.0, 0.0, SLICE_MM]),
        np.array([0.0, VOXEL_MM, 0.0]),
        np.array([VOXEL_MM, 0.0, 0.0]),
    )
    balls = _place_balls(random, grid)
    weight_kg, dose_bq = float(random.integers(50, 100)), float(random.integers(200, 400)) * 1e6
    factor = weight_kg * 1000 / (dose_bq * 2 ** (-UPTAKE_S / HALF_LIFE_S))
    header = study_header(uids, random)
    _add_pet_attributes(header, grid, weight_kg, dose_bq)
    image = _draw(balls, grid) / np.float32(factor)
    data_sets = tuple(_instance(header, uids, grid, number, image[number]) for number in range(slices))
    files = []
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        for one in data_sets:
            path = directory / f"PT{int(one.InstanceNumber):04d}.dcm"
            one.save_as(path, enforce_file_format=True)
            files.append(path)
    return PetPhantom(data_sets, tuple(files), balls, factor)


def _place_balls(random: np.random.Generator, grid: VoxelGrid) -> tuple[BallTruth, ...]:
    slices, rows, _ = grid.shape
    across, along = rows * VOXEL_MM / 2, slices * SLICE_MM / 2
    balls: list[BallTruth] = []
    while len(balls) < BALLS:
        radius = float(random.uniform(*BALL_RADIUS_MM))
        centre = np.array([random.uniform(-0.5, 0.5) * across, random.uniform(-0.4, 0.4) * across, 0.0])
        centre[2] = random.uniform(-1, 1) * (along - radius - 6)
        if all(np.linalg.norm(centre - other.centre_mm) > radius + other.radius_mm + 12 for other in balls):
            place = (float(centre[0]), float(centre[1]), float(centre[2]))
            balls.append(BallTruth(place, radius, float(random.uniform(*BALL_SUV))))
    return tuple(balls)


def _draw(balls: tuple[BallTruth, ...], grid: VoxelGrid) -> Image:
    """SUV on the grid; voxels that a ball's surface crosses carry their share."""
    slices, rows, columns = grid.shape
    half = rows * VOXEL_MM / 2
    body = Ellipsoid((0.0, 0.0, 0.0), (0.85 * half, 0.7 * half, float("inf")))
    everything = (slice(0, slices), slice(0, rows), slice(0, columns))
    image = np.zeros(grid.shape, dtype=np.float32)
    for number in range(slices):
        image[number] = coverage(body.distance(*grid.slice_coordinates(number)), VOXEL_MM)[0] * BACKGROUND_SUV
    samples = list(grid.samples(everything, per_slice=3, per_pixel=4))
    for ball in balls:
        cx, cy, cz = ball.centre_mm
        inside = [(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= ball.radius_mm**2 for x, y, z in samples]
        covered = np.mean(inside, axis=0, dtype=np.float32)
        image += covered * (np.float32(ball.suv) - image)
    return image


def _add_pet_attributes(header: Dataset, grid: VoxelGrid, weight_kg: float, dose_bq: float) -> None:
    """PET Series, PET Isotope and PET Image attributes that all slices share (PS3.3 C.8.9)."""
    header.SOPClassUID = PositronEmissionTomographyImageStorage
    header.Modality = "PT"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.PatientName, header.PatientID = "Phantom^Pet", "PET-PHANTOM"
    header.PatientBirthDate, header.PatientSex = "", "O"
    header.PatientWeight = decimal(weight_kg)
    header.BodyPartExamined = "CHEST"
    header.AccessionNumber = header.ReferringPhysicianName = ""
    header.StudyID = "1"
    header.SeriesTime = header.AcquisitionTime = SCANNED
    header.SeriesType = ["STATIC", "IMAGE"]
    header.Units = "BQML"
    header.CountsSource = "EMISSION"
    header.CollimatorType = "RING"
    header.CorrectedImage = ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    header.DecayCorrection = "START"
    header.NumberOfSlices = grid.shape[0]
    header.ReconstructionMethod = "PHANTOM"
    header.AttenuationCorrectionMethod = "PHANTOM"
    header.RandomsCorrectionMethod = "NONE"
    header.ScatterCorrectionMethod = "PHANTOM"
    header.FrameReferenceTime = "0"
    header.ActualFrameDuration = 180000
    header.DoseCalibrationFactor = "1"
    header.DecayFactor = "1"
    header.PatientOrientationCodeSequence = DicomSequence([_code("102538003", "recumbent")])
    header.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = DicomSequence(
        [_code("40199007", "supine")]
    )
    header.PatientGantryRelationshipCodeSequence = DicomSequence([_code("102540008", "headfirst")])
    drug = Dataset()
    drug.RadiopharmaceuticalStartTime = INJECTED
    drug.RadionuclideTotalDose = f"{dose_bq:.0f}"
    drug.RadionuclideHalfLife = decimal(HALF_LIFE_S)
    drug.RadionuclideCodeSequence = DicomSequence([_code("77004003", "^18^Fluorine")])
    drug.RadiopharmaceuticalCodeSequence = DicomSequence([_code("35321007", "Fluorodeoxyglucose F^18^")])
    header.RadiopharmaceuticalInformationSequence = DicomSequence([drug])
    header.BurnedInAnnotation = "NO"
    header.LossyImageCompression = "00"
    add_plane(header, grid)


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code


def _instance(header: Dataset, uids: PhantomUids, grid: VoxelGrid, number: int, image: Image) -> FileDataset:
    """One slice, scaled by its own maximum as PET scanners do."""
    one = Dataset()
    one.update(header)
    one.SOPInstanceUID = uids.uid(f"instance {number + 1}")
    one.InstanceNumber = one.ImageIndex = number + 1
    position = grid.position(number)
    one.ImagePositionPatient = [decimal(value) for value in position]
    one.SliceLocation = decimal(float(position[2]))
    slope = max(float(image.max()), 1.0) / STORED_MAXIMUM
    one.RescaleSlope, one.RescaleIntercept = f"{slope:.10g}", "0"
    one.PixelData = np.rint(image / np.float32(slope)).astype("<u2").tobytes()
    one.SmallestImagePixelValue, one.LargestImagePixelValue = 0, STORED_MAXIMUM
    return file_data_set(one, PositronEmissionTomographyImageStorage)
