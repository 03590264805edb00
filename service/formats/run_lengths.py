"""COCO's run lengths of a mask: column by column, beginning with a run outside, and the text that they are kept as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.errors import FormatRefused

_FIRST: Final = 48
"""Code of the character that stands for zero."""
_MORE: Final = 0x20
_SIGN: Final = 0x10
_BITS: Final = 5


def runs_of(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Lengths of runs outside and inside by turns, the first outside; mask of shape (rows, columns)."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff(np.concatenate([[0], ends, [mask.size]]))]


def mask_of(runs: Sequence[int], rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """The mask of run lengths, shape (rows, columns).

    Raises
    ------
    FormatRefused : a length is negative, or together they do not fill the image
    """
    if any(length < 0 for length in runs) or sum(runs) != rows * columns:
        raise FormatRefused(
            f"the run lengths of a mask come to {sum(runs)} pixels, the image has {rows} × {columns} = {rows * columns}"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, np.asarray(runs, dtype=np.int64)).reshape((rows, columns), order="F")


def text_of(runs: Sequence[int]) -> str:
    """Run lengths as COCO's compressed text: five bits a letter, from the fourth on the change to the second before."""
    letters = bytearray()
    for place, length in enumerate(runs):
        value = length - runs[place - 2] if place > 2 else length
        while True:
            low, value = value & (_MORE - 1), value >> _BITS
            is_last = value == (-1 if low & _SIGN else 0)
            letters.append(_FIRST + low + (0 if is_last else _MORE))
            if is_last:
                break
    return letters.decode("ascii")


def runs_of_text(text: str) -> list[int]:
    """The way back from `text_of`.

    Raises
    ------
    FormatRefused : the text is none of these
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - _FIRST
        if not 0 <= code < 2 * _MORE:
            raise FormatRefused("the compressed run lengths of a mask hold a letter that stands for nothing")
        value |= (code & (_MORE - 1)) << shift
        shift += _BITS
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise FormatRefused("the compressed run lengths of a mask end in the middle of one")
    return runs


def encoded(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A mask as COCO keeps it: ``size`` (rows, columns) and ``counts`` as text."""
    rows, columns = mask.shape
    return {"size": [rows, columns], "counts": text_of(runs_of(mask))}


def decoded(segmentation: dict[str, Any], rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """The mask of COCO's run lengths, compressed or not.

    Raises
    ------
    FormatRefused : they are none, or not of an image of so many rows and columns
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [rows, columns]:
        raise FormatRefused(f"a mask is for an image of {size} rows and columns, this one has [{rows}, {columns}]")
    if isinstance(counts, str):
        return mask_of(runs_of_text(counts), rows, columns)
    if not isinstance(counts, list) or not all(isinstance(length, int) for length in counts):
        raise FormatRefused("the counts of a mask are neither text nor a list of whole numbers")
    return mask_of(counts, rows, columns)
