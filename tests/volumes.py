"""Volumes and findings that tests of the objects need, made by hand from the data sets of ``tests.datasets``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    PositronEmissionTomographyImageStorage,
)

from service.core.annotator import AnnotatorResult
from service.core.codes import Code, ucum
from service.core.findings import AlgorithmIdentification, Evaluation, Finding, Mask, Measurement
from service.core.geometry import Shape, line
from service.core.volume import Volume
from tests.datasets import SERIES_UID, STUDY_UID, ct_slice

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)

ALGORITHM = AlgorithmIdentification(
    name="Round things",
    version="1.2",
    manufacturer="Annogate",
    family=Code("123110", "DCM", "Artificial Intelligence"),
    device_uid="2.25.77",
    parameters={"threshold": "-400"},
    demonstrator=True,
)

ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
NODULE = Code("27925004", "SCT", "Nodule")
ORGAN = Code("123037004", "SCT", "Anatomical Structure")
LUNG = Code("39607008", "SCT", "Lung")
LEFT = Code("7771000", "SCT", "Left")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
VOLUME = Code("118565006", "SCT", "Volume")
MEAN = Code("373098007", "SCT", "Mean")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
MM = ucum("mm", "millimeter")
MM3 = ucum("mm3", "cubic millimeter")
HOUNSFIELD = ucum("[hnsf'U]", "Hounsfield unit")


def ct_sources(
    slices: int,
    *,
    rows: int = 16,
    columns: int = 16,
    orientation: Sequence[float] = AXIAL,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    step_mm: Sequence[float] = (0.0, 0.0, 2.0),
) -> list[Dataset]:
    """CT slices without pixel data, each a step further than the one before; a step off the normal is a tilt."""
    sources = []
    for number in range(1, slices + 1):
        source = ct_slice(number, rows=rows, columns=columns)
        del source.PixelData
        source.ImageOrientationPatient = list(orientation)
        source.PixelSpacing = list(spacing_mm)
        source.ImagePositionPatient = [
            round(-50 + number * step_mm[0], 6),
            round(-50 + number * step_mm[1], 6),
            round(number * step_mm[2], 6),
        ]
        sources.append(source)
    return sources


def volume_of(sources: Sequence[Dataset], *, modality: str = "CT", unit: str = "[hnsf'U]") -> Volume:
    """The volume of single-frame sources in their order, all zero."""
    first = sources[0]
    along_row, down_column = np.array(first.ImageOrientationPatient[:3]), np.array(first.ImageOrientationPatient[3:])
    positions = [np.array(source.ImagePositionPatient, dtype=float) for source in sources]
    affine = np.eye(4)
    affine[:3, 0] = positions[1] - positions[0] if len(positions) > 1 else np.cross(along_row, down_column)
    affine[:3, 1] = down_column * float(first.PixelSpacing[0])
    affine[:3, 2] = along_row * float(first.PixelSpacing[1])
    affine[:3, 3] = positions[0]
    return Volume(
        array=np.zeros((len(sources), first.Rows, first.Columns), dtype=np.float32),
        affine=affine,
        sources=tuple(sources),
        frame_numbers=(1,) * len(sources),
        modality=modality,
        unit=unit,
        study_uid=STUDY_UID,
        series_uid=SERIES_UID,
        frame_of_reference_uid=first.FrameOfReferenceUID,
    )


def pet_volume(slices: int = 8) -> Volume:
    """A PET series."""
    sources = ct_sources(slices, spacing_mm=(4.0, 4.0), step_mm=(0.0, 0.0, 3.27))
    for source in sources:
        source.SOPClassUID, source.Modality = PositronEmissionTomographyImageStorage, "PT"
    return volume_of(sources, modality="PT", unit="{SUVbw}g/ml")


def enhanced_volume(slices: int = 8, *, orientation_per_frame: bool = True) -> Volume:
    """An enhanced CT whose frames lie last slice first, with functional groups per frame."""
    singles = ct_sources(slices)
    source = ct_slice(1)
    for keyword in ("PixelData", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del source[keyword]
    source.SOPClassUID = EnhancedCTImageStorage
    source.NumberOfFrames = slices
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 2
    orientation.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence = [measures]
    if not orientation_per_frame:
        shared.PlaneOrientationSequence = [orientation]
    source.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for single in reversed(singles):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = single.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        if orientation_per_frame:
            frame.PlaneOrientationSequence = [orientation]
        frames.append(frame)
    source.PerFrameFunctionalGroupsSequence = frames
    flat = volume_of(singles)
    return replace(flat, sources=(source,) * slices, frame_numbers=tuple(range(slices, 0, -1)))


def legacy_converted_volume(slices: int = 8) -> Volume:
    """The frames of an enhanced CT that was made of single slices, each of which is named (PS3.3 A.70)."""
    volume = enhanced_volume(slices)
    source = volume.sources[0]
    source.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    for number, group in enumerate(source.PerFrameFunctionalGroupsSequence, start=1):
        made_of = Dataset()
        made_of.ReferencedSOPClassUID, made_of.ReferencedSOPInstanceUID = CTImageStorage, f"2.25.83{number}"
        group.ConversionSourceAttributesSequence = [made_of]
    return volume


def ball(volume: Volume, centre: tuple[int, int, int], radius: int = 2) -> Mask:
    """A ball of voxels round an index (slice, row, column), cut to the volume."""
    grid = np.indices(volume.shape)
    away = sum((grid[axis] - centre[axis]) ** 2 for axis in range(3))
    return Mask.cut_from(away <= radius**2)


def volume_mm3(volume: Volume, mask: Mask) -> float:
    """What an annotator may well say of a mask: near what its voxels make, with more digits than a DS holds."""
    return float(mask.voxels.sum() * abs(np.linalg.det(volume.affine[:3, :3]))) * 1.0123456789012345


def line_on(volume: Volume, start: tuple[float, float, float], end: tuple[float, float, float]) -> Shape:
    """A line between two indices (slice, row, column)."""
    first, last = volume.to_patient([start, end]).tolist()
    return line(first, last)


def nodule(volume: Volume, number: int = 1, centre: tuple[int, int, int] = (3, 6, 7)) -> Finding:
    """A nodule with everything that the built-in annotator says of one."""
    slice_, row, column = centre
    long_axis = line_on(volume, (slice_, row, column - 2.5), (slice_, row, column + 2.5))
    short_axis = line_on(volume, (slice_, row - 2.0, column), (slice_, row + 2.0, column))
    mask = ball(volume, centre)
    return Finding(
        label=f"Nodule {number}",
        tracking_uid=f"2.25.9{number}",
        category=ABNORMAL,
        type=NODULE,
        site=LUNG,
        laterality=LEFT,
        mask=mask,
        measurements=(
            Measurement(LONG_AXIS, long_axis.length_mm, MM, shape=long_axis),
            Measurement(SHORT_AXIS, short_axis.length_mm, MM, shape=short_axis),
            Measurement(VOLUME, volume_mm3(volume, mask), MM3),
            Measurement(ATTENUATION, -12.25, HOUNSFIELD, derivation=MEAN),
        ),
        evaluations=(Evaluation(Code("129737002", "SCT", "Radiographic lesion margin"), "smooth"),),
        confidence=0.875,
        colour=(230, 30, 60),
    )


def organ(volume: Volume, number: int = 1) -> Finding:
    """A region without any drawn line."""
    mask = ball(volume, (4, 8, 8), 3)
    return Finding(
        label=f"Lung {number}",
        tracking_uid=f"2.25.8{number}",
        category=ORGAN,
        type=LUNG,
        laterality=LEFT,
        mask=mask,
        measurements=(Measurement(VOLUME, volume_mm3(volume, mask), MM3),),
    )


def result_of(*findings: Finding, algorithm: AlgorithmIdentification = ALGORITHM) -> AnnotatorResult:
    """A run that ended with these findings."""
    return AnnotatorResult(findings, algorithm, f"{len(findings)} findings")
