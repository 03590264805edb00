"""How long OHIF in headless Chromium takes until a segmentation is seen, for `benchmarks.first_overlay`.

``python -m benchmarks.first_overlay_page ADDRESS PATIENCE_S [PICTURE]`` opens a study in a fresh browser as a reader
would, its segmentation by a double click as soon as an image is there, and prints JSON: milliseconds from the start of
the navigation until a canvas shows a pixel in colour, where images are grey. The page looks every 50 ms itself.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page

from benchmarks.first_overlay_sides import TITLE
from benchmarks.receivers import TICKS, tree
from tests.e2e.ohif_page import ohif

# `image` is when a canvas has more than one grey, `overlay` when it has a colour; both in ms since the navigation.
WATCH = """
performance.setResourceTimingBufferSize(100000);
window.seen = { image: null, overlay: null };
const small = new OffscreenCanvas(128, 128).getContext('2d', { willReadFrequently: true });
const look = () => {
    for (const canvas of document.querySelectorAll('.cornerstone-canvas')) {
        if (!canvas.width || !canvas.height) continue;
        small.clearRect(0, 0, 128, 128);
        small.drawImage(canvas, 0, 0, 128, 128);
        const { data } = small.getImageData(0, 0, 128, 128);
        let low = 255, high = 0, colour = 0;
        for (let k = 0; k < data.length; k += 4) {
            const [r, g, b] = [data[k], data[k + 1], data[k + 2]];
            low = Math.min(low, r); high = Math.max(high, r);
            colour = Math.max(colour, Math.max(r, g, b) - Math.min(r, g, b));
        }
        if (high - low > 30) window.seen.image ??= performance.now();
        if (colour > 40) window.seen.overlay ??= performance.now();
    }
    if (window.seen.overlay === null) setTimeout(look, 50);
};
document.addEventListener('DOMContentLoaded', look);
document.addEventListener('dblclick', () => { window.seen.asked ??= performance.now(); }, true);
"""
TRANSFERRED = """() => {
    const octets = {};
    for (const one of performance.getEntriesByType('resource')) {
        const kind = one.name.includes('/dicom-web/') ? 'dicomweb' : 'viewer';
        octets[kind] = (octets[kind] ?? 0) + one.transferSize;
    }
    return octets;
}"""


def largest_process_peak() -> int:
    """Bytes that were resident at most in the largest process of the browser: the one with the page."""
    peaks = [0]
    for pid in tree(os.getpid()):
        if pid == os.getpid():
            continue
        status = Path(f"/proc/{pid}/status").read_text()
        if found := re.search(r"^VmHWM:\s+(\d+)", status, re.MULTILINE):
            peaks.append(int(found[1]) << 10)
    return max(peaks)


def processor_seconds() -> float:
    """Of the browser so far: unlike the time it tells little of what else the machine did."""
    return sum(_ticks(pid) for pid in tree(os.getpid()) if pid != os.getpid()) / TICKS


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def watched(address: str, patience_s: float, picture: Path | None) -> dict[str, Any]:
    """One visit: what was seen when (ms), octets that were transferred, memory, and what the console complained of."""
    with ohif() as viewer:
        page = viewer.page
        page.set_default_timeout(1000 * patience_s)
        page.add_init_script(WATCH)
        trouble = ""
        try:
            viewer.open(address)
            page.wait_for_function("() => window.seen.image !== null")
            viewer.thumbnail("SEG", TITLE).dblclick()
            page.wait_for_function("() => window.seen.overlay !== null", polling=100)
        except Error as error:
            trouble = str(error).splitlines()[0]
        cpu = processor_seconds()
        told = _told(page)
        if picture is not None:
            page.screenshot(path=picture)
        errors = list(dict.fromkeys(viewer.errors))[:5]
        return told | {"cpu": cpu, "peak": largest_process_peak(), "trouble": trouble, "errors": errors}


def _told(page: Page) -> dict[str, Any]:
    try:
        seen: dict[str, Any] = page.evaluate("() => window.seen")
        return seen | {"octets": page.evaluate(TRANSFERRED)}
    except Error as error:  # the page is gone
        return {"image": None, "asked": None, "overlay": None, "octets": {}, "gone": str(error).splitlines()[0]}


if __name__ == "__main__":
    print(json.dumps(watched(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)))
