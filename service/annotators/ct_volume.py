"""Which CT series and volumes the CT annotators take, and why they refuse the others."""

from __future__ import annotations

import numpy as np

from service.core.annotator import SeriesSummary
from service.core.stored_pixels import HOUNSFIELD_UNIT
from service.core.volume import Volume
from service.errors import VolumeRefused

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
CT_CLASSES = frozenset({CT_IMAGE, ENHANCED_CT_IMAGE, LEGACY_CONVERTED_ENHANCED_CT_IMAGE})

# How far the slices' normal may lean from the axis of the body: gantries tilt by up to 30°.
AXIAL_DEGREES = 35.0


def is_ct(series: SeriesSummary) -> bool:
    """Whether a series holds CT slices; one that holds localizers only does not."""
    values = {value for text in series.image_types for value in text.split("\\")}
    slices = "LOCALIZER" not in values or "AXIAL" in values
    return series.modality == "CT" and slices and bool(series.sop_class_uids & CT_CLASSES)


def require_hounsfield(volume: Volume) -> None:
    """Refuse a volume whose values are not Hounsfield units."""
    if volume.modality != "CT" or volume.unit != HOUNSFIELD_UNIT:
        raise VolumeRefused("the voxel values are not Hounsfield units of a CT")


def require_slices(volume: Volume, least: int) -> None:
    """Refuse a volume of too few slices."""
    if volume.shape[0] < least:
        raise VolumeRefused(f"{volume.shape[0]} slices are too few: at least {least} are needed")


def require_axial(volume: Volume) -> None:
    """Refuse a volume whose slices do not cross the axis of the body."""
    across = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    leaning = np.degrees(np.arccos(min(1.0, abs(float(across[2])) / float(np.linalg.norm(across)))))
    if leaning > AXIAL_DEGREES:
        raise VolumeRefused(f"the slices are not axial: they lean by {leaning:.0f}°")
