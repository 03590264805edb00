"""OHIF in headless Chromium, driven as a reader would."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from tests.chromium import chromium, tab

Points = Sequence[tuple[int, int]]
"""Where the mouse goes on the canvas: x, y in CSS pixels from its upper left corner."""

_PAINTED = """() => {
    const { segmentationService } = window.services;
    const [{ segmentationId }] = segmentationService.getSegmentations();
    const { imageIds } = segmentationService.getSegmentation(segmentationId).representationData.Labelmap;
    return imageIds
        .map(id => window.cornerstone.cache.getImage(id).voxelManager.getScalarData().filter(value => value).length)
        .reduce((sum, count) => sum + count, 0);
}"""


class OhifPage:
    """One tab with OHIF; notes every error that a reader's console would show."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self._is_confirmed = False
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self._note_foreign(request.url))

    def _note_foreign(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "blob:", "data:")):
            self.foreign.append(url)

    def open(self, url: str) -> None:
        """Go to an address; the first time, confirm what the viewer is for, which it remembers."""
        self.page.goto(url)
        if not self._is_confirmed:
            self.page.get_by_text("Confirm and hide").click()
            self._is_confirmed = True

    def open_study(self, address: str, project: str, study_uid: str, mode: str = "viewer") -> None:
        """Open a study of a project in one of OHIF's modes, and wait for its first image."""
        self.open(f"{address}/viewer/{mode}/{project}?StudyInstanceUIDs={study_uid}")
        self.wait_for_pixels()

    def thumbnail(self, modality: str, description: str) -> Locator:
        """What the study browser shows of an object without a picture."""
        return (
            self.page.locator("[data-cy=study-browser-thumbnail-no-image]")
            .filter(has_text=description)
            .filter(has=self.page.locator("[data-cy=series-modality-label]", has_text=modality))
        )

    def hydrate(self, modality: str, description: str) -> None:
        """Open a SEG or SR by a double click and say yes."""
        self.thumbnail(modality, description).dblclick()
        self.page.locator("[data-cy=yes-hydrate-btn]").click()
        self.page.locator("[data-cy=yes-hydrate-btn]").wait_for(state="detached")

    def panel(self, name: str) -> None:
        """Bring a panel of the right side to the front."""
        if self.page.locator(f"[data-cy={name}-btn]").get_attribute("data-state") != "active":
            self.page.locator(f"[data-cy={name}-btn]").click()

    def wait_for_pixels(self) -> None:
        """Wait until the viewport shows an image that is not of one grey."""
        self.page.wait_for_function(
            """() => {
                const shown = window.cornerstone?.getEnabledElements?.()[0];
                return shown && shown.viewport.getCurrentImageIdIndex !== undefined
                    && shown.viewport.getImageData?.() !== undefined;
            }"""
        )

    def take_tool(self, name: str) -> None:
        """Choose a measurement tool from the menu beside the ruler."""
        self.page.locator("[data-cy=MeasurementTools-split-button-secondary]").click()
        self.page.locator(f"[role=menu] [data-cy={name}]").click()
        self.page.locator(f"[data-tool={name}][data-active=true]").first.wait_for()

    def drag(self, points: Points) -> None:
        """Press the mouse on the first point of the canvas, go through the others, and let go on the last."""
        corner = self.page.locator(".cornerstone-canvas").first.bounding_box()
        assert corner is not None
        (x, y), *others = ((corner["x"] + x, corner["y"] + y) for x, y in points)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for x, y in others:
            self.page.mouse.move(x, y, steps=8)
        self.page.mouse.up()

    def scroll(self, slices: int) -> None:
        """Turn the wheel over the image until as many slices have gone by."""
        corner = self.page.locator(".cornerstone-canvas").first.bounding_box()
        assert corner is not None
        self.page.mouse.move(corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2)
        for _ in range(slices):
            shown = self.shown_slice()
            self.page.mouse.wheel(0, 100)
            self.page.wait_for_function(
                "shown => window.cornerstone.getEnabledElements()[0].viewport.getCurrentImageIdIndex() === shown + 1",
                arg=shown,
            )

    def shown_slice(self) -> int:
        """Which image of its stack the viewport shows, from 0."""
        answer: int = self.page.evaluate(
            "() => window.cornerstone.getEnabledElements()[0].viewport.getCurrentImageIdIndex()"
        )
        return answer

    def painted_voxels(self) -> int:
        """How many voxels the one open segmentation has, over all slices and segments."""
        answer: int = self.page.evaluate(_PAINTED)
        return answer

    def confirm_save(self, name: str = "") -> str:
        """Save as the dialog that asks for it offers, under a name of ours; the SOP Instance UID of the answer."""
        dialog = self.page.locator("[role=dialog]")
        if name:
            dialog.locator("input").fill(name)
        with self.page.expect_response(lambda answer: answer.request.method == "POST") as stored:
            dialog.get_by_role("button", name="Save").click()
        answer = stored.value.json()
        assert stored.value.status == 200, answer
        self.page.get_by_text("saved successfully").first.wait_for()
        (referenced,) = answer["00081199"]["Value"]
        saved: str = referenced["00081155"]["Value"][0]
        return saved

    def save_measurements(self, name: str = "") -> str:
        """Save the tracked measurements: as a new report where it has a name, else as the next of that loaded."""
        self.panel("trackedMeasurements")
        self.page.get_by_role("button", name="Create SR").click()
        return self.confirm_save(name)

    def save_segmentation(self, name: str) -> str:
        """Save the open segmentation in its mode as a new DICOM segmentation; its SOP Instance UID."""
        self.page.locator("[data-cy=segmentation-collapsed-more-btn-Labelmap]").click()
        self.page.get_by_role("menuitem", name="Export").hover()
        self.page.get_by_role("menuitem", name="DICOM SEG").click()
        return self.confirm_save(name)

    def canvas(self) -> np.ndarray:
        """What the viewport paints, image and segments, without the page's own marks; uint8, (height, width, 3)."""
        address: str = self.page.evaluate("() => document.querySelector('.cornerstone-canvas').toDataURL('image/png')")
        return np.asarray(Image.open(BytesIO(b64decode(address.split(",", 1)[1]))).convert("RGB"))

    def canvas_of(self, world: np.ndarray) -> tuple[int, int]:
        """The canvas point (x, y) of a point in mm (LPS) on the shown image."""
        answer: Any = self.page.evaluate(
            "point => Array.from(window.cornerstone.getEnabledElements()[0].viewport.worldToCanvas(point))",
            world.tolist(),
        )
        return round(answer[0]), round(answer[1])

    def world_of(self, points: np.ndarray) -> np.ndarray:
        """Patient coordinates (mm, LPS) of canvas points (x, y); shape (n, 2) to (n, 3)."""
        answer: Any = self.page.evaluate(
            """points => {
                const { viewport } = window.cornerstone.getEnabledElements()[0];
                return points.map(point => Array.from(viewport.canvasToWorld(point)));
            }""",
            points.tolist(),
        )
        return np.asarray(answer, dtype=float)


@contextmanager
def ohif(**context: Any) -> Iterator[OhifPage]:
    """A fresh browser with one tab; ``context`` is the browser's, such as who signs in."""
    with chromium() as browser, tab(browser, viewport={"width": 1600, "height": 1000}, **context) as page:
        yield OhifPage(page)
