"""Everything beside the project and inside the pydicom wheel goes in: archived whole, or quarantined with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest

from dicom_nodes.errors import GatewayError
from service.core.records import Incoming, Outcome, OutcomeKind
from service.ingest.parsing import parse
from service.ingest.part10 import DicomFile, read_file
from tests.ingest_house import IngestHouse

NO_DICOM = {".json", ".csv", ".tsv", ".md", ".txt", ".py", ".pyc", ".gz"}
HELD = {OutcomeKind.ARCHIVED, OutcomeKind.KEPT_FIRST, OutcomeKind.DUPLICATE}
BATCH = 32

# The folder's files that are whole, with the number that its manifest gives.
WHOLE = {"petct-sts": 351, "mr-t1-defaced": 384, "ct-phantom-philips/thin-1mm": 81, "ultrasound": 5, "synthetic": 4}

REASONS = {
    "gen-ct-cut-in-header.dcm": "Cut short in its header",
    "gen-ct-cut-in-pixeldata.dcm": "Cut short in its Pixel Data",
    "MR_truncated.dcm": "Cut short in its Pixel Data",
    "rtplan_truncated.dcm": "Cut short in its header at (300A,00B0)",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "Cut short in its encapsulated Pixel Data",
    "empty_charset_LEI.dcm": "No SOP Class UID (0008,0016)",
    "bad_sequence.dcm": "SOP Instance UID (0008,0018) is not a UID",
}

pytestmark = [pytest.mark.real_data, pytest.mark.long]


def dicom_files(folder: Path) -> Iterator[tuple[Path, DicomFile]]:
    """Files that have a prefix and a file meta; without those there is nothing that a node could be sent."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in NO_DICOM:
            try:
                yield path, read_file(path.read_bytes())
            except GatewayError:
                continue


def taken_in(house: IngestHouse, folder: Path, project: str) -> list[tuple[Path, DicomFile, Outcome]]:
    files = list(dicom_files(folder))
    outcomes: list[Outcome] = []
    for start in range(0, len(files), BATCH):
        batch = [
            Incoming(
                project,
                file.sop_class_uid,
                file.sop_instance_uid,
                file.transfer_syntax_uid,
                file.data_set,
                "stow",
                "TEST",
                "127.0.0.1",
                house.clock(),
            )
            for _, file in files[start : start + BATCH]
        ]
        outcomes += house.pipeline.process_batch(batch)
    return [(path, file, outcome) for (path, file), outcome in zip(files, outcomes, strict=True)]


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def pixels_of(data_set: bytes, transfer_syntax_uid: str) -> bytes:
    pixels = parse(data_set, transfer_syntax_uid).pixels
    return bytes(pixels.value) if pixels else b""


@pytest.mark.parametrize("project", ["research", "clinical"])
def test_every_object_is_held_or_quarantined_with_a_reason(house, shared_data, project):
    taken = taken_in(house, shared_data, project)
    assert len(taken) > 1300
    undecided = [path.name for path, _, outcome in taken if outcome.kind not in HELD and not outcome.reason]
    assert undecided == []


@pytest.mark.parametrize("project", ["research", "clinical"])
def test_every_object_of_the_pydicom_wheel_is_held_or_quarantined(house, project):
    taken = taken_in(house, Path(pydicom.data.__file__).parent, project)
    assert [path.name for path, _, outcome in taken if outcome.kind not in HELD and not outcome.reason] == []


@pytest.mark.parametrize(("folder", "count"), WHOLE.items())
def test_whole_folders_are_archived(house, shared_data, folder, count):
    kinds = [outcome.kind for _, _, outcome in taken_in(house, shared_data / folder, "research")]
    assert sum(kind in HELD for kind in kinds) == count
    assert OutcomeKind.QUARANTINED not in kinds


@pytest.mark.parametrize("folder", ["transfer-syntax", "colour", "ultrasound", "enhanced-multiframe", "synthetic"])
def test_pixels_and_transfer_syntax_of_cleaned_objects_are_what_came(house, shared_data, folder):
    changed = []
    for path, file, outcome in taken_in(house, shared_data / folder, "research"):
        if outcome.kind is OutcomeKind.ARCHIVED:
            row = house.index.find("research", outcome.sop_instance_uid)
            stored = pixels_of(house.stored_bytes(row), row.transfer_syntax_uid)
            same = stored == pixels_of(file.data_set, file.transfer_syntax_uid)
            if not same or row.transfer_syntax_uid != file.transfer_syntax_uid:
                changed.append(path.name)
    assert changed == []


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_broken_files_are_quarantined_with_their_reason(house, shared_data, name, reason):
    file = read_file((shared_data / "bad-input" / name).read_bytes())
    outcome = house.pipeline.process(
        house.incoming(file.data_set, "research", file.transfer_syntax_uid, sop_class_uid=file.sop_class_uid)
    )
    assert (outcome.kind, outcome.reason) == (OutcomeKind.QUARANTINED, reason)


def test_text_in_pixels_that_the_header_admits_is_quarantined(house, shared_data):
    folder = shared_data / "ct-phantom-philips" / "exam-summary"
    kinds = [outcome.kind for _, _, outcome in taken_in(house, folder, "research")]
    assert kinds.count(OutcomeKind.QUARANTINED) == 1
