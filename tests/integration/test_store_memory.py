"""Store requests of any size and shape are read within bounds of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import peak_memory
from tests.peak_memory import MEBIBYTE

BOUND = 200 * MEBIBYTE
"""What the process holds before the request, 140 MiB, and some room; far less than the requests bring."""
METADATA_BOUND = 300 * MEBIBYTE
"""Metadata is held as objects while it is read: `service.core.dicom_json_text.MOST_BRACKETS` of some 300 bytes."""


@pytest.mark.long
@pytest.mark.parametrize(
    ("case", "answer", "bound"),
    [
        ("large_part", "200 application/dicom+json", BOUND),
        ("large_bulk", "200 application/dicom+json", BOUND),
        ("many_frames", "200 application/dicom+json", BOUND),
        ("small_parts", "413 application/problem+json", BOUND),
        ("instances", "413 application/problem+json", BOUND),
        ("bomb", "413 application/problem+json", BOUND),
        ("brackets", "400 application/dicom+json", METADATA_BOUND),
    ],
)
def test_request_is_answered_within_bounds_of_memory(tmp_path: Path, case: str, answer: str, bound: int) -> None:
    ended, peak = peak_memory.run("tests.store_request_process", case, str(tmp_path))
    assert ended.stdout.splitlines()[-1] == answer, ended.stderr[-2000:]
    assert peak < bound
