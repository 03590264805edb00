"""The file of a released segment is written again, and nothing of its earlier life is ever taken for new."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from dicom_nodes.errors import InstanceUnreadable, StorageExhausted
from service.ingest.segment_pool import segment_pool
from service.ingest.spool import Spool, SpoolReader
from service.ingest.spool_frames import END_PLACE, FRAME_HEADER_BYTES, START_BYTES
from tests.spooling import KEY, cipher_of, object_header, put, recycling_reader, release_all, spool_at, spooled_bytes

SEGMENT_BYTES = 200_000


def recycling_spool(directory: Path, **settings: object) -> Spool:
    return spool_at(directory, segment_bytes=SEGMENT_BYTES, recycled=4, **settings)


def fill_pool(directory: Path, files: int = 1, salt: int = 0) -> None:
    """Leave files in the pool that are full of frames of an earlier life."""
    with closing(recycling_spool(directory)) as spool:
        for number in range(files):
            for _ in range(8):
                put(spool, b"old %d" % salt * 3000, f"1.9.{number}")
            spool.roll_over()
    release_all(recycling_reader(directory, SEGMENT_BYTES))
    assert len(free_files(directory)) == files


def free_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.free"))


def segment_of(directory: Path) -> Path:
    (segment,) = directory.glob("*.segment")
    return segment


def kill_writer(segment: Path) -> None:
    """Make a segment one whose writer never came to say where it ends."""
    with segment.open("r+b") as file:
        file.seek(END_PLACE)
        file.write(bytes(4096))


def test_the_file_of_a_released_segment_is_written_again(tmp_path: Path):
    fill_pool(tmp_path)
    inode = free_files(tmp_path)[0].stat().st_ino
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"new")
        assert (segment_of(tmp_path).stat().st_ino, free_files(tmp_path)) == (inode, [])


def test_a_file_in_the_pool_has_lost_its_key(tmp_path: Path):
    fill_pool(tmp_path)
    assert not any(free_files(tmp_path)[0].read_bytes()[:START_BYTES])


def test_every_life_of_a_file_has_a_key_of_its_own(tmp_path: Path):
    fill_pool(tmp_path)
    old = free_files(tmp_path)[0].read_bytes()
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"new")
    new = segment_of(tmp_path).read_bytes()
    cipher = cipher_of(new)
    stale = [
        cipher.header(new[at : at + FRAME_HEADER_BYTES])
        for at in range(START_BYTES, len(old) - FRAME_HEADER_BYTES)
        if old[at : at + 4] == new[at : at + 4] == b"\xa6SpF" and old[at : at + 40] == new[at : at + 40]
    ]
    assert stale
    assert not any(stale)


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
@pytest.mark.parametrize("size", [0, 1, 5_000, 14_938, 15_000, 60_000])
def test_only_the_objects_of_its_own_life_are_found(tmp_path: Path, size: int, killed: bool):
    fill_pool(tmp_path)
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"n" * size)
        put(spool, b"second")
    if killed:
        kill_writer(segment_of(tmp_path))
    reader = SpoolReader(tmp_path, KEY)
    found = [reader.read(one.source_key) for one in reader.committed()]
    (finished,) = reader.finished_segments()
    assert (found, finished.damaged_bytes, len(finished.source_keys)) == ([b"n" * size, b"second"], 0, 2)


def test_a_live_writer_is_followed_over_old_frames(tmp_path: Path):
    fill_pool(tmp_path)
    reader = SpoolReader(tmp_path, KEY)
    seen = []
    with closing(recycling_spool(tmp_path)) as spool:
        for number in range(5):
            put(spool, b"%d" % number * 1000)
            seen += [reader.read(one.source_key) for one in reader.committed()]
    assert seen == [b"%d" % number * 1000 for number in range(5)]


def test_a_write_that_a_kill_cut_in_an_old_file_is_no_damage(tmp_path: Path):
    fill_pool(tmp_path)
    old = free_files(tmp_path)[0].read_bytes()
    rng = random.Random(5)
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"whole" * 1000)
        end = spool._segment.size  # where the cut may fall
        put(spool, b"torn" * 5000)
    segment = segment_of(tmp_path)
    kill_writer(segment)
    new = segment.read_bytes()
    for cut in [end, end + 1, end + 39, end + 40, *(rng.randrange(end, end + 20_000) for _ in range(20))]:
        segment.write_bytes(new[:cut] + old[cut:])
        reader = SpoolReader(tmp_path, KEY)
        found = [reader.read(one.source_key) for one in reader.committed()]
        (finished,) = reader.finished_segments()
        assert (found, finished.is_damaged) == ([b"whole" * 1000], False)


def test_an_old_file_that_is_cut_is_noticed_although_its_writer_was_killed(tmp_path: Path):
    fill_pool(tmp_path)
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"n" * 10_000)
        put(spool, b"m" * 10_000)
    segment = segment_of(tmp_path)
    kill_writer(segment)
    segment.write_bytes(segment.read_bytes()[: START_BYTES + 15_000])
    reader = SpoolReader(tmp_path, KEY)
    (finished,) = reader.finished_segments()
    assert (finished.is_damaged, len(finished.source_keys)) == (True, 2)


def test_damage_in_an_old_file_is_noticed_where_its_writer_was_killed(tmp_path: Path):
    fill_pool(tmp_path)
    with closing(recycling_spool(tmp_path)) as spool:
        for number in range(3):
            put(spool, b"%d" % number * 10_000)
    segment = segment_of(tmp_path)
    kill_writer(segment)
    content = bytearray(segment.read_bytes())
    content[START_BYTES + 12_000] ^= 1
    segment.write_bytes(content)
    reader = SpoolReader(tmp_path, KEY)
    readable = []
    for one in reader.committed():
        try:
            readable.append(reader.read(one.source_key)[:1])
        except InstanceUnreadable:
            readable.append(b"damaged")
    assert readable == [b"0", b"damaged", b"2"]


def test_files_beyond_the_number_asked_for_are_removed(tmp_path: Path):
    with closing(spool_at(tmp_path, segment_bytes=SEGMENT_BYTES)) as spool:
        for _ in range(4):
            put(spool, b"x" * SEGMENT_BYTES)
    release_all(recycling_reader(tmp_path, SEGMENT_BYTES, count=2))
    assert (len(free_files(tmp_path)), list(tmp_path.glob("*.segment"))) == (2, [])


@pytest.mark.parametrize("size", [10, 5 * SEGMENT_BYTES])
def test_a_file_much_smaller_or_larger_than_a_segment_is_removed(tmp_path: Path, size: int):
    with closing(recycling_spool(tmp_path)) as spool:
        put(spool, b"x" * size)
    release_all(recycling_reader(tmp_path, SEGMENT_BYTES))
    assert list(tmp_path.iterdir()) == []


def test_two_writers_never_take_the_same_file(tmp_path: Path):
    fill_pool(tmp_path, files=2)
    with closing(recycling_spool(tmp_path)) as one, closing(recycling_spool(tmp_path)) as other:
        put(one, b"one")
        put(other, b"other")
        assert (sorted(spooled_bytes(tmp_path)), free_files(tmp_path)) == ([b"one", b"other"], [])


def test_a_file_that_somebody_holds_is_left_alone(tmp_path: Path):
    fill_pool(tmp_path)
    pool = segment_pool(tmp_path, 4, SEGMENT_BYTES)
    first = pool.take()
    assert first is not None
    assert (pool.take(), pool.drop()) == (None, False)


def test_files_in_the_pool_do_not_count_under_the_limit(tmp_path: Path):
    fill_pool(tmp_path, files=3)
    with closing(recycling_spool(tmp_path, limit_bytes=500_000)) as spool:
        put(spool, b"x" * 150_000)
        put(spool, b"y" * 150_000)
        assert len(spooled_bytes(tmp_path)) == 2


def test_what_is_not_written_of_an_old_file_does_not_count_under_the_limit(tmp_path: Path):
    fill_pool(tmp_path)
    with closing(recycling_spool(tmp_path, limit_bytes=START_BYTES + 110_000)) as spool:
        put(spool, b"x" * 100_000)
        with pytest.raises(StorageExhausted):
            put(spool, b"y" * 100_000)


def test_the_pool_is_given_up_before_the_reserve_of_the_disk(tmp_path: Path):
    fill_pool(tmp_path, files=2)
    with closing(recycling_spool(tmp_path, reserve_bytes=1 << 62)) as spool, pytest.raises(StorageExhausted):
        spool.begin(object_header())
    assert free_files(tmp_path) == []
