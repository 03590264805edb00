"""Until OHIF shows a segmentation: ``python -m benchmarks.first_overlay [--rounds N] [--slices N] [--segments N]``.

The same CT and the same segments, in this gateway as Label Map, and in Orthanc with its DICOMweb plugin (Debian's;
newer ones may differ) as BINARY, both opened by the same OHIF in headless Chromium: a fresh browser for each visit, in
alternation. `--more` adds what lies between: BINARY from the gateway, and its Label Map with frames in RLE. The time
ends when a canvas shows a pixel in colour, and begins with the navigation, or with the double click on the segmentation
as soon as an image is there. Only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.first_overlay_sides import DIST, PhantomStudy, Shown, from_gateway, from_orthanc, phantom_study
from service.objects.frame_compression import RLE_FRAMES
from service.objects.segmentation_form import SegmentationForm, SegmentationKind

ROOT = Path(__file__).resolve().parents[1]
SIDE = 512
LABEL_MAP = SegmentationForm(SegmentationKind.LABELMAP)
BINARY = SegmentationForm(SegmentationKind.BINARY)
RLE = SegmentationForm(SegmentationKind.LABELMAP, RLE_FRAMES)
OURS, THEIRS = 0, 1
COLUMNS = (
    *("segmentation", "frames", "MB", "seen", "navigation, s", "image, s", "double click, s"),
    *("browser, CPU s", "DICOMweb, MB", "page at most, MB"),
)
Visits = dict[int, list[dict[str, Any]]]


def sides(stack: ExitStack, folder: Path, study: PhantomStudy, *, more: bool) -> list[Shown]:
    """Who shows it; the first two are compared."""
    makers = [from_gateway(folder / "label-map", study, LABEL_MAP), from_orthanc(folder / "orthanc", study, BINARY)]
    if more:
        makers += [from_gateway(folder / "binary", study, BINARY), from_gateway(folder / "rle", study, RLE)]
    return [stack.enter_context(one) for one in makers]


def visit(side: Shown, patience_s: float, picture: Path | None) -> dict[str, Any]:
    """Open it once, in a process and a browser of their own."""
    command = [sys.executable, "-m", "benchmarks.first_overlay_page", side.address, str(patience_s)]
    done = subprocess.run(
        command + ([str(picture)] if picture else []),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(shown: list[Shown], options: argparse.Namespace, console: Console) -> Visits:
    """All rounds; the order turns round."""
    visits: Visits = defaultdict(list)
    for number in range(options.rounds):
        order = list(enumerate(shown))
        for index, side in order if number % 2 == 0 else order[::-1]:
            picture = options.pictures / f"{index}-{number}.png" if options.pictures else None
            told = visit(side, options.patience, picture)
            visits[index].append(told)
            console.print(f"{side.name}: {_words(told)}", highlight=False)
    return visits


def _words(told: dict[str, Any]) -> str:
    if told["overlay"] is None:
        return f"nothing shown: {told['trouble']} {told['errors']}"
    return f"{told['overlay'] / 1e3:.1f} s, of these {since_asked(told) / 1e3:.1f} s since the double click"


def since_asked(told: dict[str, Any]) -> float:
    """Milliseconds from the double click to the overlay."""
    return float(told["overlay"] - told["asked"])


def table(shown: list[Shown], visits: Visits) -> Table:
    """Medians of the visits that showed something."""
    made = Table(title="Until the first overlay is seen")
    for name in COLUMNS:
        made.add_column(name, justify="left" if name == "segmentation" else "right")
    for index, side in enumerate(shown):
        seen = [one for one in visits[index] if one["overlay"] is not None]
        row = [side.name, f"{side.frames}", f"{side.octets / 1e6:.1f}", f"{len(seen)} of {len(visits[index])}"]
        if seen:
            row += [
                f"{statistics.median(one['overlay'] for one in seen) / 1e3:.1f}",
                f"{statistics.median(one['image'] for one in seen) / 1e3:.1f}",
                f"{statistics.median(since_asked(one) for one in seen) / 1e3:.1f}",
                f"{statistics.median(one['cpu'] for one in seen):.0f}",
                f"{statistics.median(one['octets'].get('dicomweb', 0) for one in seen) / 1e6:.0f}",
                f"{statistics.median(one['peak'] for one in seen) / 1e6:.0f}",
            ]
        made.add_row(*row)
    return made


def ratios(visits: Visits) -> dict[str, list[float]]:
    """How many times sooner ours is seen than theirs, pair by pair, where both are."""
    pairs = [
        (ours, theirs)
        for ours, theirs in zip(visits[OURS], visits[THEIRS], strict=True)
        if ours["overlay"] is not None and theirs["overlay"] is not None
    ]
    return {
        "of the browser's processor time": [theirs["cpu"] / ours["cpu"] for ours, theirs in pairs],
        "since the navigation": [theirs["overlay"] / ours["overlay"] for ours, theirs in pairs],
        "since the double click": [since_asked(theirs) / since_asked(ours) for ours, theirs in pairs],
    }


def main() -> int:
    """Measure and show; ends with 1 where the Label Map was not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after which a visit has failed")
    parser.add_argument("--more", action="store_true", help="BINARY and RLE from the gateway as well")
    parser.add_argument("--pictures", type=Path, help="a folder for a screenshot of each visit")
    options = parser.parse_args()
    if not (DIST / "index.html").is_file():
        sys.exit("OHIF is not unpacked (make viewer)")
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        study = phantom_study(Path(name) / "ct", options.slices, SIDE, options.segments)
        shown = sides(stack, Path(name), study, more=options.more)
        visits = measure(shown, options, console)
    console.print(table(shown, visits))
    for since, values in ratios(visits).items():
        if values:
            each = ", ".join(f"{value:.2f}" for value in values)
            console.print(f"{since}: {statistics.median(values):.2f} times ({each})", highlight=False)
    return 0 if all(one["overlay"] is not None for one in visits[OURS]) else 1


if __name__ == "__main__":
    sys.exit(main())
