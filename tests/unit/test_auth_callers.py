"""Who is let in: users, tokens, the local administrator, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.core.access import Role
from service.errors import SettingsInvalid
from service.web.auth import is_loopback, refuse_open_listener
from tests.web_gateway import PASSWORD, WebGateway, basic, text

STATUS = "/api/v1/status"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    yield gateway
    gateway.close()


@pytest.fixture
def open_gateway(gateway: WebGateway) -> WebGateway:
    """On loopback, with no user and no token."""
    return gateway


def test_local_caller_is_the_administrator_where_nobody_is_configured(open_gateway: WebGateway) -> None:
    assert open_gateway.client().get("/api/v1/users").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
def test_names_of_this_machine_are_answered(open_gateway: WebGateway, host: str) -> None:
    assert open_gateway.client().get(STATUS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]", "10.0.0.1"],
)
def test_name_that_was_rebound_to_this_machine_is_refused(open_gateway: WebGateway, host: str) -> None:
    answer = open_gateway.client().get(STATUS, headers={"Host": host})
    assert answer.status_code == 403
    assert "localhost" in text(answer)


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Server", "Forwarded", "X-Real-IP", "Via"]
)
def test_proxy_before_an_open_gateway_is_refused(open_gateway: WebGateway, header: str) -> None:
    assert open_gateway.client().get(STATUS, headers={header: "192.0.2.1"}).status_code == 403


def test_other_machine_is_asked_who_it_is(open_gateway: WebGateway) -> None:
    answer = open_gateway.client().get(STATUS, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert answer.status_code == 401


def test_open_gateway_that_others_can_reach_lets_nobody_in(tmp_path: Path) -> None:
    gateway = WebGateway(tmp_path, listens_on_loopback=False)
    assert gateway.client().get(STATUS).status_code == 401
    gateway.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/quarantine/a1/discard", "/dicom-web/studies", "/quarantine/a1/release"])
def test_page_of_another_site_changes_nothing(open_gateway: WebGateway, headers: dict[str, str], path: str) -> None:
    answer = open_gateway.client().post(path, headers=headers)
    assert answer.status_code == 403
    assert open_gateway.desk.rows["a1"].state == "held"


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://localhost"}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}]
)
def test_own_page_and_script_may_decide(open_gateway: WebGateway, headers: dict[str, str]) -> None:
    assert open_gateway.client().post("/api/v1/quarantine/a1/discard", headers=headers).status_code == 200


def test_page_of_another_site_may_follow_a_link(open_gateway: WebGateway) -> None:
    assert open_gateway.client().get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_users_browser_is_no_tool_of_another_site(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.ADMIN) | {"Origin": "https://evil.example"}
    assert gateway.client().post("/api/v1/quarantine/a1/discard", headers=headers).status_code == 403


def test_program_with_a_token_may_say_what_origin_it_likes(gateway: WebGateway) -> None:
    headers = gateway.add_token("ci", Role.ADMIN) | {"Origin": "https://tool.example"}
    assert gateway.client().post("/api/v1/quarantine/a1/discard", headers=headers).status_code == 200


def test_first_user_closes_the_door_behind_the_local_administrator(gateway: WebGateway) -> None:
    gateway.add_user("ada", Role.ADMIN)
    assert gateway.client().get(STATUS).status_code == 401


def test_nobody_is_told_both_ways_in(gateway: WebGateway) -> None:
    gateway.add_user("ada", Role.ADMIN)
    challenges = gateway.client().get(STATUS).headers.getlist("WWW-Authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Basic", "Bearer"]


def test_user_comes_in_by_password(gateway: WebGateway) -> None:
    assert gateway.client().get(STATUS, headers=gateway.add_user("ada", Role.READER)).status_code == 200


def test_token_comes_in_as_bearer(gateway: WebGateway) -> None:
    assert gateway.client().get(STATUS, headers=gateway.add_token("ci", Role.READER)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("ada", "wrong"),
        basic("grace", PASSWORD),
        basic("", ""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer annogate_AAAA"},
        {"Authorization": "Bearer "},
        {"Authorization": "Digest username=ada"},
        {"Authorization": "nonsense"},
        {"Authorization": ""},
    ],
)
def test_other_credentials_are_refused(gateway: WebGateway, headers: dict[str, str]) -> None:
    gateway.add_user("ada", Role.ADMIN)
    assert gateway.client().get(STATUS, headers=headers).status_code == 401


def test_disabled_user_is_out_at_once(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.ADMIN)
    gateway.client().get(STATUS, headers=headers)
    gateway.accounts.set_disabled("ada", True)
    assert gateway.client().get(STATUS, headers=headers).status_code == 401


def test_changed_role_holds_at_once(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.ADMIN)
    assert gateway.client().get("/api/v1/users", headers=headers).status_code == 200
    gateway.accounts.set_grant("ada", Role.READER, ["*"])
    assert gateway.client().get("/api/v1/users", headers=headers).status_code == 403


def test_expired_token_is_out(gateway: WebGateway) -> None:
    headers = gateway.add_token("ci", Role.READER, expires_at=gateway.clock.now + 10)
    gateway.clock.now += 11
    assert gateway.client().get(STATUS, headers=headers).status_code == 401


def test_sixth_wrong_password_waits(gateway: WebGateway) -> None:
    gateway.add_user("ada", Role.ADMIN)
    client = gateway.client()
    statuses = [client.get(STATUS, headers=basic("ada", "wrong")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_who_waits_is_told_how_long(gateway: WebGateway) -> None:
    gateway.add_user("ada", Role.ADMIN)
    client = gateway.client()
    for _ in range(6):
        answer = client.get("/dicom-web/studies", headers=basic("ada", "wrong"))
    assert answer.headers["Retry-After"] == "1"


def test_right_password_waits_too_and_comes_in_then(gateway: WebGateway) -> None:
    right = gateway.add_user("ada", Role.ADMIN)
    client = gateway.client()
    for _ in range(5):
        client.get(STATUS, headers=basic("ada", "wrong"))
    assert client.get(STATUS, headers=right).status_code == 429
    gateway.clock.now += 2
    assert client.get(STATUS, headers=right).status_code == 200


@pytest.mark.parametrize(
    "path", ["/projects/other/dicom-web/studies", "/api/v1/studies?project=other", "/?project=other"]
)
def test_project_that_is_not_granted_is_refused(gateway: WebGateway, path: str) -> None:
    headers = gateway.add_user("ada", Role.READER, ("default",))
    assert gateway.client().get(path, headers=headers).status_code == 403


def test_default_project_is_refused_where_it_is_not_granted(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER, ("other",))
    assert gateway.client().get("/dicom-web/studies", headers=headers).status_code == 403
    assert gateway.client().get("/projects/other/dicom-web/studies", headers=headers).status_code == 204


def test_absent_project_looks_like_one_that_is_not_granted(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER, ("default",))
    client = gateway.client()
    answers = [client.get(f"/projects/{name}/dicom-web/studies", headers=headers) for name in ("other", "nothing")]
    assert text(answers[0]) == text(answers[1])


def test_absent_project_is_not_found_by_those_who_may_see_all(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER)
    assert gateway.client().get("/projects/nothing/dicom-web/studies", headers=headers).status_code == 404


def test_quarantine_of_another_project_is_not_found(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.LEAD, ("default",))
    assert gateway.client().post("/api/v1/quarantine/b2/discard", headers=headers).status_code == 404
    assert gateway.desk.rows["b2"].state == "held"


def test_administrator_of_one_project_makes_no_accounts(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.ADMIN, ("default",))
    body = {"name": "eve", "role": "admin", "projects": ["*"]}
    assert gateway.client().post("/api/v1/tokens", headers=headers, json=body).status_code == 403


@pytest.mark.parametrize("path", ["/", "/dicom-web/studies", "/api/v1/users", "/metrics"])
def test_head_is_let_in_as_get_is(gateway: WebGateway, path: str) -> None:
    headers = gateway.add_user("ada", Role.ADMIN)
    client = gateway.client()
    assert client.head(path).status_code == 401
    assert client.head(path, headers=headers).status_code in (200, 204)


def test_address_of_the_caller_comes_from_a_trusted_proxy(tmp_path: Path) -> None:
    gateway = WebGateway(tmp_path, trusted_proxy=True)
    headers = gateway.add_user("ada", Role.ADMIN) | {"X-Forwarded-For": "198.51.100.7, 192.0.2.9"}
    gateway.client().get(STATUS, headers=headers)
    assert [row.address for row in gateway.trail()] == ["192.0.2.9"]
    gateway.close()


def test_address_that_a_caller_makes_up_is_not_believed(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.ADMIN) | {"X-Forwarded-For": "198.51.100.7"}
    gateway.client().get(STATUS, headers=headers)
    assert [row.address for row in gateway.trail()] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("gateway.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_open_listener_is_refused_with_the_reason() -> None:
    with pytest.raises(SettingsInvalid, match=r"http\.host: 0\.0\.0\.0 .* no user or token"):
        refuse_open_listener("0.0.0.0", has_accounts=False)


@pytest.mark.parametrize(("host", "has_accounts"), [("0.0.0.0", True), ("127.0.0.1", False), ("127.0.0.1", True)])
def test_other_listeners_are_let_be(host: str, has_accounts: bool) -> None:
    refuse_open_listener(host, has_accounts)


@pytest.mark.parametrize("proxied", [{"trusted_proxy": True}, {"public_url": "https://annogate.example.org"}])
def test_listener_behind_a_proxy_is_refused_as_an_open_one_is(proxied: dict[str, Any]) -> None:
    with pytest.raises(SettingsInvalid, match=r"http\.\w+: .* proxy .* no user or token"):
        refuse_open_listener("127.0.0.1", has_accounts=False, **proxied)
    refuse_open_listener("127.0.0.1", has_accounts=True, **proxied)


def test_public_address_on_this_machine_is_let_be() -> None:
    refuse_open_listener("127.0.0.1", has_accounts=False, public_url="http://localhost:8080/annogate")
