"""No planted identity survives, in any byte, wherever it was planted."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.rules import Action
from tests.planted_identity import SOP_CLASSES, TABLE, Encoder, Planter, full_data_set, public_tags, table_rows

ENCODERS = {
    "explicit": Encoder(),
    "implicit": Encoder(implicit=True),
    "big endian": Encoder(little=False),
}
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default_profile():
    return load_profile(TABLE.parent, "default")


def encoded(data_set, encoder) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = encoder.implicit, encoder.little
    write_dataset(stream, data_set)
    return stream.getvalue()


def left_after(profile, planter, header) -> list[str]:
    cleaned = Deidentifier(profile, KEYS).clean(header)
    return planter.plantation.left_in(encoded(cleaned.data_set, planter.encoder))


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_no_token_survives_the_default_profile(default_profile, kind, encoding):
    planter = Planter(SOP_CLASSES[kind], ENCODERS[encoding])
    header = full_data_set(planter)
    assert len(planter.plantation.where) > 1500
    assert left_after(default_profile, planter, header) == []


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_no_token_survives_the_basic_profile(kind):
    planter = Planter(SOP_CLASSES[kind], Encoder(), kept=())
    header = full_data_set(planter)
    assert left_after(load_profile(TABLE.parent, "basic"), planter, header) == []


def test_a_converted_header_is_cleaned_as_well(default_profile):
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    header = full_data_set(planter, depths=(0,))
    for tag in list(header.keys()):
        if header.get_item(tag).VR in ("LO", "SH", "PN", "LT", "UI"):
            header[tag]  # pydicom converts an element when it is looked at
    assert left_after(default_profile, planter, header) == []


@pytest.mark.parametrize("keyword", ["StationName", "InstitutionName", "OperatorsName", "SeriesDescription"])
def test_a_broken_profile_is_found_out(default_profile, keyword):
    tag = default_profile.attributes.tag(keyword)
    broken = dataclasses.replace(default_profile, elements=default_profile.elements | {tag: Action.KEEP})
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    header = full_data_set(planter)
    left = left_after(broken, planter, header)
    assert left
    assert all(place.startswith(keyword) for place in left)


def test_a_profile_that_does_not_search_is_found_out(default_profile):
    tag = 0x00080070  # Manufacturer
    broken = dataclasses.replace(default_profile, elements=default_profile.elements | {tag: Action.KEEP})
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    assert left_after(broken, planter, full_data_set(planter)) != []


ROWS, PUBLIC = table_rows(), list(public_tags())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(SOP_CLASSES)),
    encoder=st.sampled_from(list(ENCODERS.values())),
    rows=st.lists(st.sampled_from(ROWS), max_size=12, unique_by=lambda row: row["tag"]),
    public=st.lists(st.sampled_from(PUBLIC), max_size=12, unique=True),
    depths=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
)
def test_no_token_survives_in_any_shape(default_profile, kind, encoder, rows, public, depths):
    planter = Planter(SOP_CLASSES[kind], encoder)
    elements: dict[int, bytes] = {}
    for depth in depths:
        here = planter.public_elements(public, depth) | planter.table_elements(rows, depth)
        here |= planter.other_elements(depth)
        elements |= planter.nested(here, depth) if depth else here
    header = planter.read(elements | planter.head())
    assert left_after(default_profile, planter, header) == []


def test_unknown_bytes_in_a_sequence_are_not_passed_on(default_profile):
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    token = planter.plantation.token("bytes where items should be")
    broken = planter.encoder.element(0x00081115, "SQ", token.encode())
    header = planter.read(planter.head() | {0x00081115: broken})
    assert left_after(default_profile, planter, header) == []


def test_a_sequence_encoded_as_unknown_is_cleaned_inside(default_profile):
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    inner = Encoder(implicit=True)  # PS3.5 6.2.2: the items of a UN are implicit VR little endian
    token = planter.plantation.token("UN with an encoded sequence").encode()
    item = inner.element(0x00080080, "LO", token)
    items = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    element = planter.encoder.element(0x00081115, "UN", items)
    header = planter.read(planter.head() | {0x00081115: element})
    cleaned = Deidentifier(default_profile, KEYS).clean(header)
    assert planter.plantation.left_in(encoded(cleaned.data_set, planter.encoder)) == []


def test_the_checker_reads_what_it_is_given():
    planter = Planter(SOP_CLASSES["CT"], Encoder())
    token = planter.plantation.token("here")
    assert planter.plantation.left_in(BytesIO(b"..." + token.lower().encode()).read()) == ["here"]
