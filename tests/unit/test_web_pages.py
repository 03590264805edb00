"""The pages for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.core.access import Role
from service.core.archived import RunState
from tests.fakes.in_memory_quarantine_desk import held_row
from tests.web_gateway import NODULE, WebGateway, text

PAGES = ["/", "/quarantine", "/status", "/studies/default/1.2.3", "/api/docs", "/viewer/"]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    yield gateway
    gateway.close()


@pytest.fixture
def filled(gateway: WebGateway) -> WebGateway:
    """With a study that three annotators have looked at."""
    key = gateway.add_study("1.2.3", images=3, description="Thorax <script>")
    gateway.add_result("1.2.3")
    gateway.add_run(key, "lungs", RunState.DONE, summary="2 lungs")
    gateway.add_run(key, "nodules", RunState.DONE, findings=[{"label": "Nodule 1"}, {"label": "Nodule 2"}])
    gateway.add_run(key, "bones", RunState.REFUSED, reason="a slice is missing")
    return gateway


class Parts(HTMLParser):
    """What a page loads, links to and asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.unlabelled: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.loaded += [values[name] or "" for name in ("src",) if name in values]
        if tag == "link":
            self.loaded.append(values.get("href") or "")
        if tag == "a":
            self.links.append(values.get("href") or "")
        if tag in ("script", "style") or "style" in values or any(name.startswith("on") for name in values):
            self.inline.append(tag)
        if tag == "img" and "alt" not in values:
            self.unlabelled.append(tag)


@pytest.mark.parametrize("path", PAGES)
def test_page_loads_nothing_but_our_own_files(filled: WebGateway, path: str) -> None:
    parts = Parts(text(filled.client().get(path)))
    assert parts.loaded
    assert all(address.startswith("/static/") for address in parts.loaded)


@pytest.mark.parametrize("path", PAGES)
def test_page_holds_no_inline_script_or_style(filled: WebGateway, path: str) -> None:
    assert Parts(text(filled.client().get(path))).inline == []


@pytest.mark.parametrize("path", PAGES[:-1])
def test_page_forbids_scripts_of_others_and_frames(filled: WebGateway, path: str) -> None:
    policy = filled.client().get(path).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", PAGES)
def test_pages_links_lead_somewhere(filled: WebGateway, path: str) -> None:
    client = filled.client()
    links = {link.split("#")[0] for link in Parts(text(client.get(path))).links} - {""}
    lost = {}
    for link in sorted(links):
        if "/instances/" in link:
            continue  # objects have rows here, and no files
        with client.get(link) as answer:
            if answer.status_code != 200 and not link.startswith("/viewer/"):
                lost[link] = answer.status_code
    assert lost == {}


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize(
    "path", [*PAGES, "/dicom-web/studies", "/api/v1/status", "/health/live", "/nothing", "/metrics"]
)
def test_every_answer_bears_the_security_headers(filled: WebGateway, path: str) -> None:
    headers = filled.client().get(path).headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_stored_objects_are_served_under_a_policy_without_scripts(filled: WebGateway) -> None:
    policy = filled.client().get("/dicom-web/studies/1.2.3/metadata").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/", "/quarantine", "/status", "/api/v1/status"])
def test_pages_are_not_kept_by_browsers(filled: WebGateway, path: str) -> None:
    assert filled.client().get(path).headers["Cache-Control"] == "no-store"


def test_empty_archive_is_told_in_words(gateway: WebGateway) -> None:
    assert "No study has arrived yet" in text(gateway.client().get("/"))


def test_empty_quarantine_is_told_in_words(gateway: WebGateway) -> None:
    gateway.desk.rows.clear()
    assert "everything that arrived could be processed" in text(gateway.client().get("/quarantine"))


@pytest.mark.parametrize(
    "words", ["receiving", "ANON-17", "2024-03-17", "2 lungs", "2 findings", "a slice is missing", "refused"]
)
def test_study_is_listed_with_state_and_runs(filled: WebGateway, words: str) -> None:
    assert words in text(filled.client().get("/"))


def test_study_shows_its_findings_with_measurements(filled: WebGateway) -> None:
    study = filled.index.study("default", "1.2.3")
    assert study is not None
    filled.add_run(study.id, "measured", RunState.DONE, findings=[NODULE])
    page = text(filled.client().get("/studies/default/1.2.3"))
    for words in ("Nodule 1", "Nodule · Right Lung · 88%", "Long axis 8.25\N{NO-BREAK SPACE}mm"):
        assert words in page


@pytest.mark.parametrize(("label", "count"), [("Images", "3"), ("Series", "2"), ("Results", "1")])
def test_study_is_listed_with_its_counts(filled: WebGateway, label: str, count: str) -> None:
    assert f'data-label="{label}" class="number">{count}<' in text(filled.client().get("/"))


