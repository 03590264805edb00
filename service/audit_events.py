"""What the rooms tell, as events of the audit trail; UIDs as served, never a patient's value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from service.archive.audit import AuditEvent, Outcome

if TYPE_CHECKING:
    from dicom_nodes.node_event import NodeEvent
    from service.core.archived import RunRow
    from service.core.deletion import DeletionEvent
    from service.core.deliveries import DeliveryRow, ReleaseRow
    from service.core.pulls import PullRow
    from service.core.rejection import RejectionEvent
    from service.core.versions import VersionRow
    from service.dimse.query_event import QueryEvent
    from service.ingest.quarantine_desk import Decision
    from service.jobs.run_end import RunEnd

GATEWAY: Final = "annogate"
# One row for each association; its objects are rows of the index, and what was refused is a row of its own.
NOT_AUDITED: Final = frozenset({"object.stored"})
# DIMSE statuses of a query or retrieval that did what it could: success, cancelled, some objects failed.
_ENDED_WELL: Final = frozenset({0x0000, 0xFE00, 0xB000})
FAILURES: Final = frozenset({"association.rejected", "object.refused", "object.cut", "node.failed"})


def of_decision(decision: Decision) -> AuditEvent:
    """A person, or time, decided on an object in quarantine."""
    return AuditEvent(
        decision.by,
        f"quarantine.{decision.action}",
        Outcome.SUCCESS if decision.succeeded else Outcome.MINOR_FAILURE,
        project=decision.project,
        target=decision.quarantine_id,
        detail=({"reason": decision.reason} if decision.reason else {})
        | ({"regions": decision.regions} if decision.regions else {}),
    )


def of_faults(project: str, sop_instance_uid: str, rules: Sequence[str]) -> AuditEvent:
    """An annotation object was stored although it breaks rules."""
    return AuditEvent(
        GATEWAY, "annotation.faults", project=project, target=sop_instance_uid, detail={"rules": " ".join(rules)}
    )


def of_run(run: RunRow, end: RunEnd) -> AuditEvent:
    """An annotator's run ended."""
    return AuditEvent(
        GATEWAY,
        f"run.{end.state}",
        Outcome.MINOR_FAILURE if end.state == "failed" else Outcome.SUCCESS,
        project=run.project,
        target=f"{run.study_uid}/{run.series_uid}",
        detail={"annotator": run.annotator, "version": run.version},
    )


def of_release(action: str, release: ReleaseRow, by: str) -> AuditEvent:
    """Somebody, or a project's rule, decided on a version of a result; the reason stays with the result."""
    detail: dict[str, str | int] = {
        "annotator": release.annotator,
        "version": release.version,
        "release": release.id,
    }
    return AuditEvent(by, f"result.{action}", project=release.project, target=release.study_uid, detail=detail)


def of_restored_version(version: VersionRow, by: str) -> AuditEvent:
    """Somebody restored an earlier version of an annotation; the reason stays with the version."""
    detail: dict[str, str | int] = {"version": version.id, "restored": version.restored or 0}
    return AuditEvent(by, "annotation.restore", project=version.project, target=version.study_uid, detail=detail)


def of_delivery(action: str, delivery: DeliveryRow, by: str) -> AuditEvent:
    """Somebody decided on a delivery, or it ended."""
    return AuditEvent(
        by,
        f"delivery.{action}",
        Outcome.MINOR_FAILURE if action == "failed" else Outcome.SUCCESS,
        project=delivery.project,
        target=delivery.study_uid,
        detail={"peer": delivery.peer, "delivery": delivery.id, "kind": str(delivery.kind)},
    )


def of_query(event: QueryEvent) -> AuditEvent:
    """A DIMSE caller queried a project, or had objects of it sent."""
    failed = event.status not in _ENDED_WELL
    detail: dict[str, str | int] = {
        "level": event.level,
        "status": f"{event.status:04X}",
        "objects": event.objects,
        "failed": event.failed,
        "destination": event.destination,
    }
    return AuditEvent(
        event.caller.calling_ae_title or "unknown",
        event.kind,
        Outcome.MINOR_FAILURE if failed else Outcome.SUCCESS,
        project=event.project,
        address=event.caller.address,
        target=",".join(event.studies)[:200],
        detail={key: value for key, value in detail.items() if value},
    )


def of_rejection(event: RejectionEvent) -> AuditEvent:
    """A rejection note was obeyed, or what it hid was restored."""
    return AuditEvent(
        event.by,
        f"rejection.{event.action}",
        project=event.project,
        target=event.study_uid,
        detail={
            "note": event.note_uid,
            "title": event.code,
            "instances": event.instances,
            "recalled": event.recalled,
        },
    )


def of_deletion(event: DeletionEvent) -> AuditEvent:
    """Somebody deleted or restored something, or its grace ended; the reason stays with the deletion."""
    row = event.deletion
    uids = (row.study_uid, row.series_uid, row.sop_instance_uid)
    return AuditEvent(
        event.by,
        f"deletion.{event.action}",
        project=row.project,
        target="/".join(uid for uid in uids if uid),
        detail={"deletion": row.id, "level": str(row.place.level), "instances": row.instances},
    )


def of_pull(action: str, pull: PullRow) -> AuditEvent:
    """Somebody asked for studies of a peer, or such a request ended; what was asked for is identity and not told."""
    detail: dict[str, str | int] = {"pull": pull.id, "peer": pull.peer, "reason": pull.reason}
    return AuditEvent(
        pull.requested_by,
        f"pull.{action}",
        Outcome.MINOR_FAILURE if action in ("failed", "incomplete") else Outcome.SUCCESS,
        project=pull.project,
        target=pull.origin_study_uid,
        detail={name: value for name, value in detail.items() if value},
    )


def of_node_event(event: NodeEvent, project: str) -> AuditEvent | None:
    """Something happened at the node; None for what is no row of the trail."""
    if event.kind in NOT_AUDITED:
        return None
    failed = event.kind in FAILURES
    return AuditEvent(
        event.calling_ae_title or "unknown",
        event.kind,
        Outcome.MINOR_FAILURE if failed else Outcome.SUCCESS,
        project=project,
        address=event.peer_address,
        detail={"reason": event.reason, "status": f"{event.status:04X}"} if failed else {},
    )
