"""Pages of other origins: told nothing unless configured, and never with what a browser adds by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from service.core.access import Role
from service.settings.values import Origin
from tests.web_gateway import WebGateway

ALLOWED, OTHER = "https://viewer.example.org", "https://evil.example.org"
ASKS = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    """A user there is, so that nobody comes in without saying who they are."""
    gateway = WebGateway(tmp_path_factory.mktemp("gateway"), cors_origins=frozenset({ALLOWED}))
    gateway.add_study("1.2.3")
    gateway.add_user("ada", Role.READER)
    yield gateway
    gateway.close()


def told(headers: object) -> dict[str, str]:
    """What an answer says to a browser about other origins."""
    return {name: value for name, value in headers if name.lower().startswith("access-control-")}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path",
    [
        *("/dicom-web/studies", "/projects/default/dicom-web/studies/1.2.3/metadata", "/dicom-web/workitems"),
        *("/wado?requestType=WADO", "/projects/default/wado", "/api/v1/studies", "/api/v1/projects/default/studies/1"),
    ],
)
def test_preflight_is_answered_before_anybody_says_who_they_are(gateway: WebGateway, path: str) -> None:
    answer = gateway.client().options(path, headers={"Origin": ALLOWED} | ASKS)
    assert (answer.status_code, answer.data) == (204, b"")
    allowed = told(answer.headers)
    assert allowed["Access-Control-Allow-Origin"] == ALLOWED
    assert "Authorization" in allowed["Access-Control-Allow-Headers"]
    assert "GET" in allowed["Access-Control-Allow-Methods"].split(", ")
    assert "Origin" in answer.vary


@pytest.mark.parametrize("origin", [OTHER, "null", f"{ALLOWED}.evil.example.org", f"{ALLOWED}:8443", "*", ""])
def test_other_origin_is_told_nothing(gateway: WebGateway, origin: str) -> None:
    preflight = gateway.client().options("/dicom-web/studies", headers={"Origin": origin} | ASKS)
    assert (preflight.status_code, told(preflight.headers)) == (401, {})
    answer = gateway.client().get("/dicom-web/studies", headers={"Origin": origin})
    assert told(answer.headers) == {}


def test_page_with_a_token_reads_what_a_viewer_needs(gateway: WebGateway) -> None:
    token = gateway.add_token("viewer", Role.READER)
    answer = gateway.client().get("/dicom-web/studies/1.2.3/metadata", headers={"Origin": ALLOWED} | token)
    assert answer.status_code == 200
    exposed = told(answer.headers)["Access-Control-Expose-Headers"].split(", ")
    assert {"Warning", "ETag", "Content-Location", "Location"} <= set(exposed)


def test_refusal_can_be_read_too(gateway: WebGateway) -> None:
    answer = gateway.client().get("/dicom-web/studies", headers={"Origin": ALLOWED})
    assert answer.status_code == 401
    assert told(answer.headers)["Access-Control-Allow-Origin"] == ALLOWED


def test_nothing_says_that_a_browser_may_add_credentials_or_that_all_may_read(gateway: WebGateway) -> None:
    for method in ("GET", "OPTIONS"):
        answer = gateway.client().open("/dicom-web/studies", method=method, headers={"Origin": ALLOWED} | ASKS)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "*" not in told(answer.headers).values()


CLOSED = [
    *("/", "/metrics", "/health/live", "/viewer/", "/api/v1/quarantine", "/api/v1/audit", "/api/v1/users"),
    *("/api/v1/projects/default/crosswalk", "/api/v1/nothing", "/nothing"),
]


@pytest.mark.parametrize("path", CLOSED)
def test_other_addresses_are_told_of_to_no_origin(gateway: WebGateway, path: str) -> None:
    assert told(gateway.client().get(path, headers={"Origin": ALLOWED}).headers) == {}
    assert told(gateway.client().options(path, headers={"Origin": ALLOWED} | ASKS).headers) == {}


@pytest.mark.parametrize("path", ["/wado", "/api/v1/studies"])
def test_page_with_a_token_reads_what_stands_beside_dicomweb(gateway: WebGateway, path: str) -> None:
    token = gateway.add_token(f"page{len(path)}", Role.READER)
    answer = gateway.client().get(path, headers={"Origin": ALLOWED} | token)
    assert told(answer.headers)["Access-Control-Allow-Origin"] == ALLOWED
    assert answer.status_code == (200 if "api" in path else 400)


def test_page_of_another_origin_may_decide_nothing_by_the_interface(gateway: WebGateway) -> None:
    decisions = [
        rule.rule
        for rule in gateway.app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and (rule.methods or set()) & {"POST", "PATCH", "DELETE", "PUT"}
    ]
    assert len(decisions) > 10
    for path in decisions:
        asks = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
        methods = told(gateway.client().options(path, headers=asks).headers).get("Access-Control-Allow-Methods", "")
        assert set(filter(None, methods.split(", "))) <= {"GET", "HEAD"}, path


def test_page_of_another_origin_stores_nothing_with_a_password(gateway: WebGateway) -> None:
    from tests.web_gateway import PASSWORD, basic

    answer = gateway.client().post(
        "/dicom-web/studies", headers={"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"} | basic("ada", PASSWORD)
    )
    assert answer.status_code == 403


def test_without_the_setting_no_origin_is_told_anything(tmp_path: Path) -> None:
    gateway = WebGateway(tmp_path)
    preflight = gateway.client().options("/dicom-web/studies", headers={"Origin": ALLOWED} | ASKS)
    assert (preflight.status_code, told(preflight.headers)) == (200, {})
    assert "Origin" not in preflight.vary
    gateway.close()


@pytest.mark.parametrize(
    "origin", ["https://viewer.example.org", "http://localhost:3000", "HTTPS://Viewer.Example.org"]
)
def test_origin_is_taken(origin: str) -> None:
    assert TypeAdapter(Origin).validate_python(origin) == origin.lower()


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "", "viewer.example.org", "https://*.example.org", "https://viewer.example.org/"),
        *("https://viewer.example.org/ohif", "ftp://viewer.example.org", "https://ada@viewer.example.org"),
        *("https://viewer.example.org:443", "https://viewer.example.org:99999"),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Origin).validate_python(origin)


@pytest.mark.parametrize(
    "path", ["/dicom-web/nothing", "/projects/default/dicom-web/studies/1.2.3/nothing", "/api/v1/nothing", "/wado/x"]
)
def test_address_that_there_is_not_is_a_problem_even_for_a_browser(gateway: WebGateway, path: str) -> None:
    answer = gateway.client().get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["status"] == 404


def test_method_that_an_address_does_not_take_is_a_problem_with_those_it_does(gateway: WebGateway) -> None:
    answer = gateway.client().patch("/dicom-web/studies", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "GET" in answer.headers["Allow"]
