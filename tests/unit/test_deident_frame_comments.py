"""Text beside the image in compressed frames does not survive, and the image stays as it was."""

from __future__ import annotations

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
)

from service.archive.study_cleaning import StudyCleaningTable
from service.core.cleaning_report import CleaningLine
from service.core.encoded_bytes import CHUNK
from service.core.pydicom_reading import read_leniently
from service.core.records import OutcomeKind
from service.deident.code_streams.frame_comments import without_comments
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.code_streams.overwritten_bytes import Blank, OverwrittenBytes
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, Values, deidentify_files
from service.deident.profile import load_profile
from service.errors import IdentityNotRemovable
from tests import commented_frames as made
from tests.bad_objects import file_lead
from tests.commented_frames import TOKEN
from tests.datasets import ct_slice, encode
from tests.ingest_house import IngestHouse
from tests.standard_attributes import TABLE

HARMLESS = HarmlessComments.load(TABLE.parent.parent / "text")
ITEM = b"\xfe\xff\0\xe0"
PROFILES = ("default", "basic", "strict", "limited", "research-longitudinal")
JFIF_WITH_THUMBNAIL = b"JFIF\0\1\1\0\0\1\0\1\4\3" + (TOKEN * 2)[:36]

FRAMES = {
    "JPEG comment": (made.jpeg(comment=TOKEN), JPEGBaseline8Bit),
    "Exif": (made.jpeg(exif=made.exif()), JPEGBaseline8Bit),
    "XMP": (made.jpeg(xmp=b"<x:xmpmeta>" + TOKEN + b"</x:xmpmeta>"), JPEGBaseline8Bit),
    "colour profile of a JPEG": (made.jpeg(icc_profile=TOKEN * 5000), JPEGBaseline8Bit),
    "thumbnail": (made.after_start(made.jpeg(), made.segment(0xE0, JFIF_WITH_THUMBNAIL)), JPEGBaseline8Bit),
    "behind Adobe": (
        made.after_start(made.jpeg(), made.segment(0xEE, b"Adobe\0d\0\0\0\0\0" + TOKEN)),
        JPEGBaseline8Bit,
    ),
    "a vendor's application data": (made.after_start(made.jpeg(), made.segment(0xED, TOKEN)), JPEGBaseline8Bit),
    "more behind a harmless comment": (made.jpeg(comment=b"LEAD Technologies Inc. V1.01 " + TOKEN), JPEGBaseline8Bit),
    "fill bytes": (made.after_start(made.jpeg(), b"\xff\xff" + made.segment(0xFE, TOKEN)), JPEGBaseline8Bit),
    "between scans": (made.between_scans(made.jpeg(progressive=True), TOKEN), JPEGBaseline8Bit),
    "behind the end": (made.jpeg() + TOKEN, JPEGBaseline8Bit),
    "JPEG-LS comment": (made.after_start(made.jpeg_ls(), made.segment(0xFE, TOKEN)), JPEGLSLossless),
    "between scans of JPEG-LS": (made.between_scans_of_jpeg_ls(TOKEN), JPEGLSLossless),
    "JPEG-LS application data": (made.after_start(made.jpeg_ls(), made.segment(0xE8, TOKEN)), JPEGLSLossless),
    "JPEG 2000 comment": (made.in_main_header(made.jpeg_2000(), TOKEN), JPEG2000Lossless),
    "JPEG 2000 comment of a tile": (made.in_tile_header(made.jpeg_2000(), TOKEN), JPEG2000Lossless),
    "behind the end of JPEG 2000": (made.jpeg_2000() + TOKEN, JPEG2000Lossless),
    "last tile without a length": (
        made.without_tile_length(made.in_main_header(made.jpeg_2000(), TOKEN)),
        JPEG2000Lossless,
    ),
    "comment in a JP2 file": (made.commented_jp2(), JPEG2000Lossless),
    "XML box": (made.before_code_stream(made.jp2(), made.box(b"xml ", TOKEN)), JPEG2000Lossless),
    "UUID box": (made.before_code_stream(made.jp2(), made.box(b"uuid", bytes(16) + TOKEN)), JPEG2000Lossless),
    "free box": (made.before_code_stream(made.jp2(), made.box(b"free", TOKEN)), JPEG2000Lossless),
    "box behind the image": (made.jp2() + made.box(b"xml ", TOKEN), JPEG2000Lossless),
}


