"""From the spool to the archive, with a worker that is killed anywhere on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive.intake import Arrival
from service.core.records import OutcomeKind
from service.ingest.blob_sweep import BlobSweep
from service.ingest.damaged_segments import DamagedSegments
from service.ingest.spool_frames import FRAME_MAGIC, HEAD_PLACES, START_BYTES
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.ingest_worker_process import PLACES
from tests.patience import PATIENCE_S

GOOD = 3
BAD = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100 and no more"


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def slices(count):
    return [ct_slice(number) for number in range(1, count + 1)]


def killed_at(house, place, when):
    arguments = [sys.executable, "-m", "tests.ingest_worker_process", str(house.folder), place, when]
    return subprocess.run(arguments, check=False, capture_output=True, timeout=PATIENCE_S).returncode == -signal.SIGKILL


def test_spooled_objects_are_archived_and_their_segment_goes(house):
    house.spool(slices(GOOD))
    house.worker.work()
    assert house.index.count("clinical") == GOOD
    assert house.segments() == []


def test_called_title_chooses_the_project(house):
    house.spool(slices(1), called_ae_title="RESEARCH")
    house.worker.work()
    assert (house.index.count("research"), house.index.count("clinical")) == (1, 0)


def test_object_of_a_title_that_is_gone_is_quarantined(house):
    house.spool(slices(1), called_ae_title="NOBODY")
    house.worker.work()
    assert [row.reason for row in house.quarantine.list()] == ["There is no project under the AE title that was called"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_anywhere_leaves_every_object_once(house, place, when):
    house.spool([*slices(GOOD), BAD])
    assert killed_at(house, place, when)
    house.worker.work()
    assert house.index.count("clinical") == GOOD
    assert len(house.quarantine.list()) == 1
    assert house.segments() == []


@pytest.mark.parametrize("place", ["blobs.begin_many", "index.add_all", "intake.finish_all"])
def test_files_that_a_kill_left_are_swept(house, place):
    house.spool(slices(GOOD))
    assert killed_at(house, place, "after")
    house.worker.work()
    BlobSweep(house.blobs, house.index, lambda: 4e9, grace_s=0).run()
    assert len(house.blob_keys()) == GOOD
    assert house.index.held_blobs(sorted(house.blob_keys())) == house.blob_keys()


def test_sweep_that_is_stopped_leaves_the_rest_for_later(house):
    house.spool(slices(GOOD))
    assert killed_at(house, "blobs.begin_many", "after")
    before = house.blob_keys()
    assert BlobSweep(house.blobs, house.index, lambda: 4e9, grace_s=0).run(lambda: True) == 0
    assert (house.blob_keys(), len(before)) == (before, GOOD)


def test_files_of_the_index_are_never_swept(house):
    house.spool(slices(GOOD))
    house.worker.work()
    before = house.blob_keys()
    assert BlobSweep(house.blobs, house.index, lambda: 4e9, grace_s=0).run() == 0
    assert house.blob_keys() == before


def test_object_that_ends_every_process_goes_into_quarantine(house):
    house.spool(slices(1))
    for _ in range(3):
        assert killed_at(house, "blobs.begin_many", "before")
    house.worker.work()
    assert [row.reason for row in house.quarantine.list()] == ["Processing it ended the worker 3 times"]
    assert house.segments() == []


def test_two_workers_archive_every_object_once(tmp_path):
    first, second = IngestHouse(tmp_path), IngestHouse(tmp_path)
    for _ in range(3):
        first.spool(slices(GOOD))
    threads = [threading.Thread(target=house.worker.work) for house in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first.worker.work()
    assert first.index.count("clinical") == GOOD
    assert first.segments() == []


def test_row_says_how_far_each_object_came(house):
    spool = house.spool([*slices(1), BAD], close=False)
    house.worker.work()
    keys = [spooled.source_key for spooled in IngestHouse(house.folder).reader.committed()]
    states = sorted(row.state for row in house.intake.find(keys).values())
    assert states == [OutcomeKind.ARCHIVED, OutcomeKind.QUARANTINED]
    spool.close()


def test_segment_that_is_written_to_stays(house):
    spool = house.spool(slices(1), close=False)
    house.worker.work()
    assert len(house.segments()) == 1
    spool.close()
    house.worker.work()
    assert house.segments() == []


class Trouble:
    """A blob store whose disk is full for a while."""

    def __init__(self, blobs, error):
        self.blobs, self.error, self.times = blobs, error, 1

    def __getattr__(self, name):
        return getattr(self.blobs, name)

    def begin_many(self, blobs):
        if self.times:
            self.times -= 1
            raise self.error
        return self.blobs.begin_many(blobs)


@pytest.mark.parametrize("error", [StorageExhausted("full"), GatewayError("the index failed")])
def test_trouble_of_the_house_is_waited_out(tmp_path, error):
    house = IngestHouse(tmp_path, blob_store=lambda blobs: Trouble(blobs, error))
    house.spool(slices(GOOD))

    class Wake:
        def wait(self, timeout):
            if house.index.count("clinical") == GOOD:
                house.worker.stop()
            return True

    house.worker.run(Wake())
    assert house.quarantine.list() == []
    assert house.index.count("clinical") == GOOD


def test_failure_that_nobody_foresaw_does_not_hold_up_the_others(tmp_path):
    house = IngestHouse(tmp_path, blob_store=lambda blobs: Trouble(blobs, RuntimeError("a bug")))
    house.spool(slices(GOOD))
    house.worker.work()
    assert house.index.count("clinical") == GOOD


def spooled_with_damage(house, places):
    """Slices in the spool; ``places`` says from the file's bytes which of them are not what was written."""
    house.spool(slices(GOOD))
    (segment,) = (house.folder / "spool").iterdir()
    data = bytearray(segment.read_bytes())
    for place in places(data):
        data[place] ^= 0xFF
    segment.write_bytes(data)


