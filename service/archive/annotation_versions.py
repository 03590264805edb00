"""Versions of annotations in the index. Rows are added, never changed: what was said stays said.

Whoever adds a version holds the study's row, as whoever adds to the study does: two who save at once get one number
after the other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from service.archive.database import Database
from service.archive.rows import AnyRow
from service.archive.schema import (
    annotation_marks,
    annotation_objects,
    annotation_versions,
    instances,
    rejections,
    series,
)
from service.archive.trash import not_in_trash
from service.archive.view_conditions import seen_by
from service.core.archived import RunRow
from service.core.versions import VersionMarks, VersionObject, VersionOrigin, VersionRow
from service.core.view import EVERYTHING, View

_CHUNK = 500
_NO_MARKS = VersionMarks()
_ORIGIN = ("author", "stored_by", "sender", "annotator", "run_id", "series_uid")


class AnnotationVersions:
    """Versions by project and study.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        project: str,
        study_uid: str,
        origin: VersionOrigin,
        connection: Connection,
        *,
        line: int | None = None,
        parent: int | None = None,
        restored: int | None = None,
        reason: str = "",
        marks: VersionMarks = _NO_MARKS,
    ) -> VersionRow:
        """Add a version to a line, or as the first of its own."""
        last = select(func.max(annotation_versions.c.number)).where(annotation_versions.c.line == line)
        number = 1 if line is None else (connection.execute(last).scalar_one() or 0) + 1
        values = {
            "project": project,
            "study_uid": study_uid,
            "line": line,
            "number": number,
            "parent": parent,
            "restored": restored,
            "reason": reason,
            "protocol": marks.protocol,
            "protocol_version": marks.protocol_version,
            "created_at": self._clock(),
            **{name: getattr(origin, name) for name in _ORIGIN},
        }
        new = connection.execute(insert(annotation_versions).returning(annotation_versions.c.id), values).scalar_one()
        if line is None:
            this = annotation_versions.c.id == new
            connection.execute(update(annotation_versions).where(this).values(line=new))
        found = self._rows(connection, (annotation_versions.c.id == new,), EVERYTHING, with_empty=True)
        return found[0]

    def put_object(
        self, version: VersionRow, sop_instance_uid: str, family: str, marks: VersionMarks, connection: Connection
    ) -> None:
        """Note that an object belongs to a version; one that belonged to another, with other content, is noted anew."""
        of_object = {"project": version.project, "sop_instance_uid": sop_instance_uid}
        self.forget(version.project, [sop_instance_uid], connection)
        place = {"version_id": version.id, "family": family, "refers_to": json.dumps(list(marks.refers_to))}
        connection.execute(insert(annotation_objects), of_object | place)
        if marks.tracking_uids:
            rows = [
                {**of_object, "tracking_uid": uid[:64], "version_id": version.id} for uid in sorted(marks.tracking_uids)
            ]
            connection.execute(insert(annotation_marks), rows)

    def forget(self, project: str, sop_instance_uids: Sequence[str], connection: Connection) -> None:
        """Take objects out of their versions: they are gone, or stand in others from now on."""
        for start in range(0, len(sop_instance_uids), _CHUNK):
            chunk = list(sop_instance_uids[start : start + _CHUNK])
            for table in (annotation_marks, annotation_objects):
                wanted = table.c.project == project, table.c.sop_instance_uid.in_(chunk)
                connection.execute(delete(table).where(*wanted))

    def of_study(self, project: str, study_uid: str, view: View = EVERYTHING) -> list[VersionRow]:
        """All that is seen of a study's versions, by line, then the newest first."""
        wanted = annotation_versions.c.project == project, annotation_versions.c.study_uid == study_uid
        with self._database.read() as connection:
            return self._rows(connection, wanted, view)

    def get(self, project: str, version_id: int, view: View = EVERYTHING) -> VersionRow | None:
        """One version, where something of it is seen."""
        wanted = annotation_versions.c.project == project, annotation_versions.c.id == version_id
        with self._database.read() as connection:
            return next(iter(self._rows(connection, wanted, view)), None)

    def get_in(self, project: str, version_id: int, connection: Connection) -> VersionRow | None:
        """The same in the transaction at hand, whoever looks, whatever is left of it."""
        wanted = annotation_versions.c.project == project, annotation_versions.c.id == version_id
        return next(iter(self._rows(connection, wanted, EVERYTHING, with_empty=True)), None)

    def add_of_run(self, run: RunRow, connection: Connection) -> VersionRow:
        """Add the version that a run makes, after that of the run before it."""
        origin = VersionOrigin(annotator=run.annotator, run_id=run.id, series_uid=run.series_uid)
        same = (
            annotation_versions.c.project == run.project,
            annotation_versions.c.study_uid == run.study_uid,
            annotation_versions.c.annotator == run.annotator,
            annotation_versions.c.series_uid == run.series_uid,
        )
        order = annotation_versions.c.number.desc()
        last = connection.execute(select(annotation_versions).where(*same).order_by(order).limit(1)).one_or_none()
        line, parent = (None, None) if last is None else (last.line, last.id)
        return self.add(run.project, run.study_uid, origin, connection, line=line, parent=parent)

    def move(self, version: VersionRow, sop_instance_uids: Sequence[str], connection: Connection) -> None:
        """Have objects stand in another version: somebody's annotations become what a run made."""
        for start in range(0, len(sop_instance_uids), _CHUNK):
            chunk = list(sop_instance_uids[start : start + _CHUNK])
            for table in (annotation_marks, annotation_objects):
                wanted = table.c.project == version.project, table.c.sop_instance_uid.in_(chunk)
                connection.execute(update(table).where(*wanted).values(version_id=version.id))

    def in_line(self, line: int, connection: Connection) -> list[VersionRow]:
        """The versions of a line, the newest first; those as well of which nothing is held any more."""
        return self._rows(connection, (annotation_versions.c.line == line,), EVERYTHING, with_empty=True)

    def holding(self, project: str, study_uid: str, uids: Iterable[str], connection: Connection) -> list[VersionRow]:
        """The versions of a study that one of the objects belongs to, the last added first."""
        held = select(annotation_objects.c.version_id).where(
            annotation_objects.c.project == project, annotation_objects.c.sop_instance_uid.in_(sorted(uids)[:_CHUNK])
        )
        return self._within(project, study_uid, held, connection)

    def marking(
        self, project: str, study_uid: str, tracking: Iterable[str], connection: Connection
    ) -> list[VersionRow]:
        """The versions of a study that mark one of the things at least, the last added first."""
        named = sorted(tracking)
        ids: set[int] = set()
        for start in range(0, len(named), _CHUNK):
            chunk = named[start : start + _CHUNK]
            wanted = annotation_marks.c.project == project, annotation_marks.c.tracking_uid.in_(chunk)
            ids |= set(connection.execute(select(annotation_marks.c.version_id).where(*wanted)).scalars())
        if not ids:
            return []
        last_added = select(annotation_versions.c.id).where(annotation_versions.c.id.in_(sorted(ids)[-_CHUNK:]))
        return self._within(project, study_uid, last_added, connection)

    def in_series(self, project: str, study_uid: str, series_uid: str, connection: Connection) -> list[VersionRow]:
        """The versions of which an object lies in a series, the last added first."""
        lying = (
            select(annotation_objects.c.version_id)
            .join(
                instances,
                (instances.c.project == annotation_objects.c.project)
                & (instances.c.sop_instance_uid == annotation_objects.c.sop_instance_uid),
            )
            .join(series, instances.c.series_id == series.c.id)
            .where(series.c.project == project, series.c.series_uid == series_uid)
        )
        return self._within(project, study_uid, lying, connection)

    def _within(self, project: str, study_uid: str, ids: Any, connection: Connection) -> list[VersionRow]:
        wanted = (
            annotation_versions.c.project == project,
            annotation_versions.c.study_uid == study_uid,
            annotation_versions.c.id.in_(ids),
        )
        found = self._rows(connection, wanted, EVERYTHING, with_empty=True)
        return sorted(found, key=lambda version: -version.id)

    def _rows(
        self, connection: Connection, wanted: Sequence[ColumnElement[bool]], view: View, *, with_empty: bool = False
    ) -> list[VersionRow]:
        order = annotation_versions.c.line, annotation_versions.c.number.desc()
        rows = connection.execute(select(annotation_versions).where(*wanted).order_by(*order)).all()
        if not rows:
            return []
        objects = _objects(connection, [row.id for row in rows], view)
        newest = _newest(connection, {row.line for row in rows if row.line is not None})
        return [
            _version(row, newest.get(row.line, row.number), objects.get(row.id, ()))
            for row in rows
            if with_empty or row.id in objects
        ]


