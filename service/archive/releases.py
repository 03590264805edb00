"""Versions of results: which may leave, which wait, which were taken back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from service.archive.database import Database, upsert
from service.archive.rows import AnyRow
from service.archive.schema import releases
from service.core.deliveries import ReleaseRow, ReleaseState


class ReleaseTable:
    """Releases by project and study; one for each run.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def open(
        self,
        *,
        project: str,
        study_uid: str,
        annotator: str,
        objects: Mapping[str, Sequence[str]],
        series_uid: str = "",
        run_id: int | None = None,
        version: int = 1,
        connection: Connection | None = None,
    ) -> None:
        """Note a result that waits for its release; earlier versions of it that wait do so no longer.

        Parameters
        ----------
        objects : SOP Instance UIDs by form, in the order in which they are to leave
        series_uid : of what was looked at, as served
        """
        earlier = (
            releases.c.project == project,
            releases.c.study_uid == study_uid,
            releases.c.annotator == annotator,
            releases.c.series_uid == series_uid,
            releases.c.version < version,
            releases.c.state == ReleaseState.WAITING,
        )
        with self._database.write_or_join(connection) as transaction:
            transaction.execute(
                update(releases).where(*earlier).values(state=ReleaseState.SUPERSEDED, decided_at=self._clock())
            )
            transaction.execute(
                upsert(transaction, releases).on_conflict_do_nothing(),
                {
                    "project": project,
                    "study_uid": study_uid,
                    "series_uid": series_uid,
                    "annotator": annotator,
                    "run_id": run_id,
                    "version": version,
                    "objects": json.dumps({form: list(uids) for form, uids in objects.items()}),
                    "created_at": self._clock(),
                },
            )

    def get(self, release_id: int) -> ReleaseRow | None:
        """One release."""
        with self._database.read() as connection:
            row = connection.execute(select(releases).where(releases.c.id == release_id)).one_or_none()
        return None if row is None else release_row(row)

    def of_study(self, project: str, study_uid: str) -> list[ReleaseRow]:
        """The releases of a study, by annotator, then the newest first."""
        return self._found(
            (releases.c.project == project, releases.c.study_uid == study_uid),
            (releases.c.annotator, releases.c.id.desc()),
        )

    def page(
        self, project: str | None = None, *, state: ReleaseState | None = None, limit: int = 100, offset: int = 0
    ) -> list[ReleaseRow]:
        """Releases in a state (None: in any), the newest first."""
        wanted: list[ColumnElement[bool]] = []
        if project is not None:
            wanted.append(releases.c.project == project)
        if state is not None:
            wanted.append(releases.c.state == state)
        return self._found(wanted, (releases.c.id.desc(),), limit, offset)

    def waiting_of(self, pairs: Iterable[tuple[str, Sequence[str]]], limit: int = 100) -> list[ReleaseRow]:
        """What waits in these projects, made by these annotators, the oldest first."""
        each = [(releases.c.project == project) & releases.c.annotator.in_(names) for project, names in pairs]
        if not each:
            return []
        return self._found((releases.c.state == ReleaseState.WAITING, or_(*each)), (releases.c.id,), limit)

    def annotators_of(self, project: str) -> list[str]:
        """Whose results wait in a project."""
        query = (
            select(releases.c.annotator)
            .where(releases.c.project == project, releases.c.state == ReleaseState.WAITING)
            .distinct()
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def decide(
        self,
        release_id: int,
        state: ReleaseState,
        by: str,
        *,
        of: Sequence[ReleaseState] = (ReleaseState.WAITING,),
        reason: str = "",
        recall_code: str = "",
        connection: Connection | None = None,
    ) -> bool:
        """Move a release out of one of the states; False when it is in none of them (any more)."""
        statement = (
            update(releases)
            .where(releases.c.id == release_id, releases.c.state.in_(list(of)))
            .values(state=state, decided_at=self._clock(), decided_by=by, reason=reason, recall_code=recall_code)
        )
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement).rowcount == 1

    def counts(self, project: str) -> dict[str, int]:
        """How many releases of a project stand in each state."""
        query = select(releases.c.state, func.count()).where(releases.c.project == project).group_by(releases.c.state)
        with self._database.read() as connection:
            return dict(connection.execute(query).all())

    def _found(
        self,
        wanted: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[object]],
        limit: int = 1000,
        offset: int = 0,
    ) -> list[ReleaseRow]:
        query = select(releases).where(*wanted).order_by(*order).limit(limit).offset(offset)
        with self._database.read() as connection:
            return [release_row(row) for row in connection.execute(query)]


def release_row(row: AnyRow) -> ReleaseRow:
    """A row of ``releases``."""
    values = dict(row._mapping)
    return ReleaseRow(
        **values | {"state": ReleaseState(values["state"]), "objects": objects_of(values["objects"])},
    )


def objects_of(text: str) -> dict[str, tuple[str, ...]]:
    """Objects by form, as releases and deliveries keep them."""
    return {form: tuple(uids) for form, uids in json.loads(text).items()}
