"""What happens inside, in counts, and what the runs of a page of studies came to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Connection, Table, func, literal, select

from service.archive.database import Database
from service.archive.rows import RunRow, run_query, run_row
from service.archive.schema import (
    conflicts,
    counters,
    deletions,
    instances,
    intake,
    quarantine,
    runs,
    studies,
    workitems,
)
from service.core.deletion import DeletionState
from service.core.workitem import WorkitemState


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of one table stand in one state, in one project."""

    project: str
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The tallies of every table that says how far something came.

    Instances are "stored" (by kind it would take a walk through the whole index); conflicts stand under what was done.
    In the trash are instances, by the state of the deletion that took them; work items are those that are not ended.
    """

    studies: tuple[Tally, ...]
    instances: tuple[Tally, ...]
    intake: tuple[Tally, ...]
    quarantine: tuple[Tally, ...]
    runs: tuple[Tally, ...]
    conflicts: tuple[Tally, ...]
    trash: tuple[Tally, ...]
    workitems: tuple[Tally, ...]
    counters: tuple[Tally, ...]

    def within(self, projects: Collection[str]) -> Counts:
        """The tallies of these projects, and of the gateway as a whole, which stand under no project."""
        names = {*projects, ""}
        kept = {
            name: tuple(tally for tally in getattr(self, name) if tally.project in names) for name in self.__slots__
        }
        return Counts(**kept)


class Overview:
    """Reads the index for people and monitoring; holds no identity.

    Parameters
    ----------
    monotonic : a clock in seconds that never goes back
    remember_s : for how long counts are given again; counting a million rows takes some tenths of a second
    """

    def __init__(self, database: Database, monotonic: Callable[[], float], remember_s: float = 2.0) -> None:
        self._database = database
        self._monotonic = monotonic
        self._remember_s = remember_s
        self._lock = threading.Lock()
        self._last: tuple[float, Counts] | None = None

    def counts(self) -> Counts:
        """How many of everything there are, in one snapshot."""
        with self._lock:
            if self._last is None or self._monotonic() - self._last[0] >= self._remember_s:
                self._last = (self._monotonic(), self._counted())
            return self._last[1]

    def _counted(self) -> Counts:
        with self._database.read() as connection:
            return Counts(
                studies=_tallies(connection, studies, studies.c.state),
                instances=_tallies(connection, instances, literal("stored")),
                intake=_tallies(connection, intake, intake.c.state),
                quarantine=_tallies(connection, quarantine, quarantine.c.state),
                runs=_tallies(connection, runs, runs.c.state),
                conflicts=_tallies(connection, conflicts, conflicts.c.action),
                trash=_in_trash(connection),
                workitems=_open_workitems(connection),
                counters=_counters(connection),
            )

    def runs_of(self, study_row_ids: Collection[int]) -> dict[int, list[RunRow]]:
        """The newest run of each annotator on each series, by the index's key of the study."""
        newest = (
            select(func.max(runs.c.id))
            .where(runs.c.study_id.in_(study_row_ids))
            .group_by(runs.c.study_id, runs.c.annotator, runs.c.series_uid)
        )
        query = run_query().where(runs.c.id.in_(newest)).order_by(runs.c.annotator, runs.c.id)
        found: dict[int, list[RunRow]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                run = run_row(row)
                found.setdefault(run.study_row_id, []).append(run)
        return found


def _tallies(connection: Connection, table: Table, state: ColumnElement[str]) -> tuple[Tally, ...]:
    grouped = (table.c.project, state) if isinstance(state, Column) else (table.c.project,)
    query = select(table.c.project, state, func.count()).group_by(*grouped).order_by(*grouped)
    return tuple(Tally(project, word, int(count)) for project, word, count in connection.execute(query))


def _in_trash(connection: Connection) -> tuple[Tally, ...]:
    """As many as deletions took; of one that is being removed some may be gone."""
    there = deletions.c.state.in_([str(DeletionState.TRASHED), str(DeletionState.REMOVING)])
    grouped = (deletions.c.project, deletions.c.state)
    query = select(*grouped, func.sum(deletions.c.instances)).where(there).group_by(*grouped).order_by(*grouped)
    return tuple(Tally(project, state, int(count)) for project, state, count in connection.execute(query))


def _open_workitems(connection: Connection) -> tuple[Tally, ...]:
    unfinished = [str(state) for state in WorkitemState if not state.is_final]
    grouped = (workitems.c.project, workitems.c.state)
    query = select(*grouped, func.count()).where(workitems.c.state.in_(unfinished))
    rows = connection.execute(query.group_by(*grouped).order_by(*grouped))
    return tuple(Tally(project, state, int(count)) for project, state, count in rows)


def _counters(connection: Connection) -> tuple[Tally, ...]:
    query = select(counters.c.project, counters.c.name, counters.c.value).order_by(counters.c.project, counters.c.name)
    return tuple(Tally(project, name, int(value)) for project, name, value in connection.execute(query))
