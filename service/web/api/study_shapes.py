"""Studies, and what annotators made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from service.core.archived import InstanceRow, RunRow, StudyRow, StudySummary
from service.web.api.shapes import Moment, ProjectPage, Shape, moment, moment_or_none
from service.web.study_report import ResultReport, SeriesReport, StudyReport


class StudyPage(ProjectPage):
    """Which studies."""

    state: Literal["receiving", "complete"] | None = Field(None, description="Only those in this state")


class NamedStudy(Shape):
    """What names a study in every answer."""

    project: str = Field(description="The project that it is in")
    study_uid: str = Field(description="Study Instance UID, as served")
    patient_id: str = Field(description="Patient ID, as served")
    study_date: str = Field(description="Study Date, as served")
    description: str = Field(description="Study Description, as served")
    state: str = Field(description="receiving or complete")
    viewer: str = Field(description="Where it opens in the viewer")


def _named(study: StudyRow, viewer: str) -> dict[str, str]:
    """The values of `NamedStudy`."""
    return {
        "project": study.project,
        "study_uid": study.study_uid,
        "patient_id": study.patient_id,
        "study_date": study.study_date,
        "description": study.study_description,
        "state": study.state,
        "viewer": viewer,
    }


class StudyShape(NamedStudy):
    """A study with what it holds."""

    modalities: list[str] = Field(description="Modalities of its series")
    series: int = Field(description="How many series can be seen")
    images: int = Field(description="How many images came in")
    annotations: int = Field(description="How many annotation objects came in")
    results: int = Field(description="How many results were made here")
    last_image_at: Moment = Field(description="When the last image arrived")

    @classmethod
    def of(cls, summary: StudySummary, viewer: str) -> Self:
        """From a line of the list."""
        study = summary.study
        return cls(
            **_named(study, viewer),
            modalities=list(summary.modalities),
            series=summary.series,
            images=summary.images,
            annotations=summary.annotations,
            results=summary.results,
            last_image_at=moment(study.last_image_at),
        )


class StudyList(Shape):
    """A part of a project's studies, the most recent first."""

    studies: list[StudyShape] = Field(description="The studies")


class SeriesShape(Shape):
    """One series of a study."""

    series_uid: str = Field(description="Series Instance UID, as served")
    modality: str = Field(description="Modality")
    number: int | None = Field(description="Series Number")
    description: str = Field(description="Series Description, as served")
    instances: int = Field(description="How many instances can be seen")
    kinds: list[str] = Field(description="image, annotation or result")

    @classmethod
    def of(cls, report: SeriesReport) -> Self:
        """From a study's report."""
        return cls(
            series_uid=report.series.series_uid,
            modality=report.series.modality,
            number=report.series.series_number,
            description=report.series.series_description,
            instances=report.instances,
            kinds=[str(kind) for kind in report.kinds],
        )


class CodeShape(Shape):
    """A coded concept (PS3.3 8.8)."""

    code: str = Field(description="Code Value")
    scheme: str = Field(description="Coding Scheme Designator")
    meaning: str = Field(description="Code Meaning")


class MeasurementShape(Shape):
    """One number with its name and UCUM unit."""

    code: str = Field(description="Code Value of what was measured")
    scheme: str = Field(description="Its Coding Scheme Designator")
    meaning: str = Field(description="Its Code Meaning")
    value: float = Field(description="The number")
    unit: str = Field(description="Its unit, in UCUM")
    derivation: CodeShape | None = Field(None, description="How it was derived: mean, maximum …")
    method: CodeShape | None = Field(None, description="The method of measurement")


class FindingShape(BaseModel):
    """What an annotator marked; the measurements asked for most stand under names of their own as well."""

    model_config = ConfigDict(extra="allow", frozen=True)

    label: str = Field(description="What it is called in the viewer")
    tracking_uid: str = Field("", description="Joins the same thing across objects")
    type: CodeShape | None = Field(None, description="What it is")
    site: CodeShape | None = Field(None, description="Where it is")
    laterality: CodeShape | None = Field(None, description="On which side")
    confidence: float | None = Field(None, description="0 to 1")
    centre_mm: list[float] | None = Field(None, description="Its middle in patient coordinates (LPS), mm")
    measurements: list[MeasurementShape] = Field([], description="What was measured")


class RunShape(Shape):
    """The newest run of an annotator on a series."""

    annotator: str = Field(description="Its name")
    series_uid: str = Field(description="Series Instance UID of what it looked at, as served")
    state: str = Field(description="queued, running, done, refused or failed")
    reason: str = Field(description="Why it was refused or failed")
    summary: str = Field(description="What it found, in one line")
    version: int = Field(description="How many times it ran on this series with other images, this one included")
    findings: list[FindingShape] = Field(description="What it found, each with label and measurements")
    finished_at: Moment | None = Field(description="When it ended")

    @classmethod
    def of(cls, run: RunRow) -> Self:
        """From a row of the index."""
        return cls(
            annotator=run.annotator,
            series_uid=run.series_uid,
            state=run.state.value,
            reason=run.reason,
            summary=run.summary,
            version=run.version,
            findings=[FindingShape.model_validate(finding) for finding in json.loads(run.findings)],
            finished_at=moment_or_none(run.finished_at),
        )


class ResultShape(Shape):
    """One object that was made here, in its newest version."""

    annotator: str = Field(description="Who made it")
    modality: str = Field(description="Modality: SEG, SR …")
    sop_class_uid: str = Field(description="SOP Class UID")
    series_uid: str = Field(description="Series Instance UID, as served")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    held: str = Field(description="What keeps it from leaving for the PACS, or how far it came on its way")

    @classmethod
    def of(cls, report: ResultReport, held: str) -> Self:
        """From a study's report."""
        made = report.instance
        return cls(
            annotator=made.annotator,
            modality=report.modality,
            sop_class_uid=made.sop_class_uid,
            series_uid=made.series_uid,
            sop_instance_uid=made.sop_instance_uid,
            held=held,
        )


class StudyDetail(NamedStudy):
    """A study with its series, runs and findings."""

    version: int = Field(description="How many times it was completed")
    completed_at: Moment | None = Field(description="When it was completed last")
    series: list[SeriesShape] = Field(description="Its series")
    runs: list[RunShape] = Field(description="What annotators made of it")
    results: list[ResultShape] = Field(description="The objects that were made of it")

    @classmethod
    def of(cls, report: StudyReport, viewer: str, standing: Callable[[InstanceRow], str]) -> Self:
        """From a study's report; ``standing`` says how far a result came on its way out."""
        study = report.study
        return cls(
            **_named(study, viewer),
            version=study.version,
            completed_at=moment_or_none(study.completed_at),
            series=[SeriesShape.of(entry) for entry in report.series],
            runs=[RunShape.of(run) for run in report.runs],
            results=[ResultShape.of(entry, standing(entry.instance)) for entry in report.results],
        )
