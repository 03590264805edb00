"""The shapes of the API; the OpenAPI document is made from them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from service.archive.accounts import NewToken, Token, User
from service.archive.audit import AuditRow, AuditVerdict
from service.archive.overview import Counts
from service.core.access import Role
from service.core.archived import ConflictRow, QuarantineRow, RunRow, StudySummary
from service.core.records import Outcome
from service.web.study_report import ResultReport, SeriesReport, StudyReport

Moment = Annotated[datetime, PlainSerializer(lambda at: at.isoformat().replace("+00:00", "Z"), return_type=str)]
QuarantineState = Literal["held", "released", "discarded", "expired"]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _moment_or_none(at: float | None) -> datetime | None:
    return None if at is None else _moment(at)


class Shape(BaseModel):
    """A JSON object that holds what it says and nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Shape):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(description="Always about:blank; the status and the words say it")
    title: str = Field(description="The phrase of the status")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What went wrong this time, in words")


class Page(Shape):
    """Which part of a list."""

    limit: int = Field(100, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=10_000_000, description="How many to pass over")


class ProjectPage(Page):
    """Which part of a project's list."""

    project: str | None = Field(None, max_length=64, description="The project; the first that you may see otherwise")


class StudyPage(ProjectPage):
    """Which studies."""

    state: Literal["receiving", "complete"] | None = Field(None, description="Only those in this state")


class QuarantinePage(ProjectPage):
    """Which objects in quarantine."""

    state: QuarantineState = Field("held", description="Only those in this state")


class AuditSearch(Shape):
    """What to look for in the audit trail."""

    actor: str | None = Field(None, max_length=64, description="User, token or AE title")
    action: str | None = Field(None, max_length=64, description="An action, or a family of them: quarantine.")
    project: str | None = Field(None, max_length=64, description="Only rows of this project")
    object: str | None = Field(None, max_length=200, description="A study's UID as served, or what lies below it")
    since: datetime | None = Field(None, description="Not before this time")
    until: datetime | None = Field(None, description="Before this time")
    failures_only: bool = Field(False, description="Only what was refused or failed")
    before: int | None = Field(None, ge=1, description="Only rows before this id, to go on in an earlier answer")
    limit: int = Field(100, ge=1, le=1000, description="How many at most")


class TallyShape(Shape):
    """How many of something stand in one state, in one project."""

    project: str = Field(description="The project")
    state: str = Field(description="The state, or the name of what was counted")
    count: int = Field(description="How many")


class Status(Shape):
    """What happens inside, in counts."""

    version: str = Field(description="The program's version")
    projects: list[str] = Field(description="The projects that you may see")
    studies: list[TallyShape] = Field(description="Studies by state")
    instances: list[TallyShape] = Field(description="Instances that are stored")
    intake: list[TallyShape] = Field(description="Received objects by how far they came")
    runs: list[TallyShape] = Field(description="Annotator runs by state")
    quarantine: list[TallyShape] = Field(description="Objects that could not be processed")
    conflicts: list[TallyShape] = Field(description="Instances that came again with other content")
    counters: list[TallyShape] = Field(description="What else was counted")

    @classmethod
    def of(cls, version: str, projects: list[str], counts: Counts) -> Self:
        """From the counts of the projects in sight."""
        tallies = {
            name: [TallyShape(project=row.project, state=row.state, count=row.count) for row in getattr(counts, name)]
            for name in Counts.__slots__
        }
        return cls(version=version, projects=projects, **tallies)


class StudyShape(Shape):
    """A study with what it holds."""

    project: str = Field(description="The project that it is in")
    study_uid: str = Field(description="Study Instance UID, as served")
    patient_id: str = Field(description="Patient ID, as served")
    study_date: str = Field(description="Study Date, as served")
    description: str = Field(description="Study Description, as served")
    state: str = Field(description="receiving or complete")
    modalities: list[str] = Field(description="Modalities of its series")
    series: int = Field(description="How many series can be seen")
    images: int = Field(description="How many images came in")
    annotations: int = Field(description="How many annotation objects came in")
    results: int = Field(description="How many results were made here")
    last_image_at: Moment = Field(description="When the last image arrived")
    viewer: str = Field(description="Where it opens in the viewer")

    @classmethod
    def of(cls, summary: StudySummary, viewer: str) -> Self:
        """From a line of the list."""
        study = summary.study
        return cls(
            project=study.project,
            study_uid=study.study_uid,
            patient_id=study.patient_id,
            study_date=study.study_date,
            description=study.study_description,
            state=study.state,
            modalities=list(summary.modalities),
            series=summary.series,
            images=summary.images,
            annotations=summary.annotations,
            results=summary.results,
            last_image_at=_moment(study.last_image_at),
            viewer=viewer,
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
            finished_at=_moment_or_none(run.finished_at),
        )


