from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.web.dicomweb.byte_ranges import ByteRange, RangeNotSatisfiable, parse_ranges, stretch

BODY = bytes(range(100))


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-1000", 0, 99),
        ("Bytes = 1-2 ,", 1, 2),
        ("bytes=5-6, 200-300", 5, 6),
    ],
)
def test_range_is_found(header: str, first: int, last: int) -> None:
    assert parse_ranges(header, len(BODY)) == [ByteRange(first, last - first + 1)]


def test_ranges_keep_the_order_in_which_they_were_asked_for() -> None:
    assert parse_ranges("bytes=50-59,0-9", 100) == [ByteRange(50, 10), ByteRange(0, 10)]


def test_unit_that_is_not_bytes_is_ignored() -> None:
    assert parse_ranges("frames=1-2", 100) == []


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("bytes=100-", "outside"),
        ("bytes=-0", "outside"),
        ("bytes=100-200,300-", "outside"),
        ("bytes=9-8", "ends before it begins"),
        ("bytes=", "cannot be read"),
        ("bytes", "cannot be read"),
        ("bytes=a-b", "cannot be read"),
        ("bytes=1-2-3", "cannot be read"),
        ("bytes=--1", "cannot be read"),
        ("bytes=١-٢", "cannot be read"),
        ("bytes=" + "9" * 5000 + "-", "cannot be read"),
        ("bytes=0-9,5-14", "overlap"),
        ("bytes=" + ",".join(["0-0"] * 1000), "At most 32"),
    ],
)
def test_range_that_cannot_be_served_is_refused_in_words(header: str, words: str) -> None:
    with pytest.raises(RangeNotSatisfiable, match=words):
        parse_ranges(header, len(BODY))


def test_nothing_lies_in_an_empty_body() -> None:
    with pytest.raises(RangeNotSatisfiable, match="outside"):
        parse_ranges("bytes=0-", 0)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 100), st.integers(1, 40))
def test_stretch_is_the_slice(start: int, length: int, chunk: int) -> None:
    pieces = [BODY[position : position + chunk] for position in range(0, len(BODY), chunk)]
    assert b"".join(stretch(lambda: pieces, ByteRange(start, length))) == BODY[start : start + length]


def test_nothing_is_made_behind_a_stretch() -> None:
    def pieces() -> object:
        yield b"0123"
        raise AssertionError("read on")

    assert b"".join(stretch(pieces, ByteRange(1, 3))) == b"123"  # type: ignore[arg-type]
