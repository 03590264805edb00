"""What callers of the API send that it does not take is refused in words, whichever index stands behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.core.access import Role
from tests.web_gateway import PASSWORD, WebGateway, basic

Refused = Callable[..., tuple[int, str]]
TOKEN: dict[str, Any] = {"name": "ci", "role": "reader", "projects": ["default"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path_factory.mktemp("gateway"))
    gateway.add_study()
    gateway.add_user("grace", Role.READER)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def admin(gateway: WebGateway) -> dict[str, str]:
    return gateway.add_token("admin", Role.ADMIN)


@pytest.fixture(scope="module")
def refused(gateway: WebGateway, admin: dict[str, str]) -> Callable[..., tuple[int, str]]:
    """Calls below ``/api/v1``; the status of a refusal and its words."""

    def call(path: str, **request: Any) -> tuple[int, str]:
        answer = gateway.client().open(f"/api/v1/{path}", **{"headers": admin, **request})
        assert answer.mimetype == "application/problem+json"
        return answer.status_code, answer.get_json()["detail"]

    return call


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("actor=%00", "an address holds no NUL character"),
        ("%00=1", "an address holds no NUL character"),
        ("before=2147483648", "before: input should be less than or equal to 2147483647"),
        ("before=99999999999999999999", "before: input should be less than or equal to 2147483647"),
        ("limit=1&limit=2", "each parameter of this address may stand in it once"),
        ("limit=%EF%BC%91", "limit: input should be a valid integer, unable to parse string as an integer"),
        ("since=1709294400", "since: a time is to be written with its offset, such as 2024-03-01T12:00:00Z"),
        ("since=2024-03-01T12:00:00", "since: a time is to be written with its offset, such as 2024-03-01T12:00:00Z"),
        ("until=0001-01-01T00:00:00%2B23:59", "until: there is no such time"),
        ("until=2023-02-29T00:00:00Z", "until: there is no such time"),
    ],
)
def test_parameter_that_does_not_fit_is_refused(refused: Refused, query: str, words: str) -> None:
    assert refused(f"audit?{query}") == (400, words)


def test_time_counts_with_its_offset(gateway: WebGateway, admin: dict[str, str]) -> None:
    now = "2025-06-15T17:06:40%2B02:00"
    client = gateway.client()
    found = [client.get(f"/api/v1/audit?{bound}={now}", headers=admin).get_json() for bound in ("since", "until")]
    assert (len(found[0]["rows"]) > 0, found[1]["rows"]) == (True, [])


@pytest.mark.parametrize("number", ["2147483648", "999999999999999999", "9" * 50, "1.0", "-1", "1_0", "%EF%BC%91"])
@pytest.mark.parametrize("rows", ["results", "deliveries", "pulls", "projects/default/deletions"])
def test_number_of_no_row_is_not_found(refused: Refused, rows: str, number: str) -> None:
    assert refused(f"{rows}/{number}")[0] == 404


@pytest.mark.parametrize(
    "path", ["projects/default/studies/%00", "quarantine/a%00", "projects/%00/pulls/1", "deliveries/%00"]
)
def test_address_with_nul_is_refused(refused: Refused, path: str) -> None:
    status, _ = refused(f"{path}")
    assert status in (400, 404)


@pytest.mark.parametrize("name", ["a\0b", "é", "a" * 5000], ids=["nul", "letter", "long"])
def test_name_that_nobody_can_bear_is_not_known(refused: Refused, name: str) -> None:
    assert refused("status", headers=basic(name, PASSWORD))[0] == 401


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON: recursion limit exceeded"),
        (b'{"name":' * 100_000, "the body is no JSON: recursion limit exceeded"),
        (b'{"name":"\xff"}', "the body is no JSON: invalid unicode"),
        (b'{"name":"' + rb"\ud800" + b'"}', "the body is no JSON"),
        ("{}".encode("utf-16"), "the body is no JSON"),
        (b"null", "the body: input should be an object"),
        (json.dumps(TOKEN | {"a": 1}).encode(), "there is no such key; there are name, role, projects, expires_at"),
        (json.dumps(TOKEN | {"projects": "default"}).encode(), "projects: input should be a valid array"),
        (json.dumps(TOKEN | {"projects": [1]}).encode(), "projects.0: input should be a valid string"),
        (json.dumps(TOKEN | {"projects": ["\0"]}).encode(), "projects.0: a text holds no NUL character"),
        (json.dumps(TOKEN | {"expires_at": 1e12}).encode(), "expires_at: a time is to be written with its offset"),
        (json.dumps(TOKEN | {"expires_at": "9999-12-31T23:59:59-23:59"}).encode(), "expires_at: there is no such time"),
    ],
)
def test_body_that_does_not_fit_is_refused(refused: Refused, body: bytes, words: str) -> None:
    status, detail = refused("tokens", method="POST", data=body, content_type="application/json")
    assert (status, detail[: len(words)]) == (400, words)


def test_refusal_names_few_of_many_mistakes(refused: Refused) -> None:
    body = json.dumps(TOKEN | {"projects": [1] * 100_000})
    _, detail = refused("tokens", method="POST", data=body, content_type="application/json")
    assert detail.count("input should be a valid string") == 10


def test_body_longer_than_any_is_refused_unread(refused: Refused) -> None:
    body = b" " * (1 << 20) + b"{}"
    assert refused("tokens", method="POST", data=body, content_type="application/json")[0] == 413


@pytest.mark.parametrize("value", ["true", 1, "yes"])
def test_text_or_number_is_no_truth(refused: Refused, value: object) -> None:
    answer = refused("users/grace", method="PATCH", json={"disabled": value})
    assert answer == (400, "disabled: input should be a valid boolean")


def test_whole_number_may_be_written_with_a_point(gateway: WebGateway, refused: Refused, admin: dict[str, str]) -> None:
    """JSON has one kind of number."""
    body = {"peer": "pacs", "accession": "A-1", "count": 2.0}
    answer = gateway.client().post("/api/v1/projects/default/pulls", json=body, headers=admin)
    assert answer.status_code == 202
    assert refused("projects/default/pulls", method="POST", json=body | {"count": 2.5})[0] == 400
