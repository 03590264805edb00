"""A digest over content: the same for the same object, however far its elements were read."""

from __future__ import annotations

import io

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from service.core.pydicom_reading import read_leniently
from service.deident.raw_scan import scan
from service.ingest.content_digest import content_digest
from tests.encoded_headers import Element, Item, encode

KEY = b"k" * 32
INNER = Item(
    [Element(0x00081150, "UI", b"1.2\0"), Element(0x00281052, "DS"), Element(0x00280010, "US")], undefined=True
)
HEADERS = {
    "nothing special": [Element(0x00081030, "LO", b"CT")],
    "an empty number": [Element(0x00280010, "US")],
    "an empty text": [Element(0x00081030, "LO")],
    "an empty sequence": [Element(0x00081140, "SQ", items=[])],
    "a sequence without a length": [Element(0x00081140, "SQ", items=[INNER], undefined=True)],
    "an empty private element": [Element(0x00190010, "LO", b"GEMS_ACQU_01"), Element(0x00191002, "UN")],
}


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def header(name: str, *, implicit: bool) -> tuple[Dataset, Dataset]:
    """The header as it is scanned, and as pydicom reads it."""
    content = encode(Item(HEADERS[name]), implicit=implicit)
    found, _ = scan(content, implicit_vr=implicit)
    return found, read_dataset(io.BytesIO(content), is_implicit_VR=implicit, is_little_endian=True)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("name", HEADERS)
def test_the_digest_does_not_depend_on_who_read_the_header(name, implicit):
    scanned, read = header(name, implicit=implicit)
    assert content_digest(scanned, b"", KEY) == content_digest(read, b"", KEY)


@pytest.mark.parametrize("name", HEADERS)
def test_the_header_stays_as_it_was_encoded(name):
    scanned, _ = header(name, implicit=False)
    before = dict(scanned.items())
    content_digest(scanned, b"", KEY)
    assert all(held is before[tag] for tag, held in scanned.items())


@pytest.mark.parametrize("name", HEADERS)
def test_another_value_has_another_digest(name):
    scanned, _ = header(name, implicit=False)
    more = Dataset(dict(scanned.items()))
    more.KVP = "120"
    assert content_digest(scanned, b"", KEY) != content_digest(more, b"", KEY)


def test_patient_and_study_are_left_out_and_pixels_are_not():
    scanned, _ = header("nothing special", implicit=False)
    corrected = Dataset(dict(scanned.items()))
    corrected.PatientName, corrected.StudyDescription = "Doe^Jane", "another"
    assert content_digest(corrected, b"", KEY) == content_digest(scanned, b"", KEY)
    assert content_digest(scanned, b"pixels", KEY) != content_digest(scanned, b"", KEY)
