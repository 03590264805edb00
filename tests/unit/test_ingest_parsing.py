"""What parsing makes of data sets, whole and broken."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from dicom_nodes.errors import GatewayError, InstanceUnreadable, SopClassMismatch
from service.core import fragments
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.pydicom_reading import read_leniently
from service.ingest import parsing
from service.ingest.parsing import parse
from service.ingest.part10 import file_head, read_file
from tests.datasets import as_file, ct_slice, encode


@pytest.fixture(autouse=True)
def _lenient() -> None:
    read_leniently()


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_every_native_transfer_syntax_gives_header_and_pixels(transfer_syntax_uid):
    source = ct_slice(3)
    file = read_file(as_file(source, transfer_syntax_uid))
    parsed = parse(file.data_set, file.transfer_syntax_uid)
    assert parsed.sop_instance_uid == source.SOPInstanceUID
    assert bytes(parsed.pixels.value) == source.PixelData
    assert "PixelData" not in parsed.header


def test_encapsulated_pixels_end_before_the_delimiter():
    source = ct_slice()
    source.PixelData = encapsulate([b"\xff\xd8frame1"])
    source["PixelData"].is_undefined_length = True
    parsed = parse(encode(source), JPEGLSLossless)
    assert parsed.pixels.encapsulated
    assert bytes(parsed.pixels.value).endswith(b"frame1")


def test_trailing_elements_do_not_reach_the_header():
    source = ct_slice()
    source.add_new(0xFFFCFFFC, "OB", b"JANE DOE")
    parsed = parse(encode(source), ExplicitVRLittleEndian)
    assert 0xFFFCFFFC not in parsed.header


def test_command_and_meta_groups_are_taken_out_of_the_header():
    meta = b"\x02\x00\x16\x00AE\x04\x00HOST"
    parsed = parse(meta + encode(ct_slice()), ExplicitVRLittleEndian)
    assert 0x00020016 not in parsed.header


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("SOPClassUID", "No SOP Class UID"),
        ("SOPInstanceUID", "No SOP Instance UID"),
        ("StudyInstanceUID", "No Study Instance UID"),
        ("SeriesInstanceUID", "No Series Instance UID"),
    ],
)
def test_missing_uid_is_named(keyword, words):
    source = ct_slice()
    del source[keyword]
    with pytest.raises(InstanceUnreadable, match=words):
        parse(encode(source), ExplicitVRLittleEndian)


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.", "1..2", "1.2." + "3" * 64, "PAT-4711"])
def test_malformed_uid_is_refused_without_its_value(uid):
    whole = encode(ct_slice(sop_instance_uid="1.2.3.4"))
    value = uid.encode() + b"\0" * (len(uid) % 2)
    at = whole.index(b"\x08\x00\x18\x00UI")
    broken = whole[: at + 6] + len(value).to_bytes(2, "little") + value + whole[at + 16 :]
    with pytest.raises(InstanceUnreadable, match="is not a UID") as caught:
        parse(broken, ExplicitVRLittleEndian)
    assert uid not in str(caught.value)


def test_another_sop_class_than_the_command_is_a_mismatch():
    with pytest.raises(SopClassMismatch):
        parse(encode(ct_slice()), ExplicitVRLittleEndian, sop_class_uid="1.2.840.10008.5.1.4.1.1.4")


def test_ct_without_pixel_data_is_refused():
    source = ct_slice()
    del source.PixelData
    with pytest.raises(InstanceUnreadable, match="CT Image Storage without Pixel Data"):
        parse(encode(source), ExplicitVRLittleEndian)


def test_report_without_pixel_data_is_taken():
    source = ct_slice()
    del source.PixelData
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    assert parse(encode(source), ExplicitVRLittleEndian).pixels is None


def test_native_pixels_smaller_than_the_image_are_cut_short():
    source = ct_slice()
    source.PixelData = source.PixelData[:-2]
    with pytest.raises(InstanceUnreadable, match="Cut short"):
        parse(encode(source), ExplicitVRLittleEndian)


def test_padding_after_native_pixels_is_taken():
    source = ct_slice()
    source.PixelData += b"\0\0"
    assert parse(encode(source), ExplicitVRLittleEndian).pixels is not None


def test_encapsulated_pixels_without_delimiter_are_cut_short():
    source = ct_slice()
    source.PixelData = encapsulate([b"frame1"])
    source["PixelData"].is_undefined_length = True
    with pytest.raises(InstanceUnreadable, match="Cut short in its encapsulated"):
        parse(encode(source)[:-8], JPEGLSLossless)


def test_native_pixels_in_a_compressed_transfer_syntax_are_refused():
    with pytest.raises(InstanceUnreadable, match="not encapsulated"):
        parse(encode(ct_slice()), JPEGLSLossless)


def test_deflated_bomb_is_refused_at_the_limit():
    with pytest.raises(InstanceUnreadable, match="Inflates to more than 1 MiB"):
        parse(_deflate(bytes(2 << 20)), DeflatedExplicitVRLittleEndian, inflated_limit=1 << 20)


def test_deflated_data_set_cut_short_is_said_so():
    whole = _deflate(encode(ct_slice()))
    with pytest.raises(InstanceUnreadable, match="Cut short in its deflated"):
        parse(whole[: len(whole) // 2], DeflatedExplicitVRLittleEndian)


def test_every_cut_of_a_data_set_is_noticed():
    whole = encode(ct_slice(rows=4, columns=4))
    for length in range(len(whole)):
        with pytest.raises(InstanceUnreadable):
            parse(whole[:length], ExplicitVRLittleEndian)


def test_overlong_values_are_taken_as_they_come():
    source = ct_slice()
    source.StudyID = "an identifier far longer than sixteen"
    source["SliceThickness"].value = "1.23456789012345678901"
    assert parse(encode(source), ExplicitVRLittleEndian).study_uid == source.StudyInstanceUID


def test_item_outside_of_a_sequence_is_refused_in_words():
    with pytest.raises(InstanceUnreadable, match="outside of a sequence"):
        parse(b"\xfe\xff\x00\xe0\x00\x00\x00\x00", ImplicitVRLittleEndian)


@pytest.mark.parametrize("tag", [b"\x08\x00\x60\x00", b"\x08\x00\x90\x00"], ids=["with a value", "empty"])
def test_a_vr_that_the_standard_does_not_know_is_refused_in_words(tag):
    source = ct_slice(rows=4, columns=4)
    source.ReferringPhysicianName = ""
    content = encode(source)
    place = content.index(tag) + 4
    with pytest.raises(InstanceUnreadable, match="Not a VR of the standard at"):
        parse(content[:place] + b"L\0" + content[place + 2 :], ExplicitVRLittleEndian)


def test_text_that_is_no_data_set_is_refused_without_a_letter_of_it():
    with pytest.raises(InstanceUnreadable) as refused:
        parse(b"Zyxwvutsrq^Quonkelbert, born 20 March 1950", ImplicitVRLittleEndian)
    assert not re.search(r"[0-9A-F]{4}", str(refused.value))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600), st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]))
def test_random_bytes_never_raise_a_foreign_error(content, transfer_syntax_uid):
    read_leniently()
    with pytest.raises(GatewayError):
        parse(content, transfer_syntax_uid)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_data_sets_are_parsed_or_refused_in_words(data):
    read_leniently()
    content = bytearray(encode(ct_slice(rows=4, columns=4)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(GatewayError):
        parse(bytes(content), ExplicitVRLittleEndian)


def test_file_head_is_read_back_and_carries_no_sender():
    head = file_head("1.2.840.10008.5.1.4.1.1.2", "1.2.3", ExplicitVRLittleEndian, implementation_version="ANNOGATE_0")
    file = read_file(head + b"rest")
    assert (file.sop_instance_uid, file.data_set) == ("1.2.3", b"rest")
    assert head[:128] == bytes(128)


@pytest.mark.parametrize("content", [b"", b"no dicom at all", bytes(128) + b"DICM"])
def test_what_is_no_dicom_file_is_refused(content):
    with pytest.raises(InstanceUnreadable):
        read_file(content)


def _deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _outcome(content: EncodedBytes, transfer_syntax_uid: str) -> object:
    try:
        parsed = parse(content, transfer_syntax_uid)
    except GatewayError as error:
        return str(error)
    pixels = parsed.pixels
    value = None if pixels is None else (pixels.offset, bytes(pixels.value), pixels.fragments)
    return str(parsed.header), value


@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless])
@pytest.mark.parametrize("first_look", [17, 40, 333, 1500])
def test_what_is_read_look_by_look_is_what_is_read_at_once(monkeypatch, transfer_syntax_uid, first_look):
    monkeypatch.setattr(parsing, "_FIRST_LOOK", first_look)
    monkeypatch.setattr(parsing, "_NEXT_LOOK", 2)
    source = ct_slice(rows=4, columns=4)
    source.ReferencedImageSequence = [Dataset(), Dataset()]
    source.ReferencedImageSequence[1].ReferencedSOPInstanceUID = "1.2.3"
    source["ReferencedImageSequence"].is_undefined_length = True
    source.add_new(0x00291010, "UN", b"private" * 20)
    if transfer_syntax_uid == JPEGLSLossless:
        source.PixelData = encapsulate([b"frame one", b"frame two."])
        source["PixelData"].is_undefined_length = True
    whole = encode(source, transfer_syntax_uid)
    for length in [*range(1, len(whole), 7), len(whole)]:
        cut = whole[:length]
        at_once = _outcome(cut, transfer_syntax_uid)
        assert _outcome(Section(cut, 0, length), transfer_syntax_uid) == at_once


def test_nothing_behind_the_pixels_head_is_read_for_the_header():
    whole = encode(ct_slice(rows=600, columns=600))
    read: list[int] = []

    class Watched:
        def __len__(self) -> int:
            return len(whole)

        def __getitem__(self, stretch: slice, /) -> bytes:
            read.append(stretch.stop)
            return whole[stretch]

    assert parse(Watched(), ExplicitVRLittleEndian).pixels is not None
    assert max(read) < 300_000 < len(whole)


def test_more_to_be_read_than_the_limit_is_refused_in_words():
    source = ct_slice()
    source.PatientComments = "x" * (2 << 20)
    source["PatientComments"].VR = "UT"
    whole = encode(source)
    for content in (whole, Section(whole, 0, len(whole))):
        with pytest.raises(InstanceUnreadable, match="Cleaning it would take more than 1 MiB of memory"):
            parse(content, ExplicitVRLittleEndian, header_limit=1 << 20)
        assert parse(content, ExplicitVRLittleEndian, header_limit=16 << 20).pixels is not None


def test_bytes_that_nobody_has_to_read_count_for_nothing():
    source = ct_slice()
    source.add_new(0x00291010, "OB", bytes(2 << 20))
    whole = encode(source)
    parsed = parse(Section(whole, 0, len(whole)), ExplicitVRLittleEndian, header_limit=1 << 20)
    (long,) = parsed.aside.values
    assert (long.tag, long.source[:], parsed.pixels is None) == (0x00291010, bytes(2 << 20), False)


def test_items_without_end_are_given_up(monkeypatch):
    monkeypatch.setattr(fragments, "_MOST_ITEMS", 1000)
    source = ct_slice()
    source.PixelData = encapsulate([b"xx"] * 1000)
    source["PixelData"].is_undefined_length = True
    with pytest.raises(InstanceUnreadable, match="in more than 1000 items"):
        parse(encode(source), JPEGLSLossless)
