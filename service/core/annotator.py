"""The port that every annotator fills, built-in or not: a volume in, findings out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.core.findings import AlgorithmIdentification, Finding
from service.core.volume import Volume


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """What an annotator is told of a series when it is asked whether it matches."""

    modality: str
    sop_class_uids: frozenset[str]
    image_types: frozenset[str]
    instances: int
    description: str = ""
    body_part: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatorResult:
    """The findings of one run over one volume; none is a result too.

    ``summary`` is one line for people ("3 nodules"); it holds no identity.
    """

    findings: Sequence[Finding]
    algorithm: AlgorithmIdentification
    summary: str


class Annotator(Protocol):
    """What marks images."""

    @property
    def name(self) -> str:
        """The name under which configuration and results know it ("nodules")."""

    @property
    def title(self) -> str:
        """What it is called in Series Description and for people ("Lung nodules")."""

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """How its results are signed."""

    def matches(self, series: SeriesSummary) -> bool:
        """Whether it has anything to say about such a series."""

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Mark what is there.

        Raises
        ------
        VolumeRefused : the volume lacks what it needs (units, decay time …); the message says what
        """
