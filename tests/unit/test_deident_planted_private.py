"""Of private elements those that the standard calls safe stay, and nothing else; what stays repeats no patient."""

from __future__ import annotations

import csv
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from tests.bad_objects import HEAD
from tests.planted_files import own_values_in
from tests.planted_identity import FAMILY, IDENTIFIER, Encoder, own_text
from tests.planted_objects import value_at
from tests.planted_values import BYTE_VRS, PLAIN, TEXT_VRS, Tokens
from tests.standard_attributes import TABLE

ENCODER = Encoder()
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
LIST = TABLE.parent / "safe-private-standard.csv"
"""PS3.15 Table E.3.10-1, read as a table."""
PROFILE = "research-longitudinal"
MOVED = ("DA", "DT", "UI", "TM", "SQ", "PN", "AS", "UR")
"""VRs whose values do not stay as they are, private or not."""


def safe_elements() -> dict[tuple[int, str], dict[int, str]]:
    """VRs by place in the block, by group and creator."""
    found: dict[tuple[int, str], dict[int, str]] = defaultdict(dict)
    with LIST.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            found[(int(row["group"], 16), row["creator"])][int(row["element"], 16)] = row["vr"]
    return found


SAFE = safe_elements()
CREATORS = sorted(SAFE)


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def cleaner():
    return Deidentifier(load_profile(TABLE.parent, PROFILE), KEYS)


def cleaned(cleaner, elements: dict[int, bytes]) -> bytes:
    head = {tag: ENCODER.element(tag, vr, value) for tag, (vr, value) in HEAD.items()}
    header = ENCODER.read(ENCODER.data_set(elements | head))
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, cleaner.clean(header).data_set)
    return stream.getvalue()


def block(group: int, creator: str, number: int, values: dict[int, tuple[str, bytes]]) -> dict[int, bytes]:
    """A block of private elements and what reserves it (PS3.5 7.8.1)."""
    reserved = group << 16 | number
    made = {reserved: ENCODER.element(reserved, "LO", creator.encode())}
    for place, (vr, value) in values.items():
        tag = group << 16 | number << 8 | place
        made[tag] = ENCODER.element(tag, vr, value)
    return made


def plain_block(group: int, creator: str) -> dict[int, tuple[str, bytes]]:
    known = SAFE[(group, creator)]
    return {place: (vr, PLAIN[vr]) for place, vr in known.items() if vr in PLAIN and vr not in MOVED}


def tokens_beside(group: int, creator: str, tokens: Tokens) -> dict[int, tuple[str, bytes]]:
    """A token in each place of the block that the list does not name."""
    places = [place for place in range(0x100) if place not in SAFE[(group, creator)]]
    return {place: ("LO", tokens.value("LO", f"{creator} {place:02X}") or b"") for place in places[::5]}


@pytest.mark.parametrize(("group", "creator"), CREATORS)
def test_only_safe_elements_of_a_block_stay(cleaner, group, creator):
    tokens = Tokens()
    values = plain_block(group, creator)
    content = cleaned(cleaner, block(group, creator, 0x42, values | tokens_beside(group, creator, tokens)))
    assert tokens.left_in(content) == []
    after = ENCODER.read(content)
    for place, (_vr, value) in values.items():
        found = value_at(after, (group << 16 | 0x4200 | place,))
        assert found is not None, f"{place:02X}"
        assert found.rstrip(b" \0") == value.rstrip(b" \0"), f"{place:02X}"


@pytest.mark.parametrize(("group", "creator"), CREATORS)
def test_no_safe_element_repeats_the_patient(cleaner, group, creator):
    values = {}
    for number, (place, vr) in enumerate(SAFE[(group, creator)].items()):
        if vr in BYTE_VRS:
            values[place] = (vr, b"\1\2" + (FAMILY, IDENTIFIER)[number % 2].encode(("ascii", "utf-16-le")[number % 2]))
        elif vr in TEXT_VRS | {"PN", "UR", "DS", "IS"}:
            values[place] = (vr, own_text(number).encode())
        values[place ^ 0x80] = ("LO", own_text(number).encode())
    assert own_values_in(cleaned(cleaner, block(group, creator, 0x10, values))) == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    whose=st.sampled_from(CREATORS),
    how=st.sampled_from(["no creator", "another creator", "another block", "another group", "padded", "other case"]),
    number=st.integers(0x10, 0xFF),
)
def test_no_block_passes_for_another(cleaner, whose, how, number):
    group, creator = whose
    tokens = Tokens()
    made = block(group, creator, number, {p: ("LO", tokens.value("LO", f"{p:02X}") or b"") for p in SAFE[whose]})
    reserved = group << 16 | number
    names = {"another creator": "ACME UNLISTED 1", "padded": f" {creator}_", "other case": creator.swapcase() + "x"}
    if how == "no creator":
        del made[reserved]
    elif how == "another block":
        del made[reserved]
        beside = group << 16 | (number + 1 if number < 0xFF else 0x10)
        made[beside] = ENCODER.element(beside, "LO", creator.encode())
    elif how == "another group":
        other = 0x0F01
        moved = {other << 16 | (tag & 0xFFFF): tag for tag in made}
        made = {tag: tag.to_bytes(4, "big")[1::-1] + made[old][2:] for tag, old in moved.items()}
    else:
        made[reserved] = ENCODER.element(reserved, "LO", names[how].encode())
    assert tokens.left_in(cleaned(cleaner, made)) == []


def test_the_list_is_not_empty():
    assert len(CREATORS) > 20
    assert sum(len(plain_block(*whose)) for whose in CREATORS) > 100
