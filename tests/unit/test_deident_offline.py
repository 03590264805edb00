"""De-identifying files: header cleaned, pixels copied, nothing else; a bad file does not stop the others."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_nodes.errors import InstanceUnreadable
from service.core.pydicom_reading import read_leniently
from service.deident import dicom_file
from service.deident.dicom_file import read_dicom, write_dicom
from service.deident.offline import FileStatus, deidentify_files, offline_deidentifier
from service.errors import KeysMissing, SettingsInvalid
from tests.commented_frames import jpeg_2000
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def cleaner():
    return offline_deidentifier(PROFILES, "default")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "Doe Jane 1.dcm"
    path.parent.mkdir()
    path.write_bytes(as_file(ct_slice()))
    return path


def test_a_file_is_written_under_its_new_uid(cleaner, source, tmp_path):
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    assert result.status is FileStatus.WRITTEN
    written = dcmread(result.written)
    assert result.written == tmp_path / "out" / f"{written.SOPInstanceUID}.dcm"
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID
    assert written.PixelData == ct_slice().PixelData


def test_nothing_of_the_patient_is_in_the_file(cleaner, source, tmp_path):
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    content = result.written.read_bytes()
    for value in (b"Doe", b"PAT-4711", b"ACC-99", b"House", b"19610502", b"20240317", b"1.2.826"):
        assert value not in content


def test_file_meta_and_preamble_are_our_own(cleaner, source, tmp_path):
    content = bytearray(as_file(ct_slice()))
    content[:9] = b"Doe, Jane"
    data_set = dcmread(io.BytesIO(bytes(content)))
    data_set.file_meta.SourceApplicationEntityTitle = "DOE_SCANNER"
    data_set.file_meta.PrivateInformationCreatorUID = "1.2.3"
    data_set.file_meta.PrivateInformation = b"Doe "
    data_set.save_as(source)
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    written = dcmread(result.written)
    assert written.preamble == bytes(128)
    assert "SourceApplicationEntityTitle" not in written.file_meta
    assert "PrivateInformation" not in written.file_meta


def test_what_trails_the_pixels_stays_behind(cleaner, source, tmp_path):
    data_set = ct_slice()
    data_set.add_new(0xFFFCFFFC, "OB", b"Doe Jane")
    source.write_bytes(as_file(data_set) + b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0Doe ")
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    assert b"Doe" not in result.written.read_bytes()
    assert dcmread(result.written).PixelData == data_set.PixelData


def test_encapsulated_pixels_are_copied_as_they_are(cleaner, source, tmp_path):
    data_set = ct_slice()
    data_set.NumberOfFrames = 2
    data_set.PixelData = encapsulate([jpeg_2000(1), jpeg_2000(2)])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    source.write_bytes(as_file(data_set, JPEG2000Lossless))
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    written = dcmread(result.written)
    assert written.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert written.PixelData == data_set.PixelData


def test_a_deflated_file_is_inflated_and_cleaned(cleaner, source, tmp_path):
    source.write_bytes(as_file(ct_slice(), DeflatedExplicitVRLittleEndian))
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    written = dcmread(result.written)
    assert written.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert written.PixelData == ct_slice().PixelData


def test_a_deflated_bomb_is_refused(cleaner, source, tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_file, "MAX_INFLATED", 1 << 20)
    head = as_file(ct_slice(), DeflatedExplicitVRLittleEndian)
    meta_end = 132 + 12 + int.from_bytes(head[140:144], "little")
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    source.write_bytes(head[:meta_end] + compressor.compress(bytes(2 << 20)) + compressor.flush())
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    assert result.status is FileStatus.REFUSED
    assert "Inflates to more than 1 MiB" in result.reason


def test_what_if_lists_decisions_and_writes_nothing(cleaner, source):
    before = sorted(source.parent.parent.rglob("*"))
    (result,) = deidentify_files([source], cleaner, None, explain=True)
    assert result.status is FileStatus.LISTED
    assert {decision.keyword for decision in result.decisions} >= {"PatientName", "StudyDate", "SOPInstanceUID"}
    assert sorted(source.parent.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a DICOM file"),
        (b"hello Doe", "not a DICOM file"),
        (bytes(128) + b"DICM", "SOP Class UID (0008,0016) is missing"),
        (as_file(ct_slice())[:-100], "cut short in its pixel data"),
    ],
)
def test_a_bad_file_is_refused_and_the_next_goes_on(cleaner, source, tmp_path, content, reason):
    bad = source.parent / "A bad one.dcm"
    bad.write_bytes(content)
    refused, written = deidentify_files([source.parent], cleaner, tmp_path / "out")
    assert (refused.source, refused.status, refused.reason) == (bad, FileStatus.REFUSED, reason)
    assert written.status is FileStatus.WRITTEN


def test_a_refusal_leaves_no_file_behind(cleaner, source, tmp_path):
    data_set = ct_slice()
    data_set.BurnedInAnnotation = "YES"
    source.write_bytes(as_file(data_set))
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    assert "Burned In Annotation" in result.reason
    assert list((tmp_path / "out").iterdir()) == []


def test_the_same_instance_twice_is_written_once(cleaner, source, tmp_path):
    (source.parent / "copy.dcm").write_bytes(source.read_bytes())
    results = list(deidentify_files([source.parent], cleaner, tmp_path / "out"))
    assert [result.status for result in results] == [FileStatus.WRITTEN, FileStatus.REFUSED]
    assert "same SOP Instance UID" in results[1].reason
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_missing_file_is_reported(cleaner, tmp_path):
    (result,) = deidentify_files([tmp_path / "nothing.dcm"], cleaner, None)
    assert result.reason == "No such file or directory"


def test_a_key_file_makes_runs_repeatable(source, tmp_path):
    key_file = tmp_path / "keys.json"
    names = []
    for run in ("a", "b"):
        cleaner = offline_deidentifier(PROFILES, "default", key_file)
        (result,) = deidentify_files([source], cleaner, tmp_path / run)
        names.append(result.written.name)
    assert names[0] == names[1]


def test_without_a_key_file_runs_cannot_be_joined(source, tmp_path):
    names = []
    for run in ("a", "b"):
        (result,) = deidentify_files([source], offline_deidentifier(PROFILES, "default"), tmp_path / run)
        names.append(result.written.name)
    assert names[0] != names[1]


def test_an_open_key_file_or_unknown_profile_is_refused(tmp_path):
    offline_deidentifier(PROFILES, "default", tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(KeysMissing):
        offline_deidentifier(PROFILES, "default", tmp_path / "keys.json")
    with pytest.raises(SettingsInvalid, match="there is no profile 'nope'"):
        offline_deidentifier(PROFILES, "nope")


@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_header_that_cleaning_encoded_is_the_one_that_pydicom_writes(cleaner, source, tmp_path, transfer_syntax_uid):
    source.write_bytes(as_file(ct_slice(), transfer_syntax_uid))
    with source.open("rb") as stream:
        read = read_dicom(stream)
        cleaned = cleaner.clean(read.header)
        (tmp_path / "fast").mkdir()
        (tmp_path / "slow").mkdir()
        fast = write_dicom(tmp_path / "fast", read, cleaned.data_set, cleaned.encoded)
        slow = write_dicom(tmp_path / "slow", read, cleaned.data_set)
    assert fast.read_bytes() == slow.read_bytes()


@pytest.mark.parametrize("first_look", [17, 40, 333, 900])
@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_file_read_look_by_look_is_the_one_read_at_once(source, monkeypatch, first_look, transfer_syntax_uid):
    whole = as_file(ct_slice(rows=4, columns=4), transfer_syntax_uid)

    def outcome(content: bytes) -> object:
        source.write_bytes(content)
        with source.open("rb") as stream:
            try:
                read = read_dicom(stream)
            except InstanceUnreadable as error:
                return str(error)
            return str(read.header), read.pixels, bytes(read.pixel_value)

    lengths = [*range(1, len(whole), 11), len(whole)]
    at_once = [outcome(whole[:length]) for length in lengths]
    monkeypatch.setattr(dicom_file, "_FIRST_LOOK", first_look)
    monkeypatch.setattr(dicom_file, "_NEXT_LOOK", 2)
    assert [outcome(whole[:length]) for length in lengths] == at_once
