"""The addresses of UPS-RS (PS3.18 chapter 11); registered beside the rest of DICOMweb, once for each of its roots."""

from __future__ import annotations

from flask import Blueprint

from service.core.workitem_states import WorkitemRefused
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.ups import WorkitemViews, answer_refusal
from service.web.dicomweb.ups_services import WorklistServices
from service.web.dicomweb.ups_subscriptions import SubscriptionViews
from service.web.problems import register_problem_handlers

_WORKITEM = "/workitems/<workitem_uid>"
_SUBSCRIBER = f"{_WORKITEM}/subscribers/<ae_title>"


def ups_blueprint(services: DicomWebServices, worklist: WorklistServices) -> Blueprint:
    """Build the blueprint; each view takes ``project``, from the address or from ``url_defaults``."""
    blueprint = Blueprint("worklist", __name__)
    register_problem_handlers(blueprint)
    blueprint.register_error_handler(WorkitemRefused, answer_refusal)
    items, subscribers = WorkitemViews(services, worklist), SubscriptionViews(services, worklist)
    blueprint.add_url_rule("/workitems", "create_workitem", items.create, methods=["POST"])
    blueprint.add_url_rule("/workitems", "search_workitems", items.search)
    blueprint.add_url_rule(_WORKITEM, "retrieve_workitem", items.retrieve)
    blueprint.add_url_rule(_WORKITEM, "update_workitem", items.update, methods=["POST"])
    blueprint.add_url_rule(f"{_WORKITEM}/state", "change_workitem_state", items.change_state, methods=["PUT"])
    blueprint.add_url_rule(f"{_WORKITEM}/cancelrequest", "request_cancellation", items.request_cancel, methods=["POST"])
    blueprint.add_url_rule(_SUBSCRIBER, "subscribe", subscribers.subscribe, methods=["POST"])
    blueprint.add_url_rule(_SUBSCRIBER, "unsubscribe", subscribers.unsubscribe, methods=["DELETE"])
    blueprint.add_url_rule(f"{_SUBSCRIBER}/suspend", "suspend_subscription", subscribers.suspend, methods=["POST"])
    # Once as what it is, and once so that whoever asks without a handshake is told in words.
    for is_websocket in (False, True):
        blueprint.add_url_rule(
            "/ws/subscribers/<ae_title>", "open_event_channel", subscribers.open_channel, websocket=is_websocket
        )
    return blueprint
