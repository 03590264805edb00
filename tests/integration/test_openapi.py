"""The API held against its own description, by schemathesis.

What the description allows is answered as it says; what it forbids is refused with a problem document. Both are drawn
from the description: every bound of every value and what lies beside it, and then values at random from a fixed seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, CheckContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from service.core.access import Role
from service.web.api.operations import OPERATIONS
from tests.web_gateway import WebGateway

DRAWN = {
    "generation": {"deterministic": True, "max-examples": 8, "no-shrink": True, "mode": "all"},
    "phases": {
        "examples": {"enabled": False},
        "coverage": {"unexpected-methods": ["PUT", "DELETE"]},
        "stateful": {"enabled": False},
    },
}
# What is there, so that a call comes as far as its body and its parameters.
HELD = {
    "path.project": "default",
    "path.study_uid": "1.2.3",
    "path.name": "ada",
    "path.quarantine_id": "a1",
    "path.result_id": 1,
    "path.delivery_id": 1,
    "path.deletion_id": 1,
    "path.pull_id": 1,
    "query.project": "default",
}
UNHURRIED = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    held = WebGateway(tmp_path_factory.mktemp("gateway"))
    held.add_study()
    held.add_delivery()
    held.add_user("ada", Role.READER)
    yield held
    held.close()


@pytest.fixture(scope="module")
def caller(gateway: WebGateway) -> dict[str, str]:
    return gateway.add_token("schema", Role.ADMIN)


def described(gateway: WebGateway, caller: dict[str, str], **drawn: object) -> schemathesis.BaseSchema:
    config = schemathesis.Config.from_dict({**DRAWN, **drawn})
    return schemathesis.openapi.from_wsgi("/api/openapi.json", gateway.app, config=config, headers=caller)


@pytest.fixture(scope="module")
def at_what_is_held(gateway: WebGateway, caller: dict[str, str]) -> schemathesis.BaseSchema:
    return described(gateway, caller, parameters=HELD)


@pytest.fixture(scope="module")
def anywhere(gateway: WebGateway, caller: dict[str, str]) -> schemathesis.BaseSchema:
    return described(gateway, caller)


held_places = schemathesis.pytest.from_fixture("at_what_is_held")
drawn_places = schemathesis.pytest.from_fixture("anywhere").include(path_regex="{")


def refusal_is_a_problem(_: CheckContext, response: Response, case: Case) -> None:
    """A refusal is a problem document (RFC 9457) that says in words what was wrong."""
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return
    assert response.headers["content-type"] == ["application/problem+json"], case.operation.label
    document = json.loads(response.content)
    assert document["status"] == response.status_code
    assert document["detail"] not in ("", document["title"]), f"{case.operation.label} was refused without words"
    assert "Traceback" not in response.text


def call(case: Case, caller: dict[str, str]) -> None:
    answer = case.call(headers=caller)
    checks = [not_a_server_error, negative_data_rejection, unsupported_method, refusal_is_a_problem]
    if answer.status_code != HTTPStatus.METHOD_NOT_ALLOWED:  # of no operation
        checks += [status_code_conformance, content_type_conformance, response_schema_conformance]
    case.validate_response(answer, checks=checks, headers=caller)


@held_places.parametrize()
@UNHURRIED
def test_api_keeps_to_its_description(case: Case, caller: dict[str, str]) -> None:
    call(case, caller)


@drawn_places.parametrize()
@UNHURRIED
def test_api_keeps_to_its_description_wherever_it_is_called(case: Case, caller: dict[str, str]) -> None:
    call(case, caller)


def test_every_operation_is_described(anywhere: schemathesis.BaseSchema) -> None:
    assert len([found.ok() for found in anywhere.get_all_operations()]) == len(OPERATIONS)
