"""Objects of hundreds of megabytes and of gigabytes go through in a process that never holds their pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_nodes.object_sink import ObjectHeader
from service.core.encoded_bytes import chunks
from service.ingest.spool import Spool
from tests import peak_memory
from tests.ingest_house import SEALING_KEY, IngestHouse
from tests.large_objects import FRAME, native_data_set, write_encapsulated, write_native
from tests.peak_memory import MEBIBYTE

BOUND = 150 * MEBIBYTE
FRAMES = 6  # 201 MB


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def worked_off(house: IngestHouse, data_set: Iterable[bytes], transfer_syntax_uid: str = ExplicitVRLittleEndian) -> int:
    """Let a process of its own take an object from the spool; the bytes it held at most."""
    spool = Spool(house.folder / "spool", SEALING_KEY, clock=house.clock, reserve_bytes=0)
    writer = spool.begin(ObjectHeader("SCANNER", "RESEARCH", "127.0.0.1", "", "", transfer_syntax_uid, house.clock()))
    for part in data_set:
        writer.write(part)
    writer.commit()
    spool.close()
    ended, peak = peak_memory.run("tests.large_ingest_process", str(house.folder))
    assert ended.returncode == 0, ended.stderr[-2000:]
    return peak


def stored_file(house: IngestHouse) -> Path:
    (only,) = house.blob_keys()
    return house.blobs.path(only)


def test_native_pixels_of_3_9_gb_are_never_read(tmp_path):
    source = write_native(tmp_path / "in.dcm", frames=123)
    ended, peak = peak_memory.run(
        "service.cli", "deid", str(source), "--out", str(tmp_path / "out"), "--profile", "basic"
    )
    assert ended.returncode == 0, ended.stderr
    (written,) = (tmp_path / "out").iterdir()
    header = dcmread(written, stop_before_pixels=True)
    assert (header.PatientName != "Doe^Jane", header.NumberOfFrames) == (True, 123)
    # The header and the pixels, and nothing of what trailed them.
    assert 123 * FRAME < written.stat().st_size < 123 * FRAME + 4096
    assert peak < BOUND


def test_encapsulated_pixels_beyond_4_gb_are_never_read(tmp_path):
    source = write_encapsulated(tmp_path / "in.dcm", [1500 * MEBIBYTE] * 3)
    ended, peak = peak_memory.run(
        "service.cli", "deid", str(source), "--out", str(tmp_path / "out"), "--profile", "basic"
    )
    assert ended.returncode == 0, ended.stderr
    (written,) = (tmp_path / "out").iterdir()
    with written.open("rb") as file:
        file.seek(-8, 2)
        assert file.read() == b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert 4500 * MEBIBYTE < written.stat().st_size < 4500 * MEBIBYTE + 4096
    assert peak < BOUND


def test_spooled_object_is_archived_without_its_pixels_in_memory(house):
    peak = worked_off(house, native_data_set(FRAMES))
    assert peak < BOUND
    with stored_file(house).open("rb") as file:
        for number in range(FRAMES):
            file.seek((number - FRAMES) * FRAME, 2)
            assert file.read(FRAME) == struct.pack("<H", number) * (FRAME // 2)


def test_spooled_object_is_quarantined_without_its_pixels_in_memory(house):
    cut_short = b"".join(native_data_set(FRAMES))[:-MEBIBYTE]
    peak = worked_off(house, [cut_short])
    assert peak < BOUND
    (row,) = house.quarantine.list()
    assert (row.reason, row.size) == ("Cut short in its Pixel Data", len(cut_short))
    assert b"".join(chunks(house.quarantine.read(row.id).data_set)) == cut_short


def test_deflated_object_is_archived_without_its_pixels_in_memory(house):
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    deflated = b"".join([*(packer.compress(part) for part in native_data_set(FRAMES)), packer.flush()])
    peak = worked_off(house, [deflated], DeflatedExplicitVRLittleEndian)
    assert peak < BOUND
    content = stored_file(house).read_bytes()
    (row,) = [house.index.find("research", dcmread(stored_file(house), specific_tags=[0x00080018]).SOPInstanceUID)]
    inflated = zlib.decompress(content[row.blob.data_set_offset :], -zlib.MAX_WBITS)
    assert inflated[-FRAME:] == struct.pack("<H", FRAMES - 1) * (FRAME // 2)


def test_header_beyond_all_measure_is_quarantined_with_its_reason(house):
    head = b"".join(native_data_set(0)).partition(b"\xe0\x7f\x10\x00OW")[0]
    peak = worked_off(
        house, [head + struct.pack("<HH2s2xI", 0x0040, 0xA160, b"UT", 100 * MEBIBYTE), b" " * (100 * MEBIBYTE)]
    )
    (row,) = house.quarantine.list()
    assert row.reason == "Cleaning it would take more than 56 MiB of memory"
    assert peak < BOUND
