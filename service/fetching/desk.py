"""Where people, programs and the gateway itself ask for studies of peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.archive.pulls import PullTable
from service.core.archived import SeriesRow
from service.core.pulls import PullRow, StudyPullRow
from service.errors import BadRequest, InstanceNotFound
from service.fetching.request import PullNotes, PullRequest


@dataclass(frozen=True, slots=True)
class OriginalStudy:
    """Whose study one of the archive is, in the words of the peer that it came from."""

    study_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)
    date: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Priors:
    """How many earlier studies of a patient are wanted with a new one, and of which peer.

    Parameters
    ----------
    days : how far back
    same_modality, same_body_part : only studies with a series like those that they are wanted for
    """

    peer: str
    studies: int
    days: int | None = None
    same_modality: bool = False
    same_body_part: bool = False

    def since(self, date: str) -> str:
        """The first day (YYYYMMDD) that counts for a study of a day; "" where every one does."""
        try:
            day = datetime.strptime(date, "%Y%m%d")
            return "" if self.days is None else (day - timedelta(days=self.days)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return ""


@dataclass(frozen=True, slots=True)
class PullReport:
    """One request with the studies that it came to; no identity."""

    pull: PullRow
    studies: tuple[StudyPullRow, ...]


class PullDesk:
    """Takes requests and tells how far they came.

    Parameters
    ----------
    peers : those that studies may be fetched from
    original_of : whose study is served under a UID; raises `InstanceNotFound` for none
    priors : by project, what is fetched with each study that completes
    on_request : told of each request with the words for the trail
    """

    def __init__(
        self,
        *,
        table: PullTable,
        notes: PullNotes,
        projects: Sequence[str],
        peers: Sequence[str],
        original_of: Callable[[str, str], OriginalStudy],
        priors: Mapping[str, Priors],
        on_request: Callable[[PullRow], None],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._notes = notes
        self._projects = frozenset(projects)
        self._peers = frozenset(peers)
        self._original_of = original_of
        self._priors = dict(priors)
        self._on_request = on_request
        self._clock = clock

    def request(
        self,
        project: str,
        peer: str,
        request: PullRequest,
        by: str,
        *,
        origin_study_uid: str = "",
        annotator: str = "",
    ) -> PullRow:
        """Ask for studies; the same request that is still open stays one.

        Raises
        ------
        BadRequest : there is no such project or peer
        """
        if project not in self._projects:
            raise BadRequest(f"there is no project {project!r}")
        if peer not in self._peers:
            raise BadRequest(f"there is no peer {peer!r} in [peers]")
        pull = self._table.add(self._notes.new_pull(project, peer, request, by, origin_study_uid, annotator))
        self._on_request(pull)
        return pull

    def request_priors(
        self,
        project: str,
        study_uid: str,
        priors: Priors,
        by: str,
        *,
        annotator: str = "",
        series: Sequence[SeriesRow] = (),
    ) -> PullRow:
        """Ask for the latest studies of a patient before one that is here.

        Parameters
        ----------
        study_uid : as served
        annotator : whose runs wait for them
        series : of the study, those that they are wanted for

        Raises
        ------
        InstanceNotFound : there is no such study, or nobody knows any more whose it is
        BadRequest : there is no such project or peer
        """
        original = self._original_of(project, study_uid)
        if not original.patient_id:
            raise InstanceNotFound("the study came without a Patient ID: its priors cannot be asked for")
        keys = {"PatientID": original.patient_id}
        if original.issuer:
            keys["IssuerOfPatientID"] = original.issuer
        modalities = {one.modality for one in series if priors.same_modality}
        body_parts = {one.body_part.upper() for one in series if priors.same_body_part}
        request = PullRequest(
            keys,
            original.date,
            original.study_uid,
            priors.studies,
            since=priors.since(original.date),
            modalities=tuple(sorted(modalities - {""})),
            body_parts=tuple(sorted(body_parts - {""})),
        )
        return self.request(project, priors.peer, request, by, origin_study_uid=study_uid, annotator=annotator)

    def request_due_priors(self, since_s: float, by: str) -> int:
        """Ask for the priors of studies that completed lately in projects that want them; how many were asked for."""
        asked = 0
        for project, priors in self._priors.items():
            for study_uid in self._table.without_priors(project, self._clock() - since_s):
                try:
                    self.request_priors(project, study_uid, priors, by)
                except InstanceNotFound:
                    continue  # without a Patient ID there is nothing to ask for
                asked += 1
        return asked

    def report(self, pull_id: int) -> PullReport:
        """One request.

        Raises
        ------
        InstanceNotFound : there is none
        """
        pull = self._table.of(pull_id)
        if pull is None:
            raise InstanceNotFound(f"there is no pull {pull_id}")
        return PullReport(pull, tuple(self._table.studies_of(pull.id)))

    def newest(self, projects: Sequence[str] | None = None, limit: int = 100) -> list[PullRow]:
        """The latest requests."""
        return self._table.newest(projects, limit)

    def cancel(self, project: str, pull_id: int) -> bool:
        """End a request that is not over; False when it is."""
        return self._table.cancel(project, pull_id)
