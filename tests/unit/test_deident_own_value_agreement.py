"""The search for a patient's own values, and a plain one made apart from it, find the same in the same places."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from service.core.pydicom_reading import read_leniently
from service.deident.element_values import Encoding
from service.deident.own_values import OwnValues
from tests.plain_deident.identity import said_in
from tests.plain_deident.own_terms import PlainTerms
from tests.plain_deident.own_values import PlainOwnValues
from tests.plain_deident.reading import Level, read_header

PARTS = (
    "Doe",
    "Jane",
    "Wu",
    "Li",
    "van",
    "der",
    "Müller",
    "Groß",
    "O'Neil",
    "D.",
    "Æsir",
    "山田",
    "太郎",
    "やまだ",
    "Van-Berg",
)
NUMBERS = ("0012345", "PAT-0012345", "4711", "AB 12-34", "815", "0", "1.2.3", "x", "٣٤٥٦٧")
DATES = ("19610502", "20240317", "00010101", "1961", "")
SEPARATORS = (" ", "", "-", "_", ".", ", ", "^", "0", "x", "X", "\n", "\u0301", " de ")
MORE = (
    "02.05.1961",
    "2 May 61",
    "5/2/1961",
    "03 - 17 - 2024",
    "1.2.840.1.2.3.4",
    "CT",
    "Thorax",
    "JaneD",
    "DOE",
    "jd",
    "12",
    "345",
)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Draw a name of several parts, components and groups."""
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4))
    marks = draw(st.lists(st.sampled_from(("^", " ", "=", "-", "^^")), min_size=len(parts), max_size=len(parts)))
    return "".join(mark + part for mark, part in zip(marks, parts, strict=True))[1:]


@st.composite
def texts(draw: st.DrawFn, said: str) -> str:
    """Draw a text of what a header says, in pieces, cases and separators of its own."""
    pieces = st.sampled_from([*said.replace("=", "^").split("^"), said, *PARTS, *NUMBERS, *MORE])
    drawn = draw(st.lists(st.tuples(pieces, st.sampled_from(SEPARATORS), st.sampled_from("ulcs")), max_size=6))
    cases = {"u": str.upper, "l": str.lower, "c": str.title, "s": str}
    return "".join(cases[case](piece) + separator for piece, separator, case in drawn)


def header_of(values: dict[str, str]) -> bytes:
    """Encode texts in UTF-8, implicit VR little endian."""
    tags = {0x00080005: b"ISO_IR 192"} | {tag_for_keyword(key): value.encode() for key, value in values.items()}
    return b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in sorted(tags.items())
    )


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_both_find_the_same(data):
    values = {
        "PatientName": data.draw(names()),
        "ReferringPhysicianName": data.draw(names()),
        "PatientID": data.draw(st.sampled_from(NUMBERS)),
        "StudyID": data.draw(st.sampled_from(NUMBERS)),
        "PatientBirthDate": data.draw(st.sampled_from(DATES)),
    }
    content = header_of(values)
    said = said_in(read_header(content, implicit=True), Level(("utf8",), implicit=True))
    assert said is not None
    plain = PlainOwnValues(PlainTerms.of(said))
    own = OwnValues.of(read_header(content, implicit=True), Encoding(True, True, ("utf8",)))
    for _ in range(3):
        text = data.draw(texts(data.draw(st.sampled_from(list(values.values())))))
        for coded in (False, True):
            assert own.found_in([text], coded=coded) == plain.found_in([text], coded=coded)
        assert own.spans_in(text) == plain.spans_in(text)
        encoded = text.encode(data.draw(st.sampled_from(["utf-8", "utf-16-le"])))
        assert own.found_in_bytes(encoded) == plain.found_in_bytes(encoded)
        assert own.has_identifier(encoded) == plain.has_identifier(encoded)
