"""What is large in an object beside its pixels is held by no process: kept from where it lies, dropped, or refused."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from tests import peak_memory
from tests.datasets import encode
from tests.ingest_house import IngestHouse
from tests.integration.test_large_objects import BOUND, stored_file, worked_off
from tests.large_headers import contours, document, head, headers_alone, sent, waveform_heads, write_sparse
from tests.peak_memory import MEBIBYTE

SIZE = 48 * MEBIBYTE
DOCUMENT, FLOATS, PRIVATE = 0x00420011, 0x00660016, 0x00291010
FLOAT_PIXELS = 0x7FE00008


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def cleaned(source: Path, profile: str = "default") -> tuple[int, str, list[Path]]:
    """Let ``annogate deid`` clean a file: the bytes it held at most, what it said, and what it wrote."""
    out = source.parent / "out"
    ended, peak = peak_memory.run("service.cli", "deid", str(source), "--out", str(out), "--profile", profile)
    return peak, ended.stdout, list(out.iterdir())


def test_half_a_gigabyte_of_a_document_gives_way_to_a_page(tmp_path):
    size = 512 * MEBIBYTE
    kind = Dataset()
    kind.MIMETypeOfEncapsulatedDocument = "application/pdf"
    start = encode(document()) + head(DOCUMENT, "OB", size)
    peak, _, (written,) = cleaned(write_sparse(tmp_path / "in.dcm", start, size, encode(kind)))
    assert peak < BOUND
    assert b"The document was removed" in written.read_bytes()


def test_kept_bytes_are_copied_and_never_held(tmp_path):
    source = write_sparse(tmp_path / "in.dcm", encode(headers_alone()) + waveform_heads(SIZE), SIZE)
    peak, _, (written,) = cleaned(source)
    assert peak < BOUND
    assert SIZE < written.stat().st_size < SIZE + 4096


def test_private_bytes_before_float_pixels_are_passed_by(tmp_path):
    start = encode(headers_alone()) + head(PRIVATE, "OB", SIZE)
    pixels = head(FLOAT_PIXELS, "OF", 1024) + bytes(1024)
    peak, _, (written,) = cleaned(write_sparse(tmp_path / "in.dcm", start, SIZE, pixels))
    assert peak < BOUND
    assert written.read_bytes().endswith(pixels)
    assert written.stat().st_size < 8192


def test_spooled_waveform_is_archived_from_where_it_lies(house):
    start = encode(headers_alone()) + waveform_heads(SIZE)
    assert worked_off(house, sent(start, SIZE)) < BOUND
    assert stored_file(house).read_bytes().endswith(b"".join(sent(b"", SIZE)))


def big_endian_floats() -> Iterable[bytes]:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = False, False
    write_dataset(buffer, headers_alone())
    return sent(buffer.getvalue() + head(FLOATS, "OF", SIZE, ">"), SIZE)


def deflated_floats() -> Iterable[bytes]:
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    for part in sent(encode(headers_alone()) + head(FLOATS, "OF", SIZE), SIZE):
        yield packer.compress(part)
    yield packer.flush()


@pytest.mark.parametrize(
    ("data_set", "transfer_syntax_uid"),
    [(big_endian_floats, ExplicitVRBigEndian), (deflated_floats, DeflatedExplicitVRLittleEndian)],
    ids=["big endian", "deflated"],
)
def test_other_encodings_are_no_heavier(house, data_set, transfer_syntax_uid):
    assert worked_off(house, data_set(), transfer_syntax_uid) < BOUND
    assert len(house.blob_keys()) == 1


def test_contours_beyond_the_limit_wait_in_quarantine_with_their_size(house):
    peak = worked_off(house, contours(SIZE))
    assert peak < BOUND
    (row,) = house.quarantine.list()
    assert row.reason == "(3006,0039) is too large to be looked into: 48 MiB"


def test_items_without_number_are_refused_before_they_are_read(house):
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * (SIZE // 8)
    peak = worked_off(house, [encode(headers_alone()) + head(0x00081115, "SQ", SIZE), items], ExplicitVRLittleEndian)
    assert peak < BOUND
    (row,) = house.quarantine.list()
    assert row.reason == "Cleaning it would take more than 56 MiB of memory"
