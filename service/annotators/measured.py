"""What the annotators measure, with the codes under which it is reported (PS3.16 CID 7181, 7464, 7466, 218)."""

from __future__ import annotations

import numpy as np

from service.core.codes import Code, ucum
from service.core.findings import Mask, Measurement
from service.core.geometry import Shape
from service.core.volume import Volume

MILLIMETRE = ucum("mm", "millimeter")
CUBIC_MILLIMETRE = ucum("mm3", "cubic millimeter")
MILLILITRE = ucum("mL", "milliliter")
GRAM = ucum("g", "gram")
HOUNSFIELD = ucum("[hnsf'U]", "Hounsfield unit")
SUV = ucum("g/ml{SUVbw}", "Standardized Uptake Value body weight")

LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
VOLUME = Code("118565006", "SCT", "Volume")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
SUV_BODY_WEIGHT = Code("126401", "DCM", "SUVbw")
METABOLIC_VOLUME = Code("126032", "DCM", "Metabolic Volume")
TOTAL_LESION_GLYCOLYSIS = Code("126033", "DCM", "Total Lesion Glycolysis")

MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")
PEAK = Code("126031", "DCM", "Peak Value Within ROI")

SUM_OF_VOXELS = Code("126030", "DCM", "Sum of segmented voxel method for volume")
SUV_METHOD = Code("126410", "DCM", "SUV body weight calculation method")


def volume_mm3(mask: Mask, volume: Volume) -> Measurement:
    """Volume of a mask: its voxels, counted."""
    return Measurement(VOLUME, _counted_mm3(mask, volume), CUBIC_MILLIMETRE, method=SUM_OF_VOXELS)


def volume_ml(mask: Mask, volume: Volume, name: Code = VOLUME) -> Measurement:
    """Volume of a mask in millilitres: its voxels, counted."""
    return Measurement(name, _counted_mm3(mask, volume) / 1000, MILLILITRE, method=SUM_OF_VOXELS)


def mean_hounsfield(mask: Mask, volume: Volume) -> Measurement:
    """Mean of the voxels of a mask in Hounsfield units."""
    return Measurement(ATTENUATION, float(voxels_of(mask, volume).mean(dtype=np.float64)), HOUNSFIELD, derivation=MEAN)


def axis(name: Code, line: Shape) -> Measurement:
    """Length of a drawn line in millimetres."""
    return Measurement(name, line.length_mm, MILLIMETRE, shape=line)


def voxels_of(mask: Mask, volume: Volume) -> np.ndarray:
    """Values of the voxels of a mask; one axis."""
    box = tuple(slice(o, o + n) for o, n in zip(mask.origin, mask.voxels.shape, strict=True))
    return volume.array[box][mask.voxels]


def _counted_mm3(mask: Mask, volume: Volume) -> float:
    return float(np.count_nonzero(mask.voxels)) * volume.voxel_mm3
