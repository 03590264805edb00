"""Frames found in stored pixel data, native and encapsulated, in every way that frames are laid down."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core import inflation
from service.core.archived import InstanceRow
from service.core.blob_key import blob_key
from service.core.frame_index import index_frames
from service.core.pixel_format import OffsetTable, PixelFormat
from service.core.records import ObjectKind, PixelLocation, StoredBlob
from service.errors import InstanceNotFound, NotAcceptable
from service.ingest.parsing import parse
from service.ingest.part10 import read_file
from service.ingest.stored_file import original_file
from service.web.dicomweb.frame_reader import FrameLayouts, FrameReader
from service.web.dicomweb.pixel_decoding import decode_frame
from service.web.dicomweb.stored_object import StoredObject
from tests.datasets import as_file, ct_slice
from tests.fakes.in_memory_blob_store import InMemoryBlobStore

EOI = b"\xff\xd9"
KEY = blob_key("default", "1.2.3")
NATIVE = PixelFormat(0x7FE00010, 2, 3, 1, 1, 8, 8, False, "MONOCHROME2", 0, False)


def items(table: Sequence[int], fragments: Sequence[bytes]) -> bytes:
    """Encapsulated pixel data without its delimiter."""
    first = struct.pack(f"<HHI{len(table)}I", 0xFFFE, 0xE000, 4 * len(table), *table)
    return first + b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data for data in fragments)


def frames_of(value: bytes, count: int, table: OffsetTable | None = None) -> list[bytes]:
    """The code streams that the index finds in a value that lies behind ten other bytes."""
    stream = bytes(10) + value

    def read(offset: int, length: int) -> bytes:
        return stream[offset : offset + length]

    found = index_frames(read, 10, len(value), count, table)
    return [b"".join(read(span.offset, span.length) for span in frame) for frame in found]


def stored(data_set: Dataset, uid: str = ExplicitVRLittleEndian) -> StoredObject:
    """A data set as it lies in the store; its pixels are already in the transfer syntax."""
    file = read_file(as_file(data_set, uid))
    parsed = parse(file.data_set, file.transfer_syntax_uid)
    kept = original_file(parsed, file.data_set, "TEST")
    blobs = InMemoryBlobStore()
    blobs.put(KEY, [bytes(part) for part in kept.parts])
    return StoredObject(row_of(kept.blob(KEY), str(uid)), blobs)


def row_of(blob: StoredBlob, uid: str) -> InstanceRow:
    return InstanceRow(
        id=1, project="default", study_row_id=1, series_row_id=1, study_uid="1.2", series_uid="1.2.1",
        sop_instance_uid="1.2.3", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", transfer_syntax_uid=uid,
        kind=ObjectKind.IMAGE, annotator="", run_id=None, visible=True, instance_number=1, rows=None, columns=None,
        bits_allocated=None, number_of_frames=None, content_digest=b"", blob=blob, received_at=0, indexed_at=0,
    )  # fmt: skip


def reader(data_set: Dataset, uid: str = ExplicitVRLittleEndian) -> FrameReader:
    return FrameReader(stored(data_set, uid), FrameLayouts())


def image(pixels: np.ndarray, *, bits: int = 0, vr: str = "OW", big_endian: bool = False, **changes: object) -> Dataset:
    """An image of frames × rows × columns[ × samples]."""
    ds = ct_slice()
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape[:3]
    ds.SamplesPerPixel = pixels.shape[3] if pixels.ndim == 4 else 1
    ds.BitsAllocated = ds.BitsStored = bits or pixels.dtype.itemsize * 8
    ds.HighBit = ds.BitsAllocated - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = np.packbits(pixels.reshape(-1), bitorder="little") if bits == 1 else pixels
    data = raw.astype(raw.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    data += b"\0" * (len(data) % 2)
    if big_endian and vr == "OW" and raw.dtype.itemsize == 1:
        data = np.frombuffer(data, "u2").byteswap().tobytes()
    ds.add_new(0x7FE00010, vr, data)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def counted(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint32).astype(dtype).reshape(shape)


# Encapsulated


def test_fragments_of_a_single_frame_are_joined() -> None:
    assert frames_of(items([], [b"ab", b"cd", b"ef"]), 1) == [b"abcdef"]


def test_one_fragment_a_frame_needs_no_table() -> None:
    assert frames_of(items([], [b"ab", b"cd"]), 2) == [b"ab", b"cd"]


def test_basic_offset_table_groups_fragments() -> None:
    assert frames_of(items([0, 20], [b"ab", b"cd", b"ef"]), 2) == [b"abcd", b"ef"]


def test_closing_markers_group_fragments_where_there_is_no_table() -> None:
    fragments = [b"a1", b"a2" + EOI, b"b1", b"b2", b"b3" + EOI + b"\0\0"]
    assert frames_of(items([], fragments), 2) == [b"a1a2" + EOI, b"b1b2b3" + EOI + b"\0\0"]


@pytest.mark.parametrize("table", [[0, 999], [20, 0], [0], [8, 20], [0, 0]])
def test_basic_offset_table_that_does_not_fit_is_not_believed(table: list[int]) -> None:
    assert frames_of(items(table, [b"a1", b"a2" + EOI, b"b1" + EOI]), 2) == [b"a1a2" + EOI, b"b1" + EOI]


def test_extended_offset_table_cuts_padding_off() -> None:
    value = items([], [b"abc\0", b"de\0\0"])
    assert frames_of(value, 2, OffsetTable((0, 12), (3, 2))) == [b"abc", b"de"]


@given(st.lists(st.lists(st.binary(min_size=2, max_size=8), min_size=1, max_size=3), min_size=2, max_size=5))
def test_frames_come_back_however_they_were_cut(frames: list[list[bytes]]) -> None:
    fragments = [bytes(piece) for frame in frames for piece in frame]
    offsets, position = [], 0
    for frame in frames:
        offsets.append(position)
        position += sum(8 + len(piece) for piece in frame)
    assert frames_of(items(offsets, fragments), len(frames)) == [b"".join(frame) for frame in frames]


@pytest.mark.parametrize("value", [b"", items([], []), items([], [b"ab"])[:-1], b"\1" * 40])
def test_value_that_is_not_made_of_items_is_refused(value: bytes) -> None:
    with pytest.raises(InstanceUnreadable):
        frames_of(value, 1)


def test_fragments_that_fit_no_frame_are_refused() -> None:
    with pytest.raises(InstanceUnreadable, match="cannot be assigned"):
        frames_of(items([], [b"a", b"b", b"c"]), 2)


def test_layout_is_read_once_for_an_object() -> None:
    layouts = FrameLayouts()
    opened = stored(image(counted(2, 4, 4)))
    assert layouts.layout(opened) is layouts.layout(opened)


def test_layouts_are_forgotten_when_there_are_too_many() -> None:
    layouts = FrameLayouts(entries=20)
    opened, other = stored(image(counted(2, 4, 4))), stored(image(counted(2, 4, 4)))
    other.row = replace(other.row, blob=replace(other.row.blob, key=blob_key("default", "1.2.4")))
    first = layouts.layout(opened)
    layouts.layout(other)
    assert layouts.layout(opened) is not first


# Native


def test_large_deflated_object_is_inflated_again_for_each_look_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflation, "IN_MEMORY_BYTES", 1000)
    pixels = counted(5, 700, 600)
    read = reader(image(pixels), DeflatedExplicitVRLittleEndian)
    for number in (4, 1, 5, 2):
        assert read.native(number) == pixels[number - 1].tobytes()


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_native_frame_is_its_bytes(uid: str) -> None:
    pixels = counted(3, 4, 5)
    assert [reader(image(pixels), uid).native(number) for number in (1, 3)] == [
        pixels[0].tobytes(),
        pixels[2].tobytes(),
    ]


@pytest.mark.parametrize(
    ("dtype", "vr"), [("u2", "OW"), ("u4", "OW"), ("u1", "OW"), ("u1", "OB")], ids=lambda value: value
)
def test_big_endian_frame_comes_in_little_endian(dtype: str, vr: str) -> None:
    pixels = counted(3, 3, 5, dtype=dtype)  # an odd number of pixels a frame
    frames = reader(image(pixels, vr=vr, big_endian=True), ExplicitVRBigEndian)
    assert [frames.native(number) for number in (1, 2, 3)] == [frame.tobytes() for frame in pixels]


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_one_bit_frame_starts_on_its_own_byte(frames: int, rows: int, columns: int, random: object) -> None:
    bits = np.array([random.randrange(2) for _ in range(frames * rows * columns)], "u1")  # type: ignore[attr-defined]
    pixels = bits.reshape(frames, rows, columns)
    opened = reader(image(pixels, bits=1))
    for number in range(1, frames + 1):
        assert opened.native(number) == np.packbits(pixels[number - 1].reshape(-1), bitorder="little").tobytes()


def test_frame_with_shared_chroma_has_two_bytes_a_pixel() -> None:
    ds = image(counted(2, 2, 4, 3, dtype="u1"), PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0)
    ds.PixelData = bytes(range(32))
    assert reader(ds).native(2) == bytes(range(16, 32))


def test_shared_chroma_is_spread_when_values_are_wanted() -> None:
    ds = image(counted(1, 1, 2, 3, dtype="u1"), PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0)
    ds.PixelData = bytes([10, 20, 30, 40])
    decoded = reader(ds).decoded(1)
    assert decoded.pixels.tolist() == [[[10, 30, 40], [20, 30, 40]]]
    assert decoded.format.photometric == "YBR_FULL"


def test_planes_are_interleaved_when_values_are_wanted() -> None:
    ds = image(counted(1, 2, 2, 3, dtype="u1"), PhotometricInterpretation="RGB", PlanarConfiguration=1)
    ds.PixelData = bytes(range(12))
    assert reader(ds).decoded(1).pixels[0, 0].tolist() == [0, 4, 8]


@pytest.mark.parametrize("number", [0, 3])
def test_frame_that_is_not_there_is_not_found(number: int) -> None:
    with pytest.raises(InstanceNotFound, match="2 frames"):
        reader(image(counted(2, 4, 4))).check(number)


def test_instance_without_pixels_has_no_frames() -> None:
    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    with pytest.raises(InstanceNotFound, match="no frames"):
        reader(ds)


def test_file_shorter_than_the_index_says_is_noticed() -> None:
    opened = stored(image(counted(1, 4, 4)))
    pixels = opened.row.blob.pixels
    assert pixels is not None
    with pytest.raises(GatewayError, match="shorter"):
        opened.read(pixels.offset, pixels.length + 1)


# Decoding


def encapsulated(data_set: Dataset, frames: Sequence[bytes]) -> Dataset:
    data_set.PixelData = items([], [frame + b"\0" * (len(frame) % 2) for frame in frames]) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set


def rle(segment: bytes) -> bytes:
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment


def test_rle_frame_of_packed_bits_is_unpacked() -> None:
    frame = rle(bytes([1, 0b10110010, 0b00000001, 0x80]))
    opened = reader(encapsulated(image(np.zeros((1, 3, 3), "u1"), bits=1), [frame]), RLELossless)
    assert opened.native(1) == bytes([0b10110010, 0b00000001])


def test_rle_run_is_repeated() -> None:
    layout = replace(NATIVE, rows=4, columns=8, bits_allocated=1)
    assert decode_frame(rle(bytes([0xFD, 0xFF])), layout, RLELossless).pixels.all()


def test_deflated_frame_is_inflated() -> None:
    compressor = zlib.compressobj(wbits=-15)
    stream = compressor.compress(bytes(range(6))) + compressor.flush()
    decoded = decode_frame(stream + b"\0", NATIVE, "1.2.840.10008.1.2.8.1")
    assert decoded.pixels.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("stream", "uid"),
    [
        (b"not deflated at all", "1.2.840.10008.1.2.8.1"),
        (b"short", RLELossless),
        (b"no jpeg", "1.2.840.10008.1.2.4.80"),
        (b"x", "1.2.840.10008.1.2.4.100"),
        (b"x", "1.2.3.4"),
    ],
)
def test_frame_that_no_codec_reads_is_refused_in_words(stream: bytes, uid: str) -> None:
    with pytest.raises(NotAcceptable):
        decode_frame(stream, NATIVE, uid)


def test_frame_that_claims_to_be_enormous_is_not_decoded() -> None:
    with pytest.raises(NotAcceptable, match="large"):
        decode_frame(b"x", replace(NATIVE, rows=65535, columns=65535), RLELossless)


def test_pixel_location_of_the_index_is_used_for_implicit_vr_too() -> None:
    opened = stored(image(counted(1, 4, 4)), ImplicitVRLittleEndian)
    assert opened.pixels is not None
    location = opened.row.blob.pixels
    assert location == PixelLocation(0x7FE00010, opened.pixels.value_start, 32, encapsulated=False)
    assert (opened.pixels.vr, opened.pixels.start) == ("", location.offset - 8)
