"""Files each annotation that comes in as a version, and has the newest of a line shown alone.

An object finds its line by what it says itself (Predecessor Documents Sequence). A reader's object also by the series
that it is stored in, and by the tracking UIDs of what it marks: viewers save one thing again without saying after
what. What one author says never hides what another said; it only names it as parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from service.archive.annotation_versions import AnnotationVersions
from service.archive.database import Connection
from service.archive.instances import InstanceIndex
from service.archive.prepared import PreparedInstance
from service.core.fault_place import fault_place
from service.core.records import Incoming, ObjectKind
from service.core.versions import (
    LONGEST_REASON,
    REPORT,
    SEGMENTATION,
    VersionMarks,
    VersionOrigin,
    VersionRow,
    family_of,
)
from service.objects.version_marks import marks_of

_log = structlog.get_logger("annogate.versions")
_ORDER = {SEGMENTATION: 0, REPORT: 2}
"""What a report refers to is filed before it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Filed:
    """One object on its way into a version."""

    project: str
    study_uid: str
    series_uid: str
    uid: str
    family: str
    origin: VersionOrigin
    marks: VersionMarks
    reason: str = ""


class VersionFiling:
    """Files what was added, in the transaction that adds it."""

    def __init__(self, table: AnnotationVersions, index: InstanceIndex) -> None:
        self._table = table
        self._index = index

    def after_add(self, added: Sequence[tuple[Incoming, PreparedInstance]], connection: Connection) -> None:
        """File the annotations among what was added; those that came together in the order of their references."""
        filed = [
            _filed(incoming, prepared) for incoming, prepared in added if prepared.new.kind is ObjectKind.ANNOTATION
        ]
        for one in sorted(filed, key=lambda one: _ORDER.get(one.family, 1)):
            self._file(one, connection)

    def _file(self, one: _Filed, connection: Connection) -> None:
        version = self._version_for(one, connection)
        self._table.put_object(version, one.uid, one.family, one.marks, connection)
        self.show_newest(version, connection)

    def _version_for(self, one: _Filed, connection: Connection) -> VersionRow:
        held = self._table.holding(one.project, one.study_uid, [one.uid], connection)
        if held:
            return held[0]  # replaced under its UID, where the project is set so
        before = self._before(one, connection)
        line = None if before is None or not one.origin.continues(before.origin) else before.line
        resting = self._resting_on(one, line, connection)
        if resting is not None:
            return resting
        parent = None if before is None else before.id
        return self._table.add(
            one.project,
            one.study_uid,
            one.origin,
            connection,
            line=line,
            parent=parent,
            reason=one.reason,
            marks=one.marks,
        )

    def _before(self, one: _Filed, connection: Connection) -> VersionRow | None:
        """The version that an object was made from; its author's own before another's."""
        named = self._table.holding(one.project, one.study_uid, one.marks.predecessors, connection)
        if named:
            return next((version for version in named if one.origin.continues(version.origin)), named[0])
        if not one.origin.is_reader:
            return None
        beside = self._table.in_series(one.project, one.study_uid, one.series_uid, connection)
        alike = self._table.marking(one.project, one.study_uid, one.marks.tracking_uids, connection)
        own = [
            version
            for version in (*beside, *alike)
            if one.origin.continues(version.origin) and any(o.family == one.family for o in version.objects)
        ]
        others = [version for version in alike if not one.origin.continues(version.origin)]
        return next(iter(own or others), None)

    def _resting_on(self, one: _Filed, line: int | None, connection: Connection) -> VersionRow | None:
        """The author's newest version of masks that a report is about, and that has no report yet."""
        for version in self._table.holding(one.project, one.study_uid, one.marks.refers_to, connection):
            has_another = any(other.family == one.family for other in version.objects)
            is_own = one.origin.continues(version.origin) and line in (None, version.line)
            if version.is_newest and is_own and not has_another:
                return version
        return None

    def show_newest(self, version: VersionRow, connection: Connection) -> None:
        """Hide what newer objects of the line take the place of, but for what a report rests on that is shown."""
        newest: dict[str, tuple[str, tuple[str, ...]]] = {}
        shown: set[str] = set()
        for each in self._table.in_line(version.line, connection):
            for one in each.objects:
                newest.setdefault(one.family, (one.sop_instance_uid, one.refers_to))
                if one.is_shown:
                    shown.add(one.sop_instance_uid)
        kept = {uid for uid, _ in newest.values()} | {uid for _, refers_to in newest.values() for uid in refers_to}
        self._index.hide(version.project, sorted(shown - kept), connection)


def _filed(incoming: Incoming, prepared: PreparedInstance) -> _Filed:
    new = prepared.new
    sender = incoming.calling_ae_title if incoming.source == "dimse" else ""
    return _Filed(
        project=new.project,
        study_uid=prepared.study_uid,
        series_uid=prepared.series_uid,
        uid=prepared.sop_instance_uid,
        family=family_of(prepared.columns["sop_class_uid"]),
        origin=VersionOrigin(author=new.author, stored_by=new.stored_by, sender=sender),
        marks=_marks(prepared),
        reason=incoming.reason[:LONGEST_REASON],
    )


def _marks(prepared: PreparedInstance) -> VersionMarks:
    """An object that says it in no readable way says nothing of its place; it is filed as the first of a line."""
    try:
        return marks_of(prepared.new.header)
    except Exception as error:  # noqa: BLE001  # arbitrary bytes from outside, in a transaction with others
        _log.warning("version.unread", project=prepared.new.project, error=fault_place(error))
        return VersionMarks()