class ResultShape(Shape):
    """One object that was made here, in its newest version."""

    annotator: str = Field(description="Who made it")
    modality: str = Field(description="Modality: SEG, SR …")
    sop_class_uid: str = Field(description="SOP Class UID")
    series_uid: str = Field(description="Series Instance UID, as served")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")

    @classmethod
    def of(cls, report: ResultReport) -> Self:
        """From a study's report."""
        made = report.instance
        return cls(
            annotator=made.annotator,
            modality=report.modality,
            sop_class_uid=made.sop_class_uid,
            series_uid=made.series_uid,
            sop_instance_uid=made.sop_instance_uid,
        )


class StudyDetail(Shape):
    """A study with its series, runs and findings."""

    project: str = Field(description="The project that it is in")
    study_uid: str = Field(description="Study Instance UID, as served")
    patient_id: str = Field(description="Patient ID, as served")
    study_date: str = Field(description="Study Date, as served")
    description: str = Field(description="Study Description, as served")
    state: str = Field(description="receiving or complete")
    version: int = Field(description="How many times it was completed")
    completed_at: Moment | None = Field(description="When it was completed last")
    viewer: str = Field(description="Where it opens in the viewer")
    series: list[SeriesShape] = Field(description="Its series")
    runs: list[RunShape] = Field(description="What annotators made of it")
    results: list[ResultShape] = Field(description="The objects that were made of it")

    @classmethod
    def of(cls, report: StudyReport, viewer: str) -> Self:
        """From a study's report."""
        study = report.study
        return cls(
            project=study.project,
            study_uid=study.study_uid,
            patient_id=study.patient_id,
            study_date=study.study_date,
            description=study.study_description,
            state=study.state,
            version=study.version,
            completed_at=_moment_or_none(study.completed_at),
            viewer=viewer,
            series=[SeriesShape.of(entry) for entry in report.series],
            runs=[RunShape.of(run) for run in report.runs],
            results=[ResultShape.of(entry) for entry in report.results],
        )


class ConflictShape(Shape):
    """An instance that came again with other content."""

    project: str = Field(description="The project")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    action: str = Field(description="What was done")
    calling_ae_title: str = Field(description="Who sent it")
    at: Moment = Field(description="When")

    @classmethod
    def of(cls, row: ConflictRow) -> Self:
        """From a row of the index."""
        return cls(
            project=row.project,
            sop_instance_uid=row.sop_instance_uid,
            action=row.action,
            calling_ae_title=row.calling_ae_title,
            at=_moment(row.at),
        )


class ConflictList(Shape):
    """A part of a project's conflicts, the newest first."""

    conflicts: list[ConflictShape] = Field(description="The conflicts")


class QuarantineShape(Shape):
    """An object that could not be processed; nothing of its content."""

    id: str = Field(description="What it is called here")
    project: str = Field(description="The project that it came for")
    state: QuarantineState = Field(description="What was decided")
    failure_reason: int = Field(description="The DIMSE status of what was wrong")
    reason: str = Field(description="What was wrong, in words")
    source: str = Field(description="How it came: dimse or stow")
    calling_ae_title: str = Field(description="Who sent it")
    sop_class_uid: str = Field(description="What it said that it is")
    transfer_syntax_uid: str = Field(description="How it is encoded")
    size: int = Field(description="Its length in bytes")
    times_seen: int = Field(description="How many times it came")
    received_at: Moment = Field(description="When it came last")
    decided_at: Moment | None = Field(description="When it was decided on")
    decided_by: str = Field(description="Who decided")

    @classmethod
    def of(cls, row: QuarantineRow) -> Self:
        """From a row of the index."""
        names = ("id", "project", "state", "failure_reason", "reason", "source", "calling_ae_title", "sop_class_uid")
        values = {name: getattr(row, name) for name in (*names, "transfer_syntax_uid", "size", "times_seen")}
        return cls(
            **values,
            received_at=_moment(row.received_at),
            decided_at=_moment_or_none(row.decided_at),
            decided_by=row.decided_by,
        )


class QuarantineList(Shape):
    """A part of a project's quarantine, the newest first."""

    entries: list[QuarantineShape] = Field(description="The objects")


class Release(Shape):
    """What became of an object that was processed again."""

    outcome: str = Field(description="archived, duplicate, kept-first, replaced, own-object, dropped or quarantined")
    study_uid: str = Field(description="Study Instance UID, as served")
    sop_instance_uid: str = Field(description="SOP Instance UID, as served")
    reason: str = Field(description="Why it cannot be processed still")

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """From what ingest says."""
        return cls(
            outcome=outcome.kind.value,
            study_uid=outcome.study_uid,
            sop_instance_uid=outcome.sop_instance_uid,
            reason=outcome.reason,
        )


