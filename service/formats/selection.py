"""What a dataset is made of: whose studies, whose marks, which labels, and who gets which part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.core.archived import InstanceRow, SeriesRow, StudyRow
from service.formats.labels import LabelMapping
from service.formats.patient_split import PatientSplit


class StudyIndex(Protocol):
    """What is asked of the archive's index."""

    def study_uids(self, project: str) -> list[str]:
        """Study Instance UIDs of a project, in an order that stays."""

    def study(self, project: str, study_uid: str) -> StudyRow | None:
        """The study held under a UID."""

    def series_of(self, project: str, study_uid: str) -> list[SeriesRow]:
        """The series of a study, by number."""

    def instances_of(self, project: str, study_uid: str) -> list[InstanceRow]:
        """The instances of a study that are shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What goes into a dataset.

    Parameters
    ----------
    studies : Study Instance UIDs as served; empty for all of the project
    annotators, readers : names of annotators and accounts of readers whose marks count; both empty for everybody's
    labels : names of labels that count; empty for all of the mapping
    modalities : of series; empty for all
    with_unmarked : whether volumes are taken that nobody has looked at
    patient_of : the pseudonym of a study's patient
    """

    project: str
    mapping: LabelMapping
    split: PatientSplit
    patient_of: Callable[[StudyRow], str] = field(repr=False)
    studies: tuple[str, ...] = ()
    annotators: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    modalities: frozenset[str] = frozenset()
    with_unmarked: bool = False

    def chosen(self, index: StudyIndex) -> Sequence[str]:
        """The studies in the order in which they are written."""
        return sorted(set(self.studies)) or index.study_uids(self.project)
