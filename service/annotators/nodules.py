"""The annotator ``nodules``: round dense things in the lungs of a CT, each measured. A demonstrator."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from service.annotators.axes import measure_axes
from service.annotators.built_in import BuiltInAnnotator
from service.annotators.ct_volume import is_ct, require_axial, require_hounsfield, require_slices
from service.annotators.lung_field import FieldParameters, LungField, find_lungs
from service.annotators.lungs import LEAST_SLICES, LEFT, RIGHT
from service.annotators.measured import LONG_AXIS, SHORT_AXIS, axis, mean_hounsfield, volume_mm3
from service.annotators.nodule_candidate import NoduleCandidate, SearchParameters
from service.annotators.nodule_search import search_nodules
from service.annotators.parameters import AnnotatorParameters, CodeParameters
from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.codes import Code
from service.core.findings import Finding, Mask, Measurement
from service.core.volume import Volume
from service.voxels.distances import BoolArray


class NoduleParameters(AnnotatorParameters):
    """Parameters of ``nodules``; ``most`` findings at most, those with the longest axis."""

    site: CodeParameters
    most: Annotated[int, Field(ge=1, le=200)] = 30
    search: SearchParameters = SearchParameters()
    field: FieldParameters = FieldParameters()


class NodulesAnnotator(BuiltInAnnotator[NoduleParameters]):
    """Marks nodules in the lungs of a CT."""

    VERSION = "1.0.0"

    def matches(self, series: SeriesSummary) -> bool:
        """Any CT; one of too few slices is refused with that reason, rather than passed over in silence."""
        return is_ct(series)

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Mark each nodule.

        Raises
        ------
        VolumeRefused : not Hounsfield units, too few slices, or slices that are not axial
        """
        require_hounsfield(volume)
        require_slices(volume, LEAST_SLICES)
        require_axial(volume)
        lungs = find_lungs(volume, self._parameters.field)
        field = lungs.both()
        if field is None or not field.any():
            return AnnotatorResult((), self.algorithm, "No lung found")
        candidates = search_nodules(volume, field, self._parameters.search)
        measured = [(candidate, self._measure(volume, candidate)) for candidate in candidates]
        measured = [(candidate, numbers) for candidate, numbers in measured if numbers]
        measured.sort(key=lambda pair: -pair[1][0].value)
        kept = measured[: self._parameters.most]
        findings = [
            self._finding(number, candidate, numbers, lungs)
            for number, (candidate, numbers) in enumerate(kept, start=1)
        ]
        return AnnotatorResult(findings, self.algorithm, _summary(len(findings), len(measured) - len(kept)))

    @staticmethod
    def _mask(candidate: NoduleCandidate) -> Mask:
        cut = Mask.cut_from(candidate.mask)
        origin = [side.start + inner for side, inner in zip(candidate.box, cut.origin, strict=True)]
        return Mask(cut.voxels, (origin[0], origin[1], origin[2]))

    def _measure(self, volume: Volume, candidate: NoduleCandidate) -> tuple[Measurement, ...]:
        """Long axis, short axis, volume, mean density; nothing where no slice has an outline."""
        start = (candidate.box[0].start, candidate.box[1].start, candidate.box[2].start)
        axes = measure_axes(volume, candidate.outlined, start, candidate.level_hu)
        if axes is None:
            return ()
        mask = self._mask(candidate)
        return (
            axis(LONG_AXIS, axes.long),
            axis(SHORT_AXIS, axes.short),
            volume_mm3(mask, volume),
            mean_hounsfield(mask, volume),
        )

    def _finding(
        self,
        number: int,
        candidate: NoduleCandidate,
        measurements: tuple[Measurement, ...],
        lungs: LungField,
    ) -> Finding:
        return Finding(
            label=f"Nodule {number}",
            tracking_uid=self._new_uid(),
            category=self._parameters.category.code,
            type=self._parameters.type.code,
            site=self._parameters.site.code,
            laterality=_side(lungs, candidate),
            mask=self._mask(candidate),
            measurements=measurements,
            confidence=candidate.confidence(self._parameters.search),
            colour=self._parameters.colour(number - 1),
        )


def _side(lungs: LungField, candidate: NoduleCandidate) -> Code:
    """The lung in which most of it lies."""

    def within(lung: BoolArray | None) -> int:
        return 0 if lung is None else int(np.count_nonzero(lung[candidate.box] & candidate.mask))

    return RIGHT if within(lungs.right) >= within(lungs.left) else LEFT


def _summary(found: int, left_out: int) -> str:
    if not found:
        return "No nodule found"
    words = "1 nodule" if found == 1 else f"{found} nodules"
    return f"{words} ({left_out} smaller ones left out)" if left_out else words
