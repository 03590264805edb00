"""Memory of one object serves the next."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from service.runtime.freed_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else True
piece = bytes(range(256)) * 1024
def batch():
    return [b"".join([piece, piece]) for _ in range(16)]
batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    batch()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    answer = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout
    kept, count = answer.split()
    if not int(kept):
        pytest.skip("an allocator that cannot be told")
    return int(count)


def test_objects_of_half_a_mebibyte_need_no_fresh_pages_each_time() -> None:
    pages = 5 * 16 * 512 * 1024 // resource.getpagesize()
    assert faults("kept") < pages / 10 < faults("given back")
