"""Ramps in binary data: a palette from black to white holds "12345" and "abcde", and nobody's number.

Each value of a ramp differs from the one before by the same step, and it goes on beyond the term that was found in it.
"""

from __future__ import annotations

import re
from itertools import pairwise

NEIGHBOURS = 2
"""Values on each side that have to go on; fewer only where the data end."""
BESIDE = 2 * NEIGHBOURS
"""Bytes that have to be at hand on each side."""


def stands_beside_ramps(term: bytes, lowered: bytes, stretch: bytes) -> bool:
    """Whether a term stands anywhere in a stretch of bytes but in a ramp.

    Parameters
    ----------
    term : at least two characters, as ASCII or in UTF-16
    lowered : the stretch without case
    """
    width = 2 if term[1] == 0 else 1
    place = lowered.find(term)
    while place >= 0:
        end = _end_of_ramp(stretch, place, len(term), width)
        if end is None:
            return True
        place = lowered.find(term, end)
    return False


def _end_of_ramp(stretch: bytes, start: int, length: int, width: int) -> int | None:
    """Return where the ramp ends that the term at a place is part of; None where it is part of none."""
    values = stretch[start : start + length : width]
    step = values[1] - values[0]
    before = stretch[max(start - NEIGHBOURS * width, start % width) : start : width]
    end = start + len(values) * width
    after = stretch[end : end + NEIGHBOURS * width : width]
    run = before + values + after
    if len(before) + len(after) < NEIGHBOURS or any(b - a != step for a, b in pairwise(run)):
        return None
    if step == 0:  # as long as the data, where any other ends with the values of a byte
        constant = re.compile(b"(?:" + re.escape(stretch[start : start + width]) + b")*+").match(stretch, end)
        return end if constant is None else constant.end()
    while end < len(stretch) and stretch[end] - stretch[end - width] == step:
        end += width
    return end
