"""How an answer is compressed on its way: gzip or deflate by what the caller prefers (RFC 9110 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from service.errors import NotAcceptable

IDENTITY: Final = "identity"
GZIP: Final = "gzip"
DEFLATE: Final = "deflate"

_LEVEL: Final = 4
# What zlib calls the two forms: RFC 1952, and RFC 1950, which HTTP calls deflate (RFC 9110 8.4.1.2).
_WINDOW_BITS: Final = {GZIP: 16 + zlib.MAX_WBITS, DEFLATE: zlib.MAX_WBITS}
_OLDER_NAMES: Final = {"x-gzip": GZIP}


def choose_coding(header: str | None) -> str:
    """The coding that an Accept-Encoding header likes best; of equals gzip, then deflate.

    Without a header nothing is compressed. A quality that cannot be read counts as 1.

    Raises
    ------
    NotAcceptable : the caller refuses all three
    """
    qualities = _qualities(header or "")
    others = qualities.get("*", 0.0)
    offered = {coding: qualities.get(coding, others) for coding in (GZIP, DEFLATE)}
    # Identity is acceptable unless it is refused by its name or by the wildcard.
    refused = qualities.get(IDENTITY, qualities.get("*", 1.0)) <= 0
    offered[IDENTITY] = 0.0 if refused else qualities.get(IDENTITY, 0.0)
    best = max(offered, key=lambda coding: offered[coding])
    if offered[best] > 0:
        return best
    if refused:
        raise NotAcceptable("Answers are to be had as gzip, as deflate or without a coding")
    return IDENTITY


def compress(body: bytes, coding: str) -> bytes:
    """The whole of a body in a coding."""
    return b"".join(compressed((body,), coding))


def compressed(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """A body in a coding, as it comes."""
    if coding == IDENTITY:
        yield from pieces
        return
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS[coding])
    for piece in pieces:
        if out := compressor.compress(piece):
            yield out
    yield compressor.flush()


def _qualities(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in item.split(";"))
        if name:
            found[_OLDER_NAMES.get(name, name)] = _quality(parameters)
    return found


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 1.0
    return 1.0
