"""OHIF in headless Chromium, driven as a reader would."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from tests.chromium import chromium, tab


class OhifPage:
    """One tab with OHIF; notes every error that a reader's console would show."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self._note_foreign(request.url))

    def _note_foreign(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "blob:", "data:")):
            self.foreign.append(url)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.get_by_text("Confirm and hide").click()

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

    def canvas(self) -> np.ndarray:
        """What the viewport paints, image and segments, without the page's own marks; uint8, (height, width, 3)."""
        address: str = self.page.evaluate("() => document.querySelector('.cornerstone-canvas').toDataURL('image/png')")
        return np.asarray(Image.open(BytesIO(b64decode(address.split(",", 1)[1]))).convert("RGB"))

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
def ohif() -> Iterator[OhifPage]:
    """A fresh browser with one tab."""
    with chromium() as browser, tab(browser, viewport={"width": 1600, "height": 1000}) as page:
        yield OhifPage(page)
