"""The annotator ``lungs``: right and left lung of a CT, their volume and mean density. A demonstrator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.annotators.built_in import BuiltInAnnotator
from service.annotators.ct_volume import is_ct, require_axial, require_hounsfield, require_slices
from service.annotators.lung_field import FieldParameters, find_lungs
from service.annotators.measured import mean_hounsfield, volume_ml
from service.annotators.parameters import AnnotatorParameters
from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.codes import Code
from service.core.findings import Finding, Mask
from service.core.volume import Volume

LEAST_SLICES = 8

RIGHT = Code("24028007", "SCT", "Right")
LEFT = Code("7771000", "SCT", "Left")


class LungParameters(AnnotatorParameters):
    """Parameters of ``lungs``."""

    field: FieldParameters = FieldParameters()


class LungsAnnotator(BuiltInAnnotator[LungParameters]):
    """Marks the lungs of a CT."""

    VERSION = "1.0.0"

    def matches(self, series: SeriesSummary) -> bool:
        """Any CT; one of too few slices is refused with that reason, rather than passed over in silence."""
        return is_ct(series)

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Mark each lung.

        Raises
        ------
        VolumeRefused : not Hounsfield units, too few slices, or slices that are not axial
        """
        require_hounsfield(volume)
        require_slices(volume, LEAST_SLICES)
        require_axial(volume)
        lungs = find_lungs(volume, self._parameters.field)
        findings = [
            self._finding(volume, number, label, side, mask)
            for number, (label, side, mask) in enumerate(
                [("Right lung", RIGHT, lungs.right), ("Left lung", LEFT, lungs.left)]
            )
            if mask is not None and mask.any()
        ]
        said = " and ".join(f"{finding.label.lower()} {finding.measurements[0].value:.0f} mL" for finding in findings)
        return AnnotatorResult(findings, self.algorithm, said[:1].upper() + said[1:] or "No lung found")

    def _finding(self, volume: Volume, number: int, label: str, side: Code, voxels: npt.NDArray[np.bool_]) -> Finding:
        mask = Mask.cut_from(voxels)
        lung = self._parameters.type.code
        return Finding(
            label=label,
            tracking_uid=self._new_uid(),
            category=self._parameters.category.code,
            type=lung,
            site=lung,
            laterality=side,
            mask=mask,
            measurements=(volume_ml(mask, volume), mean_hounsfield(mask, volume)),
            colour=self._parameters.colour(number),
        )
