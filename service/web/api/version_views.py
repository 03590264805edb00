"""The API's views of versions of annotations."""

from __future__ import annotations

from flask import Response

from service.core.access import Role
from service.core.versions import VersionOrigin, VersionRow
from service.web.api import version_shapes
from service.web.api.shapes import row_number
from service.web.guard import audit_target, present_caller
from service.web.services import WebServices


class VersionViews:
    """One method for each operation, by its name."""

    _services: WebServices

    def annotations(self, project: str, study_uid: str) -> version_shapes.VersionList:
        """The versions of a study."""
        found = self._services.versions.of_study(project, study_uid, self._services.view(project))
        name_of = self._services.author_name
        return version_shapes.VersionList(versions=[version_shapes.VersionShape.of(row, name_of) for row in found])

    def annotation(self, project: str, version_id: str) -> version_shapes.VersionShape:
        """One of these."""
        row = self._services.versions.get(project, row_number(version_id), self._services.view(project))
        audit_target(row.study_uid, version=row.id)
        return version_shapes.VersionShape.of(row, self._services.author_name)

    def annotation_file(self, project: str, version_id: str, sop_instance_uid: str) -> Response:
        """An object of one."""
        number, view = row_number(version_id), self._services.view(project)
        row, content = self._services.versions.file_of(project, number, sop_instance_uid, view)
        audit_target(f"{row.study_uid}/{row.series_uid}/{row.sop_instance_uid}", version=number)
        named = {"Content-Disposition": f'attachment; filename="{row.sop_instance_uid}.dcm"'}
        return Response(content, content_type="application/dicom", headers=named)

    def annotation_comparison(
        self, project: str, version_id: str, query: version_shapes.ComparisonQuery
    ) -> version_shapes.ComparisonShape:
        """What one says otherwise than another."""
        view = self._services.view(project)
        compared = self._services.versions.compare(project, row_number(version_id), query.to, view)
        audit_target(compared.after.study_uid, version=compared.after.id, to=compared.before.id)
        return version_shapes.ComparisonShape.of(compared)

    def annotation_picture(self, project: str, version_id: str, query: version_shapes.PictureQuery) -> Response:
        """Both outlines of a finding on one slice."""
        number, view = row_number(version_id), self._services.view(project)
        desk = self._services.versions
        picture = desk.picture(project, number, query.finding, query.slice, query.to, view)
        audit_target(desk.get(project, number, view).study_uid, version=number)
        return Response(picture, content_type="image/png", headers={"Cache-Control": "private, no-store"})

    def restore_annotation(
        self, project: str, version_id: str, body: version_shapes.Restoration
    ) -> version_shapes.VersionShape:
        """Say again what one said, as a version of its own."""
        row = restored(self._services, project, row_number(version_id), body.reason)
        return version_shapes.VersionShape.of(row, self._services.author_name)


def restored(services: WebServices, project: str, number: int, reason: str) -> VersionRow:
    """Have the present caller restore a version; a reader one that they or a model made."""
    caller = present_caller()
    by = VersionOrigin(author=caller.account if caller.role is Role.READER else "", stored_by=caller.stores_as)
    return services.restoring.restore(project, number, by, reason, services.view(project), name=caller.name)
