"""Blackening keeps the form that came in, changes nothing else, and says in the header what it did."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate_extended
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_nodes.errors import InstanceUnreadable
from service.deident.pixels.frame_encoder import encode_lossless
from service.deident.pixels.frame_reader import FrameReader, pixel_format
from service.deident.pixels.pixel_cleaner import load_pixel_cleaner
from service.deident.pixels.pixel_outcome import BlackenedPixels, OutcomeKind, PixelOutcome, Region, RegionOrigin
from service.deident.pixels.pixel_source import HeldPixels
from tests.text_pictures import DEVICES, encapsulated, frames_after, frames_of, header, native

DRAWN = Region(5, 7, 12, 9, None, RegionOrigin.PERSON)
WITHIN = np.s_[7:16, 5:17]
CLEANER = load_pixel_cleaner(DEVICES)


def picture(rows: int = 32, columns: int = 40, samples: int = 1, bits: int = 8, seed: int = 1) -> np.ndarray:
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    values = np.random.default_rng(seed).integers(1, 1 << bits, shape)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def apply(head: Dataset, pixels: HeldPixels, syntax: str = ExplicitVRLittleEndian, *regions: Region) -> BlackenedPixels:
    outcome = CLEANER.apply(head, pixels, syntax, regions or (DRAWN,))
    assert outcome.kind is OutcomeKind.BLACKENED, outcome.reason
    assert outcome.blackened is not None
    return outcome.blackened


def only_within(before: np.ndarray, after: np.ndarray, black: object, within: tuple[slice, ...] = WITHIN) -> None:
    assert (after[within] == np.array(black)).all()
    untouched = np.ones(before.shape[:2], dtype=bool)
    untouched[within] = False
    assert np.array_equal(before[untouched], after[untouched])


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_native_grey_becomes_black_in_place(bits: int, syntax: str) -> None:
    before = picture(bits=bits)
    head = header(32, 40, bits=bits)
    encoded = before.astype(before.dtype.newbyteorder(">")) if syntax == ExplicitVRBigEndian else before
    blackened = apply(head, native([encoded]), syntax)
    assert (blackened.transfer_syntax_uid, blackened.encapsulated, len(blackened.changed)) == (syntax, False, 0)
    only_within(before, frames_after(head, blackened)[0], 0 if bits == 8 else before.min())


def test_black_of_inverted_grey_is_its_largest_value() -> None:
    before = picture(bits=12)
    head = header(32, 40, bits=12, PhotometricInterpretation="MONOCHROME1")
    only_within(before, frames_after(head, apply(head, native([before])))[0], before.max())


def test_black_lies_below_the_window_where_no_pixel_does() -> None:
    before = picture(bits=12) // 2 + 1000
    head = header(32, 40, bits=12, WindowCenter=800, WindowWidth=400, RescaleSlope=2, RescaleIntercept=-1000)
    only_within(before, frames_after(head, apply(head, native([before])))[0], 800)


def test_signed_grey_stays_within_its_bits() -> None:
    before = (picture(bits=12).astype(np.int16) - 2048).clip(-2000, 2000)
    head = header(32, 40, bits=12, PixelRepresentation=1, WindowCenter=0, WindowWidth=60000)
    only_within(before, frames_after(head, apply(head, native([before])))[0], -2048)


@pytest.mark.parametrize("planar", [0, 1])
def test_native_colour_becomes_black_in_each_sample(planar: int) -> None:
    before = picture(samples=3)
    head = header(32, 40, samples=3, PlanarConfiguration=planar)
    lying = before.transpose(2, 0, 1) if planar else before
    only_within(before, frames_after(head, apply(head, native([lying])))[0], [0, 0, 0])


def test_luminance_and_chroma_become_those_of_black() -> None:
    before = picture(samples=3)
    head = header(32, 40, samples=3, PhotometricInterpretation="YBR_FULL")
    only_within(before, frames_after(head, apply(head, native([before])))[0], [0, 128, 128])


def test_shared_chroma_takes_the_whole_pair() -> None:
    encoded = picture(rows=32, columns=80)
    head = header(32, 40, samples=3, PhotometricInterpretation="YBR_FULL_422")
    pixels = native([encoded])
    [before], [after] = frames_of(head, pixels), frames_after(head, apply(head, pixels))
    only_within(before, after, [0, 128, 128], np.s_[7:16, 4:18])


def test_palette_takes_its_darkest_entry() -> None:
    before = picture(bits=8)
    grey = np.roll(np.arange(256), 77).astype("<u2") << 8
    tables = {f"{colour}PaletteColorLookupTableData": grey.tobytes() for colour in ("Red", "Green", "Blue")}
    descriptors = {f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 16] for colour in ("Red", "Green", "Blue")}
    head = header(32, 40, PhotometricInterpretation="PALETTE COLOR", **descriptors, **tables)
    only_within(before, frames_after(head, apply(head, native([before])))[0], 77)


def test_single_bits_are_blackened_across_byte_borders() -> None:
    frames = [picture(33, 41, bits=1, seed=seed) % 2 for seed in (1, 2, 3)]
    bits = np.concatenate([frame.ravel() for frame in frames]).astype(np.uint8)
    head = header(33, 41, bits=1, frames=3)
    blackened = apply(
        head,
        HeldPixels(np.packbits(bits, bitorder="little").tobytes()),
        ExplicitVRLittleEndian,
        replace(DRAWN, frame=2),
    )
    after = frames_after(head, blackened)
    only_within(frames[1], after[1], 0)
    assert np.array_equal(frames[0], after[0])
    assert np.array_equal(frames[2], after[2])


def encoded_as(syntax: str, before: np.ndarray, head: Dataset) -> bytes:
    if syntax == JPEGBaseline8Bit:
        stream = io.BytesIO()
        Image.fromarray(before).save(stream, "JPEG", quality=90)
        return stream.getvalue()
    return encode_lossless(before, head.PhotometricInterpretation, pixel_format(head), syntax)


LOSSLESS = [RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, JPEGLossless, JPEGLosslessSV1]


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: UID(uid).name[:40])
@pytest.mark.parametrize(("samples", "bits"), [(1, 8), (1, 12), (1, 16), (3, 8)])
def test_compressed_frame_is_encoded_again_without_loss(syntax: str, samples: int, bits: int) -> None:
    before = picture(samples=samples, bits=bits)
    head = header(32, 40, samples=samples, bits=bits)
    blackened = apply(head, encapsulated([encoded_as(syntax, before, head)]), syntax)
    assert blackened.transfer_syntax_uid == syntax
    assert "LossyImageCompression" not in blackened.changed
    only_within(before, frames_after(head, blackened)[0], before.min() if bits > 8 else 0)


def test_high_throughput_stays_where_the_extra_codecs_are() -> None:
    pytest.importorskip("imagecodecs")
    before = picture(bits=12)
    head = header(32, 40, bits=12)
    blackened = apply(head, encapsulated([encoded_as(HTJ2KLossless, before, head)]), HTJ2KLossless)
    assert blackened.transfer_syntax_uid == HTJ2KLossless
    only_within(before, frames_after(head, blackened)[0], before.min())


def test_decorrelated_colour_is_declared_as_it_was() -> None:
    before = picture(samples=3)
    head = header(32, 40, samples=3, PhotometricInterpretation="YBR_RCT")
    blackened = apply(head, encapsulated([encoded_as(JPEG2000Lossless, before, head)]), JPEG2000Lossless)
    assert "PhotometricInterpretation" not in blackened.changed
    only_within(before, frames_after(head, blackened)[0], [0, 0, 0])


def test_irreversible_colour_is_written_reversibly_in_all_frames() -> None:
    before = [picture(64, 64, samples=3, seed=seed) for seed in (1, 2)]
    head = header(64, 64, samples=3, frames=2, PhotometricInterpretation="YBR_ICT")
    options = {
        "rows": 64,
        "columns": 64,
        "samples_per_pixel": 3,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": "YBR_ICT",
        "number_of_frames": 1,
        "planar_configuration": 0,
        "j2k_cr": [2],
    }
    streams = [get_encoder(JPEG2000).encode(frame.tobytes(), index=0, **options) for frame in before]
    lossy = encapsulated([bytes(stream) for stream in streams])
    decoded = frames_of(head, lossy, JPEG2000)
    blackened = apply(head, lossy, JPEG2000, replace(DRAWN, frame=2))
    assert blackened.changed.PhotometricInterpretation == "YBR_RCT"
    after = frames_after(head, blackened)
    assert np.array_equal(decoded[0], after[0])
    only_within(decoded[1], after[1], [0, 0, 0])


def test_frames_without_a_change_keep_their_bytes() -> None:
    frames = [picture(seed=seed) for seed in range(5)]
    head = header(32, 40, frames=5)
    streams = [encoded_as(JPEGLSLossless, frame, head) for frame in frames]
    blackened = apply(head, encapsulated(streams), JPEGLSLossless, replace(DRAWN, frame=3))
    value = HeldPixels(blackened.value.read(0, blackened.value.length))
    reader = FrameReader(head, value, JPEGLSLossless)
    kept = [reader.encoded(index).rstrip(b"\0") == streams[index].rstrip(b"\0") for index in range(5)]
    assert kept == [True, True, False, True, True]
    only_within(frames[2], frames_after(head, blackened)[2], 0)


def test_basic_offset_table_points_at_each_frame() -> None:
    frames = [picture(seed=seed) for seed in range(3)]
    head = header(32, 40, frames=3)
    streams = [encoded_as(RLELossless, frame, head) for frame in frames]
    blackened = apply(head, encapsulated(streams), RLELossless)
    value = blackened.value.read(0, blackened.value.length)
    length = int.from_bytes(value[4:8], "little")
    assert length == 12
    for offset in np.frombuffer(value[8:20], dtype="<u4"):
        assert value[20 + offset : 24 + offset] == b"\xfe\xff\x00\xe0"


def test_extended_offset_table_is_written_anew() -> None:
    frames = [picture(seed=seed) for seed in range(3)]
    head = header(32, 40, frames=3)
    streams = [encoded_as(RLELossless, frame, head) for frame in frames]
    _, head.ExtendedOffsetTable, head.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    blackened = apply(head, encapsulated(streams, offsets=False), RLELossless, replace(DRAWN, frame=2))
    value = blackened.value.read(0, blackened.value.length)
    assert value[:8] == b"\xfe\xff\x00\xe0\0\0\0\0"
    lengths = np.frombuffer(blackened.changed.ExtendedOffsetTableLengths, dtype="<u8")
    for offset, size in zip(np.frombuffer(blackened.changed.ExtendedOffsetTable, dtype="<u8"), lengths, strict=True):
        assert int.from_bytes(value[8 + offset + 4 : 8 + offset + 8], "little") == size
    assert len(frames_after(head, blackened)) == 3


@pytest.mark.parametrize(("samples", "photometric"), [(1, "MONOCHROME2"), (3, "YBR_FULL_422")])
def test_lossy_frame_is_stamped_as_compressed_once_more(samples: int, photometric: str) -> None:
    soft = np.linspace(40, 220, 64 * 64).reshape(64, 64).astype(np.uint8)
    before = soft if samples == 1 else np.repeat(soft[:, :, None], 3, axis=2)
    head = header(
        64,
        64,
        samples=samples,
        PhotometricInterpretation=photometric,
        LossyImageCompression="01",
        LossyImageCompressionRatio="9.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    pixels = encapsulated([encoded_as(JPEGBaseline8Bit, before, head)])
    blackened = apply(head, pixels, JPEGBaseline8Bit, Region(16, 16, 16, 16))
    assert blackened.transfer_syntax_uid == JPEGBaseline8Bit
    assert blackened.changed.LossyImageCompression == "01"
    assert blackened.changed.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_10918_1"]
    first, _ = blackened.changed.LossyImageCompressionRatio
    assert first == 9.5
    [decoded], [after] = frames_of(head, pixels, JPEGBaseline8Bit), frames_after(head, blackened)
    assert after[16:32, 16:32].max() <= 8
    assert np.abs(decoded[:12].astype(int) - after[:12]).max() <= 3


def test_colour_kept_as_it_is_within_jpeg_stays_so() -> None:
    before = np.zeros((64, 64, 3), dtype=np.uint8)
    before[..., 0] = 200
    stream = io.BytesIO()
    Image.fromarray(before).save(stream, "JPEG", quality=90, keep_rgb=True)
    head = header(64, 64, samples=3, PhotometricInterpretation="RGB")
    after = frames_after(head, apply(head, encapsulated([stream.getvalue()]), JPEGBaseline8Bit))[0]
    assert np.abs(after[32:].astype(int) - before[32:]).max() <= 3


def test_smallest_and_largest_value_are_not_kept() -> None:
    head = header(32, 40, SmallestImagePixelValue=1, LargestImagePixelValue=255)
    assert set(apply(head, native([picture()])).removed) == {0x00280106, 0x00280107}


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900)), min_size=1, max_size=20))
def test_any_stretch_reads_as_the_whole_does(stretches: list[tuple[int, int]]) -> None:
    frames = [picture(seed=seed) for seed in range(3)]
    head = header(32, 40, frames=3)
    streams = [encoded_as(JPEGLSLossless, frame, head) for frame in frames]
    for pixels, syntax in ((native(frames), ExplicitVRLittleEndian), (encapsulated(streams), JPEGLSLossless)):
        value = apply(head, pixels, syntax, replace(DRAWN, frame=2)).value
        whole = value.read(0, value.length)
        assert len(whole) == value.length
        for offset, size in stretches:
            assert value.read(offset, size) == whole[offset : offset + size]


def person(head: Dataset, pixels: HeldPixels, syntax: str) -> PixelOutcome:
    outcome = CLEANER.apply(head, pixels, syntax, [DRAWN])
    assert outcome.kind is OutcomeKind.NEEDS_PERSON
    assert outcome.regions == (DRAWN,)
    return outcome


def test_video_needs_a_person() -> None:
    assert "video" in person(header(32, 40, samples=3), HeldPixels(b"\0" * 64), MPEG2MPML).reason


def test_codec_that_is_missing_needs_a_person() -> None:
    head = header(32, 40, bits=12, samples=3)
    assert "no codec" in person(head, encapsulated([b"\xff\xd8\xff\xd9"]), JPEGExtended12Bit).reason


def twelve_bits() -> tuple[Dataset, np.ndarray, HeldPixels]:
    imagecodecs = pytest.importorskip("imagecodecs")
    rows, columns = np.mgrid[0:32, 0:40]
    before = (1000 + 50 * rows + 20 * columns).astype(np.uint16)
    head = header(32, 40, bits=12)
    return head, before, encapsulated([imagecodecs.jpeg8_encode(before, level=95, bitspersample=12)])


def test_twelve_bit_jpeg_is_read() -> None:
    head, before, pixels = twelve_bits()
    assert np.abs(frames_of(head, pixels, JPEGExtended12Bit)[0].astype(int) - before).max() < 20


def test_twelve_bit_jpeg_is_written_again_without_loss_and_says_what_was_lost_before() -> None:
    head, _, pixels = twelve_bits()
    [before] = frames_of(head, pixels, JPEGExtended12Bit)
    blackened = apply(head, pixels, JPEGExtended12Bit)
    assert blackened.transfer_syntax_uid == JPEG2000Lossless
    only_within(before, frames_after(head, blackened)[0], before.min())
    assert blackened.changed.LossyImageCompression == "01"
    assert blackened.changed.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(blackened.changed.LossyImageCompressionRatio) > 1


@pytest.mark.parametrize("stream", [b"\xff\xd8\xff\xd9", b"no JPEG at all"])
def test_twelve_bit_jpeg_that_is_none_needs_a_person(stream: bytes) -> None:
    assert "cannot be decoded" in person(header(32, 40, bits=12), encapsulated([stream]), JPEGExtended12Bit).reason


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000Lossless])
def test_pixels_cut_short_need_a_person(syntax: str) -> None:
    person(header(32, 40), HeldPixels(b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0abcd"), syntax)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_header_without_a_layout_needs_a_person(keyword: str) -> None:
    head = header(32, 40)
    delattr(head, keyword)
    assert "missing" in person(head, native([picture()]), ExplicitVRLittleEndian).reason


def test_frame_of_claimed_size_is_not_made_room_for() -> None:
    head = header(65535, 65535, bits=16)
    assert "1 GiB" in person(head, native([picture()]), ExplicitVRLittleEndian).reason


def test_colours_that_nobody_knows_need_a_person() -> None:
    head = header(32, 40, samples=3, PhotometricInterpretation="HSV")
    assert "photometric" in person(head, native([picture(samples=3)]), ExplicitVRLittleEndian).reason


def test_picture_shows_what_a_person_sees() -> None:
    head = header(32, 40, bits=12, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=4096)
    before = np.full((32, 40), 4095, dtype=np.uint16)
    before[:16] = 0
    shown = np.asarray(Image.open(io.BytesIO(CLEANER.picture(head, native([before]), ExplicitVRLittleEndian))))
    assert shown.shape == (32, 40, 3)
    assert (shown[0, 0].min(), shown[-1, -1].max()) == (255, 0)


def test_picture_of_a_frame_that_is_not_there_is_refused() -> None:
    with pytest.raises(InstanceUnreadable, match="no frame 2"):
        CLEANER.picture(header(32, 40), native([picture()]), ExplicitVRLittleEndian, 2)