def _objects(connection: Connection, ids: Sequence[int], view: View) -> dict[int, tuple[VersionObject, ...]]:
    """What is held of each version, neither deleted nor rejected, as far as this view goes."""
    same = (instances.c.project == annotation_objects.c.project) & (
        instances.c.sop_instance_uid == annotation_objects.c.sop_instance_uid
    )
    rejected = (
        select(rejections.c.sop_instance_uid)
        .where(rejections.c.project == instances.c.project, rejections.c.state == "hidden")
        .where(rejections.c.sop_instance_uid == instances.c.sop_instance_uid)
        .correlate(instances)
        .exists()
    )
    found: dict[int, list[VersionObject]] = defaultdict(list)
    for start in range(0, len(ids), _CHUNK):
        query = (
            select(
                annotation_objects.c.version_id,
                annotation_objects.c.sop_instance_uid,
                annotation_objects.c.family,
                annotation_objects.c.refers_to,
                instances.c.sop_class_uid,
                instances.c.visible,
                series.c.series_uid,
                series.c.modality,
            )
            .select_from(annotation_objects.join(instances, same).join(series, instances.c.series_id == series.c.id))
            .where(annotation_objects.c.version_id.in_(ids[start : start + _CHUNK]), seen_by(view))
            .where(not_in_trash(), ~rejected)
            .order_by(annotation_objects.c.family.desc(), instances.c.id)
        )
        for row in connection.execute(query):
            found[row.version_id].append(_object(row))
    return {version: tuple(objects) for version, objects in found.items()}


