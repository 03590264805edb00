"""The plain implementation, the pass over a header and the pass by memory say the same, byte for byte."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.pydicom_reading import read_leniently
from service.deident.cleaned import Cleaned
from service.deident.deidentifier import Deidentifier
from service.deident.encoded_header import encoded_header
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.raw_scan import scan
from service.deident.rules import Action
from service.deident.series_memory import LARGEST, VALUES_OF_AN_ELEMENT, Outcome, SeriesMemory, Slot
from tests.drawn_profiles import profiles
from tests.encoded_headers import REQUIRED, Element, Item, encode, headers
from tests.plain_deident.deidentifier import PlainDeidentifier
from tests.plain_deident.values import Refused

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
NAMES = ("basic", "default", "limited", "research-longitudinal", "strict")
PRIVATE = "research-longitudinal"
# What pydicom thinks of values that are odd on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@cache
def deidentifier(profile: str, use: str, directory: Path = PROFILES) -> Deidentifier:
    """One for each use, so that what is remembered comes from headers of this module alone."""
    return Deidentifier(load_profile(directory, profile), KEYS)


@cache
def plain(profile: str, directory: Path = PROFILES) -> PlainDeidentifier:
    return PlainDeidentifier(directory, profile, KEYS, load_profile(directory, profile).texts)


def header(content: bytes, *, implicit: bool) -> Dataset:
    found = scan(content, implicit_vr=implicit)
    assert found is not None
    return found[0]


def encoded(cleaned: Cleaned) -> bytes:
    implicit, little = cleaned.data_set.original_encoding
    return encoded_header(cleaned.data_set, implicit_vr=bool(implicit), little_endian=bool(little))


def whole(profile: str, content: bytes, *, implicit: bool, directory: Path = PROFILES) -> Cleaned | None:
    """By the pass over the whole header."""
    try:
        return deidentifier(profile, "whole", directory).clean(header(content, implicit=implicit), explain=True)
    except GatewayError:
        return None


def by_memory(profile: str, content: bytes, *, implicit: bool, directory: Path = PROFILES) -> Cleaned | None:
    try:
        return deidentifier(profile, "memory", directory).clean(header(content, implicit=implicit))
    except GatewayError:
        return None


def by_plain(profile: str, content: bytes, *, implicit: bool, directory: Path = PROFILES) -> bytes | None:
    try:
        return plain(profile, directory).clean(content, implicit=implicit)
    except Refused:
        return None


def agree(profile: str, content: bytes, *, implicit: bool, directory: Path = PROFILES) -> None:
    if scan(content, implicit_vr=implicit) is None:
        return  # pydicom reads it, and HeaderPass cleans it: there is nothing to compare
    expected = by_plain(profile, content, implicit=implicit, directory=directory)
    found = whole(profile, content, implicit=implicit, directory=directory)
    assert (None if found is None else encoded(found)) == expected
    for _ in range(2):  # not seen before, and seen before
        fast = by_memory(profile, content, implicit=implicit, directory=directory)
        assert (None if fast is None else encoded(fast)) == expected
        if fast is not None and found is not None:
            assert fast.encoded in (None, expected)
            assert (fast.elements_removed, fast.elements_replaced) == (found.elements_removed, found.elements_replaced)
            assert fast.patient_digest == found.patient_digest


@pytest.mark.parametrize("profile", NAMES)
@given(data=st.data(), implicit=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_all_three_say_the_same(profile, data, implicit):
    content = encode(data.draw(headers(implicit=implicit)), implicit=implicit)
    agree(profile, content, implicit=implicit)


@pytest.fixture(scope="module")
def drawn_profiles(tmp_path_factory):
    """A directory for profiles that nobody wrote, with the tables and lists beside them."""
    directory = tmp_path_factory.mktemp("config") / "profiles"
    shutil.copytree(PROFILES, directory)
    (directory.parent / "text").symlink_to(PROFILES.parent / "text")
    return directory


@given(data=st.data(), implicit=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_all_three_say_the_same_under_any_profile(drawn_profiles, data, implicit):
    profile = data.draw(profiles())
    name = f"drawn-{hashlib.sha256(profile.encode()).hexdigest()[:12]}"
    (drawn_profiles / f"{name}.toml").write_text(profile)
    for _ in range(3):
        content = encode(data.draw(headers(implicit=implicit)), implicit=implicit)
        agree(name, content, implicit=implicit, directory=drawn_profiles)


# -- what must not be looked up --------------------------------------------------------------------------------------


def with_elements(*more: Element, patient: bytes = b"Smith^John", implicit: bool = False) -> bytes:
    held = [Element(tag, "UI", value + b"\0" * (len(value) % 2)) for tag, value in REQUIRED.items()]
    held += [Element(0x00100010, "PN", patient), *more]
    return encode(Item(sorted(held, key=lambda element: element.tag)), implicit=implicit)


@pytest.mark.parametrize("first", [b"Smith^John", b"Doe^Jane  "])
def test_what_is_remembered_of_one_patient_does_not_serve_another(first):
    """The text names one of the two: it goes from that one's header alone, whoever came first."""
    use = f"patients, {first.decode()} first"
    comment = Element(0x00081090, "LO", b"Smith CT")
    second = {b"Smith^John": b"Doe^Jane  ", b"Doe^Jane  ": b"Smith^John"}[first]
    kept = {}
    for patient in (first, second, first, second):
        cleaned = deidentifier("basic", use).clean(header(with_elements(comment, patient=patient), implicit=False))
        assert cleaned.encoded is not None
        kept[patient] = b"Smith CT" in cleaned.encoded
    assert kept == {b"Smith^John": False, b"Doe^Jane  ": True}