def test_text_of_a_data_set_is_escaped(filled: WebGateway) -> None:
    page = text(filled.client().get("/"))
    assert "<script>" not in page
    assert "Thorax &lt;script&gt;" in page


def test_study_opens_in_the_viewer_of_its_project(filled: WebGateway) -> None:
    links = Parts(text(filled.client().get("/"))).links
    assert "/viewer/viewer/default?StudyInstanceUIDs=1.2.3" in links


def test_study_without_a_description_is_called_by_its_patient_id(gateway: WebGateway) -> None:
    gateway.add_study("1.2.3", description="")
    links = re.findall(r'<a href="/studies/default/1.2.3">([^<]*)</a>', text(gateway.client().get("/")))
    assert links == ["ANON-17"]


def test_auditor_is_offered_no_viewer(filled: WebGateway) -> None:
    headers = filled.add_user("uma", Role.AUDITOR)
    links = Parts(text(filled.client().get("/", headers=headers))).links
    assert not [link for link in links if link.startswith("/viewer")]


def test_list_goes_on_over_pages(gateway: WebGateway) -> None:
    for number in range(27):
        gateway.add_study(f"1.2.{number}", images=1)
    client = gateway.client()
    first, second = (text(client.get(f"/?page={page}")) for page in (1, 2))
    assert (first.count('data-label="State"'), second.count('data-label="State"')) == (25, 2)
    assert 'rel="next"' in first
    assert 'rel="next"' not in second


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999", "²"])
def test_page_number_that_is_none_is_the_first(filled: WebGateway, page: str) -> None:
    assert "ANON-17" in text(filled.client().get("/", query_string={"page": page}))


def test_only_granted_projects_are_offered(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER, ("other",))
    page = text(gateway.client().get("/", headers=headers))
    assert "Project other" in page
    assert "project=default" not in page


def test_caller_without_any_project_is_told(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER, ("gone",))
    answer = gateway.client().get("/", headers=headers)
    assert answer.status_code == 403
    assert "no project" in text(answer)


def test_quarantine_shows_reason_and_origin(gateway: WebGateway) -> None:
    page = text(gateway.client().get("/quarantine"))
    assert "the data set ends within Pixel Data (7FE0,0010)" in page
    assert "CT1" in page
    assert "0xC001" in page


def sign_on(page: str) -> str:
    """The hidden field of the first form."""
    found = re.search(r'name="sign" value="([^"]+)"', page)
    assert found
    return found.group(1)


@pytest.mark.parametrize(("action", "state"), [("release", "released"), ("discard", "discarded")])
def test_button_decides_and_comes_back(gateway: WebGateway, action: str, state: str) -> None:
    client = gateway.client()
    sign = sign_on(text(client.get("/quarantine")))
    answer = client.post(f"/quarantine/a1/{action}", data={"sign": sign}, follow_redirects=True)
    assert gateway.desk.rows["a1"].state == state
    assert gateway.desk.rows["a1"].decided_by == "local"
    assert 'role="status"' in text(answer)


@pytest.mark.parametrize("sign", ["", "x", "1750000000.", "1750000000.0000", "²."])
def test_form_without_its_sign_decides_nothing(gateway: WebGateway, sign: str) -> None:
    assert gateway.client().post("/quarantine/a1/release", data={"sign": sign}).status_code == 403
    assert gateway.desk.rows["a1"].state == "held"


def test_form_given_to_somebody_else_decides_nothing(gateway: WebGateway) -> None:
    ada, grace = gateway.add_user("ada", Role.LEAD), gateway.add_user("grace", Role.LEAD)
    client = gateway.client()
    sign = sign_on(text(client.get("/quarantine", headers=ada)))
    assert client.post("/quarantine/a1/release", data={"sign": sign}, headers=grace).status_code == 403
    assert client.post("/quarantine/a1/release", data={"sign": sign}, headers=ada).status_code == 303


def test_old_form_decides_nothing(gateway: WebGateway) -> None:
    client = gateway.client()
    sign = sign_on(text(client.get("/quarantine")))
    gateway.clock.now += 13 * 3600
    assert client.post("/quarantine/a1/release", data={"sign": sign}).status_code == 403


def test_second_decision_on_an_object_is_not_found(gateway: WebGateway) -> None:
    client = gateway.client()
    sign = sign_on(text(client.get("/quarantine")))
    for status in (303, 404):
        assert client.post("/quarantine/a1/discard", data={"sign": sign}).status_code == status


