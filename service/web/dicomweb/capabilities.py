"""Retrieve Capabilities (PS3.18 8.9): what each resource takes and gives, told from the routes themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import Map

from service.errors import NotAcceptable
from service.web.dicomweb.answers import accepted, finish
from service.web.dicomweb.media_types import JSON
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.transactions import PLACES, Transaction, transaction_of
from service.web.dicomweb.wadl import Element, as_json, as_xml
from service.web.problems import register_problem_handlers

WADL: Final = "application/vnd.sun.wadl+xml"
ENDPOINT: Final = "describe"
_PLACE: Final = re.compile(r"<(?:\w+:)?(\w+)>")

Methods = Mapping[str, str]
"""Names of endpoints, without that of their blueprint, by HTTP method."""


def allowed_methods() -> list[str]:
    """The methods of the address that is asked."""
    rule = request.url_rule
    if rule is None:
        return []
    methods = [one.methods or set() for one in current_app.url_map.iter_rules() if one.rule == rule.rule]
    return sorted(set().union(*methods))


def capabilities_blueprint(services: DicomWebServices) -> Blueprint:
    """Build the blueprint, to be registered last: it answers OPTIONS at the root and at every address by then.

    Its view takes ``project`` where the address has it. Without ``url_defaults``: werkzeug would redirect from one
    address to another of the same view.
    """
    blueprint = Blueprint("capabilities", __name__)
    register_problem_handlers(blueprint)

    def describe(project: str = "", **_names: str) -> Response:
        return _answer(services.links.service_root(request, project))

    def register(state: BlueprintSetupState) -> None:
        prefix = state.url_prefix or ""
        for path in sorted({"", "/", *resources(state.app.url_map, prefix)}):
            state.add_url_rule(path, ENDPOINT, describe, methods=["OPTIONS"])

    blueprint.record(register)
    return blueprint


def resources(routes: Map, prefix: str) -> dict[str, Methods]:
    """What an application answers below a root of DICOMweb: the methods of each path, with Flask's place holders."""
    found: dict[str, dict[str, str]] = {}
    for rule in routes.iter_rules():
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if methods and rule.rule.startswith(f"{prefix}/"):
            endpoint = rule.endpoint.rpartition(".")[2]
            found.setdefault(rule.rule.removeprefix(prefix), {}).update(dict.fromkeys(methods, endpoint))
    return dict(found)


def describe_resources(base: str, found: Mapping[str, Methods], target: str = "") -> Element:
    """The document: the target, a path such as ``/studies/<study_uid>``, and all that lies below it."""
    tree = _tree(found, target)
    return Element("application", {}, [Element("resources", {"base": base}, tree)])


def _answer(base: str) -> Response:
    rule = request.url_rule
    root = _root_of(rule.rule if rule is not None else "")
    target = (rule.rule if rule is not None else "").removeprefix(root).rstrip("/")
    document = describe_resources(base, resources(current_app.url_map, root), target)
    media_type = _media_type()
    body = as_xml(document) if media_type == WADL else json.dumps(as_json(document)).encode()
    response = Response(body, content_type=media_type)
    response.headers["Allow"] = ", ".join(allowed_methods())
    response.headers["Vary"] = "Accept"
    return finish(response)


def _media_type() -> str:
    for media_range in accepted(request):
        for offered in (WADL, JSON):
            taken = media_range.covers(offered) and media_range.allows(offered, multipart=False)
            if taken and not media_range.multipart:
                return offered
    raise NotAcceptable(f"Capabilities are to be had as {WADL} or {JSON}")


def _root_of(rule: str) -> str:
    """The root of DICOMweb in a rule: all up to and with ``dicom-web``."""
    return rule[: rule.index("/dicom-web") + len("/dicom-web")]


def _tree(found: Mapping[str, Methods], target: str) -> list[Element]:
    below = {path: methods for path, methods in found.items() if path == target or path.startswith(f"{target}/")}
    if not target:
        return list(_children(below, ""))
    return [_resource(below, target, _named(target.strip("/")))] if below else []


def _resource(found: Mapping[str, Methods], path: str, shown: str) -> Element:
    params = [
        Element("param", {"name": PLACES.get(name, name), "style": "template"})
        for name in _PLACE.findall(path if "/" in shown else path.rpartition("/")[2])
    ]
    methods = [_method(method, endpoint) for method, endpoint in sorted(found.get(path, {}).items())]
    return Element("resource", {"path": shown}, [*params, *methods, *_children(found, path)])


def _children(found: Mapping[str, Methods], path: str) -> Iterator[Element]:
    """The resources one step below a path, those included that only lead to others."""
    steps = {rest.split("/", 1)[0] for rest in (one.removeprefix(f"{path}/") for one in found if one != path)}
    for step in sorted(step for step in steps if step):
        yield _resource(_within(found, f"{path}/{step}"), f"{path}/{step}", _named(step))


def _within(found: Mapping[str, Methods], path: str) -> dict[str, Methods]:
    return {one: methods for one, methods in found.items() if one == path or one.startswith(f"{path}/")}


def _named(path: str) -> str:
    """A path with the standard's place holders."""
    return _PLACE.sub(lambda match: "{" + PLACES.get(match[1], match[1]) + "}", path)


def _method(method: str, endpoint: str) -> Element:
    transaction = transaction_of(endpoint)
    taken = [Element("representation", {"mediaType": media_type}) for media_type in transaction.consumes]
    wanted = Element("request", {}, [*_accept(transaction), *_query(transaction.query), *taken])
    given = [Element("representation", {"mediaType": media_type}) for media_type in transaction.produces]
    ends = [
        Element("response", {"status": str(status)}, given if status in (200, 206) else [])
        for status in transaction.statuses
    ]
    return Element("method", {"name": method, "id": transaction.name}, [wanted, *ends])


def _accept(transaction: Transaction) -> Iterable[Element]:
    if not transaction.produces:
        return []
    options = [Element("option", {"value": media_type}) for media_type in transaction.produces]
    for media_type, uids in transaction.transfer_syntaxes.items():
        options += [Element("option", {"value": f"{media_type}; transfer-syntax={uid}"}) for uid in uids]
    attributes = {"name": "Accept", "style": "header", "default": transaction.produces[0]}
    return [Element("param", attributes, options)]


def _query(names: Iterable[str]) -> Iterable[Element]:
    return [Element("param", {"name": name, "style": "query"}) for name in names]
