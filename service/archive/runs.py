"""Runs of annotators: what is to be done, who is at it, what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, String, cast, func, literal, select, update

from service.archive.database import Database, upsert
from service.archive.rows import RunRow, RunState, run_query, run_row
from service.archive.schema import runs, studies

Follow = Callable[[RunRow, Connection], object]


class RunTable:
    """Runs by study, annotator, series and inputs; workers hold them by leases that expire.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    follow : told of a run whose state has changed, in the transaction that changes it
    """

    def __init__(self, database: Database, clock: Callable[[], float], follow: Follow | None = None) -> None:
        self._database = database
        self._clock = clock
        self._follow = follow

    def enqueue(
        self,
        project: str,
        study_row_id: int,
        annotator: str,
        series_uid: str,
        inputs_digest: str,
        *,
        priority: int = 0,
        not_before: float = 0.0,
        performer: str = "",
        connection: Connection | None = None,
    ) -> tuple[RunRow, bool]:
        """The run of an annotator over a series with these inputs, and whether it is new; new ones are queued.

        The version counts the runs of this annotator over this series, from 1. Those of a higher priority are run
        first, and none before its time, unless somebody lets it go. With a ``performer`` it is
        nothing for the gateway's own workers.
        """
        same = (
            runs.c.study_id == study_row_id,
            runs.c.annotator == annotator,
            runs.c.series_uid == series_uid,
        )
        with self._database.write_or_join(connection) as transaction:
            # PostgreSQL: whoever numbers the next version of a study waits here.
            transaction.execute(select(studies.c.id).where(studies.c.id == study_row_id).with_for_update())
            last = transaction.execute(select(func.max(runs.c.version)).where(*same)).scalar_one()
            inserted = transaction.execute(
                upsert(transaction, runs).on_conflict_do_nothing().returning(runs.c.id),
                {
                    "project": project,
                    "study_id": study_row_id,
                    "annotator": annotator,
                    "series_uid": series_uid,
                    "inputs_digest": inputs_digest,
                    "version": (last or 0) + 1,
                    "queued_at": self._clock(),
                    "priority": priority,
                    "not_before": not_before,
                    "performer": performer,
                },
            ).one_or_none()
            row = transaction.execute(run_query().where(*same, runs.c.inputs_digest == inputs_digest)).one()
            if inserted is not None:
                self._tell([row.id], transaction)
        return run_row(row), inserted is not None

    def lease(self, owner: str, seconds: float, now: float | None = None) -> RunRow | None:
        """Take the run of the highest priority that has waited longest, for so many seconds; None when none waits."""
        now = self._clock() if now is None else now
        order = (runs.c.priority.desc(), runs.c.queued_at, runs.c.id)
        due = (runs.c.state == RunState.QUEUED, runs.c.performer == "", runs.c.not_before <= now)
        waiting = select(runs.c.id).where(*due).order_by(*order).limit(1)
        with self._database.read() as reader:
            # An idle worker's look does not keep writers waiting.
            if reader.execute(waiting).one_or_none() is None:
                return None
        with self._database.write() as transaction:
            run_id = transaction.execute(waiting.with_for_update(skip_locked=True)).scalar_one_or_none()
            if run_id is None:
                return None
            transaction.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(
                    state=RunState.RUNNING,
                    attempts=runs.c.attempts + 1,
                    lease_owner=owner,
                    lease_until=now + seconds,
                    started_at=now,
                )
            )
            self._tell([run_id], transaction)
            return run_row(transaction.execute(run_query().where(runs.c.id == run_id)).one())

    def held_back(self, project: str, annotator: str) -> dict[str, list[str]]:
        """Series of which runs wait for their time, by the study's UID as served."""
        query = (
            select(studies.c.study_uid, runs.c.series_uid)
            .select_from(runs.join(studies, runs.c.study_id == studies.c.id))
            .where(runs.c.project == project, runs.c.annotator == annotator)
            .where(runs.c.state == RunState.QUEUED, runs.c.not_before > self._clock())
            .order_by(runs.c.priority.desc(), runs.c.queued_at, runs.c.id)
        )
        held: dict[str, list[str]] = defaultdict(list)
        with self._database.read() as connection:
            for study_uid, series_uid in connection.execute(query):
                held[study_uid].append(series_uid)
        return dict(held)

    def let_go(self, project: str, annotator: str, study_uid: str) -> int:
        """Have runs wait no longer for their time; how many."""
        waits = (runs.c.annotator == annotator) & (runs.c.state == RunState.QUEUED) & (runs.c.not_before > 0)
        return self._change(project, study_uid, waits, {"not_before": 0.0})

    def claim(self, run_id: int, owner: str, seconds: float, connection: Connection) -> bool:
        """Take a run that waits for somebody outside; False when it does not."""
        now = self._clock()
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.state == RunState.QUEUED, runs.c.performer != "")
            .values(
                state=RunState.RUNNING,
                attempts=runs.c.attempts + 1,
                lease_owner=owner,
                lease_until=now + seconds,
                started_at=now,
            )
        )
        return connection.execute(statement).rowcount == 1

    def cancel(self, run_id: int, reason: str, connection: Connection) -> bool:
        """Refuse a run that waits or is at work; whoever works on it stores nothing. False when it has ended."""
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.state.in_([RunState.QUEUED, RunState.RUNNING]))
            .values(
                state=RunState.REFUSED,
                reason=reason,
                lease_owner="",
                lease_until=None,
                finished_at=self._clock(),
            )
        )
        return connection.execute(statement).rowcount == 1

    def any_waiting(self) -> bool:
        """Whether there is anything for the gateway's own workers."""
        query = select(runs.c.id).where(runs.c.state == RunState.QUEUED, runs.c.performer == "").limit(1)
        with self._database.read() as connection:
            return connection.execute(query).one_or_none() is not None

    def renew(
        self,
        run_id: int,
        owner: str,
        seconds: float,
        now: float | None = None,
        *,
        connection: Connection | None = None,
    ) -> bool:
        """Hold a run for longer; False when it is not the owner's any more."""
        now = self._clock() if now is None else now
        statement = update(runs).where(_held_by(run_id, owner)).values(lease_until=now + seconds)
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement).rowcount == 1

    def give_back(self, run_id: int, owner: str) -> bool:
        """Queue a run again as if it had not been taken; False when it is not the owner's (any more)."""
        statement = (
            update(runs)
            .where(*_held_by(run_id, owner))
            .values(state=RunState.QUEUED, attempts=runs.c.attempts - 1, lease_owner="", lease_until=None)
        )
        with self._database.write() as transaction:
            return transaction.execute(statement).rowcount == 1

    def finish(
        self,
        run_id: int,
        owner: str,
        state: RunState,
        *,
        reason: str = "",
        summary: str = "",
        findings: str = "[]",
        connection: Connection | None = None,
    ) -> bool:
        """End a run as done, refused or failed; False, and nothing changed, when it is not the owner's any more.

        In one transaction with what the run stores (``connection``), a run whose lease was lost stores nothing.
        """
        if state not in {RunState.DONE, RunState.REFUSED, RunState.FAILED}:
            raise ValueError(f"a run does not end as {state}")
        statement = (
            update(runs)
            .where(_held_by(run_id, owner))
            .values(
                state=state,
                reason=reason,
                summary=summary,
                findings=findings,
                lease_owner="",
                lease_until=None,
                finished_at=self._clock(),
            )
        )
        with self._database.write_or_join(connection) as transaction:
            ended = transaction.execute(statement).rowcount == 1
            if ended:
                self._tell([run_id], transaction)
            return ended

    def requeue_expired(self, max_attempts: int, now: float | None = None) -> tuple[int, int]:
        """Queue again what dead workers held; what was tried so often already has failed. Numbers of both."""
        now = self._clock() if now is None else now
        expired = (runs.c.state == RunState.RUNNING) & (runs.c.lease_until < now)
        with self._database.read() as reader:
            if reader.execute(select(runs.c.id).where(expired).limit(1)).one_or_none() is None:
                return 0, 0
        released = {"lease_owner": "", "lease_until": None}
        with self._database.write() as transaction:
            changed = list(transaction.execute(select(runs.c.id).where(expired)).scalars())
            failed = transaction.execute(
                update(runs)
                .where(expired, runs.c.attempts >= max_attempts)
                .values(
                    state=RunState.FAILED,
                    reason=f"the worker ended before the run did, {max_attempts} times",
                    finished_at=now,
                    **released,
                )
            ).rowcount
            requeued = transaction.execute(
                update(runs).where(expired).values(state=RunState.QUEUED, **released)
            ).rowcount
            self._tell(changed, transaction)
        return requeued, failed

    def retry(self, run_id: int, *, connection: Connection | None = None) -> bool:
        """Queue a failed or refused run again, its attempts forgotten; False when it is neither."""
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.state.in_([RunState.FAILED, RunState.REFUSED]))
            .values(state=RunState.QUEUED, reason="", attempts=0, queued_at=self._clock(), finished_at=None)
        )
        with self._database.write_or_join(connection) as transaction:
            queued = transaction.execute(statement).rowcount == 1
            if queued:
                self._tell([run_id], transaction)
            return queued

    def stop(
        self,
        project: str,
        study_uid: str,
        series_uids: Sequence[str],
        reason: str,
        *,
        connection: Connection | None = None,
    ) -> int:
        """Refuse what is queued or at work on some series; whoever works on it stores nothing. How many runs."""
        return self._change(
            project,
            study_uid,
            runs.c.state.in_([RunState.QUEUED, RunState.RUNNING]) & runs.c.series_uid.in_(list(series_uids)),
            {
                "state": RunState.REFUSED,
                "reason": reason,
                "lease_owner": "",
                "lease_until": None,
                "finished_at": self._clock(),
            },
            connection,
        )

    def outdate(self, project: str, study_uid: str, series_uids: Sequence[str]) -> int:
        """Have runs of some series happen again when their study is complete with the same images. How many."""
        marked = func.substr(literal("again ").concat(cast(runs.c.id, String)).concat(" "), 1, 16)
        # The digest is what makes two runs the same: a mark in front of it leaves room for another run.
        return self._change(
            project,
            study_uid,
            runs.c.series_uid.in_(list(series_uids)) & runs.c.state.in_([RunState.DONE, RunState.REFUSED]),
            {"inputs_digest": marked.concat(func.substr(runs.c.inputs_digest, 1, 40))},
        )

    def _change(
        self,
        project: str,
        study_uid: str,
        wanted: ColumnElement[bool],
        values: Mapping[str, object],
        connection: Connection | None = None,
    ) -> int:
        study = select(studies.c.id).where(studies.c.project == project, studies.c.study_uid == study_uid)
        with self._database.write_or_join(connection) as transaction:
            held = select(runs.c.id).where(runs.c.study_id.in_(study), wanted).with_for_update()
            changed = list(transaction.execute(held).scalars())
            transaction.execute(update(runs).where(runs.c.id.in_(changed)).values(**values))
            if "state" in values:
                self._tell(changed, transaction)
            return len(changed)

    def _tell(self, run_ids: Sequence[int], connection: Connection) -> None:
        """Have it known what has become of some runs."""
        if self._follow is None or not run_ids:
            return
        for row in connection.execute(run_query().where(runs.c.id.in_(list(run_ids))).order_by(runs.c.id)).all():
            self._follow(run_row(row), connection)

    def get(self, run_id: int, connection: Connection | None = None) -> RunRow | None:
        """One run; as the transaction at hand left it, where there is one."""
        query = run_query().where(runs.c.id == run_id)
        if connection is not None:
            row = connection.execute(query).one_or_none()
            return None if row is None else run_row(row)
        with self._database.read() as reader:
            row = reader.execute(query).one_or_none()
        return None if row is None else run_row(row)

    def of_study(self, project: str, study_uid: str) -> list[RunRow]:
        """The runs of a study, by annotator, series and version."""
        query = (
            run_query()
            .where(studies.c.project == project, studies.c.study_uid == study_uid)
            .order_by(runs.c.annotator, runs.c.series_uid, runs.c.version)
        )
        with self._database.read() as connection:
            return [run_row(row) for row in connection.execute(query)]

    def counts(self, project: str | None = None) -> dict[RunState, int]:
        """How many runs stand in each state."""
        query = select(runs.c.state, func.count()).group_by(runs.c.state)
        if project is not None:
            query = query.where(runs.c.project == project)
        with self._database.read() as connection:
            found = {RunState(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in RunState}


def _held_by(run_id: int, owner: str) -> ColumnElement[bool]:
    return (runs.c.id == run_id) & (runs.c.state == RunState.RUNNING) & (runs.c.lease_owner == owner)
