"""The pages for people: studies, one study, quarantine, status. Rendered here; all work without a script."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.archived import QuarantineRow
from service.core.records import OutcomeKind
from service.errors import BadRequest, FramesNotReadable, InstanceNotFound, PixelRestFound, PixelsNeedPerson
from service.web.api.delivery_views import standing_of
from service.web.dashboard import presentation
from service.web.dashboard.delivery_pages import register_delivery_pages
from service.web.dashboard.lookup_page import register_lookup_page
from service.web.dashboard.pixel_pages import register_pixel_pages
from service.web.dashboard.trash_page import register_trash_page
from service.web.dashboard.version_pages import register_version_pages
from service.web.forms import FormSigns
from service.web.guard import audit_target, present_caller
from service.web.route_table import DECIDERS, row_of
from service.web.scope import chosen_project, visible_projects
from service.web.services import WebServices
from service.web.study_report import study_of
from service.web.viewer.configuration import study_list_path, study_path

_PAGE = 25
_STATES = ("held", "released", "discarded", "expired")

# What is told after a decision, by the word in the address; nothing from an address is ever printed.
_TOLD = {
    "archived": "Released: the object is in its study now.",
    "duplicate": "Released: the same object was there already.",
    "kept-first": "Released: another object has this UID, and the first one stays. It is listed as a conflict.",
    "replaced": "Released: it replaced the object with this UID.",
    "own-object": "Released: it was a result of this gateway.",
    "dropped": "Released: the project does not want this kind of object.",
    "in-trash": "Released: the same object was deleted, and is in the trash still.",
    "quarantined": "It was tried again and cannot be processed still.",
    "cut": "Cut off: what stood behind the last frame is gone. The object waits for another reason, in its own row.",
    "discarded": "Discarded: the object is destroyed, its row stays.",
}


def _project(services: WebServices) -> str:
    return chosen_project(services, present_caller(), request.args.get("project"))


def page_number() -> int:
    """The page that the address asks for, from 1."""
    text = request.args.get("page", "1")
    return min(max(int(text), 1), 1_000_000) if text.isdecimal() and len(text) < 8 else 1


def dashboard_blueprint(services: WebServices, signs: FormSigns, *, viewer_installed: bool) -> Blueprint:
    """The routes of the dashboard."""
    pages = Blueprint("dashboard", __name__)
    _register_frame(pages, services, signs, viewer_installed=viewer_installed)
    _register_studies(pages, services)
    _register_quarantine(pages, services, signs)
    register_delivery_pages(pages, services, lambda: _check(signs), page_number)
    register_lookup_page(pages, services, lambda: _check(signs))
    register_trash_page(pages, services, lambda: _check(signs), page_number)
    register_version_pages(pages, services, lambda: _check(signs))

    @pages.get("/status")
    def status() -> str:
        caller = present_caller()
        counts = services.overview.counts().within(visible_projects(services, caller))
        return render_template(
            "status.html",
            counts=counts,
            conflicts=services.conflicts.list(_project(services), limit=50),
            notices=services.notices(),
        )

    return pages


def _register_frame(pages: Blueprint, services: WebServices, signs: FormSigns, *, viewer_installed: bool) -> None:
    """What every page may use."""
    for name in ("tone", "moment", "moment_machine", "dicom_date", "size", "plural", "study_title"):
        pages.add_app_template_filter(getattr(presentation, name), name)

    @pages.app_context_processor
    def frame() -> dict[str, object]:
        return {
            "version": services.version,
            "viewer_installed": viewer_installed,
            "study_path": study_path,
            "study_list_path": study_list_path,
            "may": lambda endpoint, method="GET": _may(endpoint, method),
            "form_sign": lambda: signs.sign(present_caller()),
            "caller": present_caller,
            "known_caller": _is_known(),
            "projects": lambda: visible_projects(services, present_caller()),
            "with_arguments": lambda **changes: url_for(str(request.endpoint), **{**request.args, **changes}),
        }


def _is_known() -> bool:
    try:
        present_caller()
    except Exception:  # noqa: BLE001 - an error page is drawn for nobody as well
        return False
    return True


def _may(endpoint: str, method: str) -> bool:
    row = row_of(endpoint, method)
    return row is not None and present_caller().role in row.roles


def _register_studies(pages: Blueprint, services: WebServices) -> None:
    @pages.get("/")
    def studies() -> str:
        project, page = _project(services), page_number()
        found = services.instances.studies(project, limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        shown = found[:_PAGE] if services.view(project).results else []
        runs = services.overview.runs_of([summary.study.id for summary in shown])
        lines = {key: [presentation.run_line(run) for run in value] for key, value in runs.items()}
        return render_template(
            "studies.html",
            project=project,
            studies=found[:_PAGE],
            runs=lines,
            page=page,
            more=len(found) > _PAGE,
            counts=services.overview.counts().within([project]),
        )

    @pages.get("/studies/<project>/<study_uid>")
    def study(project: str, study_uid: str) -> str:
        view = services.view(project)
        report = study_of(services, project, study_uid)
        return render_template(
            "study.html",
            project=project,
            report=report,
            run_line=presentation.run_line,
            finding_lines=presentation.finding_lines,
            cleaning=services.cleaning(project, study_uid),
            standing=standing_of(services, project, study_uid),
            versions=services.releases.of_study(project, study_uid) if view.results else [],
            notes=services.rejections.notes(project, study_uid=study_uid),
        )


def _register_quarantine(pages: Blueprint, services: WebServices, signs: FormSigns) -> None:
    @pages.get("/quarantine")
    def quarantine() -> str:
        project, page = _project(services), page_number()
        state = request.args.get("state", "held")
        state = state if state in _STATES else "held"
        found = services.quarantine.list(project, state=state, limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "quarantine.html",
            project=project,
            entries=found[:_PAGE],
            state=state,
            states=_STATES,
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            pixels_status=PixelsNeedPerson.dimse_status,
            rest_status=PixelRestFound.dimse_status,
            frames_status=FramesNotReadable.dimse_status,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    @pages.post("/quarantine/<quarantine_id>/release")
    def release(quarantine_id: str) -> AnyResponse:
        project = _decidable(services, signs, quarantine_id)
        outcome = services.desk.release(quarantine_id, present_caller().name)
        return _back(project, outcome.kind.value)

    @pages.post("/quarantine/<quarantine_id>/release-cut")
    def release_cut(quarantine_id: str) -> AnyResponse:
        project = _decidable(services, signs, quarantine_id)
        outcome = services.desk.release_cut(quarantine_id, present_caller().name)
        return _back(project, "cut" if outcome.kind is OutcomeKind.QUARANTINED else outcome.kind.value)

    @pages.post("/quarantine/<quarantine_id>/discard")
    def discard(quarantine_id: str) -> AnyResponse:
        project = _decidable(services, signs, quarantine_id)
        services.desk.discard(quarantine_id, present_caller().name)
        return _back(project, "discarded")

    register_pixel_pages(pages, services, lambda quarantine_id: _entry(services, quarantine_id), lambda: _check(signs))


def _check(signs: FormSigns) -> None:
    signs.check(present_caller(), request.form.get("sign", ""))
    if any("\0" in text for text in request.form.values()):
        raise BadRequest("a text holds no NUL character")


def _decidable(services: WebServices, signs: FormSigns, quarantine_id: str) -> str:
    """The project of an entry that the present caller may decide on."""
    _check(signs)
    return _entry(services, quarantine_id).project


def _entry(services: WebServices, quarantine_id: str) -> QuarantineRow:
    """An entry of a project that the present caller may reach."""
    entry = services.desk.show(quarantine_id)
    if not present_caller().may_reach(entry.project):
        raise InstanceNotFound("there is nothing of this id in quarantine")
    audit_target(entry.id, project=entry.project)
    return entry


def _back(project: str, told: str) -> AnyResponse:
    return redirect(url_for("dashboard.quarantine", project=project, told=told), code=303)


def error_page(status: int, words: str) -> Response:
    """An error as a page."""
    return Response(render_template("error.html", status=status, words=words), status=status)
