"""The scan of a header's top level reads what pydicom reads, or says that it cannot."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from service.core.pydicom_reading import read_leniently
from service.deident.raw_scan import UNDEFINED, scan
from service.deident.sequence_items import as_sequence
from tests.datasets import ct_slice
from tests.datasets import encode as encode_slice
from tests.encoded_headers import Element, Item, encode, headers

ENCODINGS = st.booleans()


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def read(content: bytes, *, implicit: bool) -> Dataset:
    """The data set as pydicom reads it, without what the scan leaves out."""
    found = read_dataset(io.BytesIO(content), is_implicit_VR=implicit, is_little_endian=True)
    for tag in [tag for tag in found.keys() if tag.group < 8 or tag.element == 0]:  # noqa: SIM118
        del found[tag]
    return found


def assert_same(scanned: Dataset, expected: Dataset) -> None:
    assert list(scanned.keys()) == list(expected.keys())
    assert scanned.original_encoding == expected.original_encoding
    assert scanned.original_character_set == expected.original_character_set
    for tag, element in dict(expected.items()).items():
        held = scanned.get_item(tag, keep_deferred=True)
        if isinstance(element, RawDataElement):
            assert held == element
        else:  # pydicom reads sequences of undefined length at once
            assert (element.VR, element.is_undefined_length) == (held.VR, held.length == UNDEFINED) == ("SQ", True)


@given(st.data(), ENCODINGS)
def test_a_header_is_read_as_pydicom_reads_it(data, implicit):
    content = encode(data.draw(headers(implicit=implicit)), implicit=implicit)
    found = scan(content, implicit_vr=implicit)
    if found is not None:
        assert found[1] == len(content)
        assert_same(found[0], read(content, implicit=implicit))


@given(st.data(), ENCODINGS)
def test_damage_is_read_alike_or_left_to_pydicom(data, implicit):
    content = bytearray(encode(data.draw(headers(implicit=implicit)), implicit=implicit))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.sampled_from([len(content), len(content), place]))
    found = scan(bytes(content[:end]), implicit_vr=implicit)
    if found is not None:
        assert_read_alike(found[0], bytes(content[:end]), implicit=implicit)


def assert_read_alike(scanned: Dataset, content: bytes, *, implicit: bool) -> None:
    """As ``assert_same``; pydicom reads sequences of undefined length at once, so that their damage ends its reading.

    Whoever asks the scanned one for its items is told that there are none, and the sequence goes.
    """
    try:
        expected = read(content, implicit=implicit)
    except Exception:  # noqa: BLE001 - whatever the bytes lead pydicom to
        damaged = [
            tag
            for tag, element in dict(scanned.items()).items()
            if element.length == UNDEFINED and as_sequence(scanned, int(tag)) is None
        ]
        assert damaged
    else:
        assert_same(scanned, expected)


def test_a_sequence_damaged_within_is_not_read_when_it_is_asked_for():
    beyond = b"\x08\x00\x40\x11SQ\0\0\1\0\0\0"  # its value would begin behind its item
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(beyond)) + beyond
    whole = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    content = whole + element(0x00081150, "UI", b"1.2.3\0")
    found = scan(content, implicit_vr=False)
    assert found is not None
    with pytest.raises(OSError, match="No tag to read"):
        read(content, implicit=False)
    assert as_sequence(found[0], 0x00081110) is None


@pytest.mark.parametrize("implicit", [False, True])
def test_a_sequence_without_a_length_is_read_when_it_is_asked_for(implicit):
    inner = Item([Element(0x00081155, "UI", b"1.2.3\0")], undefined=True)
    nested = Item([Element(0x00081140, "SQ", items=[inner, inner], undefined=True)], undefined=False)
    content = encode(Item([Element(0x00081115, "SQ", items=[nested], undefined=True)]), implicit=implicit)
    found, _ = scan(content, implicit_vr=implicit)
    assert found.ReferencedSeriesSequence == read(content, implicit=implicit).ReferencedSeriesSequence
    assert found["ReferencedSeriesSequence"].is_undefined_length


@pytest.mark.parametrize("implicit", [False, True])
def test_it_stops_at_the_pixels(implicit):
    uid = "1.2.840.10008.1.2" + ("" if implicit else ".1")
    content = encode_slice(ct_slice(), uid)
    header, position = scan(content, implicit_vr=implicit)
    assert content[position : position + 4] == b"\xe0\x7f\x10\x00"
    assert header.SOPInstanceUID == ct_slice().SOPInstanceUID
    assert "PixelData" not in header


def element(tag: int = 0x00081030, vr: str = "LO", value: bytes = b"CT") -> bytes:
    return encode(Item([Element(tag, vr, value)]), implicit=False)


ODD = {
    "tags that descend": element(0x00081030) + element(0x00080070),
    "a tag twice": element() + element(),
    "cut short": element()[:-1],
    "a head cut short": element() + b"\x10\x00",
    "a VR of nobody's": element(vr="QQ"),
    "reserved bytes in use": element(vr="UT")[:6] + b"\1\0" + element(vr="UT")[8:],
    "an item outside": b"\xfe\xff\x00\xe0\0\0\0\0",
    "undefined length of bytes": b"\x08\x00\x30\x10OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\xdd\xe0\0\0\0\0",
    "a sequence without end": b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    "implicit VR": b"\x08\x00\x30\x10\x02\0\0\0CT",
    "a character set of nobody's": element(0x00080005, "CS", b"NOBODY"),
    "nothing": b"",
}


@pytest.mark.parametrize("shape", ODD)
def test_what_is_out_of_the_ordinary_is_left_to_pydicom(shape):
    assert scan(ODD[shape], implicit_vr=False) is None


def test_explicit_vr_in_an_implicit_transfer_syntax_is_left_to_pydicom():
    assert scan(element(), implicit_vr=True) is None


def test_sequences_nested_without_end_are_left_to_pydicom():
    depth = 200
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth
    assert scan(opened + closed, implicit_vr=False) is None