def test_reader_sees_no_quarantine(gateway: WebGateway) -> None:
    headers = gateway.add_user("ada", Role.READER)
    assert gateway.client().get("/quarantine", headers=headers).status_code == 403
    assert "Quarantine" not in text(gateway.client().get("/", headers=headers))


def test_auditor_sees_quarantine_without_buttons(gateway: WebGateway) -> None:
    page = text(gateway.client().get("/quarantine", headers=gateway.add_user("uma", Role.AUDITOR)))
    assert "an admin or lead decides" in page
    assert "<form" not in page


def test_told_words_are_never_those_of_the_address(gateway: WebGateway) -> None:
    page = text(gateway.client().get("/quarantine?told=Call+0800-evil"))
    assert "0800" not in page


def test_decided_objects_can_be_listed(gateway: WebGateway) -> None:
    gateway.desk.rows["c3"] = held_row("c3", state="discarded", decided_by="grace", decided_at=1_750_000_200.0)
    assert "grace" in text(gateway.client().get("/quarantine?state=discarded"))


def test_conflicts_are_listed(gateway: WebGateway) -> None:
    gateway.conflicts.add("default", "2.25.17", "kept-first", "CT1")
    page = text(gateway.client().get("/status"))
    assert "2.25.17" in page
    assert "kept-first" in page


def test_missing_study_is_a_page(gateway: WebGateway) -> None:
    answer = gateway.client().get("/studies/default/1.9")
    assert answer.status_code == 404
    assert "There is no such study" in text(answer) or "there is no such study" in text(answer)
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/problem+json"), ("", "application/problem+json")],
)
def test_address_that_is_none_is_told_as_the_caller_reads(gateway: WebGateway, accept: str, media_type: str) -> None:
    answer = gateway.client().get("/nothing", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (404, media_type)


def test_absent_viewer_is_told_in_words(gateway: WebGateway) -> None:
    answer = gateway.client().get("/viewer/")
    assert answer.status_code == 404
    assert "make viewer" in text(answer)


def test_fault_of_ours_shows_no_trace(gateway: WebGateway) -> None:
    def fail() -> str:
        raise ZeroDivisionError("Doe^Jane")

    gateway.app.view_functions["dashboard.status"] = fail
    answer = gateway.client().get("/status")
    assert answer.status_code == 500
    assert "Doe" not in text(answer)
    assert "Traceback" not in text(answer)


def test_study_page_lists_results_with_links_and_why_they_stay(filled: WebGateway) -> None:
    page = text(filled.client().get("/studies/default/1.2.3"))
    assert "nodules is held in default" in page
    links = [link for link in Parts(page).links if "/instances/" in link]
    series = "/projects/default/dicom-web/studies/1.2.3/series/1.2.3.7"
    assert [link.partition("/instances/")[0] for link in links] == [series] * 2
    assert links[0].endswith("/rendered")
    assert links[1].endswith("?accept=application/dicom")


def test_auditor_is_shown_no_links_to_objects(filled: WebGateway) -> None:
    headers = filled.add_user("ada", Role.AUDITOR)
    page = text(filled.client().get("/studies/default/1.2.3", headers=headers))
    assert "nodules is held in default" in page
    assert "/instances/" not in page


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ("ACC-99", 200, '<a href="/studies/default/1.2.3">Thorax &lt;script&gt;</a>'),
        ("ACC-4711", 200, "No study of project default is called so"),
        ("", 400, "look for an accession number or a Patient ID"),
    ],
)
def test_study_is_looked_up_without_a_trace_of_what_was_asked(
    filled: WebGateway, asked: str, status: int, words: str
) -> None:
    ada, client = filled.add_user("ada", Role.LEAD), filled.client()
    form = {"sign": sign_on(text(client.get("/lookup", headers=ada))), "project": "default", "accession": asked}
    answer = client.post("/lookup", data=form, headers=ada)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
    assert words in text(answer)
    assert not asked or asked not in text(answer)
    assert Parts(text(answer)).inline == []
    assert filled.questions == [("default", "ada")]
    assert filled.trail(action="study.lookup") == []  # the use case writes it, with a digest


def test_nobody_looks_up_by_address_or_in_a_project_that_is_not_theirs(filled: WebGateway) -> None:
    grace, client = filled.add_user("grace", Role.LEAD, ("other",)), filled.client()
    page = client.get("/lookup?accession=ACC-99", headers=grace)
    assert "ACC-99" not in text(page)
    form = {"sign": sign_on(text(page)), "project": "default", "accession": "ACC-99"}
    assert client.post("/lookup", data=form, headers=grace).status_code == 403
    assert client.post("/lookup", data=form | {"sign": ""}, headers=grace).status_code == 403
    assert filled.questions == []
    assert "ACC-99" not in str(filled.trail())
