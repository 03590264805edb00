"""The API's views of what people delete and restore."""

from __future__ import annotations

from service.core.deletion import DeletedPlace, DeletionState
from service.web.api import deletion_shapes
from service.web.api.shapes import row_number
from service.web.guard import present_caller
from service.web.scope import chosen_project
from service.web.services import WebServices


class DeletionViews:
    """One method for each operation, by its name."""

    _services: WebServices

    def deletions(self, query: deletion_shapes.DeletionPage) -> deletion_shapes.DeletionList:
        """What was deleted."""
        project = chosen_project(self._services, present_caller(), query.project)
        state = None if query.state is None else DeletionState(query.state)
        found = self._services.deletions.page(
            project, state=state, study_uid=query.study, limit=query.limit, offset=query.offset
        )
        return deletion_shapes.DeletionList(deletions=[deletion_shapes.DeletionShape.of(row) for row in found])

    def deletion(self, project: str, deletion_id: str) -> deletion_shapes.DeletionShape:
        """One of these."""
        return deletion_shapes.DeletionShape.of(self._services.deletions.show(project, row_number(deletion_id)))

    def delete(self, project: str, body: deletion_shapes.NewDeletion) -> deletion_shapes.DeletionShape:
        """Move something into the trash."""
        place = DeletedPlace(body.study_uid, body.series_uid, body.sop_instance_uid)
        row = self._services.deletions.delete(project, place, present_caller().name, body.reason)
        return deletion_shapes.DeletionShape.of(row)

    def restore_deletion(self, project: str, deletion_id: str) -> deletion_shapes.DeletionShape:
        """Take it out again."""
        number = row_number(deletion_id)
        return deletion_shapes.DeletionShape.of(
            self._services.deletions.restore(project, number, present_caller().name)
        )
