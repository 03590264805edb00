"""What stands behind the last frame of native pixel data is not passed on."""

from __future__ import annotations

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_nodes.errors import GatewayError
from service.core.pydicom_reading import read_leniently
from service.core.records import OutcomeKind
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, deidentify_files
from service.deident.pixel_rest import frames_length
from service.deident.profile import load_profile
from service.errors import PixelRestFound
from service.ingest.quarantine_desk import QuarantineDesk
from tests.bad_objects import file_lead
from tests.datasets import ct_slice, encode
from tests.ingest_house import IngestHouse
from tests.standard_attributes import TABLE

SECRET = b"Tk00001q"
RESTS = {"text": SECRET, "text behind zeros": bytes(4096) + SECRET, "one byte too many": b"\0\0\1\0"}


@pytest.fixture(autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def image(rest: bytes) -> bytes:
    data_set = ct_slice(1)
    data_set.PixelData = data_set.PixelData + rest
    data_set["PixelData"].VR = "OW"
    return encode(data_set)


@pytest.mark.parametrize("name", RESTS)
def test_an_image_with_more_than_its_frames_waits_for_a_person(house, name):
    outcome = house.pipeline.process(house.incoming(image(RESTS[name]), "research"))
    assert outcome.kind is OutcomeKind.QUARANTINED
    assert "Pixel Data is longer" in outcome.reason


@pytest.fixture
def decisions():
    return []


@pytest.fixture
def desk(house, decisions):
    return QuarantineDesk(house.quarantine, house.pipeline, decisions.append)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_person_has_the_rest_cut_off(house, desk, decisions, syntax):
    data_set = ct_slice(1)
    frames = data_set.PixelData
    data_set.PixelData = frames + SECRET
    data_set["PixelData"].VR = "OW"
    data_set.add_new(0xFFFCFFFC, "OB", bytes(8))
    held = house.pipeline.process(house.incoming(encode(data_set, syntax), "research", syntax))
    assert held.failure_reason == PixelRestFound.dimse_status
    outcome = desk.release_cut(held.quarantine_id, "alice")
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")
    row = house.index.find("research", outcome.sop_instance_uid)
    assert house.stored(row).PixelData == frames
    assert SECRET not in house.stored_bytes(row)
    [decision] = decisions
    assert (decision.action, decision.by, decision.succeeded) == ("release-cut", "alice", True)
    assert house.quarantine.show(held.quarantine_id).state == "released"


def test_a_cut_object_that_must_be_held_for_more_waits_in_its_own_row(house, desk):
    data_set = ct_slice(1, study_uid="1.2.3")
    assert house.pipeline.process(house.incoming(encode(data_set), "research")).kind is OutcomeKind.ARCHIVED
    other = ct_slice(2, study_uid="1.2.3", patient_id="PAT-9")
    other.PixelData = other.PixelData + SECRET
    other["PixelData"].VR = "OW"
    held = house.pipeline.process(house.incoming(encode(other), "research"))
    outcome = desk.release_cut(held.quarantine_id, "alice")
    assert outcome.kind is OutcomeKind.QUARANTINED
    assert house.quarantine.show(held.quarantine_id).state == "released"
    [waits] = house.quarantine.list("research")
    assert (waits.id, "another patient" in waits.reason) == (outcome.quarantine_id, True)


def test_nothing_is_cut_where_nothing_stands_behind_the_frames(house, desk):
    data_set = ct_slice(1)
    del data_set.StudyInstanceUID
    held = house.pipeline.process(house.incoming(encode(data_set), "research"))
    with pytest.raises(GatewayError):
        desk.release_cut(held.quarantine_id, "alice")
    assert house.quarantine.show(held.quarantine_id).state == "held"


def test_padding_is_no_reason_to_wait(house):
    outcome = house.pipeline.process(house.incoming(image(bytes(128)), "research"))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")


def test_a_project_that_keeps_identity_takes_it_as_it_is(house):
    outcome = house.pipeline.process(house.incoming(image(SECRET), "clinical"))
    assert outcome.kind is OutcomeKind.ARCHIVED


@pytest.mark.parametrize(("rest", "status"), [(SECRET, FileStatus.REFUSED), (bytes(8), FileStatus.WRITTEN)])
def test_a_file_is_refused_likewise(tmp_path, rest, status):
    path = tmp_path / "in.dcm"
    path.write_bytes(file_lead(b"1.2.840.10008.1.2.1") + image(rest))
    cleaner = Deidentifier(load_profile(TABLE.parent, "basic"), KeyFile.ephemeral().project_keys("p"))
    (result,) = deidentify_files([path], cleaner, tmp_path / "out")
    assert result.status is status
    assert SECRET.decode() not in result.reason


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ({"Rows": 3, "Columns": 3, "BitsAllocated": 8}, 10),
        ({"Rows": 2, "Columns": 4, "BitsAllocated": 1, "NumberOfFrames": 3}, 4),
        ({"Rows": 2, "Columns": 2, "BitsAllocated": 8, "SamplesPerPixel": 3}, 12),
        (
            {
                "Rows": 2,
                "Columns": 2,
                "BitsAllocated": 8,
                "SamplesPerPixel": 3,
                "PhotometricInterpretation": "YBR_FULL_422",
            },
            8,
        ),
    ],
)
def test_frames_are_as_long_as_the_header_says(values, length):
    data_set = ct_slice(1)
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    assert frames_length(data_set) == length


def test_a_header_that_does_not_say_is_not_judged():
    data_set = ct_slice(1)
    del data_set.Rows
    assert frames_length(data_set) is None
