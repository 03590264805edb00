"""Pixels compressed for a caller come back value for value, and are described as what they are."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.core.pixel_format import PixelFormat
from service.errors import NotAcceptable
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.pixel_decoding import DEFLATED_FRAMES, RLE_LOSSLESS, DecodedFrame, decode_frame
from service.web.dicomweb.pixel_encoding import (
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    encode_frame,
    encoded_format,
    lossless_encodings,
    lossy_encodings,
)
from service.web.dicomweb.whole_object import ObjectFile, ObjectFiles
from tests.fakes.in_memory_blob_store import InMemoryBlobStore
from tests.unit.test_dicomweb_frames import counted, image, stored

EVERY = (JPEG_LS, JPEG_2000, HTJ2K, JPEG_LOSSLESS, RLE_LOSSLESS, DEFLATED_FRAMES)
GREY = PixelFormat(0x7FE00010, 5, 7, 1, 1, 16, 16, False, "MONOCHROME2", 0, False)


def layout_of(pixels: np.ndarray, bits_stored: int = 0, photometric: str = "") -> PixelFormat:
    bits = pixels.dtype.itemsize * 8
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    return replace(
        GREY,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples=samples,
        bits_allocated=bits,
        bits_stored=bits_stored or bits,
        signed=pixels.dtype.kind == "i",
        photometric=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
    )


def offered(pixels: np.ndarray, uid: str, bits_stored: int = 0, photometric: str = "") -> bool:
    return uid in lossless_encodings(layout_of(pixels, bits_stored, photometric))


def returned(pixels: np.ndarray, uid: str, bits_stored: int = 0, photometric: str = "") -> DecodedFrame:
    """Pixels encoded and decoded again, described as they then are."""
    layout = layout_of(pixels, bits_stored, photometric)
    assert uid in lossless_encodings(layout)
    return decode_frame(encode_frame(DecodedFrame(pixels, layout), uid), encoded_format(layout, uid), uid)


RANDOM = np.random.default_rng(7)
UNSIGNED = RANDOM.integers(0, 1 << 16, (32, 35), "u2")
SIGNED = RANDOM.integers(-(1 << 15), 1 << 15, (33, 38), "i2")
TWELVE = RANDOM.integers(0, 1 << 12, (36, 33), "u2")
SIGNED_TWELVE = RANDOM.integers(-(1 << 11), 1 << 11, (36, 33), "i2")
BYTES = RANDOM.integers(0, 256, (33, 35), "u1")
SIGNED_BYTES = RANDOM.integers(-128, 128, (33, 35), "i1")
COLOURS = RANDOM.integers(0, 256, (33, 32, 3), "u1")
DEEP_COLOURS = RANDOM.integers(0, 1 << 16, (33, 32, 3), "u2")


@pytest.mark.parametrize("uid", EVERY)
@pytest.mark.parametrize(
    ("pixels", "bits_stored", "photometric"),
    [
        (UNSIGNED, 16, ""),
        (SIGNED, 16, ""),
        (TWELVE, 12, "MONOCHROME1"),
        (SIGNED_TWELVE, 12, ""),
        (BYTES, 8, ""),
        (BYTES & 1, 1, ""),
        (BYTES & 31, 5, ""),
        (BYTES.astype("u2"), 8, ""),
        (SIGNED_BYTES, 8, ""),
        (BYTES, 8, "PALETTE COLOR"),
        (COLOURS, 8, "RGB"),
        (DEEP_COLOURS, 16, "RGB"),
    ],
)
def test_values_come_back_as_they_were(uid: str, pixels: np.ndarray, bits_stored: int, photometric: str) -> None:
    decoded = returned(pixels, uid, bits_stored, photometric)
    assert decoded.pixels.dtype == pixels.dtype
    assert decoded.pixels.tolist() == pixels.tolist()
    assert decoded.format.photometric == layout_of(pixels, bits_stored, photometric).photometric


@pytest.mark.parametrize("uid", [uid for uid in EVERY if uid != JPEG_LOSSLESS])
@pytest.mark.parametrize(("pixels", "bits_stored"), [(SIGNED, 12), (UNSIGNED, 10), (BYTES, 5)])
def test_what_stands_above_bits_stored_is_kept(uid: str, pixels: np.ndarray, bits_stored: int) -> None:
    assert returned(pixels, uid, bits_stored).pixels.tolist() == pixels.tolist()


def test_jpeg_lossless_refuses_what_its_readers_would_cut_off() -> None:
    with pytest.raises(NotAcceptable, match="Bits Stored"):
        encode_frame(DecodedFrame(SIGNED, layout_of(SIGNED, 12)), JPEG_LOSSLESS)


@pytest.mark.parametrize("uid", [uid for uid in EVERY if uid != JPEG_LOSSLESS])
def test_luminance_and_chroma_come_back_as_they_were(uid: str) -> None:
    decoded = returned(COLOURS, uid, 8, "YBR_FULL")
    assert (decoded.pixels.tolist(), decoded.format.photometric) == (COLOURS.tolist(), "YBR_FULL")


@pytest.mark.parametrize("uid", EVERY)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_frame_that_is_offered_comes_back(uid: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["u1", "i1", "u2", "i2"]))
    seed, rows, columns = (data.draw(st.integers(1, 48)) for _ in range(3))
    info = np.iinfo(dtype)
    pixels = np.random.default_rng(seed).integers(info.min, info.max, (rows, columns), dtype, endpoint=True)
    pixels[rows // 2 :] = info.min
    if offered(pixels, uid):
        assert returned(pixels, uid).pixels.tolist() == pixels.tolist()


def test_images_too_small_for_a_codec_are_not_offered_in_it() -> None:
    tiny = np.zeros((3, 3), "u2")
    assert not offered(tiny, JPEG_LS)
    assert not offered(tiny, JPEG_2000)
    for uid in (HTJ2K, JPEG_LOSSLESS, RLE_LOSSLESS, DEFLATED_FRAMES):
        assert returned(tiny, uid).pixels.tolist() == tiny.tolist()


def test_wide_integers_are_taken_by_those_codecs_that_can() -> None:
    pixels = RANDOM.integers(0, 1 << 24, (33, 32), "u4")
    assert set(lossless_encodings(layout_of(pixels, 24))) == {JPEG_2000, RLE_LOSSLESS, DEFLATED_FRAMES}
    assert set(lossless_encodings(layout_of(pixels, 32))) == {RLE_LOSSLESS, DEFLATED_FRAMES}
    for uid in (JPEG_2000, RLE_LOSSLESS, DEFLATED_FRAMES):
        assert returned(pixels, uid, 24).pixels.tolist() == pixels.tolist()


@pytest.mark.parametrize(
    "changes", [{"tag": 0x7FE00008, "bits_allocated": 32}, {"rows": 70000}, {"tag": 0x7FE00009, "bits_allocated": 64}]
)
def test_floating_point_and_oversized_pixels_are_never_compressed(changes: dict[str, int]) -> None:
    assert lossless_encodings(replace(GREY, **changes)) == lossy_encodings(replace(GREY, **changes)) == ()


def test_single_bits_are_deflated_only() -> None:
    bits = RANDOM.integers(0, 2, (3, 5), "u1")
    layout = replace(layout_of(bits), bits_allocated=1, bits_stored=1)
    assert lossless_encodings(layout) == (DEFLATED_FRAMES,)
    stream = encode_frame(DecodedFrame(bits, layout), DEFLATED_FRAMES)
    assert decode_frame(stream, layout, DEFLATED_FRAMES).pixels.tolist() == bits.tolist()


@pytest.mark.parametrize(
    ("pixels", "bits", "photometric", "offered"),
    [
        (BYTES, 8, "", True),
        (COLOURS, 8, "YBR_FULL", True),
        (BYTES, 8, "PALETTE COLOR", False),
        (SIGNED_BYTES, 8, "", False),
        (TWELVE, 12, "", False),
        (BYTES, 6, "", False),
    ],
)
def test_jpeg_baseline_is_for_eight_bits_of_light(
    pixels: np.ndarray, bits: int, photometric: str, offered: bool
) -> None:
    assert (JPEG_BASELINE in lossy_encodings(layout_of(pixels, bits, photometric))) is offered


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_jpeg_baseline_keeps_the_colour(photometric: str) -> None:
    colour = np.full((16, 16, 3), (200, 40, 10) if photometric == "RGB" else (85, 90, 200), "u1")
    stream = encode_frame(DecodedFrame(colour, layout_of(colour, photometric=photometric)), JPEG_BASELINE)
    shown = Image.open(BytesIO(stream))
    compared = shown if photometric == "RGB" else shown.convert("YCbCr")
    assert np.abs(np.asarray(compared).astype(int) - colour).max() < 6


def test_pixels_that_a_codec_refuses_are_refused_in_words() -> None:
    pixels = np.full((2, 2), (1 << 31) + 5, "u4")
    with pytest.raises(NotAcceptable, match="bits"):
        encode_frame(DecodedFrame(pixels, layout_of(pixels, 24)), JPEG_2000)


# Whole objects


def written(data_set: Dataset, uid: str, stored_uid: str = ExplicitVRLittleEndian) -> Dataset:
    """The object in another transfer syntax, read by pydicom."""
    opened = stored(data_set, stored_uid)
    blobs = InMemoryBlobStore()
    blobs.put(opened.row.blob.key, [opened.read(0, opened.row.blob.size)])
    row = replace(opened.row, rows=data_set.Rows, bits_allocated=data_set.BitsAllocated)
    files = ObjectFiles(blobs, FrameLayouts())
    assert uid in files.encodings(row)
    file: ObjectFile = files.encoded(row, uid, prove=True)
    assert (file.transfer_syntax_uid, file.length) == (uid, None)
    received = dcmread(BytesIO(b"".join(file.open())))
    assert received.file_meta.TransferSyntaxUID == uid
    return received


@pytest.mark.parametrize("uid", [JPEG_LS, JPEG_2000, HTJ2K, JPEG_LOSSLESS, RLE_LOSSLESS])
@pytest.mark.parametrize("stored_uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_object_of_several_frames_is_written_whole(uid: str, stored_uid: str) -> None:
    pixels = counted(3, 33, 34)
    received = written(image(pixels, big_endian=stored_uid == ExplicitVRBigEndian), uid, stored_uid)
    assert received.pixel_array.tolist() == pixels.tolist()
    assert received["PixelData"].VR == "OB"
    assert (received.PhotometricInterpretation, received.NumberOfFrames) == ("MONOCHROME2", 3)


@pytest.mark.parametrize(
    ("uid", "planar"), [(JPEG_LS, 0), (JPEG_2000, 0), (HTJ2K, 0), (JPEG_LOSSLESS, 0), (RLE_LOSSLESS, 1)]
)
def test_planes_are_described_as_they_are_written(uid: str, planar: int) -> None:
    pixels = counted(2, 34, 32, 3, dtype="u1")
    planes = image(pixels, PhotometricInterpretation="RGB", PlanarConfiguration=1)
    planes.PixelData = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).tobytes()
    received = written(planes, uid)
    assert (received.PlanarConfiguration, received.PhotometricInterpretation) == (planar, "RGB")
    assert received.pixel_array.tolist() == pixels.tolist()


def test_shared_chroma_is_spread_and_described_so() -> None:
    shape = (1, 16, 16, 3)
    ds = image(counted(*shape, dtype="u1"), PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0)
    ds.PixelData = bytes([10, 20, 30, 40]) * 128
    received = written(ds, JPEG_LS)
    assert received.PhotometricInterpretation == "YBR_FULL"
    stream = bytes(received.PixelData)[16:]
    decoded = decode_frame(stream, layout_of(np.zeros(shape[1:], "u1"), photometric="YBR_FULL"), JPEG_LS)
    assert decoded.pixels[0, :2].tolist() == [[10, 30, 40], [20, 30, 40]]


def test_what_has_no_pixels_has_no_encodings() -> None:
    report = image(counted(1, 2, 2))
    del report.PixelData
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    opened = stored(report)
    assert ObjectFiles(InMemoryBlobStore(), FrameLayouts()).encodings(opened.row) == ()
