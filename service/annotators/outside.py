"""Annotators that live elsewhere: they claim their work items by UPS-RS and deliver by STOW-RS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from service.annotators.parameters import CodeParameters, Strict
from service.core.annotator import AnnotatorResult, SeriesSummary
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification
from service.core.volume import Volume
from service.core.workitem import OUTSIDE
from service.errors import VolumeRefused

_FAMILY = Code("123110", "DCM", "Artificial Intelligence")


class OutsideParameters(Strict):
    """What is known of an annotator that somebody else runs.

    ``workitem`` is the Scheduled Workitem Code (PS3.16 CID 9231) of its work items. ``modality`` and ``body_part`` are
    patterns, any of which has to fit a series; ``least_instances`` leaves localizers out.
    """

    kind: Literal["outside"]
    performer: Literal["ups"] = OUTSIDE
    title: Annotated[str, Field(min_length=1, max_length=48)]
    version: Annotated[str, Field(min_length=1, max_length=64)] = "unknown"
    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] = "unknown"
    workitem: CodeParameters = CodeParameters(value="110004", scheme="DCM", meaning="Computer Aided Detection")
    modality: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    body_part: tuple[str, ...] = ("*",)
    least_instances: Annotated[int, Field(ge=1)] = 1


class OutsideAnnotator:
    """Says which series are to be looked at elsewhere; it never looks itself.

    Parameters
    ----------
    name : under which configuration knows it
    new_uid : not needed
    """

    def __init__(self, name: str, parameters: OutsideParameters, new_uid: Callable[[], str]) -> None:
        del new_uid
        self.name = name
        self.title = parameters.title
        self.performer = parameters.performer
        self._parameters = parameters
        said = f"{name} {parameters.title} {parameters.manufacturer} {parameters.version}"
        digest = hashlib.sha256(said.encode()).digest()
        self.algorithm = AlgorithmIdentification(
            name=parameters.title,
            version=parameters.version,
            manufacturer=parameters.manufacturer,
            family=_FAMILY,
            device_uid=f"2.25.{int.from_bytes(digest[:16], 'big')}",
        )

    def matches(self, series: SeriesSummary) -> bool:
        """Whether the series is one of those that it is to see."""
        wanted = self._parameters
        return (
            series.instances >= wanted.least_instances
            and any(fnmatchcase(series.modality.upper(), pattern.upper()) for pattern in wanted.modality)
            and any(fnmatchcase(series.body_part.upper(), pattern.upper()) for pattern in wanted.body_part)
        )

    def annotate(self, volume: Volume) -> AnnotatorResult:
        """Refuse: what finds anything is elsewhere.

        Raises
        ------
        VolumeRefused : always
        """
        del volume
        raise VolumeRefused("this annotator is performed by whoever claims its work item")
