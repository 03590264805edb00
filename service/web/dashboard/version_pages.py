"""The pages of a study's versions of annotations, and of what one says otherwise than another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.versions import LONGEST_REASON, VersionRow
from service.errors import BadRequest, DecisionRefused, InstanceNotFound, NotComparable
from service.web.api.shapes import row_number
from service.web.api.version_shapes import ComparisonShape, VersionShape
from service.web.api.version_views import restored
from service.web.services import WebServices

_TOLD = {
    "restored": "Restored: a new version says what the earlier one said, and is shown from now on.",
    "refused": "Nothing was changed: the version is the newest already, or there is nothing left of it.",
}


def register_version_pages(pages: Blueprint, services: WebServices, check_form: Callable[[], None]) -> None:
    """The routes of versions."""

    @pages.get("/studies/<project>/<study_uid>/annotations")
    def versions(project: str, study_uid: str) -> str:
        found = services.versions.of_study(project, study_uid, services.view(project))
        return render_template(
            "versions.html",
            project=project,
            study_uid=study_uid,
            lines=_lines(services, found),
            longest_reason=LONGEST_REASON,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    @pages.get("/annotations/<project>/<version_id>")
    def comparison(project: str, version_id: str) -> str:
        view = services.view(project)
        version = services.versions.get(project, row_number(version_id), view)
        asked = request.args.get("to")
        earlier = row_number(asked) if asked else None
        compared, why_not = None, ""
        try:
            compared = ComparisonShape.of(services.versions.compare(project, version.id, earlier, view))
        except (BadRequest, NotComparable) as error:
            why_not = str(error)
        return render_template(
            "comparison.html",
            project=project,
            version=VersionShape.of(version, services.author_name),
            study_uid=version.study_uid,
            others=[
                VersionShape.of(one, services.author_name)
                for one in services.versions.of_study(project, version.study_uid, view)
                if one.id != version.id
            ],
            compared=compared,
            why_not=why_not,
        )

    @pages.post("/annotations/<project>/<version_id>/restore")
    def restore_version(project: str, version_id: str) -> AnyResponse:
        check_form()
        number = row_number(version_id)
        study_uid = services.versions.get(project, number, services.view(project)).study_uid
        told = "restored"
        try:
            restored(services, project, number, request.form.get("reason", "")[:LONGEST_REASON])
        except (BadRequest, DecisionRefused, InstanceNotFound):
            told = "refused"
        return redirect(url_for("dashboard.versions", project=project, study_uid=study_uid, told=told), code=303)


def _lines(services: WebServices, found: Iterable[VersionRow]) -> list[list[VersionShape]]:
    """Versions by line; they come in this order."""
    return [
        [VersionShape.of(one, services.author_name) for one in line]
        for _, line in groupby(found, key=lambda one: one.line)
    ]
