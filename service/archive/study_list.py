"""Studies with what they hold, as a list shows them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from service.archive.rows import StudyRow, StudySummary, study_query, study_row
from service.archive.schema import instances, series, studies
from service.archive.trash import not_in_trash
from service.archive.view_conditions import found_in, shown_to
from service.core.records import ObjectKind
from service.core.view import View


def summaries(
    connection: Connection, project: str | None, state: str | None, limit: int, offset: int, view: View
) -> list[StudySummary]:
    """A page of studies, the most recent first, as somebody sees them."""
    query = study_query().order_by(studies.c.last_image_at.desc(), studies.c.id.desc()).limit(limit).offset(offset)
    if project is not None:
        query = query.where(studies.c.project == project)
    if state is not None:
        query = query.where(studies.c.state == state)
    page = [study_row(row) for row in connection.execute(query.where(found_in(view, studies), _something_left()))]
    return _counted(connection, page, view)


def _something_left() -> ColumnElement[bool]:
    """The condition on a study that not all of it is in the trash."""
    left = select(instances.c.id).where(instances.c.study_id == studies.c.id, not_in_trash())
    return left.correlate(studies).exists()


def _counted(connection: Connection, page: Sequence[StudyRow], view: View) -> list[StudySummary]:
    ids = [study.id for study in page]
    shown = and_(instances.c.study_id.in_(ids), shown_to(view))
    counts = select(
        instances.c.study_id,
        func.count(func.distinct(instances.c.series_id)).label("series"),
        func.count().label("instances"),
        *(func.sum(case((instances.c.kind == str(kind), 1), else_=0)).label(f"{kind}s") for kind in ObjectKind),
    )
    by_study = {row.study_id: row for row in connection.execute(counts.where(shown).group_by(instances.c.study_id))}
    kinds = select(series.c.study_id, series.c.modality).distinct().where(series.c.study_id.in_(ids))
    modalities: dict[int, set[str]] = {}
    shown_series = select(instances.c.series_id).where(shown)
    for row in connection.execute(kinds.where(series.c.id.in_(shown_series))):
        modalities.setdefault(row.study_id, set()).add(row.modality)
    summaries = []
    for study in page:
        found = by_study.get(study.id)
        summaries.append(
            StudySummary(
                study=study,
                modalities=tuple(sorted(modalities.get(study.id, set()) - {""})),
                series=found.series if found else 0,
                instances=found.instances if found else 0,
                images=found.images if found else 0,
                annotations=found.annotations if found else 0,
                results=found.results if found else 0,
            )
        )
    return summaries
