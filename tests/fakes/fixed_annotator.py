"""An annotator that finds what the test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.findings import AlgorithmIdentification, Finding
from service.core.volume import Volume
from tests.volumes import ALGORITHM


class FixedAnnotator:
    """Matches series of one modality, and gives ``find`` each volume."""

    def __init__(
        self,
        find: Callable[[Volume], Sequence[Finding]] = lambda volume: (),
        *,
        name: str = "fixed",
        modality: str = "CT",
        algorithm: AlgorithmIdentification = ALGORITHM,
    ) -> None:
        self._find = find
        self.name = name
        self.title = name.capitalize()
        self.algorithm = algorithm
        self._modality = modality

    def matches(self, series: SeriesSummary) -> bool:
        return series.modality == self._modality

    def annotate(self, volume: Volume) -> AnnotatorResult:
        findings = tuple(self._find(volume))
        return AnnotatorResult(findings, self.algorithm, f"{len(findings)} things")
