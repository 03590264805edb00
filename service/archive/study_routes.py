"""What routing rules said of studies, and what says that they are complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, and_, case, delete, func, or_, select

from service.archive.database import Database, upsert
from service.archive.schema import instances, studies, study_routes, study_signs

_CHUNK = 500


class SignKind(StrEnum):
    """What says that a study is complete, besides quiet."""

    COMMITMENT = "commitment"
    """Its sender asked for storage commitment, and all that it named is kept."""
    NOTIFICATION = "notification"
    """An Instance Availability Notification named its instances."""
    COUNT = "count"
    """The peer told how many instances it has of it."""


@dataclass(frozen=True, slots=True)
class StudyRoute:
    """What rules said of one study; ``annotators`` is None where they left that to the project."""

    priority: int = 0
    annotators: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign, given at a time; it holds once there are so many images."""

    kind: SignKind
    at: float
    images: int


class StudyRouteTable:
    """Routes and signs by project and study, in UIDs as served.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def put(self, project: str, study_uid: str, route: StudyRoute, *, connection: Connection | None = None) -> None:
        """Note what a rule said; the highest priority counts, and the annotators that were named last."""
        named = "" if route.annotators is None else json.dumps(route.annotators)
        values = {"project": project, "study_uid": study_uid, "priority": route.priority, "annotators": named}
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, study_routes)
            held, said = study_routes.c, statement.excluded
            # One statement, which sees what another process says at the same time; what changes nothing is not written.
            statement = statement.on_conflict_do_update(
                index_elements=[held.project, held.study_uid],
                set_={
                    "priority": case((said.priority > held.priority, said.priority), else_=held.priority),
                    "annotators": case((said.annotators == "", held.annotators), else_=said.annotators),
                },
                where=or_(
                    said.priority > held.priority, and_(said.annotators != "", said.annotators != held.annotators)
                ),
            )
            transaction.execute(statement, values)

    def of(self, project: str, study_uid: str) -> StudyRoute:
        """What rules said of a study."""
        query = select(study_routes.c.priority, study_routes.c.annotators).where(
            study_routes.c.project == project, study_routes.c.study_uid == study_uid
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return StudyRoute()
        return StudyRoute(row.priority, tuple(json.loads(row.annotators)) if row.annotators else None)

    def give_sign(self, project: str, study_uid: str, kind: SignKind, at: float, images: int = 0) -> None:
        """Note a sign; a later one of the same kind takes its place."""
        values = {"project": project, "study_uid": study_uid, "kind": kind, "at": at, "images": images}
        with self._database.write() as transaction:
            statement = upsert(transaction, study_signs)
            key = [study_signs.c.project, study_signs.c.study_uid, study_signs.c.kind]
            transaction.execute(
                statement.on_conflict_do_update(
                    index_elements=key, set_={"at": statement.excluded.at, "images": statement.excluded.images}
                ),
                values,
            )

    def signs(self, project: str, study_uid: str) -> list[Sign]:
        """The signs of a study."""
        query = select(study_signs).where(study_signs.c.project == project, study_signs.c.study_uid == study_uid)
        with self._database.read() as connection:
            return [Sign(SignKind(row.kind), row.at, row.images) for row in connection.execute(query)]

    def studies_of(self, project: str, sop_instance_uids: Sequence[str]) -> set[str]:
        """The studies that instances are in, both in UIDs as served."""
        found: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(sop_instance_uids), _CHUNK):
                chunk = list(sop_instance_uids[start : start + _CHUNK])
                query = (
                    select(studies.c.study_uid)
                    .join(instances, instances.c.study_id == studies.c.id)
                    .where(instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
                    .distinct()
                )
                found.update(connection.execute(query).scalars())
        return found

    def images(self, study_row_id: int) -> int:
        """How many instances a study has that came from outside."""
        query = select(func.count()).where(
            instances.c.study_id == study_row_id, instances.c.visible, instances.c.kind != "result"
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def forget_signs(self, project: str, study_uid: str, *, connection: Connection | None = None) -> None:
        """The study became complete: what comes later needs signs of its own."""
        with self._database.write_or_join(connection) as transaction:
            transaction.execute(
                delete(study_signs).where(study_signs.c.project == project, study_signs.c.study_uid == study_uid)
            )