IMAGE = Item([Element(0x00081155, "UI", b"1.2.3\0")])
IMAGES = Element(0x00081140, "SQ", items=[IMAGE], undefined=True)


def test_what_came_before_is_looked_up():
    content = with_elements(Element(0x00081090, "LO", b"Model 1 "), IMAGES)
    cleaner = Deidentifier(load_profile(PROFILES, "default"), KEYS)
    first, second = (cleaner.clean(header(content, implicit=False)) for _ in range(2))
    made = dict(first.data_set.items())
    assert len(made) > 8
    assert all(element is made[tag] for tag, element in second.data_set.items())


SEQUENCE = Element(0x0040A043, "SQ", items=[Item([Element(0x00080100, "SH", b"121029")])])
LEFT = {
    "a content item at the top": (Element(0x0040A040, "CS", b"PNAME "), SEQUENCE),
    "the meaning of a code at the top": (Element(0x00080104, "LO", b"Lung"),),
    "a label at the top": (Element(0x00620005, "LO", b"Lung"),),
}


@pytest.mark.parametrize("shape", LEFT)
def test_what_depends_on_other_elements_is_cleaned_as_a_whole(shape):
    content = with_elements(*LEFT[shape])
    cleaned = by_memory("default", content, implicit=False)
    expected = whole("default", content, implicit=False)
    assert cleaned is not None
    assert expected is not None
    assert cleaned.encoded is None
    assert encoded(cleaned) == encoded(expected)


GROUPS = {
    "a private block": (Element(0x00190010, "LO", b"GEMS_ACQU_01"), Element(0x00191023, "DS", b"1.5 ")),
    "a block of nobody": (Element(0x00190010, "LO", b"Planted"), Element(0x00191023, "DS", b"1.5 ")),
    "an overlay": (Element(0x60000100, "US", b"\1\0"), Element(0x60003000, "OW", b"\1\0")),
}


@pytest.mark.parametrize("shape", GROUPS)
def test_a_group_whose_elements_depend_on_each_other_is_looked_up_together(shape):
    content = with_elements(*GROUPS[shape])
    expected = whole(PRIVATE, content, implicit=False)
    assert expected is not None
    for _ in range(2):
        cleaned = by_memory(PRIVATE, content, implicit=False)
        assert cleaned is not None
        assert cleaned.encoded == encoded(expected)
        assert (cleaned.elements_removed, cleaned.elements_replaced) == (
            expected.elements_removed,
            expected.elements_replaced,
        )


def test_a_private_element_does_not_outlive_its_creator():
    value = Element(0x00191023, "DS", b"1.5 ")
    kept = {}
    for creator in (b"GEMS_ACQU_01", b"Planted ", b"GEMS_ACQU_01"):
        content = with_elements(Element(0x00190010, "LO", creator), value)
        cleaned = by_memory(PRIVATE, content, implicit=False)
        assert cleaned is not None
        kept[creator] = 0x00191023 in cleaned.data_set
    assert kept == {b"GEMS_ACQU_01": True, b"Planted ": False}


def test_big_endian_and_converted_headers_are_cleaned_as_a_whole():
    cleaner = deidentifier("default", "odd")
    converted = header(with_elements(), implicit=False)
    assert converted.PatientName == "Smith^John"
    big = Dataset()
    big.SOPClassUID, big.SOPInstanceUID, big.StudyInstanceUID, big.SeriesInstanceUID = "1.2", "1.3", "1.4", "1.5"
    big.set_original_encoding(False, False, "iso8859")
    for odd in (converted, big):
        assert cleaner.clean(odd).encoded is None


@pytest.mark.parametrize("length", [1, 2000])
def test_what_is_remembered_stays_within_bounds(length):
    memory = SeriesMemory()
    slots = [memory.add(Slot(0x00190000 + number, "LO", Action.SEARCH)) for number in range(200)]
    for number in range(5000):
        slot = slots[number % len(slots)]
        value = number.to_bytes(4, "big") * length
        memory.remember(
            slot, value, Outcome(value, RawDataElement(slot.tag, "LO", len(value), value, 0, False, True), 0, 0)
        )
    held = [outcome for slot in memory.slots.values() for outcome in slot.known.values()]
    assert sum(len(outcome.encoded) for outcome in held) <= LARGEST
    assert all(len(slot.known) <= VALUES_OF_AN_ELEMENT for slot in memory.slots.values())
