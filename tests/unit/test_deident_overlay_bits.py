"""Overlay planes in unused bits of native pixel data are cleared; the image stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from service.core.pydicom_reading import read_leniently
from service.core.records import OutcomeKind
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, deidentify_files
from service.deident.overlay_bits import without_overlay_bits
from service.deident.pixels.pixel_source import HeldPixels
from service.deident.profile import load_profile
from tests.bad_objects import file_lead
from tests.datasets import ct_slice, encode
from tests.ingest_house import IngestHouse
from tests.standard_attributes import TABLE

ROWS, COLUMNS = 16, 16
VALUES = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * 16
PLANE = np.random.default_rng(3).integers(0, 2, (ROWS, COLUMNS))


@pytest.fixture(autouse=True)
def _lenient_reading():
    read_leniently()


def image(*positions: int, stored: int = 12, high: int = 11, signed: bool = False) -> tuple[Dataset, np.ndarray]:
    """A slice whose pixels hold a plane in each of some bits, and the same pixels without."""
    values = (VALUES - 2048 if signed else VALUES) << (high + 1 - stored)
    clean = values.astype(np.int16 if signed else np.uint16)
    mixed: np.ndarray = clean.view(np.uint16).astype(np.int64)
    made = ct_slice(1, rows=ROWS, columns=COLUMNS)
    made.BitsStored, made.HighBit, made.PixelRepresentation = stored, high, int(signed)
    for number, position in enumerate(positions):
        group = 0x6000 + 2 * number
        mixed = (mixed & ~(1 << position)) | (PLANE << position)
        for element, value in ((0x0010, ROWS), (0x0011, COLUMNS), (0x0100, 16), (0x0102, position)):
            made.add_new(group << 16 | element, "US", value)
    made.PixelData = mixed.astype(np.uint16).tobytes()
    made["PixelData"].VR = "OW"
    return made, clean


FORMS = {
    "one above": ((12,), {}),
    "all above": ((12, 13, 14, 15), {}),
    "signed": ((13,), {"signed": True}),
    "below": ((0, 3), {"high": 15}),
}


@pytest.mark.parametrize("name", FORMS)
def test_planes_go_and_the_values_stay(name):
    positions, form = FORMS[name]
    made, clean = image(*positions, **form)
    cleared = without_overlay_bits(made, HeldPixels(made.PixelData), ExplicitVRLittleEndian)
    assert cleared.value.read(0, cleared.value.length) == clean.tobytes()
    assert [element.value for element in cleared.changed] == [1, 0] * len(positions)


def test_big_endian_values_stay():
    made, clean = image(14, signed=True)
    turned = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
    cleared = without_overlay_bits(made, HeldPixels(turned), ExplicitVRBigEndian)
    assert cleared.value.read(0, cleared.value.length) == clean.astype(">i2").tobytes()


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), min_size=1, max_size=10), st.integers(0, 3))
def test_any_stretch_reads_as_the_whole_does(stretches, cut):
    made, clean = image(12)
    value = made.PixelData[: len(made.PixelData) - cut]
    cleared = without_overlay_bits(made, HeldPixels(value), ExplicitVRLittleEndian).value
    whole = cleared.read(0, cleared.length)
    assert whole[: len(value) // 2 * 2] == clean.tobytes()[: len(value) // 2 * 2]
    for offset, size in stretches:
        assert cleared.read(offset, size) == whole[offset : offset + size]


def with_data() -> Dataset:
    made, _ = image(12)
    made.add_new(0x60003000, "OW", bytes(ROWS * COLUMNS // 8))
    return made


@pytest.mark.parametrize(
    ("made", "syntax"),
    [
        (image()[0], ExplicitVRLittleEndian),  # no overlay
        (with_data(), ExplicitVRLittleEndian),  # a plane of its own
        (image(5)[0], ExplicitVRLittleEndian),  # a bit that holds a value
        (image(16)[0], ExplicitVRLittleEndian),  # a bit that there is not
        (image(12)[0], RLELossless),
    ],
)
def test_pixels_that_are_not_cleared(made, syntax):
    assert without_overlay_bits(made, HeldPixels(made.PixelData), syntax) is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_received_objects_are_stored_without_their_planes(tmp_path, syntax):
    house = IngestHouse(tmp_path)
    made, clean = image(12, 15)
    outcome = house.pipeline.process(house.incoming(encode(made, syntax), "research", transfer_syntax_uid=syntax))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")
    stored = house.stored(house.index.find("research", outcome.sop_instance_uid))
    assert stored.PixelData == clean.tobytes()
    assert not [tag for tag in stored.keys() if tag.group >> 8 == 0x60]  # noqa: SIM118
    again = house.pipeline.process(house.incoming(encode(made, syntax), "research", transfer_syntax_uid=syntax))
    assert again.kind is OutcomeKind.DUPLICATE
    house.close()


@pytest.mark.parametrize(("position", "status"), [(12, FileStatus.WRITTEN), (5, FileStatus.REFUSED)])
def test_files_are_written_without_their_planes(tmp_path, position, status):
    made, clean = image(position)
    path = tmp_path / "in.dcm"
    path.write_bytes(file_lead(b"1.2.840.10008.1.2.1") + encode(made))
    cleaner = Deidentifier(load_profile(TABLE.parent, "basic"), KeyFile.ephemeral().project_keys("p"))
    (result,) = deidentify_files([path], cleaner, tmp_path / "out", explain=True)
    assert result.status is status
    if result.written is not None:
        assert dcmread(result.written).PixelData == clean.tobytes()
        told = {decision.path: decision.action for decision in result.decisions}
        assert told["(6000,0102)"] == "removed"
