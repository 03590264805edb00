"""The API held against its own description: schemathesis draws requests from it, and none is a fault of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from service.core.access import Role
from tests.web_gateway import WebGateway

DRAWN = settings(
    max_examples=2,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    held = WebGateway(tmp_path_factory.mktemp("gateway"))
    held.add_study()
    yield held
    held.close()


def test_api_keeps_to_its_description(gateway: WebGateway) -> None:
    caller = gateway.add_token("schema", Role.ADMIN)
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", gateway.app, headers=caller)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:

        @DRAWN
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=caller, checks=[not_a_server_error])

        ask()
