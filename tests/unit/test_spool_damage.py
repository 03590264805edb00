"""Torn tails and flipped bits: the spool never hands out bytes that are not those it was given."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import chunks
from service.ingest.spool import SpoolReader
from service.ingest.spool_frames import END_PLACE, FRAME_MAGIC, HEAD_PLACES, START_BYTES
from tests.spooling import KEY, put, spool_at

OBJECTS = {"1.2.1": b"first" * 50, "1.2.2": b"second" * 70, "1.2.3": b"third" * 90}


@cache
def _finished() -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with closing(spool_at(directory)) as spool:
            for uid, data in OBJECTS.items():
                put(spool, data, uid)
        (segment,) = directory.glob("*.segment")
        return segment.name, segment.read_bytes()


@contextmanager
def finished_segment() -> Iterator[Path]:
    """A closed segment with three objects."""
    name, content = _finished()
    with tempfile.TemporaryDirectory() as folder:
        segment = Path(folder) / name
        segment.write_bytes(content)
        yield segment


def read_all(segment: Path, reader: SpoolReader | None = None) -> dict[str, bytes | None]:
    """Data by instance UID, None where it is listed and found damaged."""
    reader = reader or SpoolReader(segment.parent, KEY)
    found: dict[str, bytes | None] = {}
    for spooled in reader.committed():
        try:
            found[spooled.header.sop_instance_uid] = reader.read(spooled.source_key)
        except InstanceUnreadable:
            found[spooled.header.sop_instance_uid] = None
    return found


SEGMENT_BYTES = 9000  # of frames, an upper bound; smaller files wrap


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, SEGMENT_BYTES))
def test_a_cut_takes_only_objects_behind_it_and_is_noticed(cut: int):
    with finished_segment() as segment:
        whole = segment.read_bytes()
        kept = START_BYTES + cut % (len(whole) - START_BYTES)
        segment.write_bytes(whole[:kept])
        reader = SpoolReader(segment.parent, KEY)
        found = read_all(segment, reader)
        (finished,) = reader.finished_segments()
    intact = [uid for uid, data in found.items() if data is not None]
    assert (intact, finished.is_damaged) == (list(OBJECTS)[: len(intact)], True)
    assert all(found[uid] == OBJECTS[uid] for uid in intact)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, SEGMENT_BYTES), bit=st.integers(0, 7))
def test_a_flipped_bit_harms_one_object_at_most_and_is_noticed(at: int, bit: int):
    with finished_segment() as segment:
        data = bytearray(segment.read_bytes())
        data[START_BYTES + at % (len(data) - START_BYTES)] ^= 1 << bit
        segment.write_bytes(data)
        found = read_all(segment)
    intact = [uid for uid, data in OBJECTS.items() if found.get(uid) == data]
    wrong = [uid for uid, data in found.items() if data is not None and data != OBJECTS[uid]]
    assert (len(intact) >= 2, wrong, set(found)) == (True, [], set(OBJECTS))


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, START_BYTES - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_start_loses_nothing(at: int, bit: int):
    with finished_segment() as segment:
        data = bytearray(segment.read_bytes())
        data[at] ^= 1 << bit
        segment.write_bytes(data)
        assert read_all(segment) == OBJECTS


@pytest.mark.parametrize("place", [*HEAD_PLACES, END_PLACE])
def test_one_part_of_the_start_that_is_gone_loses_nothing(place: int):
    with finished_segment() as segment:
        data = bytearray(segment.read_bytes())
        data[place : place + 4096] = bytes(4096)
        segment.write_bytes(data)
        assert read_all(segment) == OBJECTS


def test_a_segment_with_both_heads_damaged_is_listed_and_kept():
    with finished_segment() as segment:
        for place in HEAD_PLACES:
            flip(segment, place + 20)
        reader = SpoolReader(segment.parent, KEY)
        assert (list(reader.committed()), reader.unreadable_segments) == ([], {segment.stem})


def test_a_segment_under_the_name_of_another_is_kept_and_not_read():
    with finished_segment() as segment:
        other = segment.with_stem("0000000000001-00")
        segment.rename(other)
        reader = SpoolReader(segment.parent, KEY)
        assert (list(reader.committed()), reader.unreadable_segments) == ([], {other.stem})


def test_a_piece_of_another_segment_is_noticed(tmp_path: Path):
    with closing(spool_at(tmp_path)) as spool:
        put(spool, b"other" * 100, "1.2.9")
    (other,) = tmp_path.glob("*.segment")
    with finished_segment() as segment:
        segment.write_bytes(segment.read_bytes()[:START_BYTES] + other.read_bytes()[START_BYTES:])
        reader = SpoolReader(segment.parent, KEY)
        assert list(reader.committed()) == []


def test_damage_between_frames_is_counted():
    with finished_segment() as segment:
        data = bytearray(segment.read_bytes())
        data[START_BYTES] ^= 0xFF
        segment.write_bytes(data)
        (finished,) = SpoolReader(segment.parent, KEY).finished_segments()
    assert finished.damaged_bytes > 0


def flip(segment: Path, at: int) -> None:
    data = bytearray(segment.read_bytes())
    data[at] ^= 0xFF
    segment.write_bytes(data)


def last_frames(segment: Path) -> tuple[int, int]:
    """Where the two ends of the last object stand."""
    data = segment.read_bytes()
    second = data.rfind(FRAME_MAGIC)
    return data.rfind(FRAME_MAGIC, 0, second), second


def kill_writer(segment: Path) -> None:
    """Make a segment one whose writer never came to say where it ends."""
    data = bytearray(segment.read_bytes())
    data[END_PLACE : END_PLACE + 4096] = bytes(4096)
    segment.write_bytes(data)


def test_reading_a_damaged_object_says_so():
    with finished_segment() as segment:
        flip(segment, last_frames(segment)[0] - 1)  # the last byte of its data
        reader = SpoolReader(segment.parent, KEY)
        last = list(reader.committed())[-1]
        with pytest.raises(InstanceUnreadable):
            reader.read(last.source_key)


@pytest.mark.parametrize("end", [0, 1])
def test_one_end_of_an_object_that_is_damaged_loses_nothing_and_is_noticed(end: int):
    with finished_segment() as segment:
        flip(segment, last_frames(segment)[end] + 9)  # in its header
        (finished,) = SpoolReader(segment.parent, KEY).finished_segments()
        assert (read_all(segment), finished.is_damaged) == (OBJECTS, True)


def test_the_end_of_a_segment_that_was_changed_is_damage():
    with finished_segment() as segment:
        for at in last_frames(segment):
            flip(segment, at + 9)
        (finished,) = SpoolReader(segment.parent, KEY).finished_segments()
    assert finished.is_damaged


def test_an_end_that_was_never_written_is_no_damage():
    with finished_segment() as segment:
        kill_writer(segment)
        segment.write_bytes(segment.read_bytes()[: last_frames(segment)[0] + 60])
        (finished,) = SpoolReader(segment.parent, KEY).finished_segments()
    assert (finished.is_damaged, len(finished.source_keys)) == (False, 2)


def test_what_is_left_of_an_object_can_be_salvaged():
    with finished_segment() as segment:
        for at in last_frames(segment):
            flip(segment, at + 9)
        reader = SpoolReader(segment.parent, KEY)
        last = list(reader.committed())[-1]
        assert reader.salvage(last.source_key) == OBJECTS["1.2.3"]


def test_nothing_is_salvaged_behind_a_damaged_piece():
    with finished_segment() as segment:
        flip(segment, last_frames(segment)[0] - 1)
        reader = SpoolReader(segment.parent, KEY)
        last = list(reader.committed())[-1]
        assert reader.salvage(last.source_key) == b""


def test_a_segment_that_is_set_aside_stays_on_disk_and_is_not_read_again():
    with finished_segment() as segment:
        reader = SpoolReader(segment.parent, KEY)
        content = segment.read_bytes()
        set_aside = reader.set_aside(segment.stem)
        kept = [path.read_bytes() for path in segment.parent.iterdir()]
        assert (set_aside, kept, read_all(segment)) == (True, [content], {})


def test_a_segment_in_use_cannot_be_set_aside(tmp_path: Path):
    with closing(spool_at(tmp_path)) as spool:
        put(spool, b"a")
        (segment,) = tmp_path.glob("*.segment")
        assert SpoolReader(tmp_path, KEY).set_aside(segment.stem) is False


LARGE = {"1.2.1": b"first" * 5000, "1.2.2": b"second" * 5000, "1.2.3": b"third" * 5000}


def with_bad_sector(directory: Path, sector: int) -> SpoolReader:
    """A reader over a disk that does not give one sector back."""
    start, end = sector * 4096, (sector + 1) * 4096

    def read_at(descriptor: int, size: int, offset: int) -> bytes:
        if offset < end and offset + size > start:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pread(descriptor, size, offset)

    return SpoolReader(directory, KEY, read_at)


@pytest.mark.parametrize("sector", range(START_BYTES // 4096, START_BYTES // 4096 + 24))
def test_a_sector_that_cannot_be_read_harms_only_objects_that_lie_there(tmp_path: Path, sector: int):
    with closing(spool_at(tmp_path)) as spool:
        for uid, data in LARGE.items():
            put(spool, data, uid)
    (segment,) = tmp_path.glob("*.segment")
    found = read_all(segment, with_bad_sector(tmp_path, sector))
    intact = [uid for uid, data in LARGE.items() if found.get(uid) == data]
    wrong = [uid for uid, data in found.items() if data is not None and data != LARGE[uid]]
    assert (len(intact) >= 1, wrong) == (True, [])
    (finished,) = with_bad_sector(tmp_path, sector).finished_segments()
    assert finished.is_damaged or len(found) == len(LARGE)


def test_a_head_that_cannot_be_read_loses_nothing(tmp_path: Path):
    with closing(spool_at(tmp_path)) as spool:
        put(spool, b"a")
    reader = with_bad_sector(tmp_path, 0)
    assert [reader.read(found.source_key) for found in reader.committed()] == [b"a"]


PIECE = 256 * 1024
PIECES = b"".join(number.to_bytes(4, "big") for number in range(PIECE))  # four pieces


@contextmanager
def segment_with_a_large_object() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with closing(spool_at(directory)) as spool:
            put(spool, PIECES)
        (segment,) = directory.glob("*.segment")
        yield segment


def only_object(segment: Path) -> tuple[SpoolReader, str]:
    """A reader that takes nothing whole, and the key of the object that it found."""
    reader = SpoolReader(segment.parent, KEY, in_memory_bytes=0)
    (found,) = reader.committed()
    return reader, found.source_key


@pytest.mark.parametrize("piece", [0, 1, 3])
def test_damage_in_any_piece_of_a_large_object_is_noticed_before_it_is_used(piece: int):
    with segment_with_a_large_object() as segment:
        flip(segment, START_BYTES + 1000 + piece * PIECE)
        reader, source_key = only_object(segment)
        with pytest.raises(InstanceUnreadable):
            reader.read(source_key)


@pytest.mark.parametrize("piece", [0, 1, 3])
def test_pieces_before_the_damage_of_a_large_object_are_salvaged(piece: int):
    with segment_with_a_large_object() as segment:
        flip(segment, START_BYTES + 1000 + piece * PIECE)
        reader, source_key = only_object(segment)
        salvaged = reader.salvage(source_key)
        assert b"".join(chunks(salvaged)) == PIECES[: piece * PIECE]


def test_large_object_is_read_while_others_come_in():
    with tempfile.TemporaryDirectory() as folder, closing(spool_at(Path(folder))) as spool:
        put(spool, PIECES)
        reader = SpoolReader(Path(folder), KEY, in_memory_bytes=0)
        (found,) = reader.committed()
        content = reader.read(found.source_key)
        put(spool, PIECES[::-1], "1.2.9")
        assert b"".join(chunks(content)) == PIECES
