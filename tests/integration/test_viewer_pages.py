"""OHIF as it comes from npm, served by the gateway and opened in a real browser."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page

from service.core.access import Role
from service.web.viewer.distribution import ViewerDistribution
from tests.chromium import chromium, tab
from tests.patience import PATIENCE_S
from tests.web_gateway import PASSWORD, WebGateway, served


@pytest.fixture(scope="module")
def viewer(repository: Path) -> Path:
    """The unpacked viewer; the test is skipped, or fails where peers are required, when `make viewer` did not run."""
    directory = repository / "viewer" / "dist"
    if not (directory / "index.html").is_file():
        words = "the viewer is not there: make viewer (needs npm)"
        if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1":
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
    return directory


@pytest.fixture(scope="module")
def gateway(viewer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path_factory.mktemp("gateway"), viewer_directory=viewer)
    gateway.add_study("1.2.3", description="Thorax with contrast")
    gateway.add_study("1.2.4", project="other", description="Head of another project")
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def address(gateway: WebGateway) -> Iterator[str]:
    with served(gateway) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Watched:
    """A page, with all that went wrong on it and every address that it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self.wrong.append(f"{request.url}: {request.failure}"))
        page.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    with tab(browser, viewport={"width": 1280, "height": 800}) as page:
        yield Watched(page)


def test_every_file_that_the_page_names_is_served(address: str, viewer: Path) -> None:
    page = (viewer / "index.html").read_text()
    names = set(re.findall(r'(?:href|src)="(/[^"]+)"', page))
    missing = {
        name: status
        for name in names
        if (status := requests.get(address + name, timeout=PATIENCE_S).status_code) != 200
    }
    assert len(names) > 20
    assert missing == {}


def test_every_served_file_arrives_whole(address: str, viewer: Path) -> None:
    distribution = ViewerDistribution(viewer)
    wrong = []
    for name in sorted(distribution.names):
        if distribution.asset(name).path.stat().st_size < 3_000_000:
            answer = requests.get(f"{address}/{name}", timeout=PATIENCE_S)
            if answer.content != distribution.asset(name).path.read_bytes():
                wrong.append(name)
    assert wrong == []


def bundle(viewer: Path) -> str:
    """The name of the largest script."""
    return next(path.name for path in viewer.glob("app.bundle.*.js"))


def test_bundle_travels_compressed_and_is_kept_for_good(address: str, viewer: Path) -> None:
    name = bundle(viewer)
    with requests.get(
        f"{address}/{name}", headers={"Accept-Encoding": "gzip"}, stream=True, timeout=PATIENCE_S
    ) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(answer.raw.read()) == (viewer / name).read_bytes()


def test_bundle_travels_plain_where_gzip_is_not_taken(address: str, viewer: Path) -> None:
    with requests.get(
        f"{address}/{bundle(viewer)}", headers={"Accept-Encoding": "identity"}, stream=True, timeout=PATIENCE_S
    ) as answer:
        assert "Content-Encoding" not in answer.headers
        assert int(answer.headers["Content-Length"]) == (viewer / bundle(viewer)).stat().st_size


@pytest.mark.parametrize(
    "name", ["sw.js", "google.js", "index.html", "_headers", "serve.json", "LICENSE", "assets/../_headers", "assets/"]
)
def test_deployment_files_are_not_served(address: str, name: str) -> None:
    request = requests.Request("GET", f"{address}/{name}").prepare()
    request.url = f"{address}/{name}"  # as it stands: nobody tidies the path
    with requests.Session() as session:
        assert session.send(request, timeout=PATIENCE_S).status_code == 404


def test_our_own_routes_are_not_shadowed(gateway: WebGateway, tmp_path: Path) -> None:
    directory = tmp_path / "dist"
    for name in ("static/annogate.css", "api/openapi.json", "metrics", "health/live", "app.bundle.css"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("theirs")
    (directory / "index.html").write_text("")
    (tmp_path / "index").mkdir()
    other = WebGateway(tmp_path / "index", viewer_directory=directory)
    client = other.client()
    answers = {}
    for path in ("/static/annogate.css", "/api/openapi.json", "/metrics", "/health/live", "/app.bundle.css"):
        with client.get(path) as answer:
            answers[path] = answer.get_data() == b"theirs"
    other.close()
    assert [path for path, theirs in answers.items() if theirs] == ["/app.bundle.css"]


@pytest.mark.parametrize("page", ["", "viewer?StudyInstanceUIDs=1.2.3", "viewer/default", "segmentation"])
def test_every_page_below_viewer_is_the_one_page(address: str, viewer: Path, page: str) -> None:
    answer = requests.get(f"{address}/viewer/{page}", timeout=PATIENCE_S)
    assert answer.content == (viewer / "index.html").read_bytes()


@pytest.mark.peer("chromium")
def test_study_list_opens_without_an_error(address: str, watched: Watched) -> None:
    watched.page.goto(f"{address}/viewer/")
    watched.page.get_by_text("Thorax with contrast").wait_for()
    assert watched.wrong == []


@pytest.mark.peer("chromium")
def test_viewer_asks_no_other_host(address: str, watched: Watched) -> None:
    watched.page.goto(f"{address}/viewer/")
    watched.page.get_by_text("Thorax with contrast").wait_for()
    assert len(watched.asked) > 10
    assert [url for url in watched.asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.mark.peer("chromium")
def test_viewer_is_isolated_and_may_share_memory(address: str, watched: Watched) -> None:
    watched.page.goto(f"{address}/viewer/")
    assert watched.page.evaluate("window.crossOriginIsolated") is True


@pytest.mark.peer("chromium")
def test_each_project_has_its_own_study_list(address: str, watched: Watched) -> None:
    watched.page.goto(f"{address}/viewer/?datasources=other")
    watched.page.get_by_text("Head of another project").wait_for()
    assert watched.page.get_by_text("Thorax with contrast").count() == 0


@pytest.mark.peer("chromium")
def test_dashboard_leads_into_the_viewer(address: str, watched: Watched) -> None:
    watched.page.goto(address)
    watched.page.get_by_role("link", name="Open Thorax with contrast in the viewer").click()
    with watched.page.expect_response(lambda answer: "/series/1.2.3.1/metadata" in answer.url) as metadata:
        pass
    assert metadata.value.status == 200


@pytest.mark.peer("chromium")
def test_reader_signs_in_once_and_sees_the_study_list(viewer: Path, tmp_path: Path, browser: Browser) -> None:
    gateway = WebGateway(tmp_path, viewer_directory=viewer)
    gateway.add_study("1.2.3", description="Thorax with contrast")
    gateway.add_user("ada", Role.READER, ("default",))
    known = {"username": "ada", "password": PASSWORD}
    with served(gateway) as address, tab(browser, http_credentials=known) as page:
        watched = Watched(page)
        watched.page.goto(f"{address}/viewer/")
        watched.page.get_by_text("Thorax with contrast").wait_for()
    gateway.close()
    assert watched.wrong == []
