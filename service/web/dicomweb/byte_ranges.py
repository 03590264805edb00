"""Parts of one representation by Range (RFC 9110 14, PS3.18 8.5): 206, 416, and multipart/byteranges for several."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dicom_nodes.errors import GatewayError

RANGES_LIMIT: Final = 32
_SPECIFIER: Final = re.compile(r"(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))", re.ASCII)


class RangeNotSatisfiable(GatewayError):
    """None of the ranges lies within the representation, or they are no ranges."""

    http_status = 416


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from ``start`` on, ``length`` of them, at least one."""

    start: int
    length: int

    def content_range(self, whole: int) -> str:
        """The Content-Range of an answer that holds it."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{whole}"


def parse_ranges(header: str, length: int) -> list[ByteRange]:
    """The ranges of a representation that a Range header asks for, in its order; none for a unit that is not bytes.

    Parameters
    ----------
    length : of the representation in bytes

    Raises
    ------
    RangeNotSatisfiable : they cannot be read, lie outside, overlap, or are too many
    """
    unit, equals, rest = header.partition("=")
    if unit.strip().lower() != "bytes":
        return []
    specifiers = [specifier.strip() for specifier in rest.split(",") if specifier.strip()]
    matches = [_SPECIFIER.fullmatch(specifier) for specifier in specifiers[: RANGES_LIMIT + 1]]
    if not equals or not matches or None in matches:
        raise RangeNotSatisfiable("The Range header cannot be read (RFC 9110 14.1.2): bytes=first-last")
    if len(specifiers) > RANGES_LIMIT:
        raise RangeNotSatisfiable(f"At most {RANGES_LIMIT} ranges are served at a time (RFC 9110 14.2)")
    found = [_within(match, length) for match in matches if match is not None]
    ranges = [byte_range for byte_range in found if byte_range is not None]
    if not ranges:
        raise RangeNotSatisfiable(f"The range lies outside of the {length} bytes that there are (RFC 9110 14.4)")
    by_start = sorted(ranges, key=lambda byte_range: byte_range.start)
    if any(first.start + first.length > second.start for first, second in pairwise(by_start)):
        raise RangeNotSatisfiable("Ranges that overlap are not served (RFC 9110 14.2)")
    return ranges


def stretch(body: Callable[[], Iterable[bytes]], byte_range: ByteRange) -> Iterator[bytes]:
    """A range of a body that can only be had from its start."""
    skip, left = byte_range.start, byte_range.length
    for piece in body():
        if skip >= len(piece):
            skip -= len(piece)
            continue
        taken = piece[skip : skip + left]
        skip, left = 0, left - len(taken)
        yield taken
        if not left:
            return


def _within(specifier: re.Match[str], length: int) -> ByteRange | None:
    """What of a range is there; None for nothing."""
    first, last, suffix = specifier.groups()
    if suffix is not None:
        count = min(int(suffix), length)
        return ByteRange(length - count, count) if count else None
    start, end = int(first), length - 1
    if last is not None:
        if int(last) < start:
            raise RangeNotSatisfiable("A range ends before it begins (RFC 9110 14.1.2)")
        end = min(int(last), end)
    return ByteRange(start, end - start + 1) if start <= end else None
