"""The annotator ``hotspots``: what takes up much of the tracer in a PET, each piece measured. A demonstrator.

It knows no anatomy: heart, brain, kidneys and bladder are marked like anything else above the threshold.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from service.annotators.built_in import BuiltInAnnotator
from service.annotators.components import Box, components
from service.annotators.measured import (
    GRAM,
    MAXIMUM,
    MEAN,
    METABOLIC_VOLUME,
    PEAK,
    SUV,
    SUV_BODY_WEIGHT,
    SUV_METHOD,
    TOTAL_LESION_GLYCOLYSIS,
    volume_ml,
)
from service.annotators.parameters import AnnotatorParameters, Fraction, Positive, Strict
from service.annotators.pet_header import suv_factor
from service.annotators.suv_peak import suv_peak
from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.codes import Code
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import point
from service.core.volume import Volume
from service.errors import VolumeRefused

LEAST_SLICES = 3

PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
LEGACY_CONVERTED_ENHANCED_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128.1"
ENHANCED_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.130"
PET_CLASSES = frozenset({PET_IMAGE, LEGACY_CONVERTED_ENHANCED_PET_IMAGE, ENHANCED_PET_IMAGE})


class ThresholdParameters(Strict):
    """What makes a hotspot.

    Parameters
    ----------
    suv : least SUVbw of any voxel
    fraction_of_max : least share of the piece's own maximum, 0.41 as EANM's guideline draws volumes; 0 switches it off,
        since it breaks an uneven tumour into fragments
    least_ml : smaller pieces are left out
    """

    suv: Positive = 2.5
    fraction_of_max: Fraction = 0.0
    least_ml: Positive = 1.0


class HotspotParameters(AnnotatorParameters):
    """Parameters of ``hotspots``; ``most`` findings at most, those with the greatest SUVmax."""

    threshold: ThresholdParameters = ThresholdParameters()
    most: Annotated[int, Field(ge=1, le=200)] = 20


class HotspotsAnnotator(BuiltInAnnotator[HotspotParameters]):
    """Marks tracer uptake in a PET."""

    VERSION = "1.0.0"

    def matches(self, series: SeriesSummary) -> bool:
        """Any PET; one of too few slices is refused with that reason."""
        return series.modality == "PT" and bool(series.sop_class_uids & PET_CLASSES)

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Mark each piece above the threshold.

        Raises
        ------
        VolumeRefused : not a PET of several slices, or its header gives no SUVbw; the message names what is missing
        """
        if volume.modality != "PT":
            raise VolumeRefused("the volume is not a PET")
        if volume.shape[0] < LEAST_SLICES:
            raise VolumeRefused(f"{volume.shape[0]} slices are too few: at least {LEAST_SLICES} are needed")
        suv = volume.array * np.float32(suv_factor(volume))
        pieces = _pieces(suv, volume.voxel_mm3 / 1000, self._parameters.threshold)
        kept = pieces[: self._parameters.most]
        findings = [self._finding(volume, suv, number, mask) for number, mask in enumerate(kept, start=1)]
        return AnnotatorResult(findings, self.algorithm, _summary(len(kept), len(pieces) - len(kept)))

    def _finding(self, volume: Volume, suv: npt.NDArray[np.float32], number: int, mask: Mask) -> Finding:
        values = suv[_box(mask)][mask.voxels]
        peak, middle = suv_peak(volume, suv, mask)
        mean = float(values.mean(dtype=np.float64))
        metabolic = volume_ml(mask, volume, METABOLIC_VOLUME)
        return Finding(
            label=f"Hotspot {number}",
            tracking_uid=self._new_uid(),
            category=self._parameters.category.code,
            type=self._parameters.type.code,
            mask=mask,
            shapes=(point(middle),),
            measurements=(
                _suv(float(values.max()), MAXIMUM),
                _suv(peak, PEAK),
                _suv(mean, MEAN),
                metabolic,
                Measurement(TOTAL_LESION_GLYCOLYSIS, mean * metabolic.value, GRAM),
            ),
            colour=self._parameters.colour(number - 1),
        )


def _suv(value: float, derivation: Code) -> Measurement:
    return Measurement(SUV_BODY_WEIGHT, value, SUV, derivation=derivation, method=SUV_METHOD)


def _box(mask: Mask) -> Box:
    sides = [slice(o, o + n) for o, n in zip(mask.origin, mask.voxels.shape, strict=True)]
    return sides[0], sides[1], sides[2]


def _pieces(suv: npt.NDArray[np.float32], voxel_ml: float, threshold: ThresholdParameters) -> list[Mask]:
    """Every piece above the threshold, the one with the greatest maximum first."""
    least = max(1, int(np.ceil(threshold.least_ml / voxel_ml)))
    found: list[tuple[float, Mask]] = []
    above = components(suv >= threshold.suv, least_voxels=least)
    for piece in above:
        values = np.where(above.mask_of(piece), suv[piece.box], 0)
        cut = components(values >= max(threshold.suv, threshold.fraction_of_max * float(values.max())))
        for part in cut:
            if part.voxels < least:
                continue
            whole = np.zeros(suv.shape, dtype=bool)
            inner = whole[piece.box]
            inner[part.box] = cut.mask_of(part)
            mask = Mask.cut_from(whole)
            found.append((float(suv[whole].max()), mask))
    return [mask for _, mask in sorted(found, key=lambda pair: -pair[0])]


def _summary(found: int, left_out: int) -> str:
    if not found:
        return "No hotspot found"
    words = "1 hotspot" if found == 1 else f"{found} hotspots"
    return f"{words} ({left_out} with less uptake left out)" if left_out else words
