"""Numbers and times that are one of the patient's identifiers do not stay (PS3.15 E.1.1), required or not."""

from __future__ import annotations

import shutil
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.element_values import Encoding
from service.deident.keys import KeyFile
from service.deident.own_values import OwnValues
from service.deident.profile import load_profile
from service.errors import IdentityNotRemovable
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def image(patient_id: str = "0012345", **values: object) -> Dataset:
    made = ct_slice()
    made.PatientID = patient_id
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@cache
def cleaner_of(profile: str) -> Deidentifier:
    return Deidentifier(load_profile(PROFILES, profile), KEYS)


def cleaned(data_set: Dataset, profile: str = "basic", syntax: str = ExplicitVRLittleEndian) -> Dataset:
    cleaner = cleaner_of(profile)
    header = as_file(data_set, syntax)
    whole = cleaner.clean(dcmread(BytesIO(header)), explain=True).data_set
    assert cleaner.clean(dcmread(BytesIO(header))).data_set == whole
    return whole


@pytest.mark.parametrize("profile", NAMES)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("keyword", ["RescaleIntercept", "PixelSpacing"])
def test_no_other_number_is_made_up_where_it_would_measure(profile, syntax, keyword):
    value = ["0.5", "12345"] if keyword == "PixelSpacing" else "12345"
    with pytest.raises(IdentityNotRemovable, match=f"{keyword}: may not be missing"):
        cleaned(image(**{keyword: value}), profile, syntax)


def test_a_profile_may_keep_a_number_by_name(tmp_path):
    shutil.copytree(PROFILES, tmp_path / "profiles")
    (tmp_path / "profiles" / "pet.toml").write_text('extends = "basic"\n[elements]\nRescaleIntercept = "keep"\n')
    cleaner = Deidentifier(load_profile(tmp_path / "profiles", "pet", PROFILES.parent / "text"), KEYS)
    header = dcmread(BytesIO(as_file(image(RescaleIntercept="12345"))))
    assert cleaner.clean(header).data_set.RescaleIntercept == 12345


def test_a_required_whole_number_becomes_a_dummy():
    report = image(InstanceNumber="12345", SOPClassUID=ComprehensiveSRStorage)
    assert cleaned(report).InstanceNumber == 0


def test_others_follow_their_type():
    clean = cleaned(image(SeriesNumber="12345", InstanceNumber="12345", ExposureTime="12345", KVP="12345"))
    assert clean["SeriesNumber"].is_empty
    assert clean["KVP"].is_empty
    assert "ExposureTime" not in clean


@pytest.mark.parametrize("number", ["12345", "0012345", "+12345", "12345.0", " 12345 ", "00012345."])
def test_a_number_is_known_as_it_may_be_written(number):
    with pytest.raises(IdentityNotRemovable):
        cleaned(image("PAT-0012345", RescaleIntercept=number))


@pytest.mark.parametrize("number", ["123456", "12345.5", "-1.2345", "1234", "0", "1", "012"])
def test_other_numbers_stay(number):
    assert str(cleaned(image("PAT-0012345", RescaleIntercept=number)).RescaleIntercept) == number


def test_zeros_that_lead_make_no_identifier_of_small_numbers():
    clean = cleaned(image("00001", RescaleIntercept="1", KVP="00001", PixelSpacing=["1", "1.0"]))
    assert (clean.RescaleIntercept, clean.PixelSpacing) == (1, [1, 1])
    assert clean["KVP"].is_empty


def test_frames_are_counted_all_the_same():
    clean = cleaned(image(NumberOfFrames="12345"))
    assert clean.NumberOfFrames == 12345


def test_a_time_that_is_an_identifier_goes():
    clean = cleaned(image("101500", StudyTime="101500", ContentTime="101501"), "default")
    assert clean["StudyTime"].is_empty
    assert clean.ContentTime == "101501"


def test_many_zeros_take_no_time():
    own = OwnValues.of(image(), Encoding())
    assert not own.has_identifier(b"12345e" + b"0" * (1 << 20) + b"e")
    assert not own.has_identifier(b" " * (1 << 20) + b"12345e" + b"\0" * (1 << 20))


OWN_TEXT = b"Doe^Jane 0012345"
"""Of a length that all numbers have."""
NUMBERS = {
    "US": 0x00280106,
    "SS": 0x00189810,
    "UL": 0x00081161,
    "SL": 0x00189219,
    "FL": 0x00189073,
    "FD": 0x00189087,
    "AT": 0x00280009,
    "UV": 0x7FE00003,
}


def with_bytes(tag: int, vr: str, value: bytes) -> Dataset:
    """An image in which an element of a VR of numbers holds these bytes."""
    made = image()
    made[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return made


def both_ways(data_set: Dataset, profile: str, syntax: str = ExplicitVRLittleEndian) -> list[Dataset]:
    """What comes out, as a whole and element by element, with values as they were encoded."""
    file = as_file(data_set, syntax)
    return [cleaner_of(profile).clean(dcmread(BytesIO(file)), explain=explain).data_set for explain in (True, False)]


@pytest.mark.parametrize("profile", NAMES)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("vr", NUMBERS)
def test_text_encoded_as_numbers_does_not_stay(profile, syntax, vr):
    for clean in both_ways(with_bytes(NUMBERS[vr], vr, OWN_TEXT), profile, syntax):
        assert NUMBERS[vr] not in clean


@pytest.mark.parametrize("vr", NUMBERS)
def test_other_numbers_stay_as_they_were_encoded(vr):
    value = bytes(range(16))
    for clean in both_ways(with_bytes(NUMBERS[vr], vr, value), "basic"):
        assert clean.get_item(NUMBERS[vr]).value == value


@pytest.mark.parametrize("profile", NAMES)
@pytest.mark.parametrize("keyword", ["PixelData", "FloatPixelData", "DoubleFloatPixelData"])
def test_pixels_of_an_item_go_since_nobody_looks_at_them(profile, keyword):
    made = image()
    item = Dataset()
    setattr(item, keyword, OWN_TEXT)
    item[keyword].VR = {"PixelData": "OW", "FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}[keyword]
    made.PresentationLUTSequence = [item]
    assert keyword not in cleaned(made, profile).PresentationLUTSequence[0]


@pytest.mark.parametrize("profile", NAMES)
def test_retired_pixels_beside_pixel_data_go(profile):
    assert 0x7F000010 not in cleaned(with_bytes(0x7F000010, "OW", bytes(16)), profile)
