"""Encoded headers of every shape, drawn by hypothesis: all VRs, nested, private, unknown, with odd values."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

UNDEFINED = 0xFFFFFFFF
LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
TEXT_VRS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4, "OW": 2, "OF": 4, "OD": 8}
CLASSES = (
    *("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4.5"),
    *("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.11.1"),
)
REQUIRED = {0x00080016: b"1.2.840.10008.5.1.4.1.1.2", 0x00080018: b"1.2.3.4", 0x0020000D: b"1.2.3", 0x0020000E: b"1.2"}
OUTSIDE = {0x00080005, *REQUIRED, 0x00420011}
"""Drawn apart, or refused by their values."""
PUBLIC = sorted(tag for tag in DicomDictionary if 0x0008 <= tag >> 16 < 0x7FE0 and tag & 0xFFFF and tag not in OUTSIDE)
FREQUENT = (
    *(0x00080008, 0x00080012, 0x00080020, 0x00080030, 0x00080050, 0x00080060, 0x00080070, 0x00080080, 0x00080090),
    *(
        0x00081030,
        0x0008103E,
        0x00081090,
        0x00081110,
        0x00081115,
        0x00081140,
        0x00081199,
        0x00082111,
        0x00082218,
        0x00100010,
    ),
    *(0x00100020, 0x00100030, 0x00100040, 0x00101002, 0x00101010, 0x00104000, 0x00120064, 0x00180015, 0x00181000),
    *(
        0x0018A001,
        0x00200052,
        0x00280010,
        0x00280103,
        0x00400275,
        0x00400555,
        0x00620002,
        0x00080201,
        0x00181030,
        0x00620020,
    ),
)
INSIDE = (
    *(0x0040A040, 0x0040A043, 0x0040A160, 0x0040A730, 0x0040A123, 0x0040A168, 0x00080100, 0x00080102, 0x00080104),
    *(0x00080100, 0x00080102, 0x00080104, 0x00081155, 0x00081150, 0x00620005, 0x0062000F, 0x00620003),
)
"""In items more than at the top."""
TEXTS = (
    *(b"", b" ", b"Smith^John", b"smith", b"J. Smith, 61", b"PAT-0012345", b"12345", b"Thorax", b"CT", b"ORIGINAL"),
    *(b"1.2.840.113619.2.5.1.2.3.4", b"20240317", b"17.03.2024", b"A\\B", b"Smith\\CT", b"M\xfcller", b"\xff\xfe"),
    *(b"101500", b"0012345\\1"),
    *(b"Cornerstone3DTools@^0.1.0:Length:Nodule 1", b"Cornerstone3DTools@^0.1.0:Length:left Smith^John"),
    *(
        b"Cornerstone3DTools@^0.1.0:Length:M\xfcller",
        b"Cornerstone3DTools@^0.1.0:Length:",
        b"cornerstoneTools@^4.0.0:Smith",
    ),
    *(b"\x1b$B\x1b(B", b"lesion 3", b"a\0", b"YES", b"113100", b"DCM", b"application/pdf", b"x" * 70),
)
CHARACTER_SETS = (b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87 ", b"", b"NO SUCH SET ")
BY_VR = {
    "UI": (b"1.2.3", b"1.2.3\0", b"1.2.840.10008.1.2", b"", b"1.2\\1.3", b"Smith", b"1.2.840.113619.6.1"),
    "DA": (b"20240317", b"19610502", b"2024.03.17", b"", b"20240317\\20240318", b"Smith", b"20241399", b"00010101"),
    "DT": (b"20240317101500.5+0100", b"2024", b"202403", b"", b"Smith"),
    "TM": (b"101500", b"10:15:00", b"", b"101500.123456", b"Smith"),
    "AS": (b"064Y", b"089Y", b"095Y", b"101Y", b"42", b"", b"Smith", b"999M"),
    "DS": (b"1.5", b"1.5\\2", b"", b"Smith", b"0012345", b"-1e5 "),
    "IS": (b"1", b"12345", b"0012345", b"", b"1.5", b"Smith"),
}

BY_TAG = {
    0x0040A040: (b"TEXT", b"PNAME ", b"DATE", b"CODE", b"NUM ", b"UIDREF", b"IMAGE ", b"CONTAINER "),
    0x00620020: TEXTS,
    0x00080100: (b"121029", b"121033", b"112039", b"121008", b"113011", b"T-28000 ", b"Smith"),
    0x00080102: (b"DCM ", b"SCT ", b"99LOCAL ", b"SRT ", b"Smith"),
    0x00080104: (b"Subject Name", b"Thorax", b"Smith ", b"Lung"),
    0x00280301: (b"NO",),
    0x00120062: (b"YES ", b"NO"),
}
"""What decides about other elements of the same data set has to mean something now and then."""
CREATORS = {
    0x0019: (b"GEMS_ACQU_01", b"SIEMENS MR HEADER ", b"Smith "),
    0x0119: (b"SIEMENS Ultrasound SC2000 ",),
    0x2001: (b"Philips Imaging DD 001", b"Philips Imaging DD 002", b"Philips Imaging DD 097"),
    0x7FD1: (b"SIEMENS Ultrasound SC2000 ",),
    0x0029: (b"SIEMENS CSA HEADER",),
    0x0009: (b"Smith ",),
}
"""Private blocks of which Table E.3.10-1 names elements, and some of which it names none."""
PLACES = {
    0x0019: {0x0C: "IS", 0x0D: "CS", 0x0E: "FD", 0x23: "DS", 0x9E: "LO", 0x55: "LO"},
    0x0119: {0x00: "LO", 0x01: "OB", 0x02: "SQ", 0x03: "SQ", 0x05: "UL", 0x11: "UN"},
    0x2001: {
        0x01: "FL",
        0x02: "IS",
        0x04: "CS",
        0x50: "LO",
        0x58: "UL",
        0x5A: "ST",
        0x5F: "SQ",
        0x7D: "OW",
        0x0D: "FD",
    },
    0x7FD1: {0x01: "OB", 0x09: "UI"},
    0x0029: {0x10: "OB", 0x20: "LO"},
    0x0009: {0x01: "LO", 0xFF: "UN"},
}
"""VRs by their low bytes."""
ENCODED_ITEM = b"\xfe\xff\0\xe0\x10\0\0\0\x10\0\x10\0\x08\0\0\0Smith^J "
"""An item in implicit VR, as it stands in an element of which nobody knew that it is a sequence (PS3.5 6.2.2)."""
BY_VR |= {"UN": (*TEXTS, ENCODED_ITEM, ENCODED_ITEM[:-3]), "OB": (*TEXTS, ENCODED_ITEM, b"\0\1\2\3")}


@dataclass(slots=True)
class Item:
    """One item of a sequence, or the whole data set."""

    elements: list[Element] = field(default_factory=list)
    undefined: bool = False


@dataclass(slots=True)
class Element:
    """One element: a value, or items."""

    tag: int
    vr: str
    value: bytes = b""
    items: list[Item] | None = None
    undefined: bool = False


def encode(item: Item, *, implicit: bool) -> bytes:
    """Encode a data set, little endian, as it is told to (PS3.5 7.1)."""
    return b"".join(_encode(element, implicit=implicit) for element in item.elements)


def _encode(element: Element, *, implicit: bool) -> bytes:
    value = element.value
    if element.items is not None:
        value = b"".join(_encode_item(item, implicit=implicit) for item in element.items)
        if element.undefined:
            value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    length = UNDEFINED if element.undefined else len(value)
    head = struct.pack("<HH", element.tag >> 16, element.tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", length) + value
    if element.vr in LONG_VRS:
        return head + element.vr.encode() + struct.pack("<HI", 0, length) + value
    return head + element.vr.encode() + struct.pack("<H", length) + value


def _encode_item(item: Item, *, implicit: bool) -> bytes:
    content = encode(item, implicit=implicit)
    if item.undefined:
        return struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED) + content + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def dictionary_vr(tag: int) -> str:
    """Return the VR of the standard, the first where it has several; of private elements what their vendor says."""
    if tag >> 16 & 1:
        return "LO" if tag & 0xFFFF < 0x100 else PLACES.get(tag >> 16, {}).get(tag & 0xFF, "UN")
    return str(DicomDictionary[tag][0]).split(" or ")[0] if tag in DicomDictionary else "UN"


PRIVATE = (
    *(group << 16 | 0x1000 | place for group, known in PLACES.items() for place in known),
    *(0x00191100, 0x00190011, 0x00190001, 0x50011001),
)
"""Places of a first block, one of a second, its creator alone, and what is of no block."""


@st.composite
def tags(draw: st.DrawFn, depth: int) -> int:
    """Draw public tags that headers have, any that there are, private and unknown ones."""
    kind = draw(st.integers(0, 9))
    if kind < 3 and depth:
        return draw(st.sampled_from(INSIDE))
    if kind < 5:
        return draw(st.sampled_from(FREQUENT))
    if kind < 8:
        return draw(st.sampled_from(PUBLIC))
    if kind == 8:
        return draw(st.sampled_from(PRIVATE))
    strange = [0x00080FFF, 0x0010FFF1, 0x60000010, 0x60003000, 0x60000102, 0x50003000, 0x7F000010]
    return draw(st.sampled_from([*strange, 0x7FE00010] if depth else strange))  # pixels of an item


@st.composite
def elements(draw: st.DrawFn, tag: int, depth: int, *, implicit: bool) -> Element:
    """Draw an element, mostly in the VR that the standard gives it."""
    vr = dictionary_vr(tag)
    if not implicit and draw(st.integers(0, 11)) == 0:
        vr = draw(st.sampled_from([*TEXT_VRS, *BY_VR, *WIDTHS, "OB", "UN", "SQ"]))
    if vr == "SQ":
        if draw(st.integers(0, 15)) == 0:
            return Element(tag, vr, draw(st.binary(max_size=12)))
        inside = [] if depth >= 3 else draw(st.lists(data_sets(depth=depth + 1, implicit=implicit), max_size=2))
        return Element(tag, vr, b"", inside, undefined=draw(st.booleans()))
    if tag >> 16 in CREATORS and tag & 0xFFFF < 0x100:
        return Element(tag, vr, draw(st.sampled_from(CREATORS[tag >> 16])))
    if tag in BY_TAG and draw(st.integers(0, 3)):
        return Element(tag, vr, draw(st.sampled_from(BY_TAG[tag])))
    return Element(tag, vr, draw(values(vr)))


@st.composite
def values(draw: st.DrawFn, vr: str) -> bytes:
    """Draw a value: one that fits the VR, or anything."""
    if vr in WIDTHS and not draw(st.integers(0, 7)):
        return b"PAT-0012345 "  # text where numbers belong
    if vr in WIDTHS:
        return draw(st.binary(min_size=WIDTHS[vr], max_size=WIDTHS[vr])) * draw(st.integers(0, 2))
    value = draw(st.sampled_from(BY_VR.get(vr, TEXTS)) | st.binary(max_size=9))
    if len(value) % 2 and draw(st.integers(0, 7)):
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return value


@st.composite
def data_sets(draw: st.DrawFn, *, depth: int = 0, implicit: bool, most: int = 6) -> Item:
    """Draw a data set with its tags in order."""
    found = draw(st.sets(tags(depth), max_size=most))
    if draw(st.integers(0, 7)):
        found |= {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in found if tag >> 16 & 1 and tag & 0xFFFF >= 0x1000}
    drawn = [draw(elements(tag, depth, implicit=implicit)) for tag in sorted(found)]
    return Item(drawn, undefined=draw(st.booleans()))


@st.composite
def headers(draw: st.DrawFn, *, implicit: bool) -> Item:
    """Draw a header with the UIDs that every object has, now and then with a character set."""
    item = draw(data_sets(implicit=implicit, most=12))
    held = {element.tag: element for element in item.elements}
    for tag, value in REQUIRED.items():
        held[tag] = Element(tag, "UI", value + b"\0" * (len(value) % 2))
    held[0x00080016].value = draw(st.sampled_from(CLASSES)).encode()
    held[0x00080016].value += b"\0" * (len(held[0x00080016].value) % 2)
    terms = draw(st.none() | st.sampled_from(CHARACTER_SETS))
    if terms is not None:
        held[0x00080005] = Element(0x00080005, "CS", terms)
    return Item([held[tag] for tag in sorted(held)])
