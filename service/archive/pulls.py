"""Requests to fetch studies from peers, in the index: any number of processes may work on them, by leases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import case, func, or_, select, update

from service.archive.database import Database, hold_alone, upsert
from service.archive.rows import AnyRow
from service.archive.schema import pull_studies, pulls, studies
from service.core.pulls import NewPull, PullRow, PullState, StudyPullRow, StudyPullState


class PullTable:
    """Pulls and the studies that each of them comes to.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, new: NewPull) -> PullRow:
        """Note a request; one for the same that is still open is the same request."""
        now = self._clock()
        with self._database.write() as transaction:
            hold_alone(transaction, pulls)  # two who ask at once find each other's
            same = (pulls.c.project == new.project, pulls.c.digest == new.digest, pulls.c.state == PullState.WAITING)
            held = transaction.execute(select(pulls).where(*same)).first()
            if held is not None:
                return _pull(held)
            values = {
                "project": new.project,
                "peer": new.peer,
                "sealed": new.sealed,
                "digest": new.digest,
                "requested_by": new.requested_by,
                "origin_study_uid": new.origin_study_uid,
                "annotator": new.annotator,
                "requested_at": now,
                "next_at": now,
            }
            number = transaction.execute(pulls.insert().values(**values)).inserted_primary_key
            assert number is not None  # noqa: S101 -- an insert of one row has one
            return _pull(transaction.execute(select(pulls).where(pulls.c.id == number[0])).one())

    def lease(self, owner: str, seconds: float) -> PullRow | None:
        """Take the pull that has been due the longest; None when none is due."""
        now = self._clock()
        due = (
            pulls.c.state == PullState.WAITING,
            pulls.c.next_at <= now,
            or_(pulls.c.lease_until <= now, pulls.c.lease_owner == owner),
        )
        with self._database.write() as transaction:
            query = select(pulls.c.id).where(*due).order_by(pulls.c.next_at, pulls.c.id).limit(1)
            number = transaction.execute(query).scalar()
            if number is None:
                return None
            taken = update(pulls).where(pulls.c.id == number, *due)
            if not transaction.execute(taken.values(lease_owner=owner, lease_until=now + seconds)).rowcount:
                return None
            return _pull(transaction.execute(select(pulls).where(pulls.c.id == number)).one())

    def renew(self, pull_id: int, owner: str, seconds: float) -> bool:
        """Hold a pull on; False when it was cancelled, or somebody else has it."""
        own = (pulls.c.id == pull_id, pulls.c.lease_owner == owner, pulls.c.state == PullState.WAITING)
        with self._database.write() as transaction:
            values = {"lease_until": self._clock() + seconds}
            return bool(transaction.execute(update(pulls).where(*own).values(**values)).rowcount)

    def due_in(self) -> float | None:
        """Seconds until a pull is due that nobody holds; None when none waits."""
        with self._database.read() as connection:
            later = case((pulls.c.next_at > pulls.c.lease_until, pulls.c.next_at), else_=pulls.c.lease_until)
            moment = func.min(later)
            at = connection.execute(select(moment).where(pulls.c.state == PullState.WAITING)).scalar()
        return None if at is None else max(0.0, float(at) - self._clock())

    def postpone(self, pull: PullRow, reason: str, pause_s: float) -> None:
        """Try again later, because of what the peer did."""
        self._set(pull.id, attempts=pull.attempts + 1, reason=reason, next_at=self._clock() + pause_s, lease_until=0)

    def release(self, pull_id: int, pause_s: float = 0.0) -> None:
        """Give a pull back that is not over; this counts as no attempt."""
        self._set(pull_id, next_at=self._clock() + pause_s, lease_until=0)

    def finish(self, pull_id: int, state: PullState, reason: str = "") -> None:
        """Note how a pull ended."""
        self._set(pull_id, state=state, reason=reason, finished_at=self._clock(), lease_until=0)

    def cancel(self, project: str, pull_id: int) -> bool:
        """End a pull that is not over; False when it is, or there is none."""
        open_one = (pulls.c.id == pull_id, pulls.c.project == project, pulls.c.state == PullState.WAITING)
        values = {"state": PullState.CANCELLED, "finished_at": self._clock()}
        with self._database.write() as transaction:
            return bool(transaction.execute(update(pulls).where(*open_one).values(**values)).rowcount)

    def add_studies(self, pull: PullRow, found: Iterable[tuple[str, bytes, str]]) -> None:
        """Note what a pull came to: digest, sealed note and served UID of each study; known ones stay as they are."""
        rows = [
            {
                "pull_id": pull.id,
                "project": pull.project,
                "digest": digest,
                "sealed": sealed,
                "study_uid": study_uid,
                "updated_at": self._clock(),
            }
            for digest, sealed, study_uid in found
        ]
        if rows:
            with self._database.write() as transaction:
                transaction.execute(upsert(transaction, pull_studies).on_conflict_do_nothing(), rows)

    def set_study(
        self, study_id: int, state: StudyPullState, *, expected: int | None, held: int, reason: str = ""
    ) -> None:
        """Note how far a study came."""
        values = {"state": state, "expected": expected, "held": held, "reason": reason, "updated_at": self._clock()}
        with self._database.write() as transaction:
            transaction.execute(update(pull_studies).where(pull_studies.c.id == study_id).values(**values))

    def of(self, pull_id: int) -> PullRow | None:
        """One pull."""
        with self._database.read() as connection:
            row = connection.execute(select(pulls).where(pulls.c.id == pull_id)).first()
        return None if row is None else _pull(row)

    def studies_of(self, pull_id: int) -> list[StudyPullRow]:
        """The studies of a pull, as they were found."""
        query = select(pull_studies).where(pull_studies.c.pull_id == pull_id).order_by(pull_studies.c.id)
        with self._database.read() as connection:
            return [_study(row) for row in connection.execute(query)]

    def newest(self, projects: Sequence[str] | None = None, limit: int = 100) -> list[PullRow]:
        """The latest requests, of some projects or of all."""
        query = select(pulls).order_by(pulls.c.id.desc()).limit(limit)
        if projects is not None:
            query = query.where(pulls.c.project.in_(projects))
        with self._database.read() as connection:
            return [_pull(row) for row in connection.execute(query)]

    def without_priors(self, project: str, since: float, limit: int = 20) -> list[str]:
        """Served UIDs of complete studies that came by themselves and whose priors nobody asked for yet."""
        asked = select(pulls.c.id).where(
            pulls.c.project == project, pulls.c.origin_study_uid == studies.c.study_uid, pulls.c.annotator == ""
        )
        fetched = select(pull_studies.c.id).where(
            pull_studies.c.project == project, pull_studies.c.study_uid == studies.c.study_uid
        )
        query = (
            select(studies.c.study_uid)
            .where(studies.c.project == project, studies.c.state == "complete", studies.c.completed_at >= since)
            .where(~asked.exists(), ~fetched.exists())
            .order_by(studies.c.completed_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def asked_by(self, project: str, annotator: str, study_uid: str) -> PullRow | None:
        """The latest request for a study's priors that was made for an annotator."""
        query = select(pulls).where(
            pulls.c.project == project, pulls.c.origin_study_uid == study_uid, pulls.c.annotator == annotator
        )
        with self._database.read() as connection:
            row = connection.execute(query.order_by(pulls.c.id.desc()).limit(1)).first()
        return None if row is None else _pull(row)

    def is_prior(self, project: str, study_uid: str) -> bool:
        """Whether a study, named as served, was asked for as another one's prior."""
        query = (
            select(pull_studies.c.id)
            .select_from(pull_studies.join(pulls, pull_studies.c.pull_id == pulls.c.id))
            .where(pull_studies.c.project == project, pull_studies.c.study_uid == study_uid)
            .where(pulls.c.origin_study_uid != "")
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _set(self, pull_id: int, **values: object) -> None:
        # What somebody cancelled stays so.
        still = (pulls.c.id == pull_id, pulls.c.state == PullState.WAITING)
        with self._database.write() as transaction:
            transaction.execute(update(pulls).where(*still).values(**values))


def _pull(row: AnyRow) -> PullRow:
    values = dict(row._mapping)
    return PullRow(**values | {"state": PullState(values["state"])})


def _study(row: AnyRow) -> StudyPullRow:
    values = dict(row._mapping)
    return StudyPullRow(**values | {"state": StudyPullState(values["state"])})
