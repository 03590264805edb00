"""The pages of results that may leave, and of the outbox."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.deliveries import DeliveryState, ReleaseState
from service.errors import DecisionRefused
from service.web.api.delivery_views import held_words, reachable_delivery, reachable_release
from service.web.guard import present_caller
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
    "retried": "It is tried again now.",
    "accepted": "It is sent under the patient that the peer names now.",
    "discarded": "Discarded: it is not sent.",
    "refused": "Nothing was changed: somebody decided before you, or it may not leave.",
}


def register_delivery_pages(
    pages: Blueprint, services: WebServices, check_form: Callable[[], None], page_number: Callable[[], int]
) -> None:
    """The routes below ``/results`` and ``/deliveries``."""

    def project() -> str:
        return chosen_project(services, present_caller(), request.args.get("project"))

    @pages.get("/results")
    def results() -> str:
        page, state = page_number(), _one_of(_RELEASE_STATES)
        found = services.releases.page(project(), state=ReleaseState(state), limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "results.html",
            project=project(),
            entries=found[:_PAGE],
            held={row.id: held_words(services.releases, row) for row in found},
            state=state,
            states=_RELEASE_STATES,
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    @pages.get("/deliveries")
    def deliveries() -> str:
        page, state = page_number(), _one_of(_DELIVERY_STATES)
        wanted = None if state == "all" else DeliveryState(state)
        found = services.outbox.page(project(), state=wanted, limit=_PAGE + 1, offset=(page - 1) * _PAGE)
        return render_template(
            "deliveries.html",
            project=project(),
            entries=found[:_PAGE],
            state=state,
            states=_DELIVERY_STATES,
            page=page,
            more=len(found) > _PAGE,
            may_decide=present_caller().role in DECIDERS,
            told=_TOLD.get(request.args.get("told", ""), ""),
        )

    _register_decisions(pages, services, check_form)


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
