"""What one author says of one study under one protocol: the unit that is kept, compared and never overwritten."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from service.core.codes import Code
from service.core.findings import AlgorithmIdentification, Finding
from service.core.geometry import ImagePlace


@dataclass(frozen=True, slots=True)
class PersonObserver:
    """A person who marked or answered (PS3.16 TID 1003).

    Parameters
    ----------
    name : as a DICOM person name ("Family^Given")
    login : under which the gateway knows the person; empty where it does not
    """

    name: str
    login: str = ""
    organization: str = ""


Author = PersonObserver | AlgorithmIdentification


@dataclass(frozen=True, slots=True)
class ProtocolReference:
    """The reading protocol that was followed."""

    name: str
    version: str


class Outcome(StrEnum):
    """What the whole comes to; each is an answer of its own."""

    FINDINGS = "findings"
    NO_FINDING = "no-finding"
    NOT_ASSESSABLE = "not-assessable"


@dataclass(frozen=True, slots=True)
class StudyTarget:
    """The study as a whole."""


@dataclass(frozen=True, slots=True)
class SeriesTarget:
    """A series of the study."""

    series_uid: str


Target = StudyTarget | SeriesTarget | ImagePlace


@dataclass(frozen=True, slots=True)
class Answer:
    """A class or an answer given to a study, a series, an image or frames of it.

    Parameters
    ----------
    value : one of a list as a code, else words; both may be "not assessable"
    confidence : 0 to 1

    Raises
    ------
    ValueError : a confidence that is none
    """

    name: Code
    value: Code | str
    target: Target = StudyTarget()
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ValueError(f"{self.name.meaning}: a confidence is from 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class ParameterMap:
    """A number for each voxel: perfusion, diffusion, a probability (PS3.3 A.75).

    Parameters
    ----------
    label : what it is called in the viewer
    quantity, unit : what the numbers are (CID 7180 and such), and their UCUM unit
    values : float32, shape (slices, rows, columns) of the volume; NaN where there is none
    """

    label: str
    quantity: Code
    unit: Code
    values: npt.NDArray[np.float32]
    method: Code | None = None
    derivation: Code | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationSet:
    """Everything that one author says of one study.

    The same thing on several images, series, modalities or at several times is several findings with one tracking UID.

    Parameters
    ----------
    summary : one line for people ("3 nodules")
    seconds_spent : on the reading; None where nobody counted

    Raises
    ------
    ValueError : findings beside an outcome without any, or a time that is none
    """

    author: Author
    findings: tuple[Finding, ...] = ()
    answers: tuple[Answer, ...] = ()
    maps: tuple[ParameterMap, ...] = ()
    outcome: Outcome | None = None
    summary: str = ""
    comment: str = ""
    protocol: ProtocolReference | None = None
    seconds_spent: float | None = None

    def __post_init__(self) -> None:
        if self.findings and self.outcome not in (None, Outcome.FINDINGS):
            raise ValueError(f"{self.outcome}: there are findings")
        if self.seconds_spent is not None and not (math.isfinite(self.seconds_spent) and self.seconds_spent >= 0):
            raise ValueError("the time spent is a number of seconds")

    @property
    def stated_outcome(self) -> Outcome:
        """The outcome, or what follows from the findings where none was stated."""
        return self.outcome or (Outcome.FINDINGS if self.findings else Outcome.NO_FINDING)
