"""A small CT study, and what authors save of it: a segmentation and a report, or one of both alone."""

from __future__ import annotations

from datetime import datetime
from itertools import count

import numpy as np
from pydicom.dataset import Dataset

from service.core.annotator import AnnotatorResult
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import line
from service.objects.result_context import ResultContext
from service.objects.writer import write_results
from tests.volumes import ABNORMAL, ALGORITHM, LONG_AXIS, MM, NODULE, ct_sources, volume_of

_NUMBERS = count(1)
SLICES = 4


def images() -> list[Dataset]:
    """Slices of 16 × 16 pixels of 1 mm, 2 mm apart; the first pixel at −50, −50, 2 mm."""
    sources = ct_sources(SLICES)
    for source in sources:
        source.PixelData = bytes(2 * 16 * 16)
    return sources


def finding(number: int = 1, *, at: int = 4, size: int = 4, length: float = 6.0) -> Finding:
    """A nodule of two slices, its mask from row and column ``at``, and a line across it in the patient."""
    start = (-50.0 + at, -45.0, 4.0)
    drawn = line(start, (start[0] + length, *start[1:]))
    return Finding(
        label=f"Nodule {number}",
        tracking_uid=f"2.25.600{number}",
        category=ABNORMAL,
        type=NODULE,
        mask=Mask(np.ones((2, size, size), dtype=bool), (1, at, at)),
        measurements=(Measurement(LONG_AXIS, length, MM, shape=drawn),),
    )


def saved(*findings: Finding, after: Dataset | None = None) -> tuple[Dataset, Dataset]:
    """Segmentation and report of these, under new UIDs; the report names what it comes after."""
    serial = next(_NUMBERS)
    numbers = count(1)
    context = ResultContext(
        created_at=datetime(2024, 5, 6, 7, 8, 9),
        series_number_base=9000 + 10 * serial,
        uid=lambda: f"2.25.7{serial:04d}{next(numbers):04d}",
        version="1",
        predecessor=after,
    )
    result = AnnotatorResult(tuple(findings), ALGORITHM, f"{len(findings)} findings")
    written = write_results(result, "Nodules", volume_of(ct_sources(SLICES)), context)
    assert written.segmentation is not None
    return written.segmentation, written.report
