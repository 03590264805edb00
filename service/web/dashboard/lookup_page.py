"""The page on which the person on call finds a study by what the hospital calls it.

What is asked for is identity. It comes in the body of a form alone, so that no address, log or history of a browser
holds it, and no answer shows it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, render_template, request

from service.core.archived import StudyRow
from service.custody.study_lookup import LookupQuestion
from service.errors import BadRequest
from service.web.guard import present_caller
from service.web.scope import chosen_project
from service.web.services import WebServices


def register_lookup_page(pages: Blueprint, services: WebServices, check_form: Callable[[], None]) -> None:
    """Add the route.

    Parameters
    ----------
    check_form : raises unless the form at hand was given to the present caller
    """

    @pages.route("/lookup", methods=["GET", "POST"])
    def lookup() -> str | tuple[str, int]:
        caller = present_caller()
        if request.method != "POST":
            return _page(chosen_project(services, caller, request.args.get("project")))
        check_form()
        form = request.form
        project = chosen_project(services, caller, form.get("project"))
        question = LookupQuestion(form.get("accession", ""), form.get("patient_id", ""), form.get("issuer", ""))
        try:
            return _page(project, found=services.lookup(project, question, caller.name))
        except BadRequest as refused:
            return _page(project, refused=str(refused)), refused.http_status


def _page(project: str, *, found: Sequence[StudyRow] | None = None, refused: str = "") -> str:
    """The form, and what was found; None where nothing was asked."""
    return render_template("lookup.html", project=project, found=found, refused=refused)
