"""Segmentations beside highdicom: ``python -m benchmarks.objects [--rounds N] [--slices N] [--side N]``.

104 segments on a CT of 300 × 512 × 512, as Label Map and as BINARY: processor seconds and the memory that was resident
at most, a process for each piece of work, in alternation; only ratios of one run mean anything. Beside highdicom's
constructor, its reading by ``segread`` and ``get_volume``, its frames kept or fetched lazily, whichever is faster.
Both have to say the same: pixels of each segment and frame, places, what segments are called and are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.objects_work import KINDS
from service.objects.content_tree import first_code
from service.objects.segmentation_arrays import label_array
from service.objects.segmentation_reading import ReadSegmentation, read_segmentation

ROOT = Path(__file__).resolve().parents[1]
WORKS = tuple(
    f"{action}-{kind}-{whom}"
    for kind in KINDS
    for action, those in (
        ("write", ("ours", "highdicom")),
        ("read", ("ours", "highdicom", "lazy")),
        ("stream", ("ours",)),
    )
    for whom in those
)


@dataclass
class Measured:
    """What was told of each piece of work, round by round."""

    told: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def values(self, work: str, name: str) -> list[float]:
        """One figure of all rounds."""
        return [one[name] for one in self.told[work]]

    def median(self, work: str, name: str) -> float:
        """Its median."""
        return statistics.median(self.values(work, name))


def run(work: str, folder: Path, shape: tuple[int, int]) -> dict[str, Any]:
    """One piece of work in its own process."""
    command = [sys.executable, "-m", "benchmarks.objects_work", work, str(folder), *map(str, shape)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(folder: Path, shape: tuple[int, int], rounds: int) -> Measured:
    """All rounds; what is read was written in the same one, and the order turns round."""
    measured = Measured()
    for number in range(rounds):
        for work in WORKS if number % 2 == 0 else _turned(WORKS):
            measured.told[work].append(run(work, folder, shape))
    return measured


def _turned(works: tuple[str, ...]) -> list[str]:
    """Those of one action and kind the other way round."""
    groups: dict[str, list[str]] = defaultdict(list)
    for work in works:
        groups[work.rpartition("-")[0]].append(work)
    return [work for group in groups.values() for work in reversed(group)]


def table(measured: Measured) -> Table:
    """Medians, and the median of the ratios of each round."""
    shown = Table(title="Segmentations: processor seconds, memory at most (before the work)")
    for name in ("work", "ours, s", "highdicom, s", "times as fast", "(each round)", "ours, MB", "highdicom, MB"):
        shown.add_column(name, justify="left" if name == "work" else "right")
    for kind in KINDS:
        for title, action, figure in (
            (f"{kind}: masks → data set", "write", "cpu"),
            (f"{kind}: data set → file", "write", "encode_cpu"),
            (f"{kind}: file → labels", "read", "cpu"),
        ):
            shown.add_row(title, *_row(measured, f"{action}-{kind}", figure))
        stream = f"stream-{kind}-ours"
        shown.add_row(
            f"{kind}: frame by frame",
            f"{measured.median(stream, 'cpu'):.2f}",
            "",
            "",
            "",
            _memory(measured, stream),
            "",
        )
    return shown


def _row(measured: Measured, work: str, figure: str) -> list[str]:
    ours = f"{work}-ours"
    theirs = min(
        (name for name in (f"{work}-highdicom", f"{work}-lazy") if measured.told[name]),
        key=lambda name: measured.median(name, figure),
    )
    ratios = [b / a for a, b in zip(measured.values(ours, figure), measured.values(theirs, figure), strict=True)]
    peak = "encode_peak" if figure == "encode_cpu" else "peak"
    return [
        f"{measured.median(ours, figure):.2f}",
        f"{measured.median(theirs, figure):.2f}",
        f"{statistics.median(ratios):.1f}",
        ", ".join(f"{ratio:.1f}" for ratio in ratios),
        _memory(measured, ours, peak),
        _memory(measured, theirs, peak),
    ]


def _memory(measured: Measured, work: str, peak: str = "peak") -> str:
    return f"{measured.median(work, peak):.0f} ({measured.median(work, 'before'):.0f})"


def differences(folder: Path, measured: Measured) -> list[str]:
    """In what the files of both makers, or what both read of one, are not the same."""
    found = []
    for kind in KINDS:
        ours, theirs = (read_segmentation(folder / f"{kind}-{whom}.dcm") for whom in ("ours", "highdicom"))
        if not np.array_equal(label_array(ours), label_array(theirs)):
            found.append(f"{kind}: pixels")
        if frames_of(ours) != frames_of(theirs):
            found.append(f"{kind}: frames, their segments or their places")
        if descriptions_of(ours) != descriptions_of(theirs):
            found.append(f"{kind}: descriptions")
        digests = {
            one["digest"] for whom in ("ours", "highdicom", "lazy") for one in measured.told[f"read-{kind}-{whom}"]
        }
        if len(digests) > 1:
            found.append(f"{kind}: what is read")
    return found


def frames_of(read: ReadSegmentation) -> set[tuple[Any, ...]]:
    """Segment, place, spacing and source of each frame."""
    return {
        (int(segment), place.position, place.orientation, place.spacing_mm, place.sop_instance_uid)
        for segment, place in (
            (segment, read.places.frames[number])
            for segment, number in zip(read.segment_of_frame, read.place_of_frame, strict=True)
        )
    }


def descriptions_of(read: ReadSegmentation) -> list[tuple[Any, ...]]:
    """What each segment is called, is, and is tracked by."""
    return [
        (one.number, one.label, one.category, one.type, one.tracking_uid, str(one.item.SegmentAlgorithmType),
         first_code(one.item.SegmentationAlgorithmIdentificationSequence[0], "AlgorithmFamilyCodeSequence"))
        for one in read.segments
    ]  # fmt: skip


def main() -> int:
    """Measure, show, and end with 1 where anything is not the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as name:
        measured = measure(Path(name), (options.slices, options.side), options.rounds)
        different = differences(Path(name), measured)
    console.print(table(measured))
    console.print(f"not the same: {'; '.join(different)}" if different else "both write and read the same")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
