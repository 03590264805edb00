"""The spool keeps what was committed, all of it and nothing else, and can prove that it is the same."""

from __future__ import annotations

import contextlib
import json
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_nodes.command_set import HIGH_PRIORITY
from dicom_nodes.errors import GatewayError, InstanceUnreadable, StorageExhausted
from dicom_nodes.object_sink import ObjectSink
from service.errors import KeysMissing
from service.ingest.spool import Spool, SpoolReader
from service.ingest.spool_frames import (
    FRAME_HEADER_BYTES,
    START_BYTES,
    ObjectEnd,
    decode_object_end,
    decode_object_header,
    encode_object_header,
)
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.patience import PATIENCE_S
from tests.spooling import KEY, cipher_of, object_header, put, spool_at, spooled_bytes


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with contextlib.closing(spool_at(tmp_path)) as spool:
        yield spool


@pytest.fixture(params=["spool", "memory"])
def sink_and_contents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ObjectSink, Callable]]:
    if request.param == "memory":
        fake = InMemoryObjectSink()
        yield fake, lambda: [data for _, data in fake.stored]
        return
    with contextlib.closing(spool_at(tmp_path)) as spool:
        yield spool, lambda: spooled_bytes(tmp_path)


def segment_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))


# --- what every sink promises --------------------------------------------------------------------------------------


def test_a_committed_object_is_kept_whole(sink_and_contents):
    sink, contents = sink_and_contents
    writer = sink.begin(object_header())
    for part in (b"abc", memoryview(b"def"), b""):
        writer.write(part)
    writer.commit()
    assert contents() == [b"abcdef"]


def test_an_object_without_commit_is_not_kept(sink_and_contents):
    sink, contents = sink_and_contents
    sink.begin(object_header()).write(b"abc")
    assert contents() == []


def test_an_abandoned_object_is_not_kept(sink_and_contents):
    sink, contents = sink_and_contents
    writer = sink.begin(object_header())
    writer.write(b"abc")
    writer.abandon()
    writer.abandon()
    assert contents() == []


def test_an_abandoned_object_cannot_be_committed(sink_and_contents):
    sink, _ = sink_and_contents
    writer = sink.begin(object_header())
    writer.abandon()
    with pytest.raises(GatewayError):
        writer.commit()


def test_objects_in_progress_at_once_do_not_mix(sink_and_contents):
    sink, contents = sink_and_contents
    first, second = sink.begin(object_header("1.2.1")), sink.begin(object_header("1.2.2"))
    for _ in range(3):
        first.write(b"a" * 200_000)
        second.write(b"b" * 200_000)
    second.commit()
    first.commit()
    assert sorted(contents()) == [b"a" * 600_000, b"b" * 600_000]


