"""What happens to acknowledged objects when disk, index or clock fail under spool and ingest."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.ingest.spool import SpoolReader
from tests.datasets import ct_slice, encode
from tests.ingest_house import IngestHouse
from tests.patience import PATIENCE_S
from tests.spool_writer_process import content
from tests.spooling import KEY, put, recycling_reader, release_all, spool_at

OBJECTS = 10


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def slices(count: int = OBJECTS) -> list[bytes]:
    return [encode(ct_slice(number)) for number in range(1, count + 1)]


# --- a file that is cut or changed ---------------------------------------------------------------------------------


def damage(data: bytearray, rng: random.Random) -> bytearray:
    """One thing that disks do: bits that flip, a sector of zeros, or of something else, an end that is missing."""
    at = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            size = rng.choice([512, 4096])
            at -= at % size
            data[at : at + size] = bytes(len(data[at : at + size]))
        case 2:
            at -= at % 4096
            data[at : at + 4096] = rng.randbytes(len(data[at : at + 4096]))
        case _:
            del data[at:]
    return data


@pytest.mark.parametrize("recycled", [False, True], ids=["new file", "written again"])
def test_no_damage_passes_anything_wrong_on_or_goes_unnoticed(tmp_path: Path, recycled: bool):
    objects = {f"1.2.{number}": bytes([number]) * rng_size(number) for number in range(1, OBJECTS + 1)}
    segment = filled_segment(tmp_path, objects, recycled=recycled)
    whole = segment.read_bytes()
    for seed in range(300):
        segment.write_bytes(damage(bytearray(whole), random.Random(seed)))
        reader = SpoolReader(tmp_path, KEY)
        found: dict[str, bytes | None] = {}
        for one in reader.committed():
            try:
                found[one.header.sop_instance_uid] = bytes(reader.read(one.source_key)[:])
            except InstanceUnreadable:
                found[one.header.sop_instance_uid] = None
        told = bool(reader.unreadable_segments) or any(one.is_damaged for one in reader.finished_segments())
        assert {uid: data for uid, data in found.items() if data not in (None, objects[uid])} == {}, seed
        assert found.keys() == objects.keys() or told, seed


def rng_size(number: int) -> int:
    return random.Random(number).randrange(1, 30_000)


def filled_segment(directory: Path, objects: dict[str, bytes], *, recycled: bool) -> Path:
    """A closed segment with objects, in a new file or one that is full of frames of an earlier life."""
    if recycled:
        spool = spool_at(directory, segment_bytes=400_000, recycled=1)
        put(spool, b"old" * 100_000)
        spool.close()
        release_all(recycling_reader(directory, 400_000))
        assert len(list(directory.glob("*.free"))) == 1
    spool = spool_at(directory, segment_bytes=400_000, recycled=1)
    for uid, data in objects.items():
        put(spool, data, uid)
    spool.close()
    (segment,) = directory.glob("*.segment")
    return segment


@pytest.mark.parametrize("seed", range(6))
def test_damaged_record_goes_to_quarantine_and_the_rest_goes_on(house: IngestHouse, seed: int):
    house.spool(slices())
    (segment,) = (house.folder / "spool").iterdir()
    segment.write_bytes(damage(bytearray(segment.read_bytes()), random.Random(seed)))
    house.worker.work()
    archived, held = house.index.count("clinical"), len(house.quarantine.list())
    assert archived + held == OBJECTS or house.damaged
    assert house.intake.oldest_pending_at("clinical") is None


# --- a disk that is full, slow or broken ---------------------------------------------------------------------------


def written_under(directory: Path, fault: str, threads: int, objects: int) -> tuple[list[str], list[str], str]:
    """Objects that a spool kept and refused while a system call fails or waits; and what strace saw."""
    log = directory.parent / "strace.log"
    strace = ("strace", "-f", "-e", "signal=none", "-e", "trace=fdatasync,pwritev2", "-e", fault, "-o", str(log))
    command = [*strace, sys.executable, "-m", "tests.spool_writer_process", str(directory), str(threads), str(objects)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    lines = [line.split() for line in done.stdout.splitlines()]
    kept = [words[1] for words in lines if words[0] == "kept"]
    return kept, [words[1] for words in lines if words[0] == "refused"], log.read_text()


def spooled(directory: Path) -> Counter[str]:
    """How often each object stands in the spool; each with the bytes that it was given."""
    reader = SpoolReader(directory, KEY)
    found: Counter[str] = Counter()
    for one in reader.committed():
        assert reader.read(one.source_key) == content(one.header.sop_instance_uid)
        found[one.header.sop_instance_uid] += 1
    return found


@pytest.mark.peer("strace")
def test_one_sync_of_a_slow_disk_serves_all_who_wait(tmp_path: Path):
    kept, refused, log = written_under(tmp_path / "spool", "inject=fdatasync:delay_enter=30000", threads=8, objects=5)
    assert (spooled(tmp_path / "spool"), refused) == (Counter(kept), [])
    assert (len(kept), log.count("fdatasync(") < 30) == (40, True)


@pytest.mark.peer("strace")
@pytest.mark.parametrize(
    "fault",
    [
        "inject=pwritev2:error=ENOSPC:when=5..9",
        "inject=pwritev2:error=ENOSPC:when=3+4",
        "inject=fdatasync:error=EIO:when=4+3",
        "inject=fdatasync:error=ENOSPC:when=2",
    ],
)
def test_a_disk_that_fails_now_and_then_keeps_all_that_it_acknowledged(tmp_path: Path, fault: str):
    kept, refused, _ = written_under(tmp_path / "spool", fault, threads=3, objects=8)
    found = spooled(tmp_path / "spool")
    assert {uid: found[uid] for uid in kept} == dict.fromkeys(kept, 1)
    assert (set(found) - set(kept), bool(refused), len(kept) + len(refused)) == (set(), True, 24)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes of any file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_archive_whose_disk_is_full_leaves_objects_in_the_spool_until_there_is_room(house: IngestHouse):
    house.spool(slices())
    with file_size_limit(100), pytest.raises(GatewayError):
        house.worker.work()
    before = house.index.count("clinical"), len(house.quarantine.list())
    house.worker.work()
    assert (before, house.index.count("clinical"), house.segments()) == ((0, 0), OBJECTS, [])


# --- an index that is locked ---------------------------------------------------------------------------------------


def test_an_index_that_is_locked_for_a_while_only_delays(house: IngestHouse):
    house.spool(slices())
    holder = sqlite3.connect(house.folder / "index.sqlite", check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    let_go = threading.Timer(0.5, lambda: holder.execute("ROLLBACK"))
    let_go.start()
    house.worker.work()
    let_go.join()
    holder.close()
    assert (house.index.count("clinical"), house.quarantine.list(), house.segments()) == (OBJECTS, [], [])


# --- a clock that is set back --------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(house: IngestHouse):
    content_of_all = slices()
    house.spool(content_of_all[:3])
    house.worker.work()
    house.clock.now -= 86_400
    house.spool(content_of_all[3:6])
    house.spool(content_of_all[6:])
    house.spool(content_of_all[:1])
    house.worker.work()
    assert (house.index.count("clinical"), house.quarantine.list(), house.segments()) == (OBJECTS, [], [])


def test_segments_of_a_clock_that_is_set_back_are_read_by_who_saw_later_ones(tmp_path: Path):
    now = [2_000_000_000.0]
    reader = SpoolReader(tmp_path, KEY)
    seen = []
    spool = spool_at(tmp_path, clock=lambda: now[0])
    for number in range(4):
        put(spool, b"%d" % number)
        spool.roll_over()
        now[0] -= 3600
        seen += [reader.read(one.source_key) for one in reader.committed()]
    spool.close()
    assert seen == [b"0", b"1", b"2", b"3"]


def test_an_object_that_was_refused_for_lack_of_room_is_taken_when_it_comes_again(house: IngestHouse):
    spool = spool_at(house.folder / "spool", limit_bytes=30_000)
    with pytest.raises(GatewayError):
        put(spool, os.urandom(50_000))
    spool.close()
    house.worker.work()
    house.spool(slices(1))
    house.worker.work()
    counts = house.index.count("clinical"), [row.reason for row in house.quarantine.list()]
    assert counts == (1, [])
