"""A header whose long values stay where they lie becomes what it becomes when they are held."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RawDataStorage

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core import condensed
from service.core.condensed import HeaderTooHeavy, condense
from service.core.encoded_bytes import Section
from service.core.encoded_data_set import EXPLICIT_LITTLE_ENDIAN, Encoding
from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.errors import IdentityNotRemovable
from service.ingest import parsing
from service.ingest.content_digest import content_digest
from service.ingest.parsing import ParsedInstance, parse
from service.ingest.stored_file import cleaned_file
from tests.datasets import ct_slice, encode
from tests.encoded_headers import encode as encoded_header
from tests.encoded_headers import headers

PROFILES = Path(__file__).resolve().parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral().project_keys("p")
# What pydicom thinks of values that are odd on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch):
    monkeypatch.setattr(condensed, "LONG_VALUE", 3)
    monkeypatch.setattr(parsing, "_FIRST_LOOK", 8)


@cache
def deidentifier(profile: str) -> Deidentifier:
    return Deidentifier(load_profile(PROFILES, profile), KEYS)


def stored(parsed: ParsedInstance, profile: str) -> bytes | None:
    """The file that is kept; None where it is refused."""
    try:
        cleaned = deidentifier(profile).clean(parsed.header, aside=parsed.aside)
        file = cleaned_file(parsed, cleaned.data_set, "TEST", encoded=cleaned.encoded)
    except GatewayError:
        return None
    return b"".join(map(bytes, file.content()))


def both(content: bytes, transfer_syntax_uid: str) -> list[ParsedInstance | str]:
    """What is read of bytes that are held, and of the same where they lie elsewhere."""
    found: list[ParsedInstance | str] = []
    for source in (content, Section(content, 0, len(content))):
        try:
            found.append(parse(source, transfer_syntax_uid))
        except InstanceUnreadable as error:
            found.append(str(error))
    return found


def check(content: bytes, transfer_syntax_uid: str, profile: str) -> ParsedInstance | None:
    held, lying = both(content, transfer_syntax_uid)
    if isinstance(held, str) or isinstance(lying, str):
        assert held == lying
        return None
    assert content_digest(lying.header, b"", b"key", lying.aside) == content_digest(held.header, b"", b"key")
    assert stored(lying, profile) == stored(held, profile)
    return lying


@pytest.mark.parametrize("profile", ["default", "limited"])
@given(data=st.data(), implicit=st.booleans())
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_headers_of_any_shape_become_the_same(profile, data, implicit):
    content = encoded_header(data.draw(headers(implicit=implicit)), implicit=implicit)
    check(content, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian, profile)


def waveform() -> Dataset:
    source = ct_slice()
    item = Dataset()
    item.NumberOfWaveformChannels = 1
    item.WaveformData = bytes(range(250))
    item["WaveformData"].VR = "OW"
    source.WaveformSequence = Sequence([item, item])
    return source


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("transfer_syntax_uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_inside_sequences_come_back_to_their_places(transfer_syntax_uid, undefined):
    source = waveform()
    source["WaveformSequence"].is_undefined_length = undefined
    for item in source.WaveformSequence:
        item.is_undefined_length_sequence_item = undefined
    parsed = check(encode(source, transfer_syntax_uid), transfer_syntax_uid, "default")
    assert parsed is not None
    assert [long.source[:] for long in parsed.aside.values if long.tag == 0x54001010] == [bytes(range(250))] * 2
    assert bytes(range(250)) in (stored(parsed, "default") or b"")


def test_big_endian_is_condensed_as_well():
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = False, False
    source = waveform()
    source.SOPClassUID = RawDataStorage
    del source.PixelData
    write_dataset(buffer, source)
    parsed = check(buffer.getvalue(), ExplicitVRBigEndian, "default")
    assert parsed is not None
    assert parsed.aside


def test_the_patients_id_is_found_in_a_value_that_is_not_read():
    source = ct_slice()
    source.SOPClassUID = RawDataStorage
    source.add_new(0x00660016, "OF", b"\1\2\3\4" * 100 + b"..PAT-4711.." + b"\1\2\3\4" * 100)
    parsed = check(encode(source), ExplicitVRLittleEndian, "default")
    assert parsed is not None
    assert b"PAT-4711" not in (stored(parsed, "default") or b"PAT-4711")


def test_what_would_have_to_be_read_is_refused_by_name_unless_it_goes():
    source = ct_slice()
    source.add_new(0x00181000, "LO", "x" * (1 << 20))  # Device Serial Number goes
    source.add_new(0x00181030, "LO", "y" * (3 << 20))  # Protocol Name is cleaned
    whole = encode(source, ImplicitVRLittleEndian)
    parsed = parse(Section(whole, 0, len(whole)), ImplicitVRLittleEndian, header_limit=1 << 20)
    with pytest.raises(IdentityNotRemovable, match=r"\(0018,1030\) is too large to be looked into: 3 MiB"):
        raise_for(parsed)
    del source.ProtocolName
    whole = encode(source, ImplicitVRLittleEndian)
    assert stored(parse(Section(whole, 0, len(whole)), ImplicitVRLittleEndian, header_limit=1 << 20), "default")


def raise_for(parsed: ParsedInstance) -> None:
    deidentifier("default").clean(parsed.header, aside=parsed.aside)


def test_many_small_items_weigh_more_than_their_bytes():
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1000
    head = b"\x08\x00\x15\x11SQ\0\0" + len(items).to_bytes(4, "little")
    with pytest.raises(HeaderTooHeavy, match="more than 1 MiB of memory"):
        condense(head + items, EXPLICIT_LITTLE_ENDIAN, stop_at=(), held=1 << 20)


@pytest.mark.parametrize(
    "content",
    [b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff", b"\x08\x00\x15\x11XX\0\0", b"\x08\x00\x15\x11UT\0\0\0\1\0\0"],
    ids=["without an end", "no VR", "cut short"],
)
def test_what_is_out_of_the_ordinary_is_not_condensed(content):
    assert condense(content, Encoding(implicit_vr=False, little_endian=True), stop_at=()) is None
