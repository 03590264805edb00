"""Frames of single bits that were compressed, in either way in which writers take RLE of them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rle.utils import encode_segment

from dicom_nodes.errors import InstanceUnreadable
from service.core.frame_streams import inflate_frame, unpack_rle_bits


def in_one_segment(native: bytes) -> bytes:
    """A frame in RLE: a header that counts one segment, and the segment."""
    segment = bytes(encode_segment(native, len(native)))
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment + b"\0" * (len(segment) % 2)


@pytest.mark.parametrize("packed", [True, False])
@given(bits=arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, 1)))
def test_both_forms_of_rle_give_the_bits(bits: np.ndarray, packed: bool) -> None:
    expected = np.packbits(bits, bitorder="little").tobytes()
    native = expected if packed else bits.tobytes()
    assert unpack_rle_bits(in_one_segment(native), len(bits)) == expected


def test_any_value_but_zero_is_a_bit() -> None:
    native = bytes([0, 255, 0, 1] * 8)
    assert unpack_rle_bits(in_one_segment(native), 32) == bytes([0b10101010] * 4)


@pytest.mark.parametrize(
    "stream", [b"", b"\1\0\0\0", struct.pack("<16I", 2, 64, *[0] * 14), struct.pack("<16I", 1, 64, *[0] * 14)]
)
def test_what_is_no_frame_of_bits_is_refused(stream: bytes) -> None:
    with pytest.raises(InstanceUnreadable):
        unpack_rle_bits(stream, 64)


@pytest.mark.parametrize("stream", [b"nothing deflated", b"\3\0"])
def test_stream_that_inflates_to_too_little_is_refused(stream: bytes) -> None:
    with pytest.raises(InstanceUnreadable):
        inflate_frame(stream, 8)
