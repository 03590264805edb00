"""Chromium without a screen, drawing 3-D in software, which asks the network for nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.patience import PATIENCE_S

FLAGS = [
    *("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--ignore-gpu-blocklist", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS, timeout=1000 * PATIENCE_S)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, **context: Any) -> Iterator[Page]:
    """A page with cookies and a cache of its own."""
    opened = browser.new_context(**context)
    opened.set_default_timeout(1000 * PATIENCE_S)
    try:
        yield opened.new_page()
    finally:
        opened.close()
