"""Bodies of requests with and without a Content-Encoding, whole and broken."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import ClientDisconnected

from service.errors import BadRequest, UnsupportedMediaType
from service.web.dicomweb.received_body import ReceivedBody
from service.web.dicomweb.received_parts import BodyBroken, BodyTruncated, PartTooLarge

CONTENT = b"header" + bytes(5000) + b"trailer"


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


class Trickle:
    """Gives a few bytes at a time, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream = BytesIO(content)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._size))


class Broken:
    """Fails at once."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int, /) -> bytes:
        raise self._error


def read(content: bytes, coding: str, *, at_once: int = 1 << 16, size: int = 100, limit: int = 1 << 20) -> bytes:
    body = ReceivedBody(Trickle(content, at_once), coding, inflated_limit_bytes=limit)
    return b"".join(iter(lambda: body.read(size), b""))


@pytest.mark.parametrize(
    ("packed", "coding"),
    [
        (CONTENT, ""),
        (CONTENT, "identity"),
        (gzip.compress(CONTENT), "gzip"),
        (gzip.compress(CONTENT), "X-GZIP"),
        (gzip.compress(CONTENT[:10]) + gzip.compress(CONTENT[10:]), "gzip"),
        (zlib.compress(CONTENT), "deflate"),
        (raw_deflate(CONTENT), "deflate"),
    ],
)
@pytest.mark.parametrize(("at_once", "size"), [(3, 7), (1 << 16, 1 << 16), (1 << 16, 1)])
def test_body_is_read_whatever_its_coding_and_pieces(packed: bytes, coding: str, at_once: int, size: int) -> None:
    assert read(packed, coding, at_once=at_once, size=size) == CONTENT


@given(st.binary(max_size=2000), st.integers(1, 50), st.integers(1, 50))
def test_gzip_comes_back_as_it_was(content: bytes, at_once: int, size: int) -> None:
    assert read(gzip.compress(content), "gzip", at_once=at_once, size=size) == content


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        ReceivedBody(BytesIO(), coding)


@pytest.mark.parametrize(
    ("packed", "coding", "error"),
    [
        (gzip.compress(CONTENT)[:-12], "gzip", BodyTruncated),
        (CONTENT, "gzip", BodyBroken),
        (CONTENT, "deflate", BodyBroken),
        (gzip.compress(bytes(1 << 21)), "gzip", PartTooLarge),
    ],
)
def test_coded_body_that_is_none_or_too_much_is_refused(packed: bytes, coding: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(packed, coding)


@pytest.mark.parametrize("error", [ClientDisconnected(), OSError(), BadRequest("The chunks are broken")])
def test_whatever_breaks_off_is_told_as_that(error: Exception) -> None:
    body = ReceivedBody(Broken(error))
    with pytest.raises(BodyTruncated):
        body.read(1)
    body.drain()


def test_what_is_left_can_be_read_and_forgotten() -> None:
    stream = BytesIO(CONTENT)
    body = ReceivedBody(stream)
    body.read(10)
    body.drain()
    assert stream.tell() == len(CONTENT)