def last_ends(data):
    """Where the two ends of the last object stand."""
    second = data.rfind(FRAME_MAGIC)
    return data.rfind(FRAME_MAGIC, 0, second), second


LAST_END = "the headers of the last object's ends"
LAST_PIECE = "the last object's pixels"
DAMAGE = {
    LAST_END: lambda data: [at + 9 for at in last_ends(data)],
    LAST_PIECE: lambda data: [last_ends(data)[0] - 1],
    "the first object's start": lambda _: [START_BYTES + 9],
    "both heads": lambda _: [place + 20 for place in HEAD_PLACES],
}
HARMLESS = {
    "one head": lambda _: [20],
    "one end of an object": lambda data: [last_ends(data)[0] + 9],
    "the first object's start": lambda _: [START_BYTES + 9],
}


@pytest.mark.parametrize("place", HARMLESS)
def test_damage_in_what_is_written_twice_loses_nothing(house, place):
    spooled_with_damage(house, HARMLESS[place])
    house.worker.work()
    assert (house.index.count("clinical"), house.quarantine.list()) == (GOOD, [])


@pytest.mark.parametrize("place", [LAST_END, LAST_PIECE])
def test_acknowledged_object_that_the_disk_damaged_is_quarantined(house, place):
    spooled_with_damage(house, DAMAGE[place])
    house.worker.work()
    assert (house.index.count("clinical"), len(house.quarantine.list())) == (GOOD - 1, 1)


def test_object_that_only_lost_its_end_is_archived_when_a_person_releases_it(house):
    spooled_with_damage(house, DAMAGE[LAST_END])
    house.worker.work()
    (row,) = house.quarantine.list()
    house.pipeline.process_released(house.quarantine.read(row.id))
    assert house.index.count("clinical") == GOOD


@pytest.mark.parametrize("place", DAMAGE)
def test_segment_that_the_disk_damaged_is_set_aside_and_told(house, place):
    spooled_with_damage(house, DAMAGE[place])
    house.worker.work()
    (segment,) = house.segments()
    assert (segment.endswith(".damaged"), [segment]) == (True, [f"{name}.damaged" for name in house.damaged])


def test_segment_that_was_set_aside_is_kept_for_a_while_and_then_erased(house):
    spooled_with_damage(house, DAMAGE[LAST_PIECE])
    before = time.time()
    house.worker.work()
    aside = DamagedSegments(house.folder / "spool")
    (kept,) = aside.list()
    assert (before - 1 <= kept.since <= time.time() + 1, aside.expire(before - 60), len(aside.list())) == (True, 0, 1)
    assert (aside.expire(time.time() + 60), aside.list(), house.segments()) == (1, [], [])


def test_objects_that_cannot_be_reached_any_more_hold_no_study_open(house):
    spooled_with_damage(house, DAMAGE["both heads"])
    house.intake.register([Arrival(f"{house.segments()[0].removesuffix('.segment')}/0", "clinical", 1.0)])
    house.worker.work()
    assert house.intake.oldest_pending_at("clinical") is None


def test_rows_whose_segment_is_gone_are_forgotten(house):
    house.intake.register([Arrival("gone/0", "clinical", 1.0)])
    house.worker.work()
    assert house.intake.oldest_pending_at("clinical") is None


def test_object_that_another_worker_finished_meanwhile_is_not_taken_for_lost(tmp_path):
    first, second = IngestHouse(tmp_path), IngestHouse(tmp_path)
    first.spool(slices(1))
    found = list(second.reader.committed())
    first.worker.work()
    second.worker._waiting[found[0].segment] = {one.source_key: one for one in found}  # and then held up
    second.worker.work()
    assert second.quarantine.list() == []
    assert second.intake.oldest_pending_at("clinical") is None