# --- objects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3_000_001])
def test_an_object_of_any_size_reads_back_equal(spool: Spool, tmp_path: Path, size: int):
    data = bytes(index * 31 % 251 for index in range(997)) * (size // 997 + 1)
    put(spool, data[:size])
    assert spooled_bytes(tmp_path) == [data[:size]]


def test_header_and_size_come_back_with_an_object(spool: Spool, tmp_path: Path):
    put(spool, b"abc", "1.2.3.9")
    (spooled,) = SpoolReader(tmp_path, KEY).committed()
    assert (spooled.header, spooled.size) == (object_header("1.2.3.9"), 3)


def test_a_source_key_names_its_segment(spool: Spool, tmp_path: Path):
    put(spool, b"abc")
    (spooled,) = SpoolReader(tmp_path, KEY).committed()
    assert spooled.segment == segment_files(tmp_path)[0].stem


def test_objects_of_many_threads_are_all_kept(spool: Spool, tmp_path: Path):
    def send(thread: int) -> None:
        for number in range(10):
            put(spool, f"{thread}/{number}".encode() * 1000)

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(f"{thread}/{number}".encode() * 1000 for thread in range(8) for number in range(10))
    assert sorted(spooled_bytes(tmp_path)) == expected


def test_no_nonce_is_used_twice_in_a_segment(spool: Spool, tmp_path: Path):
    threads = [threading.Thread(target=put, args=(spool, b"x" * 600_000)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data, offset, counters = segment_files(tmp_path)[0].read_bytes(), START_BYTES, []
    cipher = cipher_of(data)
    while offset < len(data):
        header = cipher.header(data[offset : offset + FRAME_HEADER_BYTES])
        assert header is not None
        counters.append(header.counter)
        offset += FRAME_HEADER_BYTES + header.payload_bytes
    assert len(counters) == len(set(counters)) == 6 * 6


def test_nothing_of_an_object_stands_in_the_clear(spool: Spool, tmp_path: Path):
    put(spool, b"PatientName=Mustermann" * 100, "1.2.3.98765")
    raw = segment_files(tmp_path)[0].read_bytes()
    assert [token for token in (b"Mustermann", b"1.2.3.98765", b"SCANNER") if token in raw] == []


def test_segment_files_are_readable_by_their_owner_alone(spool: Spool, tmp_path: Path):
    put(spool, b"abc")
    assert segment_files(tmp_path)[0].stat().st_mode & 0o777 == 0o600


def test_two_spools_write_into_one_directory(tmp_path: Path):
    with contextlib.closing(spool_at(tmp_path)) as one, contextlib.closing(spool_at(tmp_path)) as other:
        put(one, b"one")
        put(other, b"other")
        put(one, b"two")
        assert sorted(spooled_bytes(tmp_path)) == [b"one", b"other", b"two"]


# --- the reader ----------------------------------------------------------------------------------------------------


def test_a_reader_hands_each_object_out_once(spool: Spool, tmp_path: Path):
    reader = SpoolReader(tmp_path, KEY)
    put(spool, b"a")
    first = [reader.read(spooled.source_key) for spooled in reader.committed()]
    put(spool, b"b")
    assert [first, [reader.read(spooled.source_key) for spooled in reader.committed()]] == [[b"a"], [b"b"]]


def test_a_loop_that_breaks_off_sees_its_object_again(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    reader = SpoolReader(tmp_path, KEY)
    for _ in reader.committed():
        break
    assert len(list(reader.committed())) == 1


def test_a_new_reader_starts_with_all_objects(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    list(SpoolReader(tmp_path, KEY).committed())
    assert len(list(SpoolReader(tmp_path, KEY).committed())) == 1


def test_another_reader_reads_by_key_alone(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    (spooled,) = SpoolReader(tmp_path, KEY).committed()
    assert SpoolReader(tmp_path, KEY).read(spooled.source_key) == b"a"


@pytest.mark.parametrize("key", ["", "x", "x/1", "x/../1", "/0"])
def test_an_unknown_key_is_unreadable(spool: Spool, tmp_path: Path, key: str):
    put(spool, b"a")
    with pytest.raises(InstanceUnreadable):
        SpoolReader(tmp_path, KEY).read(key)


def test_another_sealing_key_is_noticed(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    with pytest.raises(KeysMissing):
        list(SpoolReader(tmp_path, bytes(32)).committed())


# --- segments ------------------------------------------------------------------------------------------------------


def test_a_large_segment_is_followed_by_another(tmp_path: Path):
    with contextlib.closing(spool_at(tmp_path, segment_bytes=180_000)) as spool:
        for _ in range(4):
            put(spool, b"x" * 60_000)
        assert len(segment_files(tmp_path)) == 2


def test_a_segment_in_use_is_not_finished(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    assert SpoolReader(tmp_path, KEY).finished_segments() == []


def test_a_closed_segment_is_finished_with_its_objects(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    put(spool, b"b")
    spool.roll_over()
    (segment,) = SpoolReader(tmp_path, KEY).finished_segments()
    assert segment.source_keys == (f"{segment.name}/0", f"{segment.name}/1")


def test_a_segment_with_an_object_in_progress_stays_open(spool: Spool, tmp_path: Path):
    writer = spool.begin(object_header())
    spool.roll_over()
    before = SpoolReader(tmp_path, KEY).finished_segments()
    writer.write(b"a")
    writer.commit()
    assert (before, len(SpoolReader(tmp_path, KEY).finished_segments())) == ([], 1)


def test_an_idle_segment_is_closed_by_itself(tmp_path: Path):
    rung = threading.Semaphore(0)
    with contextlib.closing(spool_at(tmp_path, linger_s=0.05, on_commit=rung.release)) as spool:
        put(spool, b"a")
        assert rung.acquire(timeout=PATIENCE_S)  # the object
        assert rung.acquire(timeout=PATIENCE_S)  # the segment
        assert len(SpoolReader(tmp_path, KEY).finished_segments()) == 1


def test_a_segment_in_use_cannot_be_released(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    assert SpoolReader(tmp_path, KEY).release(segment_files(tmp_path)[0].stem) is False


def test_a_released_segment_is_gone(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    spool.roll_over()
    reader = SpoolReader(tmp_path, KEY)
    (segment,) = reader.finished_segments()
    assert (reader.release(segment.name), segment_files(tmp_path), list(reader.committed())) == (True, [], [])


def test_release_destroys_the_key_in_the_file_itself(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    spool.roll_over()
    with segment_files(tmp_path)[0].open("rb") as still_open:
        reader = SpoolReader(tmp_path, KEY)
        reader.release(reader.finished_segments()[0].name)
        assert still_open.read(START_BYTES) == bytes(START_BYTES)


def test_releasing_twice_is_harmless(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    spool.roll_over()
    reader = SpoolReader(tmp_path, KEY)
    name = reader.finished_segments()[0].name
    assert (reader.release(name), reader.release(name)) == (True, True)


def test_a_release_that_was_cut_is_completed(spool: Spool, tmp_path: Path):
    put(spool, b"a")
    spool.roll_over()
    with segment_files(tmp_path)[0].open("r+b") as file:
        file.write(bytes(START_BYTES))
    assert (list(SpoolReader(tmp_path, KEY).committed()), segment_files(tmp_path)) == ([], [])


def test_a_closed_spool_takes_nothing(tmp_path: Path):
    spool = spool_at(tmp_path)
    writer = spool.begin(object_header())
    spool.close()
    with pytest.raises(GatewayError):
        writer.commit()
    with pytest.raises(GatewayError):
        spool.begin(object_header())
    assert spooled_bytes(tmp_path) == []


def test_an_object_is_kept_although_nobody_could_be_woken(tmp_path: Path):
    def broken() -> None:
        raise OSError("no run directory")

    with contextlib.closing(spool_at(tmp_path, on_commit=broken)) as spool:
        put(spool, b"a")
        assert spooled_bytes(tmp_path) == [b"a"]


# --- room ----------------------------------------------------------------------------------------------------------


def test_an_object_beyond_the_limit_is_refused_and_not_kept(tmp_path: Path):
    with contextlib.closing(spool_at(tmp_path, limit_bytes=1_000_000)) as spool:
        put(spool, b"x" * 600_000)
        writer = spool.begin(object_header())
        writer.write(b"y" * 300_000)
        with pytest.raises(StorageExhausted):
            writer.write(b"y" * 300_000)
        writer.abandon()
        assert spooled_bytes(tmp_path) == [b"x" * 600_000]


def test_room_made_by_a_release_can_be_used_at_once(tmp_path: Path):
    with contextlib.closing(spool_at(tmp_path, limit_bytes=1_000_000)) as spool:
        put(spool, b"x" * 900_000)
        spool.roll_over()
        reader = SpoolReader(tmp_path, KEY)
        reader.release(reader.finished_segments()[0].name)
        put(spool, b"y" * 900_000)
        assert spooled_bytes(tmp_path) == [b"y" * 900_000]


def test_the_reserve_of_the_disk_is_kept(tmp_path: Path):
    with (
        contextlib.closing(spool_at(tmp_path, reserve_bytes=1 << 62)) as spool,
        pytest.raises(StorageExhausted),
    ):
        spool.begin(object_header())


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes of any file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_in_the_middle_keeps_what_was_whole(spool: Spool, tmp_path: Path):
    put(spool, b"a" * 300_000)
    writer = spool.begin(object_header())
    writer.write(b"b" * 200_000)
    with file_size_limit(400_000), pytest.raises(StorageExhausted):
        writer.commit()
    assert spooled_bytes(tmp_path) == [b"a" * 300_000]


def test_a_disk_too_full_for_a_new_segment_refuses_and_leaves_nothing(spool: Spool, tmp_path: Path):
    with file_size_limit(1000), pytest.raises(StorageExhausted):
        spool.begin(object_header())
    assert list(tmp_path.iterdir()) == []


def test_after_a_full_disk_the_next_object_is_kept(spool: Spool, tmp_path: Path):
    writer = spool.begin(object_header())
    writer.write(b"b" * 200_000)
    with file_size_limit(100_000), pytest.raises(StorageExhausted):
        writer.commit()
    put(spool, b"c")
    assert spooled_bytes(tmp_path) == [b"c"]


def test_a_header_from_before_priorities_is_read() -> None:
    header = replace(object_header(), priority=HIGH_PRIORITY)
    record = json.loads(encode_object_header(header))
    assert decode_object_header(json.dumps(record).encode()) == header
    del record["priority"]
    assert decode_object_header(json.dumps(record).encode()) == object_header()
    end = {"header": record, "pieces": 1, "size": 2}
    assert decode_object_end(json.dumps(end).encode()) == ObjectEnd(object_header(), 1, 2)