@pytest.fixture(autouse=True)
def _lenient_reading():
    read_leniently()


def value_of(*frames: bytes, fragments: int = 1) -> bytes:
    """Encapsulated pixel data with an empty basic offset table, each frame in as many fragments."""
    items = [ITEM + bytes(4)]
    for frame in frames:
        even = frame + bytes(len(frame) % 2)
        cuts = [len(even) * part // fragments // 2 * 2 for part in range(fragments + 1)]
        items += [ITEM + struct.pack("<I", stop - start) + even[start:stop] for start, stop in pairwise(cuts)]
    return b"".join(items)


def cleaned(value: bytes, syntax: str = JPEGBaseline8Bit, frames: int = 1) -> bytes:
    found = without_comments(value, syntax, frames, HARMLESS)
    return value if found is None else found[:]


def decoded_frames(value: bytes, frames: int) -> list[np.ndarray]:
    return [made.decoded(frame) for frame in generate_frames(value, number_of_frames=frames)]


@pytest.mark.parametrize("fragments", [1, 2, 40])
@pytest.mark.parametrize("name", FRAMES)
def test_text_goes_and_the_image_stays(name, fragments):
    frame, syntax = FRAMES[name]
    value = value_of(frame, fragments=fragments)
    clean = cleaned(value, syntax)
    assert TOKEN[:8] not in clean
    assert len(clean) == len(value)
    before, after = decoded_frames(value, 1), decoded_frames(clean, 1)
    np.testing.assert_array_equal(before, after)
    assert cleaned(clean, syntax) == clean


@pytest.mark.parametrize("name", made.ENCODERS)
def test_frames_without_text_are_not_touched(name):
    encoder, syntax = made.ENCODERS[name]
    value = value_of(*[encoder(seed) for seed in range(3)], fragments=2)
    assert without_comments(value, syntax, 3, HARMLESS) is None


@pytest.mark.parametrize("name", ["JPEG comment", "JPEG-LS comment", "JPEG 2000 comment", "XML box"])
def test_one_frame_of_many_is_found(name):
    frame, syntax = FRAMES[name]
    plain = made.ENCODERS[{"JPEG comment": "jpeg", "JPEG-LS comment": "jpeg-ls"}.get(name, "jpeg 2000")][0]
    value = value_of(plain(1), plain(2), frame, plain(3), fragments=3)
    clean = cleaned(value, syntax, 4)
    assert TOKEN[:8] not in clean
    assert sum(one != other for one, other in zip(value, clean, strict=True)) <= len(TOKEN) + 4


@pytest.mark.parametrize(
    "comment",
    [
        b"Kdu-Layer-Info: log_2{Delta-D(squared-error)/Delta-L(bytes)}, L(bytes)\n-192.0,  1.5e+04\n-193.1,  1.6e+04\n",
        b"LEAD Technologies Inc. V1.01\0",
        b"Created by OpenJPEG version 2.5.2",
        b"Kakadu-v7.10.2",
        b"\0\0",
        b"",
    ],
)
def test_comments_of_encoders_stay(comment):
    assert without_comments(value_of(made.jpeg(comment=comment)), JPEGBaseline8Bit, 1, HARMLESS) is None
    frame = made.in_main_header(made.jpeg_2000(), comment)
    assert without_comments(value_of(frame), JPEG2000Lossless, 1, HARMLESS) is None


def test_without_patterns_every_comment_goes(tmp_path):
    nothing = HarmlessComments.load(tmp_path)
    assert b"OpenJPEG" not in without_comments(value_of(made.jpeg_2000()), JPEG2000Lossless, 1, nothing)[:]


@pytest.mark.parametrize(
    ("frame", "frames"),
    [
        (b"neither of them", 1),
        (b"\xff\xd8\xff\xfe\xff\xffcut short", 1),
        (b"\xff\xd8text", 1),
        (made.after_start(made.jpeg(), made.segment(0xF1, TOKEN)), 1),
        (b"\xff\x4f\xff\x51\0\x02text", 1),
        (made.jp2()[:40] + TOKEN, 1),
        (made.jpeg(), 2),
    ],
)
def test_what_cannot_be_told_apart_is_held(frame, frames):
    with pytest.raises(IdentityNotRemovable) as caught:
        without_comments(value_of(frame), JPEGBaseline8Bit, frames, HARMLESS)
    assert "Doe" not in str(caught.value)


def test_several_frames_in_one_fragment_are_held():
    value = value_of(made.jpeg() + made.jpeg(comment=TOKEN))
    with pytest.raises(IdentityNotRemovable):
        without_comments(value, JPEGBaseline8Bit, 2, HARMLESS)


def test_a_wrong_offset_table_hides_no_frame():
    frames = value_of(made.jpeg(1), made.jpeg(2, comment=TOKEN))[8:]
    value = ITEM + struct.pack("<III", 8, 0, 0) + frames
    assert TOKEN not in cleaned(value, JPEGBaseline8Bit, 2)


def test_text_behind_a_last_tile_without_a_length_goes():
    frame = made.without_tile_length(made.jpeg_2000())
    assert cleaned(value_of(frame + TOKEN)).rstrip(b"\0") == value_of(frame + bytes(len(TOKEN))).rstrip(b"\0")


@pytest.mark.parametrize("table", [b"\0\0\0\0DOE^", b"\0\0\0\0DOE"])
def test_text_in_the_offset_table_is_held(table):
    value = ITEM + struct.pack("<I", len(table)) + table + value_of(made.jpeg())[8:]
    with pytest.raises(IdentityNotRemovable):
        without_comments(value, JPEGBaseline8Bit, 1, HARMLESS)


def test_frames_of_rle_are_left_alone():
    assert without_comments(value_of(bytes(64)), RLELossless, 1, HARMLESS) is None


def test_image_data_are_not_read():
    read: list[int] = []

    class Counted(bytes):
        def __getitem__(self, stretch):
            part = super().__getitem__(stretch)
            read.append(len(part))
            return part

    frame = made.jpeg_2000()
    tile = frame.index(made.SOT)
    data = bytes(8 << 20)
    head = frame[tile : tile + 6] + struct.pack(">I", 14 + len(data)) + frame[tile + 10 : tile + 12]
    large = frame[:tile] + head + b"\xff\x93" + data + b"\xff\xd9"
    assert without_comments(Counted(value_of(large)), HTJ2KLossless, 1, HARMLESS) is None
    assert sum(read) < 16384


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["JPEG comment", "JPEG 2000 comment", "JPEG-LS comment"])
def test_a_file_loses_it_in_every_profile(tmp_path, profile, name):
    frame, syntax = FRAMES[name]
    path = tmp_path / "in.dcm"
    path.write_bytes(file_lead(syntax.encode()) + encode(image(frame, 3), syntax))
    cleaner = Deidentifier(load_profile(TABLE.parent, profile), KeyFile.ephemeral().project_keys("p"))
    (result,) = deidentify_files([path], cleaner, tmp_path / "out")
    assert result.status is FileStatus.WRITTEN, result.reason
    assert TOKEN not in result.written.read_bytes()
    before, after = (dcmread(file).PixelData for file in (path, result.written))
    assert len(before) == len(after)
    np.testing.assert_array_equal(decoded_frames(before, 3), decoded_frames(after, 3))


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def kept(house, outcome) -> bytes:
    files = [file for file in (house.folder / "blobs").rglob("*") if file.is_file()]
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")
    return files[0].read_bytes()


