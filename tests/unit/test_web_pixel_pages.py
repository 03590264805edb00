"""The page on which a person decides about the pixels of an object in quarantine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict

from service.archive.audit import Outcome
from service.core.access import Role
from service.errors import BadRequest, FramesNotReadable, PixelRestFound, PixelsNeedPerson
from service.ingest.pixel_case import PixelCase, Region, RegionOrigin
from service.web.dashboard.pixel_pages import drawn_regions
from tests.fakes.in_memory_quarantine_desk import held_row
from tests.unit.test_web_pages import Parts
from tests.web_gateway import WebGateway, text

PAGE = "/quarantine/p1"
FOUND = (Region(10, 20, 300, 40), Region(5, 6, 70, 8, frame=2, origin=RegionOrigin.DEVICE))
SEEN = {"seen": "yes", "decide": "blacken", "x-1": "10", "y-1": "20", "width-1": "30", "height-1": "40", "frame-1": ""}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    reason = "Text is left after blackening"
    gateway.desk.rows["p1"] = held_row("p1", failure_reason=PixelsNeedPerson.dimse_status, reason=reason)
    gateway.desk.cases["p1"] = PixelCase(rows=480, columns=640, frames=3, regions=FOUND)
    yield gateway
    gateway.close()


def post(gateway: WebGateway, form: dict[str, str], headers: dict[str, str] | None = None):
    page = text(gateway.client().get(PAGE, headers=headers))
    sign = re.search(r'name="sign" value="([^"]+)"', page)
    fields = form | ({"sign": sign[1]} if sign else {})
    return gateway.client().post(f"{PAGE}/release-seen", data=fields, headers=headers)


def test_list_leads_to_the_page(gateway: WebGateway) -> None:
    page = text(gateway.client().get("/quarantine"))
    assert f'href="{PAGE}"' in page
    assert f"{PAGE}/release" not in page


def decide(gateway: WebGateway, place: str):
    """Use the form of the list that leads to a place."""
    page = text(gateway.client().get("/quarantine"))
    form = re.search(rf'action="{place}">\s*<input type="hidden" name="sign" value="([^"]+)"', page)
    assert form is not None
    return gateway.client().post(place, data={"sign": form[1]})


def test_bytes_behind_the_frames_are_cut_off_by_a_form(gateway: WebGateway) -> None:
    gateway.desk.rows["r1"] = held_row("r1", failure_reason=PixelRestFound.dimse_status)
    assert 'action="/quarantine/r1/release"' not in text(gateway.client().get("/quarantine"))
    assert decide(gateway, "/quarantine/r1/release-cut").status_code == 303
    assert (gateway.desk.cut, gateway.desk.rows["r1"].state) == (["r1"], "released")


def test_list_says_why_frames_that_cannot_be_read_stay(gateway: WebGateway) -> None:
    assert "text beside it" not in text(gateway.client().get("/quarantine"))
    gateway.desk.rows["f1"] = held_row("f1", failure_reason=FramesNotReadable.dimse_status)
    assert "text beside it" in text(gateway.client().get("/quarantine"))


def test_page_shows_the_frame_with_its_boxes(gateway: WebGateway) -> None:
    page = text(gateway.client().get(PAGE, query_string={"frame": 2}))
    assert f'src="{PAGE}/picture?frame=2"' in page
    assert page.count("<rect") == 2
    assert text(gateway.client().get(PAGE)).count("<rect") == 1


def test_page_needs_nothing_but_our_own_script(gateway: WebGateway) -> None:
    page = text(gateway.client().get(PAGE))
    assert "/static/boxes.js" in Parts(page).loaded
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/boxes.js" defer>']
    assert not re.search(r"\s(style|on\w+)=", page)
    assert "script-src 'self'" in gateway.client().get(PAGE).headers["Content-Security-Policy"]


@pytest.mark.parametrize("frame", ["0", "99", "x", "2" * 50])
def test_frame_that_there_is_not_becomes_one_that_there_is(gateway: WebGateway, frame: str) -> None:
    assert gateway.client().get(f"{PAGE}/picture", query_string={"frame": frame}).status_code == 200
    assert gateway.desk.looks[-1][1] in (1, 3)


def test_picture_is_kept_nowhere(gateway: WebGateway) -> None:
    answer = gateway.client().get(f"{PAGE}/picture?frame=2")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("image/png", "no-store")


def test_each_look_is_written_down(gateway: WebGateway) -> None:
    ada = gateway.add_user("ada", Role.LEAD)
    gateway.client().get(f"{PAGE}/picture?frame=2", headers=ada)
    (row,) = gateway.trail(action="quarantine.look")
    assert (row.actor, row.target, row.project, row.outcome) == ("ada", "p1", "default", Outcome.SUCCESS)
    assert row.detail["frame"] == 2


@pytest.mark.parametrize("role", [Role.READER, Role.INTEGRATOR, Role.AUDITOR])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/picture"])
def test_picture_is_for_those_who_decide(gateway: WebGateway, role: Role, path: str) -> None:
    headers = gateway.add_user("bob", role)
    assert gateway.client().get(path, headers=headers).status_code == 403
    assert gateway.desk.looks == []


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/picture"])
def test_lead_of_another_project_finds_nothing(gateway: WebGateway, path: str) -> None:
    headers = gateway.add_user("eve", Role.LEAD, projects=("other",))
    assert gateway.client().get(path, headers=headers).status_code == 404
    assert gateway.desk.looks == []


@pytest.mark.parametrize("path", ["/quarantine/a1", "/quarantine/a1/picture", "/quarantine/zz"])
def test_object_whose_pixels_are_not_the_question_has_no_page(gateway: WebGateway, path: str) -> None:
    assert gateway.client().get(path).status_code == 404


def test_boxes_are_blackened_and_the_object_released(gateway: WebGateway) -> None:
    answer = post(
        gateway, SEEN | {"width-7": "", "x-8": "1", "y-8": "2", "width-8": "3", "height-8": "4", "frame-8": "3"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/quarantine?project=default&told=archived")
    drawn = gateway.desk.drawn["p1"]
    assert [(box.x, box.y, box.width, box.height, box.frame) for box in drawn] == [
        (10, 20, 30, 40, None),
        (1, 2, 3, 4, 3),
    ]


def test_object_is_released_as_it_is(gateway: WebGateway) -> None:
    assert post(gateway, SEEN | {"decide": "unchanged"}).status_code == 303
    assert gateway.desk.drawn["p1"] == ()


@pytest.mark.parametrize(
    "form",
    [
        {**SEEN, "seen": ""},
        {"seen": "yes", "decide": "blacken"},
        SEEN | {"x-1": "ten"},
        SEEN | {"x-1": "1000"},
        SEEN | {"frame-1": "4"},
    ],
)
def test_what_is_not_a_decision_changes_nothing(gateway: WebGateway, form: dict[str, str]) -> None:
    assert post(gateway, form).status_code == 400
    assert gateway.desk.rows["p1"].state == "held"


def test_form_of_nobody_changes_nothing(gateway: WebGateway) -> None:
    assert gateway.client().post(f"{PAGE}/release-seen", data=SEEN | {"sign": "1.2"}).status_code == 403
    assert gateway.desk.rows["p1"].state == "held"


def test_too_many_boxes_are_refused() -> None:
    form = {f"{name}-{row}": "1" for row in range(501) for name in ("x", "y", "width", "height")}
    with pytest.raises(BadRequest, match="more than 500"):
        drawn_regions(MultiDict(form))


def test_api_says_where_to_look(gateway: WebGateway) -> None:
    answer = gateway.client().get("/api/v1/quarantine/p1/pixels").get_json()
    assert (answer["frames"], answer["picture"]) == (3, f"{PAGE}/picture")
    assert answer["regions"][1] == {"x": 5, "y": 6, "width": 70, "height": 8, "frame": 2, "origin": "device rule"}


@pytest.mark.parametrize("body", [{}, {"seen": False}, {"seen": True, "regions": [{"x": 1}]}])
def test_api_wants_a_person_who_has_seen_it(gateway: WebGateway, body: dict[str, object]) -> None:
    answer = gateway.client().post("/api/v1/quarantine/p1/release-seen", json=body)
    assert (answer.status_code, gateway.desk.rows["p1"].state) == (400, "held")


def test_api_releases_what_was_seen(gateway: WebGateway) -> None:
    region = {"x": 1, "y": 2, "width": 3, "height": 4, "frame": 1}
    answer = gateway.client().post("/api/v1/quarantine/p1/release-seen", json={"seen": True, "regions": [region]})
    assert answer.get_json()["outcome"] == "archived"
    assert len(gateway.desk.drawn["p1"]) == 1
