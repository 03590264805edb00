"""Deflated data sets read a stretch at a time."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_nodes.errors import InstanceUnreadable
from service.core import inflation
from service.core.encoded_bytes import chunks
from service.core.inflation import InflatedBytes, inflate, inflated

CONTENT = b"".join(number.to_bytes(4, "big") for number in range(800_000))
MEBIBYTE = 1 << 20


def deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


DEFLATED = deflate(CONTENT)


@settings(max_examples=30, deadline=None)
@given(stretches=st.lists(st.tuples(*[st.integers(0, len(CONTENT) + 5)] * 2), min_size=1, max_size=4))
def test_any_stretches_in_any_order_are_the_slices(stretches):
    content = InflatedBytes(DEFLATED, len(CONTENT))
    assert [content[start:stop] for start, stop in stretches] == [CONTENT[start:stop] for start, stop in stretches]


def test_little_is_inflated_once(monkeypatch):
    assert inflated(DEFLATED) == CONTENT
    monkeypatch.setattr(inflation, "IN_MEMORY_BYTES", 1000)
    much = inflated(DEFLATED)
    assert isinstance(much, InflatedBytes)
    assert b"".join(chunks(much)) == CONTENT


def test_pieces_are_small_whatever_the_ratio():
    pieces = [len(piece) for piece in inflate(deflate(bytes(20 * MEBIBYTE)))]
    assert (max(pieces), sum(pieces)) == (MEBIBYTE, 20 * MEBIBYTE)


@pytest.mark.parametrize("over", [0, 1])
def test_limit_is_kept_to_the_byte(over):
    deflated = deflate(bytes(2 * MEBIBYTE + over))
    if over:
        with pytest.raises(InstanceUnreadable, match="more than 2 MiB"):
            inflated(deflated, 2 * MEBIBYTE)
    else:
        assert len(inflated(deflated, 2 * MEBIBYTE)) == 2 * MEBIBYTE


@pytest.mark.parametrize(
    ("deflated", "words"),
    [(b"", "Cut short"), (DEFLATED[:-1], "Cut short"), (DEFLATED[:10], "Cut short"), (b"\xff" * 9, "cannot")],
)
def test_what_is_cut_short_or_not_deflated_is_refused(deflated, words):
    with pytest.raises(InstanceUnreadable, match=words):
        inflated(deflated)