def test_an_image_that_is_received_loses_it(house):
    frame, syntax = FRAMES["Exif"]
    sent = image(frame, 2)
    stored = kept(house, house.pipeline.process(house.incoming(sent, "research", syntax)))
    assert TOKEN not in stored
    after = dcmread(io.BytesIO(stored)).PixelData
    np.testing.assert_array_equal(decoded_frames(sent.PixelData, 2), decoded_frames(after, 2))


def test_what_if_tells_of_it(tmp_path):
    frame, syntax = FRAMES["JPEG comment"]
    path = tmp_path / "in.dcm"
    path.write_bytes(file_lead(syntax.encode()) + encode(image(frame, 3), syntax))
    cleaner = Deidentifier(load_profile(TABLE.parent, "default"), KeyFile.ephemeral().project_keys("p"))
    (result,) = deidentify_files([path], cleaner, None, explain=True, values=Values.BOTH)
    (told,) = [one for one in result.decisions if one.keyword == "PixelData"]
    assert (told.path, told.action, told.rule) == ("(7FE0,0010)", "replaced", "Comments in compressed frames")
    assert told.reason.startswith("3 stretches of comments and application data")
    assert TOKEN.decode() not in repr(told)
    path.write_bytes(file_lead(syntax.encode()) + encode(image(made.jpeg(), 3), syntax))
    (result,) = deidentify_files([path], cleaner, None, explain=True)
    assert [one for one in result.decisions if one.keyword == "PixelData"] == []


