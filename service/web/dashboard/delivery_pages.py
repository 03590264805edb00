"""The pages of results that may leave or are taken back, of rejection notes that came, and of the outbox."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.blob_key import is_uid
from service.core.deliveries import DeliveryState, ReleaseRow, ReleaseState
from service.core.rejection import OUTGOING, PATIENT_SAFETY, TITLES
from service.delivery.recall_desk import RECALLABLE
from service.errors import DecisionRefused, InstanceNotFound
from service.web.api.delivery_views import held_words, reachable_delivery, reachable_release
from service.web.guard import audit_target, present_caller
from service.web.route_table import DECIDERS
from service.web.scope import chosen_project
from service.web.services import WebServices

_PAGE = 25
_RELEASE_STATES = tuple(state.value for state in ReleaseState)
_DELIVERY_STATES = ("all", *(state.value for state in DeliveryState))

# What is told after a decision, by the word in the address; nothing from an address is ever printed.
_TOLD = {
    "released": "Released: it leaves for the peers of its project.",
    "rejected": "Rejected: it stays in the gateway.",
    "recalled": "Recalled: it is hidden here, and a rejection note follows it to each peer that has it.",
    "not-recalled": "Nothing was changed: a recall needs its reason, and somebody may have decided before you.",
    "shown-again": "What the note hid is shown again, and annotators look at the study anew.",
    "retried": "It is tried again now.",
    "accepted": "It is sent under the patient that the peer names now.",
    "discarded": "Discarded: it is not sent.",
    "refused": "Nothing was changed: somebody decided before you, or it may not leave.",
}


def register_delivery_pages(
    pages: Blueprint, services: WebServices, check_form: Callable[[], None], page_number: Callable[[], int]
) -> None:
    """The routes below ``/results``, ``/rejections`` and ``/deliveries``."""
    _register_results(pages, services, page_number)
    _register_outbox(pages, services, page_number)
    _register_decisions(pages, services, check_form)


def _register_results(pages: Blueprint, services: WebServices, page_number: Callable[[], int]) -> None:
    @pages.get("/results")
    def results() -> str:
        page, state = page_number(), _one_of(_RELEASE_STATES)
        first = (page - 1) * _PAGE
        if "study" in request.args:
            state, found, more = "", _versions(services, _project(services), request.args["study"]), False
        else:
            wanted, project = ReleaseState(state), _project(services)
            sees = services.view(project).results
            found = services.releases.page(project, state=wanted, limit=_PAGE + 1, offset=first) if sees else []
            found, more = found[:_PAGE], len(found) > _PAGE
        return render_template(
            "results.html",
            project=_project(services),
            entries=found,
            held={row.id: held_words(services.releases, row) for row in found},
            state=state,
            states=_RELEASE_STATES,
            page=page,
            more=more,
            may_decide=present_caller().role in DECIDERS,
            recallable=RECALLABLE,
            titles=TITLES,
            outgoing=OUTGOING,
            usual_title=PATIENT_SAFETY,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    @pages.get("/rejections")
    def rejections() -> str:
        page, project = page_number(), _project(services)
        found = services.rejections.notes(project, limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "rejections.html",
            project=project,
            notes=found[:_PAGE],
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )


def _register_outbox(pages: Blueprint, services: WebServices, page_number: Callable[[], int]) -> None:
    @pages.get("/deliveries")
    def deliveries() -> str:
        page, state = page_number(), _one_of(_DELIVERY_STATES)
        wanted = None if state == "all" else DeliveryState(state)
        found = services.outbox.page(_project(services), state=wanted, limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "deliveries.html",
            project=_project(services),
            entries=found[:_PAGE],
            state=state,
            states=_DELIVERY_STATES,
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )


def _register_decisions(pages: Blueprint, services: WebServices, check_form: Callable[[], None]) -> None:
    @pages.post("/results/<result_id>/release")
    def release_result(result_id: str) -> AnyResponse:
        check_form()
        number = reachable_release(services, result_id)
        return _back("dashboard.results", "released", lambda by: services.releases.release(number, by).project)

    @pages.post("/results/<result_id>/reject")
    def reject_result(result_id: str) -> AnyResponse:
        check_form()
        number, reason = reachable_release(services, result_id), request.form.get("reason", "")
        return _back("dashboard.results", "rejected", lambda by: services.releases.reject(number, by, reason).project)

    @pages.post("/results/<result_id>/recall")
    def recall_result(result_id: str) -> AnyResponse:
        check_form()
        release = services.releases.show(reachable_release(services, result_id))
        code, reason, told = request.form.get("code", ""), request.form.get("reason", ""), "recalled"
        try:
            services.recall.recall(release.id, present_caller().name, code, reason)
        except DecisionRefused:
            told = "not-recalled"
        where = url_for("dashboard.results", project=release.project, study=release.study_uid, told=told)
        return redirect(where, code=303)

    @pages.post("/rejections/<project>/<study_uid>/<note_uid>/restore")
    def restore_rejected(project: str, study_uid: str, note_uid: str) -> AnyResponse:
        check_form()
        told = "shown-again"
        try:
            services.rejections.restore(project, study_uid, note_uid, present_caller().name)
        except InstanceNotFound:
            told = "refused"
        return redirect(url_for("dashboard.rejections", project=project, told=told), code=303)

    @pages.post("/deliveries/<delivery_id>/<decision>")
    def decide_delivery(delivery_id: str, decision: str) -> AnyResponse:
        check_form()
        number = reachable_delivery(services, delivery_id)
        acts = {
            "retry": (services.outbox.retry, "retried"),
            "accept": (services.outbox.accept, "accepted"),
            "discard": (services.outbox.discard, "discarded"),
        }
        if decision not in acts:
            return _back("dashboard.deliveries", "refused", lambda _: "")
        act, told = acts[decision]
        return _back("dashboard.deliveries", told, lambda by: act(number, by).delivery.project)


def _project(services: WebServices) -> str:
    return chosen_project(services, present_caller(), request.args.get("project"))


def _versions(services: WebServices, project: str, study_uid: str) -> list[ReleaseRow]:
    """Every version of a study's results; its UID is written down only if there are some, since it is ours then."""
    sees = is_uid(study_uid) and services.view(project).results
    found = services.releases.of_study(project, study_uid) if sees else []
    if found:
        audit_target(study_uid, project=project)
    return found


def _one_of(states: tuple[str, ...]) -> str:
    state = request.args.get("state", states[0])
    return state if state in states else states[0]


def _back(endpoint: str, told: str, act: Callable[[str], str]) -> AnyResponse:
    """Decide, and show the list again."""
    try:
        project = act(present_caller().name)
    except DecisionRefused:
        project, told = request.args.get("project", ""), "refused"
    return redirect(url_for(endpoint, told=told, project=project or None), code=303)
