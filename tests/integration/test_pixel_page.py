"""The page on which a person decides about pixels, in a real browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from service.errors import PixelsNeedPerson
from service.ingest.pixel_case import PixelCase, Region, RegionOrigin
from tests.chromium import chromium, tab
from tests.fakes.in_memory_quarantine_desk import held_row
from tests.web_gateway import WebGateway, served

pytestmark = [pytest.mark.peer("chromium")]
COLUMNS, ROWS = 640, 480
FOUND = (Region(20, 20, 200, 24), Region(400, 440, 220, 20, frame=2, origin=RegionOrigin.DEVICE))


def frame_as_png(frame: int) -> bytes:
    image = Image.new("L", (COLUMNS, ROWS), 24)
    draw = ImageDraw.Draw(image)
    draw.ellipse((180, 90, 460, 400), fill=90)
    draw.text((24, 22), "DOE^JANE 4711", fill=255, font_size=18)
    draw.text((404, 440), f"FRAME {frame}", fill=200, font_size=16)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    reason = "Text is left after blackening"
    gateway.desk.rows["p1"] = held_row("p1", failure_reason=PixelsNeedPerson.dimse_status, reason=reason)
    gateway.desk.cases["p1"] = PixelCase(ROWS, COLUMNS, 3, FOUND)
    monkeypatch.setattr(gateway.desk, "picture", lambda quarantine_id, frame: frame_as_png(frame))
    yield gateway
    gateway.close()


@pytest.fixture
def page(gateway: WebGateway) -> Iterator[Page]:
    size = {"width": 1280, "height": 900}
    with served(gateway) as address, chromium() as browser, tab(browser, viewport=size) as page:
        page.errors = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.errors.append(str(error)))  # type: ignore[attr-defined]
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)  # type: ignore[attr-defined]
        page.goto(f"{address}/quarantine/p1")
        yield page
        assert page.errors == []  # type: ignore[attr-defined]


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Drag over the picture, in its own pixels."""
    bounds = page.locator(".picture svg").bounding_box()
    assert bounds is not None
    scale = bounds["width"] / COLUMNS
    page.mouse.move(bounds["x"] + start[0] * scale, bounds["y"] + start[1] * scale)
    page.mouse.down()
    page.mouse.move(bounds["x"] + end[0] * scale, bounds["y"] + end[1] * scale, steps=4)
    page.mouse.up()


def values(page: Page, number: int) -> list[int]:
    return [int(page.locator(f"[name={name}-{number}]").input_value()) for name in ("x", "y", "width", "height")]


def test_person_draws_moves_and_sizes_boxes(gateway: WebGateway, page: Page) -> None:
    drag(page, (300, 200), (380, 260))
    assert values(page, 3) == pytest.approx([300, 200, 80, 60], abs=2)
    drag(page, (340, 230), (360, 240))
    assert values(page, 3) == pytest.approx([320, 210, 80, 60], abs=3)
    drag(page, (400, 270), (450, 300))
    assert values(page, 3) == pytest.approx([320, 210, 130, 90], abs=4)
    page.locator("[name=width-1]").fill("250")
    page.get_by_role("button", name="Remove box 2").click()
    page.get_by_label("I have looked").check()
    page.get_by_role("button", name="Blacken the boxes and release").click()
    page.get_by_text("Released: the object is in its study now.").wait_for()
    first, second = gateway.desk.drawn["p1"]
    assert (first.x, first.y, first.width, first.height, first.frame) == (20, 20, 250, 24, None)
    assert (second.x, second.width) == pytest.approx((320, 130), abs=4)


def test_boxes_stay_while_frames_are_turned(page: Page) -> None:
    drag(page, (300, 200), (380, 260))
    boxes = page.locator(".picture rect.box")
    assert boxes.count() == 2
    with page.expect_response(lambda response: response.url.endswith("picture?frame=2")):
        page.get_by_role("link", name="Next").click()
    assert (boxes.count(), page.locator("[data-shown]").inner_text()) == (3, "2")
    page.locator("[name=frame-3]").fill("1")
    assert boxes.count() == 2


def test_nothing_is_released_before_somebody_says_that_they_looked(gateway: WebGateway, page: Page) -> None:
    page.get_by_role("button", name="Release as it is").click()
    assert page.locator("[name=seen]").evaluate("box => box.validity.valueMissing")
    assert gateway.desk.rows["p1"].state == "held"


@pytest.mark.parametrize("width", [1280, 400])
def test_page_fits_its_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".picture img").evaluate("image => image.naturalWidth") == COLUMNS