def _object(row: AnyRow) -> VersionObject:
    return VersionObject(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        series_uid=row.series_uid,
        modality=row.modality,
        family=row.family,
        is_shown=row.visible,
        refers_to=tuple(json.loads(row.refers_to)),
    )


def _newest(connection: Connection, lines: set[int]) -> dict[int, int]:
    """The highest number in each line."""
    found: dict[int, int] = {}
    ordered = sorted(lines)
    for start in range(0, len(ordered), _CHUNK):
        query = (
            select(annotation_versions.c.line, func.max(annotation_versions.c.number).label("number"))
            .where(annotation_versions.c.line.in_(ordered[start : start + _CHUNK]))
            .group_by(annotation_versions.c.line)
        )
        found |= {row.line: row.number for row in connection.execute(query)}
    return found


def _version(row: AnyRow, newest: int, objects: Sequence[VersionObject]) -> VersionRow:
    names = ("id", "project", "study_uid", "number", "parent", "restored", "reason", "protocol", "protocol_version")
    return VersionRow(
        **{name: getattr(row, name) for name in names},
        line=row.id if row.line is None else row.line,
        origin=VersionOrigin(**{name: getattr(row, name) for name in _ORIGIN}),
        created_at=row.created_at,
        is_newest=row.number == newest,
        objects=tuple(objects),
    )
