"""What the writer is told about a result beside its findings, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from service.core.annotations import PersonObserver

NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"
"""Stands in Series Description and in the report of every demonstrator's result."""


@dataclass(frozen=True, slots=True, eq=False)
class ResultContext:
    """One run's circumstances.

    Parameters
    ----------
    created_at : when the result was made, shifted like the patient's dates (a real date beside shifted ones would give
        the shift away)
    series_number_base : Series Number of the segmentation; the report gets the next one
    uid : makes a new UID at each call; every UID of a new object comes from here
    version : the gateway's version, the second value of Software Versions
    predecessor : the report that this one replaces, if any (Predecessor Documents Sequence)
    verified_by : the person who has looked at what somebody else made, and stands for it
    """

    created_at: datetime
    series_number_base: int
    uid: Callable[[], str]
    version: str
    predecessor: Dataset | None = None
    verified_by: PersonObserver | None = None

    @property
    def date(self) -> str:
        """``created_at`` as DA."""
        return self.created_at.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        """``created_at`` as TM."""
        return self.created_at.strftime("%H%M%S")

    @property
    def date_time(self) -> str:
        """``created_at`` as DT."""
        return self.date + self.time


@dataclass(frozen=True, slots=True, eq=False)
class WrittenResult:
    """The objects of one run; ``segmentation`` is None where no finding has a mask."""

    segmentation: Dataset | None
    report: Dataset
