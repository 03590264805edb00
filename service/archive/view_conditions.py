"""Views as SQL: the conditions on what somebody sees."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, true

from service.archive.schema import instances, studies
from service.core.records import ObjectKind
from service.core.view import EVERYTHING, View

Condition = ColumnElement[bool]


def shown_to(view: View, table: Any = instances) -> Condition:
    """The condition on an instance that it is shown, and to whom has this view."""
    shown: Condition = table.c.visible
    return shown if view == EVERYTHING else and_(shown, seen_by(view, table))


def seen_by(view: View, table: Any = instances) -> Condition:
    """The condition on an instance, an older version of a result too, that this view does not leave it out.

    An annotation that nobody is known to have made is left out like another reader's: it may be one.
    """
    if view == EVERYTHING:
        return true()
    kinds = [ObjectKind.IMAGE, *([ObjectKind.RESULT] if view.results else [])]
    if view.reader is None:
        kinds.append(ObjectKind.ANNOTATION)
    seen: Condition = table.c.kind.in_([str(kind) for kind in kinds])
    if not view.reader:
        return seen
    return or_(seen, and_(table.c.kind == str(ObjectKind.ANNOTATION), table.c.author == view.reader))


def holds_something_for(view: View, level: Any) -> Condition:
    """The condition on a study or series (``level`` is its table) that something of it is shown in this view.

    Where an image is known to be shown, which every view sees, no instance is looked at.
    """
    of_level = instances.c.study_id if level is studies else instances.c.series_id
    shown = select(instances.c.id).where(of_level == level.c.id, shown_to(view)).correlate(level).exists()
    return or_(level.c.shows_image, shown)


def found_in(view: View, level: Any) -> Condition:
    """The same, but that who sees everything finds a study or series also when all of it is hidden."""
    return true() if view == EVERYTHING else holds_something_for(view, level)
