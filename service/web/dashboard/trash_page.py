"""The page of what people deleted, and the forms that delete and restore."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.deletion import DeletedPlace, DeletionState
from service.errors import DecisionRefused, InstanceNotFound
from service.web.api.shapes import row_number
from service.web.guard import present_caller
from service.web.route_table import DECIDERS
from service.web.scope import chosen_project
from service.web.services import WebServices

_PAGE = 25
_STATES = tuple(state.value for state in DeletionState)

# What is told after a decision, by the word in the address; nothing from an address is ever printed.
_TOLD = {
    "deleted": "Deleted: nobody finds or retrieves it any more. It can be restored here until its time is over.",
    "unconfirmed": "Nothing was deleted: tick the box to say that you mean it.",
    "restored": "Restored: it is shown again.",
    "refused": "Nothing was changed: somebody decided before you, or there is nothing of that kind.",
}


def register_trash_page(
    pages: Blueprint, services: WebServices, check_form: Callable[[], None], page_number: Callable[[], int]
) -> None:
    """The routes below ``/trash``, and deletion from a study's page."""

    @pages.get("/trash")
    def trash() -> str:
        project, page = chosen_project(services, present_caller(), request.args.get("project")), page_number()
        state = request.args.get("state", _STATES[0])
        state = state if state in _STATES else _STATES[0]
        found = services.deletions.page(project, state=DeletionState(state), limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "trash.html",
            project=project,
            entries=found[:_PAGE],
            state=state,
            states=_STATES,
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            grace_days=services.deletions.grace_days,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    @pages.post("/studies/<project>/<study_uid>/delete")
    def delete(project: str, study_uid: str) -> AnyResponse:
        check_form()
        place = DeletedPlace(study_uid, request.form.get("series", ""))
        if request.form.get("sure") != "yes":
            return redirect(url_for("dashboard.trash", project=project, told="unconfirmed"), code=303)
        return _back(
            project,
            "deleted",
            lambda by: services.deletions.delete(project, place, by, request.form.get("reason", "")),
        )

    @pages.post("/trash/<project>/<deletion_id>/restore")
    def restore(project: str, deletion_id: str) -> AnyResponse:
        check_form()
        number = row_number(deletion_id)
        return _back(project, "restored", lambda by: services.deletions.restore(project, number, by))


def _back(project: str, told: str, act: Callable[[str], object]) -> AnyResponse:
    """Decide, and show the list."""
    try:
        act(present_caller().name)
    except (DecisionRefused, InstanceNotFound):
        told = "refused"
    return redirect(url_for("dashboard.trash", project=project, told=told), code=303)
