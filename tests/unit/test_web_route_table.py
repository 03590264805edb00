"""One table says which role may call which route; nobody may call what is not in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from service.core.access import Role
from service.web.route_table import CAPABILITIES_BLUEPRINTS, ROUTES, row_of
from tests.web_gateway import WebGateway

EXAMPLES = {
    "project": "default",
    "study_uid": "1.2.3",
    "series_uid": "1.2.3.1",
    "sop_instance_uid": "1.2.3.1.1",
    "frames": "1",
    "path": "7FE00010",
    "quarantine_id": "nothing",
    "name": "nobody",
    "token_id": "nothing",
    "filename": "annogate.css",
    "page": "viewer",
    "result_id": "1",
    "delivery_id": "1",
    "pull_id": "1",
    "decision": "retry",
    "note_uid": "2.25.77",
    "workitem_uid": "2.25.78",
    "ae_title": "WATCHER",
    "deletion_id": "1",
    "version_id": "1",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def credentials(gateway: WebGateway) -> dict[Role, dict[str, str]]:
    """A token of each role, for every project."""
    return {role: gateway.add_token(f"token-{role}", role) for role in Role}


def calls(app: Flask) -> list[tuple[Rule, str]]:
    """Every rule with every method that it takes, HEAD aside, which is what GET is."""
    return [
        (rule, method) for rule in app.url_map.iter_rules() for method in sorted((rule.methods or set()) - {"HEAD"})
    ]


def address(app: Flask, rule: Rule) -> str:
    values = {name: EXAMPLES[name] for name in rule.arguments - set(rule.defaults or {})}
    with app.test_request_context():
        built = app.url_map.bind("localhost").build(rule.endpoint, values | (rule.defaults or {}))
    return str(built)


def ask(gateway: WebGateway, rule: Rule, method: str, headers: dict[str, str] | None = None) -> int:
    """The status of the answer to an example of this call."""
    with gateway.client().open(address(gateway.app, rule), method=method, headers=headers) as answer:
        return answer.status_code


def walkable(app: Flask) -> list[tuple[Rule, str]]:
    """The calls whose address can be built without a viewer on disk."""
    return [(rule, method) for rule, method in calls(app) if rule.endpoint != "viewer.asset"]


def test_every_route_stands_in_the_table(gateway: WebGateway) -> None:
    missing = [(rule.rule, method) for rule, method in calls(gateway.app) if row_of(rule.endpoint, method) is None]
    assert missing == []


def test_every_row_of_the_table_is_a_route(gateway: WebGateway) -> None:
    there = {(rule.endpoint, method) for rule, method in calls(gateway.app)}
    assert set(ROUTES) - there == set()


def test_route_without_a_row_is_closed_to_the_administrator(gateway: WebGateway, credentials: dict) -> None:
    gateway.app.view_functions["health.unlisted"] = lambda: "secret"
    gateway.app.url_map.add(Rule("/unlisted", endpoint="health.unlisted", methods=["GET"]))
    answer = gateway.client().get("/unlisted", headers=credentials[Role.ADMIN])
    assert answer.status_code == 403


def test_nobody_is_asked_who_they_are_on_every_closed_route(gateway: WebGateway, credentials: dict) -> None:
    open_to_nobody = {
        (rule.endpoint, method): ask(gateway, rule, method)
        for rule, method in walkable(gateway.app)
        if not getattr(row_of(rule.endpoint, method), "public", False)
    }
    assert {call: status for call, status in open_to_nobody.items() if status != 401} == {}


@pytest.mark.parametrize("role", list(Role))
def test_role_is_refused_where_the_table_does_not_name_it(
    gateway: WebGateway, credentials: dict[Role, dict[str, str]], role: Role
) -> None:
    wrong = {}
    for rule, method in walkable(gateway.app):
        row = row_of(rule.endpoint, method)
        if row is None or row.public:
            continue
        status = ask(gateway, rule, method, credentials[role])
        if (status == 403) is (role in row.roles):
            # A form without its sign is refused too, but after the role was let through.
            if rule.endpoint.startswith("dashboard.") and method == "POST" and role in row.roles:
                continue
            wrong[rule.rule, method] = status
    assert wrong == {}


@pytest.mark.parametrize("role", list(Role))
def test_no_role_meets_a_fault_of_ours(
    gateway: WebGateway, credentials: dict[Role, dict[str, str]], role: Role
) -> None:
    faults = {
        (rule.rule, method): status
        for rule, method in walkable(gateway.app)
        if (status := ask(gateway, rule, method, credentials[role])) >= 500
    }
    assert faults == {}


def test_public_routes_are_these_and_no_others() -> None:
    public = {endpoint for (endpoint, _), row in ROUTES.items() if row.public}
    assert public == {"static", "health.live", "health.ready", "viewer.asset"}


def test_options_is_answered_below_dicomweb_alone(gateway: WebGateway) -> None:
    answering = {rule.endpoint for rule in gateway.app.url_map.iter_rules() if "OPTIONS" in (rule.methods or set())}
    assert answering == {f"{blueprint}.describe" for blueprint in CAPABILITIES_BLUEPRINTS}


@pytest.mark.parametrize("role", [Role.AUDITOR])
def test_auditor_reads_no_image(role: Role) -> None:
    images = [endpoint for (endpoint, _), row in ROUTES.items() if "dicomweb" in endpoint and role in row.roles]
    assert images == []


@pytest.mark.parametrize("action", ["user.add", "user.change", "token.add", "token.revoke"])
def test_accounts_are_changed_by_administrators_of_every_project_alone(action: str) -> None:
    rows = [row for row in ROUTES.values() if row.action == action]
    assert rows
    assert all(row.roles == {Role.ADMIN} and row.every_project for row in rows)