class AuditShape(Shape):
    """One row of the audit trail."""

    id: int = Field(description="Its number")
    at: Moment = Field(description="When")
    actor: str = Field(description="Who")
    address: str = Field(description="From where")
    action: str = Field(description="What")
    outcome: Literal[0, 4, 8, 12] = Field(description="Event Outcome Indicator: 0 success, 4, 8, 12 failures")
    project: str = Field(description="In which project")
    object: str = Field(description="On what: UIDs as served, or an id")
    detail: dict[str, Any] = Field(description="What else is known")

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """From a row of the trail."""
        return cls(
            id=row.id,
            at=_moment(row.at),
            actor=row.actor,
            address=row.address,
            action=row.action,
            outcome=row.outcome.value,
            project=row.project,
            object=row.target,
            detail=dict(row.detail),
        )


class AuditList(Shape):
    """Rows of the audit trail, the newest first."""

    rows: list[AuditShape] = Field(description="The rows")


class AuditVerdictShape(Shape):
    """Whether the chain of the audit trail holds."""

    intact: bool = Field(description="No row was changed, inserted, or removed before another")
    rows: int = Field(description="How many rows hold")
    first_broken_id: int | None = Field(description="The first row that does not")
    head: str = Field(description="The newest link; keep it elsewhere to notice rows cut off at the end")

    @classmethod
    def of(cls, verdict: AuditVerdict) -> Self:
        """From the trail's own verdict."""
        return cls(intact=verdict.intact, rows=verdict.rows, first_broken_id=verdict.first_broken_id, head=verdict.head)


class UserShape(Shape):
    """A person with a password."""

    name: str = Field(description="The user name")
    role: Role = Field(description="What they may do")
    projects: list[str] = Field(description="Where; * is everywhere")
    disabled: bool = Field(description="Locked out")
    created_at: Moment = Field(description="Since when")

    @classmethod
    def of(cls, user: User) -> Self:
        """From a row of the index; the password's hash stays there."""
        return cls(
            name=user.name,
            role=user.role,
            projects=sorted(user.projects),
            disabled=user.disabled,
            created_at=_moment(user.created_at),
        )


class UserList(Shape):
    """All users."""

    users: list[UserShape] = Field(description="The users, by name")


class NewUser(Shape):
    """A user to be added."""

    name: str = Field(max_length=64, description="1 to 64 letters, digits and . _ @ -")
    password: str = Field(min_length=12, max_length=1024, repr=False, description="12 characters or more")
    role: Role = Field(description="What they may do")
    projects: list[str] = Field(min_length=1, description="Where; * is everywhere")


class UserChange(Shape):
    """What to change about a user; what is absent stays."""

    password: str | None = Field(None, min_length=12, max_length=1024, repr=False, description="Another password")
    role: Role | None = Field(None, description="Another role")
    projects: list[str] | None = Field(None, min_length=1, description="Other projects")
    disabled: bool | None = Field(None, description="Lock out, or let in again")


class TokenShape(Shape):
    """A program's grant, without its secret."""

    id: str = Field(description="What it is called here")
    name: str = Field(description="What people call it")
    role: Role = Field(description="What it may do")
    projects: list[str] = Field(description="Where; * is everywhere")
    created_at: Moment = Field(description="Since when")
    expires_at: Moment | None = Field(description="Until when")
    revoked_at: Moment | None = Field(description="When it was ended")

    @classmethod
    def of(cls, token: Token) -> Self:
        """From a row of the index."""
        return cls(
            id=token.id,
            name=token.name,
            role=token.role,
            projects=sorted(token.projects),
            created_at=_moment(token.created_at),
            expires_at=_moment_or_none(token.expires_at),
            revoked_at=_moment_or_none(token.revoked_at),
        )


class TokenList(Shape):
    """All tokens."""

    tokens: list[TokenShape] = Field(description="The tokens, the newest first")


class NewTokenRequest(Shape):
    """A token to be made."""

    name: str = Field(max_length=64, description="1 to 64 letters, digits and . _ @ -")
    role: Role = Field(description="What it may do")
    projects: list[str] = Field(min_length=1, description="Where; * is everywhere")
    expires_at: datetime | None = Field(None, description="Until when; for ever otherwise")


class NewTokenShape(Shape):
    """A token just made."""

    token: TokenShape = Field(description="The grant")
    secret: str = Field(repr=False, description="What the program sends as Bearer; it is shown this once")

    @classmethod
    def of(cls, made: NewToken) -> Self:
        """From the token just made."""
        return cls(token=TokenShape.of(made.token), secret=made.secret)
