"""Studies that are fetched from peers."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from service.core.pulls import PullRow
from service.fetching.desk import PullReport
from service.web.api.shapes import Moment, Shape, Text, Whole, moment, moment_or_none


class PullAsked(Shape):
    """Which studies of which peer; the criteria are identity and are never told again."""

    peer: Text = Field(max_length=64, description="Name of the peer in the configuration")
    accession: Text | None = Field(None, max_length=64, description="Accession number, as the peer has it")
    patient_id: Text | None = Field(None, max_length=64, description="Patient ID, as the peer has it")
    study_uid: Text | None = Field(None, max_length=64, description="Study Instance UID, as the peer has it")
    keys: dict[str, Text] = Field(default_factory=dict, description="Further keys by keyword, such as StudyDate")
    priors_of: Text | None = Field(None, max_length=64, description="Instead: a study that is here, as served")
    count: Whole = Field(1, ge=1, le=100, description="How many of its priors")

    def criteria(self) -> dict[str, str]:
        """By keyword."""
        named = {"AccessionNumber": self.accession, "PatientID": self.patient_id, "StudyInstanceUID": self.study_uid}
        return {keyword: value for keyword, value in named.items() if value} | self.keys


class PulledStudy(Shape):
    """One study that a request came to."""

    study_uid: str = Field(description="Study Instance UID, as served")
    state: str = Field(description="waiting, here or incomplete")
    expected: int | None = Field(description="Objects that the peer counts, once it was asked")
    held: int = Field(description="Those of them that are here")
    reason: str = Field(description="What is missing, in words")


class PullShape(Shape):
    """One request."""

    id: int = Field(description="Number of the request")
    project: str = Field(description="Where the studies go")
    peer: str = Field(description="Where they come from")
    state: str = Field(description="waiting, done, incomplete, failed or cancelled")
    reason: str = Field(description="What stands in its way, in words")
    requested_by: str = Field(description="Who asked")
    requested_at: Moment = Field(description="When")
    attempts: int = Field(description="How often the peer failed")
    finished_at: Moment | None = Field(description="When it was over")
    priors_of: str = Field(description="The study whose priors these are, as served; empty for others")
    studies: list[PulledStudy] = Field(description="What it came to; empty in a list of requests")

    @classmethod
    def of(cls, row: PullRow, report: PullReport | None = None) -> Self:
        """From rows of the index."""
        names = ("id", "project", "peer", "reason", "requested_by", "attempts")
        return cls(
            **{name: getattr(row, name) for name in names},
            state=str(row.state),
            requested_at=moment(row.requested_at),
            finished_at=moment_or_none(row.finished_at),
            priors_of=row.origin_study_uid,
            studies=[
                PulledStudy(
                    study_uid=study.study_uid,
                    state=str(study.state),
                    expected=study.expected,
                    held=study.held,
                    reason=study.reason,
                )
                for study in (report.studies if report is not None else ())
            ],
        )


class PullList(Shape):
    """Requests, the newest first."""

    pulls: list[PullShape] = Field(description="The requests")
