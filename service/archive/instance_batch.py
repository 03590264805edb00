"""Adds a batch of instances to the index within one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import ColumnElement, Connection, Table, bindparam, select, update

from dicom_nodes.errors import StorageExhausted
from service.archive.attribute_values import AttributeValues
from service.archive.database import upsert
from service.archive.prepared import PreparedInstance
from service.archive.rows import AddKind, AddOutcome, AnyRow, AnySelect, InstanceRow, instance_query, instance_row
from service.archive.schema import instances, series, studies
from service.archive.served_attributes import Attributes, fill, series_columns, study_columns
from service.archive.vault_store import put_entries
from service.core.records import ObjectKind
from service.core.search import Level

_CHUNK = 500
_TRIES = 5
"""How often a study is made anew that another process removes at this moment, since nothing was left in it."""
_TICK = 1e-6
"""Least step of a change time: what depends on it (an ETag) must differ even when the clock stands."""


@dataclass(slots=True)
class _Level:
    """A study or a series while the batch works on it."""

    id: int
    attributes: Attributes
    changed_at: float
    patient_digest: bytes | None = None
    last_image_at: float = 0.0
    has_new_image: bool = False
    is_new: bool = False
    touched: bool = False
    filled: bool = False
    shows_image: bool = False  # since an image was added that is shown
    seen: Attributes | None = None
    """What the latest instance said of it; most of a series say the same."""


class InstanceBatch:
    """One transaction's worth of work on studies, series and instances; `finish` writes what was gathered."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection = connection
        self._now = now
        self._values = AttributeValues(connection)
        self._studies: dict[tuple[str, str], _Level] = {}
        self._series: dict[tuple[int, str], _Level] = {}

    def add(self, batch: Sequence[PreparedInstance]) -> list[AddOutcome]:
        """Add instances; outcomes in order. The vault rows of those that were added or are held already are kept."""
        held = self.held((prepared.new.project, prepared.sop_instance_uid) for prepared in batch)
        outcomes: list[AddOutcome | None] = []
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for prepared in batch:
            key = (prepared.new.project, prepared.sop_instance_uid)
            if key in held or key in rows:
                outcomes.append(None)  # decided below, when it is known what is held
            elif (row := self._row(prepared)) is None:
                outcomes.append(AddOutcome(AddKind.PATIENT_MISMATCH, None))
            else:
                rows[key] = row
                outcomes.append(None)
        added = self._insert(list(rows.values()))
        # One held now that is not ours came from another process since we looked.
        held |= self.held(rows)
        decided = [
            outcome or self._decide(prepared, held, added) for prepared, outcome in zip(batch, outcomes, strict=True)
        ]
        self._note_shown(batch, decided, rows)
        self._keep_instance_values(batch, decided)
        put_entries(
            self._connection,
            (
                (prepared.new.project, entry)
                for prepared, outcome in zip(batch, decided, strict=True)
                if outcome.kind in {AddKind.ADDED, AddKind.DUPLICATE}
                for entry in prepared.new.vault
            ),
        )
        return decided

    def put_values(self, row: InstanceRow, prepared: PreparedInstance) -> None:
        """Keep what is searched of an instance whose content was replaced."""
        self._values.of_instances(row.project, {row.id: prepared.new.header}, are_new=False)

    def place(self, prepared: PreparedInstance) -> dict[str, int] | None:
        """The keys of an instance's study and series, which are there from now on; None if the patient is another."""
        study = self._study(prepared)
        if not _same_patient(study, prepared.new.patient_digest):
            return None
        of_series = self._series_of(study, prepared)
        for level, attributes in ((study, prepared.study), (of_series, prepared.series)):
            level.touched = True
            if attributes != level.seen:
                level.filled |= fill(level.attributes, attributes)
                level.seen = attributes
        study.patient_digest = study.patient_digest or prepared.new.patient_digest
        if prepared.new.kind is ObjectKind.IMAGE:
            study.has_new_image = True
            study.last_image_at = max(study.last_image_at, prepared.new.received_at)
        return {"study_id": study.id, "series_id": of_series.id}

    def held(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], InstanceRow]:
        """What is held under pairs of project and SOP Instance UID."""
        return held_instances(self._connection, keys)

    def touch(self, instance: InstanceRow) -> None:
        """Mark the study and series that an instance leaves as changed."""
        for table, row_id in ((studies, instance.study_row_id), (series, instance.series_row_id)):
            self._connection.execute(
                update(table).where(table.c.id == row_id, table.c.changed_at < self._now).values(changed_at=self._now)
            )

    def finish(self) -> None:
        """Write what changed at studies and series."""
        for (project, _), study in self._studies.items():
            if study.touched:
                self._connection.execute(
                    update(studies).where(studies.c.id == study.id).values(**self._study_changes(study))
                )
                self._keep_values(Level.STUDY, project, study)
        projects = {study.id: project for (project, _), study in self._studies.items()}
        for (study_id, _), of_series in self._series.items():
            if of_series.touched:
                changes = series_columns(of_series.attributes) if of_series.filled else {}
                changes |= {"shows_image": True} if of_series.shows_image else {}
                self._connection.execute(
                    update(series)
                    .where(series.c.id == of_series.id)
                    .values(changed_at=self._later_than(of_series.changed_at), **changes)
                )
                self._keep_values(Level.SERIES, projects[study_id], of_series)

    def _keep_values(self, level: Level, project: str, row: _Level) -> None:
        if row.is_new or row.filled:
            self._values.of_level(level, project, row.id, row.attributes, is_new=row.is_new)

    def _note_shown(
        self,
        batch: Sequence[PreparedInstance],
        outcomes: Sequence[AddOutcome],
        rows: dict[tuple[str, str], dict[str, Any]],
    ) -> None:
        """Remember studies and series that have a new image (`service.archive.shown_images`)."""
        for prepared, outcome in zip(batch, outcomes, strict=True):
            if outcome.kind is AddKind.ADDED and prepared.new.kind is ObjectKind.IMAGE:
                project = prepared.new.project
                study_id = rows[project, prepared.sop_instance_uid]["study_id"]
                self._studies[project, prepared.study_uid].shows_image = True
                self._series[study_id, prepared.series_uid].shows_image = True

    def _keep_instance_values(self, batch: Sequence[PreparedInstance], outcomes: Sequence[AddOutcome]) -> None:
        headers: dict[str, dict[int, Dataset]] = {}
        for prepared, outcome in zip(batch, outcomes, strict=True):
            if outcome.kind is AddKind.ADDED and outcome.instance is not None:
                headers.setdefault(prepared.new.project, {})[outcome.instance.id] = prepared.new.header
        for project, of_project in headers.items():
            self._values.of_instances(project, of_project)

    def _row(self, prepared: PreparedInstance) -> dict[str, Any] | None:
        place = self.place(prepared)
        return None if place is None else prepared.columns | place | {"indexed_at": self._now}

    def _insert(self, rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
        if not rows:
            return set()
        statement = upsert(self._connection, instances).on_conflict_do_nothing()
        returned = self._connection.execute(
            statement.returning(instances.c.project, instances.c.sop_instance_uid), rows
        )
        return {(row.project, row.sop_instance_uid) for row in returned}

    def _decide(
        self,
        prepared: PreparedInstance,
        held: dict[tuple[str, str], InstanceRow],
        added: set[tuple[str, str]],
    ) -> AddOutcome:
        key = (prepared.new.project, prepared.sop_instance_uid)
        row = held[key]
        if key in added:
            added.remove(key)  # the next one of the same UID in this batch is a repetition
            return AddOutcome(AddKind.ADDED, row)
        same = row.content_digest == prepared.new.content_digest
        return AddOutcome(AddKind.DUPLICATE if same else AddKind.CONFLICT, row)

    def _study(self, prepared: PreparedInstance) -> _Level:
        key = (prepared.new.project, prepared.study_uid)
        if key not in self._studies:
            row, is_new = self._locked(
                studies,
                {
                    "project": prepared.new.project,
                    "study_uid": prepared.study_uid,
                    **study_columns(prepared.study),
                    "patient_digest": prepared.new.patient_digest,
                    "created_at": self._now,
                    "last_image_at": prepared.new.received_at,
                    "changed_at": self._now,
                },
                (studies.c.project == key[0], studies.c.study_uid == key[1]),
            )
            self._studies[key] = _Level(
                row.id, json.loads(row.attributes), row.changed_at, row.patient_digest, row.last_image_at, is_new=is_new
            )
        return self._studies[key]

    def _series_of(self, study: _Level, prepared: PreparedInstance) -> _Level:
        key = (study.id, prepared.series_uid)
        if key not in self._series:
            row, is_new = self._locked(
                series,
                {
                    "project": prepared.new.project,
                    "study_id": study.id,
                    "series_uid": prepared.series_uid,
                    **series_columns(prepared.series),
                    "changed_at": self._now,
                },
                (series.c.study_id == key[0], series.c.series_uid == key[1]),
            )
            self._series[key] = _Level(row.id, json.loads(row.attributes), row.changed_at, is_new=is_new)
        return self._series[key]

    def _locked(self, table: Table, values: dict[str, Any], same: Sequence[ColumnElement[bool]]) -> tuple[AnyRow, bool]:
        """The row of a study or series, and whether it is new; nobody else changes it until we are done."""
        for _ in range(_TRIES):
            insertion = upsert(self._connection, table).on_conflict_do_nothing().returning(table.c.id)
            is_new = self._connection.execute(insertion, values).first() is not None
            row = self._connection.execute(select(table).where(*same).with_for_update()).one_or_none()
            if row is not None:
                return row, is_new
        raise StorageExhausted("a study was removed again and again while something was added to it")

    def _study_changes(self, study: _Level) -> dict[str, Any]:
        changes = study_columns(study.attributes) if study.filled else {}
        changes |= {"changed_at": self._later_than(study.changed_at), "patient_digest": study.patient_digest}
        changes |= {"shows_image": True} if study.shows_image else {}
        if study.has_new_image:
            changes |= {"last_image_at": study.last_image_at, "state": "receiving"}
        return changes

    def _later_than(self, before: float) -> float:
        return max(self._now, before + _TICK)


def held_instances(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], InstanceRow]:
    """What is held under pairs of project and SOP Instance UID."""
    by_project: dict[str, list[str]] = {}
    for project, sop_instance_uid in keys:
        by_project.setdefault(project, []).append(sop_instance_uid)
    found = {}
    for project, uids in by_project.items():
        for start in range(0, len(uids), _CHUNK):
            wanted = {"of_project": project, "uids": uids[start : start + _CHUNK]}
            for row in map(instance_row, connection.execute(_held_query(), wanted)):
                found[project, row.sop_instance_uid] = row
    return found


@cache
def _held_query() -> AnySelect:
    """Made once: to make it takes as long as to ask it."""
    return instance_query().where(
        instances.c.project == bindparam("of_project"),
        instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
    )


def _same_patient(study: _Level, digest: bytes | None) -> bool:
    return study.patient_digest is None or digest is None or study.patient_digest == digest
