"""What somebody stored for a run that they perform: annotations until the run is done, its results from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from service.archive.rows import AnyRow, AnySelect
from service.archive.schema import instances, runs, series, studies, workitems
from service.archive.shown_instances import lock_instances, touch_levels
from service.core.archived import RunRow
from service.core.records import ObjectKind

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """One object, as far as it bears on whether it may become a result."""

    id: int
    study_row_id: int
    series_uid: str
    modality: str
    sop_class_uid: str
    sop_instance_uid: str
    kind: ObjectKind
    author: str
    stored_by: str
    visible: bool


def lock_study_of_run(connection: Connection, project: str, workitem_uid: str) -> None:
    """Keep others from adding to, deleting from and taking results of the study whose run a work item stands for.

    To be called before the work item is locked: whoever deletes what it rests on locks them in this order.
    """
    run = select(workitems.c.run_id).where(workitems.c.project == project, workitems.c.workitem_uid == workitem_uid)
    study = select(runs.c.study_id).where(runs.c.id.in_(run))
    connection.execute(select(studies.c.id).where(studies.c.id.in_(study)).with_for_update()).all()


def lock_outputs(connection: Connection, project: str, sop_instance_uids: Sequence[str]) -> dict[str, StoredOutput]:
    """Those of the objects that are held, by UID; nobody else changes them until the transaction ends."""
    ids, of_series = set(), set()
    for start in range(0, len(sop_instance_uids), _CHUNK):
        chunk = list(sop_instance_uids[start : start + _CHUNK])
        same = instances.c.project == project, instances.c.sop_instance_uid.in_(chunk)
        for row in connection.execute(select(instances.c.id, instances.c.series_id).where(*same)):
            ids.add(row.id)
            of_series.add(row.series_id)
    # In the order in which whoever adds and hides locks them.
    for chunk_of_series in _chunks(of_series):
        query = select(series.c.id).where(series.c.id.in_(chunk_of_series)).order_by(series.c.id)
        connection.execute(query.with_for_update()).all()
    found = {}
    for chunk_of_ids in _chunks(ids):
        wanted = instances.c.id.in_(chunk_of_ids)
        lock_instances(connection, wanted)
        for row in connection.execute(_query().where(wanted)):
            output = _output(row)
            found[output.sop_instance_uid] = output
    return found


def take_as_results(connection: Connection, run: RunRow, outputs: Sequence[StoredOutput], now: float) -> None:
    """Make annotations the results of a run; whoever sees results sees them from then on."""
    values = {"kind": str(ObjectKind.RESULT), "annotator": run.annotator, "run_id": run.id, "author": ""}
    for chunk in _chunks({output.id for output in outputs}):
        connection.execute(update(instances).where(instances.c.id.in_(chunk)).values(**values))
        touch_levels(connection, now, instances.c.id.in_(chunk))


def _chunks(ids: set[int]) -> list[list[int]]:
    ordered = sorted(ids)
    return [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]


def _query() -> AnySelect:
    columns = (
        instances.c.id,
        instances.c.study_id.label("study_row_id"),
        series.c.series_uid,
        series.c.modality,
        instances.c.sop_class_uid,
        instances.c.sop_instance_uid,
        instances.c.kind,
        instances.c.author,
        instances.c.stored_by,
        instances.c.visible,
    )
    return select(*columns).select_from(instances.join(series, instances.c.series_id == series.c.id))


def _output(row: AnyRow) -> StoredOutput:
    values = dict(row._mapping)
    return StoredOutput(**values | {"kind": ObjectKind(values["kind"])})
