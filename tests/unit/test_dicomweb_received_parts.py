"""multipart/related as it comes in: whole, odd and broken."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.dicomweb.multipart import OutgoingPart, encode
from service.web.dicomweb.received_parts import (
    HEADER_LIMIT,
    BodyBroken,
    BodyTruncated,
    MultipartReader,
    PartTooLarge,
    is_boundary,
)

BOUNDARY = "bound"
LIMIT = 1 << 20


class Trickle:
    """A body that comes in pieces of a given size, whatever is asked for."""

    def __init__(self, body: bytes, size: int) -> None:
        self._stream = BytesIO(body)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._size))


def part(content: bytes) -> OutgoingPart:
    return OutgoingPart("application/dicom", lambda: (content,), len(content))


def bodies(body: bytes, size: int = 1 << 16) -> list[bytes]:
    return [received.body[:] for received in MultipartReader(Trickle(body, size), BOUNDARY, LIMIT)]


# Pieces of which boundaries are made, so that what looks like one occurs inside of parts.
_TRICKY = st.lists(
    st.sampled_from([b"\r\n", b"--", b"bound", b"\r\n--bound", b"-", b"\r", b"\n", b" ", b"x"]), max_size=12
).map(b"".join)


def _holds_a_delimiter(content: bytes) -> bool:
    tail = (content + b"\r\n--bound").split(b"\r\n--bound")[1:-1]
    return any(piece.lstrip(b" \t").startswith((b"\r\n", b"--")) or not piece.strip(b" \t") for piece in tail)


@given(st.lists(_TRICKY | st.binary(max_size=300), max_size=4), st.integers(1, 40))
def test_what_is_encoded_is_read_back_whatever_the_pieces(contents: list[bytes], size: int) -> None:
    contents = [content for content in contents if not _holds_a_delimiter(content)]
    body = b"".join(encode([part(content) for content in contents], BOUNDARY))
    assert bodies(body, size) == contents


@pytest.mark.parametrize(
    "body",
    [
        b"--bound\r\nContent-Type: a/b\r\n\r\nDATA\r\n--bound--",
        b"\r\n--bound\r\nContent-Type: a/b\r\n\r\nDATA\r\n--bound--\r\n",
        b"a preamble\r\n--bound \t\r\nContent-Type: a/b\r\n\r\nDATA\r\n--bound--\r\nan epilogue",
        b"--bound\r\n\r\nDATA\r\n--bound--",
    ],
    ids=["at once", "after CRLF, as OHIF", "preamble, padding and epilogue", "no headers"],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_way_to_write_a_body_is_read(body: bytes, size: int) -> None:
    assert bodies(body, size) == [b"DATA"]


def test_longer_word_that_begins_like_the_boundary_is_data() -> None:
    assert bodies(b"--bound\r\n\r\nA\r\n--boundary\r\nB\r\n--bound--") == [b"A\r\n--boundary\r\nB"]


def test_headers_are_read_without_regard_to_case_and_folding() -> None:
    body = b"--bound\r\ncontent-TYPE: a/b;\r\n  c=d\r\nX: y\r\n\r\n\r\n--bound--"
    (received,) = MultipartReader(BytesIO(body), BOUNDARY, LIMIT)
    assert received.headers == {"content-type": "a/b; c=d", "x": "y"}


def test_keeper_is_told_the_headers_of_its_part() -> None:
    told: list[str] = []

    def keep(headers, pieces):
        told.append(headers["x"])
        return b"".join(pieces)

    body = b"--bound\r\nX: 1\r\n\r\nA\r\n--bound\r\nX: 2\r\n\r\nB\r\n--bound--"
    assert [received.body for received in MultipartReader(BytesIO(body), BOUNDARY, LIMIT, keep)] == [b"A", b"B"]
    assert told == ["1", "2"]


@pytest.mark.parametrize("cut", [9, 20, 33, 36, 40])
def test_body_that_breaks_off_is_noticed(cut: int) -> None:
    body = b"--bound\r\nContent-Type: a/b\r\n\r\nDATA\r\n--bound--"
    with pytest.raises(BodyTruncated):
        bodies(body[:cut])


@pytest.mark.parametrize(
    "body", [b"", b"--", b"--other\r\n\r\nA\r\n--other--", bytes(1 << 20)], ids=["empty", "cut", "another", "none"]
)
def test_body_without_its_boundary_is_told_as_that(body: bytes) -> None:
    with pytest.raises(BodyBroken, match="boundary that the Content-Type names"):
        bodies(body)


def test_parts_before_the_break_are_handed_out() -> None:
    reader = iter(MultipartReader(BytesIO(b"--bound\r\n\r\nA\r\n--bound\r\n\r\nB"), BOUNDARY, LIMIT))
    assert next(reader).body == b"A"
    with pytest.raises(BodyTruncated):
        next(reader)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_part_over_the_limit_is_refused(size: int) -> None:
    body = b"--bound\r\n\r\n" + bytes(101) + b"\r\n--bound--"
    with pytest.raises(PartTooLarge):
        list(MultipartReader(Trickle(body, size), BOUNDARY, 100))


def test_part_at_the_limit_is_taken() -> None:
    body = b"--bound\r\n\r\n" + bytes(100) + b"\r\n--bound--"
    assert [received.body for received in MultipartReader(BytesIO(body), BOUNDARY, 100)] == [bytes(100)]


def test_one_part_too_many_ends_the_reading() -> None:
    body = b"--bound\r\n\r\nA\r\n--bound\r\n\r\nB\r\n--bound--"
    reader = iter(MultipartReader(BytesIO(body), BOUNDARY, LIMIT, most_parts=1))
    assert next(reader).body == b"A"
    with pytest.raises(PartTooLarge, match="at most 1 parts"):
        next(reader)


@pytest.mark.parametrize("size", [1000, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\nA\r\n--bound--"], ids=["without end", "with an end"])
def test_headers_that_are_too_long_are_refused(size: int, end: bytes) -> None:
    with pytest.raises(BodyBroken, match="longer than"):
        bodies(b"--bound\r\nX: " + b"x" * (HEADER_LIMIT + 1) + end, size)


@pytest.mark.parametrize("header", [b"nonsense", b"a b: c", b": c", b"\xff: c"])
def test_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(BodyBroken, match="RFC 2046"):
        bodies(b"--bound\r\n" + header + b"\r\n\r\nA\r\n--bound--")


@pytest.mark.parametrize(
    ("value", "valid"), [("a-b", True), ("", False), ("a" * 73, True), ("a" * 201, False), ("a\r\nb", False)]
)
def test_boundaries_are_checked(value: str, valid: bool) -> None:
    assert is_boundary(value) is valid