def test_the_report_of_a_study_tells_of_it(house):
    frame, syntax = FRAMES["Exif"]
    outcome = house.pipeline.process(house.incoming(image(frame, 2), "research", syntax))
    report = StudyCleaningTable(house.database).of("research", outcome.study_uid)
    lines = [line for line in report.by_element() if line.keyword == "PixelData"]
    assert lines == [CleaningLine("(7FE0,0010)", "PixelData", "replaced", "Comments in compressed frames", 1)]


def test_a_project_that_keeps_identity_keeps_it(house):
    frame, syntax = FRAMES["Exif"]
    stored = kept(house, house.pipeline.process(house.incoming(image(frame, 2), "clinical", syntax)))
    assert TOKEN in stored


def test_an_image_whose_frames_cannot_be_read_waits_for_a_person(house):
    sent = image(b"\xff\xd8" + TOKEN, 1)
    outcome = house.pipeline.process(house.incoming(sent, "research", JPEGBaseline8Bit))
    assert outcome.kind is OutcomeKind.QUARANTINED
    assert "compressed frame" in outcome.reason


def image(frame: bytes, frames: int):
    """A capture of 48 × 64 pixels whose frames are all the same."""
    data_set = ct_slice(1)
    data_set.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    data_set.Rows, data_set.Columns, data_set.NumberOfFrames = 48, 64, frames
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 8, 8, 7, 0
    data_set.PixelData = value_of(*[frame] * frames)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_broken_marker_chains_are_refused_in_words(data):
    frame = bytearray(data.draw(st.sampled_from([frame for frame, _ in FRAMES.values() if len(frame) < 8192])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(frame) - 1, 700)))
        change = data.draw(st.sampled_from(["byte", "cut", "insert", "marker"]))
        if change == "byte":
            frame[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del frame[at : at + data.draw(st.integers(1, 64))]
        elif change == "insert":
            frame[at:at] = data.draw(st.binary(min_size=1, max_size=64))
        else:
            frame[at:at] = bytes([0xFF, data.draw(st.integers(0, 255))])
    value = value_of(bytes(frame), fragments=data.draw(st.integers(1, 5)))
    try:
        clean = cleaned(value)
    except IdentityNotRemovable:
        return
    assert len(clean) == len(value)
    assert cleaned(clean) == clean


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=12), st.integers(0, 310), st.integers(0, 310))
def test_overwritten_bytes_read_like_bytes(content, edges, start, stop):
    edges = sorted({min(edge, len(content)) for edge in edges})
    blanks = [Blank(*pair, b"free"[: pair[1] - pair[0]]) for pair in list(pairwise(edges))[::2]]
    expected = bytearray(content)
    for blank in blanks:
        expected[blank.start : blank.stop] = blank.lead.ljust(blank.stop - blank.start, b"\0")
    read = OverwrittenBytes(content, blanks)
    assert len(read) == len(content)
    assert read[start:stop] == bytes(expected)[start:stop]


@pytest.mark.parametrize("unit", [b"\xff\xfe\0\2", b"\xff\xff\xff\xff", b"\xff\xe1\0\2"])
def test_segments_without_end_are_refused_soon(unit):
    with pytest.raises(IdentityNotRemovable):
        without_comments(value_of(b"\xff\xd8" + unit * CHUNK), JPEGBaseline8Bit, 1, HARMLESS)


def test_the_pictures_can_be_told_apart_by_the_test_itself():
    assert not np.array_equal(made.decoded(made.jpeg(1)), made.decoded(made.jpeg(2)))
    assert Image.open(io.BytesIO(FRAMES["Exif"][0])).getexif()[0x013B] == TOKEN.decode()
