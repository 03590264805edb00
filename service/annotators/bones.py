"""The annotator ``bones``: what is as dense as bone in a CT, one segment a large piece. A demonstrator.

It tells no bone from another, and contrast medium, metal or a table of that density from none.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from service.annotators.built_in import BuiltInAnnotator
from service.annotators.coarse_grid import coarsen
from service.annotators.components import components
from service.annotators.ct_volume import is_ct, require_hounsfield
from service.annotators.measured import mean_hounsfield, volume_ml
from service.annotators.parameters import AnnotatorParameters, Positive, Strict
from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.findings import Finding, Mask
from service.core.volume import Volume
from service.voxels.distances import depth_in, grow

# Voxels of the grid on which bodies are told from tables.
COARSE_MM = 2.0


class DensityParameters(Strict):
    """What makes a bone.

    Parameters
    ----------
    bone_hu : at least so dense
    gap_mm : gaps as narrow as this within a slice are bridged, marrow and noise
    marrow_mm2 : holes in a slice up to this area are filled, the shafts of long bones
    spongy_hu, spongy_mm2 : so are larger ones of at least this mean density, up to this area: vertebrae, but no skull
    least_ml : smaller pieces are left out
    body_hu, body_depth_mm : at least so dense and, somewhere, so thick is a body; what is no part of one is left out,
        such as a head holder or the table
    """

    bone_hu: float = 200.0
    body_hu: float = -300.0
    body_depth_mm: Positive = 8.0
    gap_mm: Positive = 1.5
    marrow_mm2: Positive = 200.0
    spongy_hu: float = 80.0
    spongy_mm2: Positive = 2500.0
    least_ml: Positive = 1.5


class BoneParameters(AnnotatorParameters):
    """Parameters of ``bones``; ``most`` findings at most, the largest."""

    density: DensityParameters = DensityParameters()
    most: Annotated[int, Field(ge=1, le=200)] = 12


class BonesAnnotator(BuiltInAnnotator[BoneParameters]):
    """Marks bone in a CT."""

    VERSION = "1.0.0"

    def matches(self, series: SeriesSummary) -> bool:
        """Any CT, of one slice as well."""
        return is_ct(series)

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Mark each large piece.

        Raises
        ------
        VolumeRefused : the values are not Hounsfield units
        """
        require_hounsfield(volume)
        density = self._parameters.density
        bone = _bone(volume, density) & _body(volume, density)
        found = components(bone, least_voxels=max(1, int(density.least_ml * 1000 / volume.voxel_mm3)))
        findings = []
        for number, piece in enumerate(found.pieces[: self._parameters.most], start=1):
            origin = (piece.box[0].start, piece.box[1].start, piece.box[2].start)
            findings.append(self._finding(volume, number, Mask(found.mask_of(piece), origin)))
        return AnnotatorResult(findings, self.algorithm, _summary(len(findings), len(found) - len(findings)))

    def _finding(self, volume: Volume, number: int, mask: Mask) -> Finding:
        bone = self._parameters.type.code
        return Finding(
            label=f"Bone {number}",
            tracking_uid=self._new_uid(),
            category=self._parameters.category.code,
            type=bone,
            mask=mask,
            measurements=(volume_ml(mask, volume), mean_hounsfield(mask, volume)),
            colour=self._parameters.colour(number - 1),
        )


def _body(volume: Volume, density: DensityParameters) -> npt.NDArray[np.bool_]:
    """Everything that hangs together with something thick."""
    coarse = coarsen(volume, COARSE_MM)
    tissue = components(coarse.image >= density.body_hu)
    depth = depth_in(tissue.labels > 0, coarse.spacing_mm)
    thick = np.zeros(len(tissue) + 1, dtype=bool)
    thick[np.unique(tissue.labels[depth >= density.body_depth_mm])] = True
    thick[0] = False
    # A step more than the coarse grid shows, so that no bone at the skin is cut.
    return coarse.fine(grow(thick[tissue.labels], COARSE_MM, coarse.spacing_mm))


def _bone(volume: Volume, density: DensityParameters) -> npt.NDArray[np.bool_]:
    """Dense voxels with narrow gaps bridged and small holes filled, slice by slice."""
    from scipy import ndimage

    mask = volume.array >= density.bone_hu
    _, between_rows, between_columns = volume.spacing_mm
    reach = max(1, round(density.gap_mm / 2 / between_rows)), max(1, round(density.gap_mm / 2 / between_columns))
    across = [np.arange(-n, n + 1) / (n + 0.5) for n in reach]
    disc = across[0][:, None] ** 2 + across[1][None, :] ** 2 <= 1
    pixel_mm2 = between_rows * between_columns
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        padded = np.pad(mask[number], [(n, n) for n in reach])
        mask[number] |= ndimage.binary_closing(padded, disc)[reach[0] : -reach[0], reach[1] : -reach[1]]
        holes, count = ndimage.label(~mask[number])
        areas = np.bincount(holes.ravel()) * pixel_mm2
        filled = areas <= density.marrow_mm2
        spongy = ndimage.mean(volume.array[number], holes, np.arange(count + 1)) >= density.spongy_hu
        filled |= spongy & (areas <= density.spongy_mm2)
        filled[0] = False
        mask[number] |= filled[holes]
    return mask


def _summary(found: int, left_out: int) -> str:
    if not found:
        return "No bone found"
    words = "1 piece of bone" if found == 1 else f"{found} pieces of bone"
    return f"{words} ({left_out} smaller ones left out)" if left_out else words
