"""One study with its series, runs and findings, as the dashboard and the API show it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from service.archive.overview import Overview
from service.core.archived import InstanceRow, RunRow, SeriesRow, StudyRow
from service.core.deletion import DeletedPlace
from service.core.ports import InstanceReader
from service.core.records import ObjectKind
from service.core.view import View
from service.errors import InstanceGone, InstanceNotFound
from service.web.services import WebServices


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """One series, how many visible instances it holds, and of which kinds."""

    series: SeriesRow
    instances: int
    kinds: tuple[ObjectKind, ...]


@dataclass(frozen=True, slots=True)
class ResultReport:
    """One visible object that was made here, and by which annotator."""

    instance: InstanceRow
    modality: str
    description: str


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A study, its series with something to see, and the newest run of each annotator on each series."""

    study: StudyRow
    series: tuple[SeriesReport, ...]
    runs: tuple[RunRow, ...]
    results: tuple[ResultReport, ...]
    by_kind: dict[ObjectKind, int]


def study_of(services: WebServices, project: str, study_uid: str) -> StudyReport:
    """The same as the present caller sees it.

    Raises
    ------
    InstanceGone : all of it was deleted
    InstanceNotFound : it is not held in the project
    """
    report = study_report(services.instances, services.overview, project, study_uid, services.view(project))
    if not report.series and services.dicomweb.trash.covers(project, DeletedPlace(study_uid)):
        raise InstanceGone("this study was deleted")
    return report


def study_report(
    instances: InstanceReader, overview: Overview, project: str, study_uid: str, view: View
) -> StudyReport:
    """Collect what is known of a study.

    Parameters
    ----------
    view : who looks; whether they see what models found

    Raises
    ------
    InstanceNotFound : it is not held in the project
    """
    study = instances.study(project, study_uid)
    if study is None:
        raise InstanceNotFound("there is no such study in this project")
    # Runs before results: one that is told to be done has stored what it made by the time when that is looked up.
    runs = overview.runs_of([study.id]).get(study.id, []) if view.results else []
    held = instances.instances_of(project, study_uid)
    counts = Counter(instance.series_uid for instance in held)
    kinds: dict[str, set[ObjectKind]] = {}
    for instance in held:
        kinds.setdefault(instance.series_uid, set()).add(instance.kind)
    series = instances.series_of(project, study_uid)
    by_uid = {row.series_uid: row for row in series}
    return StudyReport(
        study=study,
        series=tuple(
            SeriesReport(row, counts[row.series_uid], tuple(sorted(kinds[row.series_uid])))
            for row in series
            if counts[row.series_uid]
        ),
        runs=tuple(runs),
        results=tuple(
            ResultReport(instance, by_uid[instance.series_uid].modality, by_uid[instance.series_uid].series_description)
            for instance in held
            if instance.kind is ObjectKind.RESULT
        ),
        by_kind=dict(Counter(instance.kind for instance in held)),
    )
