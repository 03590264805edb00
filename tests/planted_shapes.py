"""Data sets of any shape, full of identity: what no IOD allows, but senders send.

Elements of every origin stand at every depth: attributes of the table, public ones that repeat the patient, private
blocks, unknown tags, overlays and curves, sequences encoded as UN, content items of every value type, and values whose
VR or character set is not the one expected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, dictionary_VR

from tests.planted_identity import FAMILY, GIVEN, IDENTIFIER, Encoder, own_text
from tests.planted_values import BYTE_VRS, TEXT_VRS, Tokens
from tests.standard_attributes import Fate, fate, table_rows

WIDE_NAME = "瓢箪^山"
"""The ideographic group of the patient's name: one part of two characters, one of one."""
VALUE_TYPES = (
    "TEXT", "PNAME", "DATE", "DATETIME", "UIDREF", "CODE", "NUM", "IMAGE", "COMPOSITE", "WAVEFORM", "CONTAINER",
)  # fmt: skip
CONCEPTS = (("121106", "DCM"), ("121029", "DCM"), ("121012", "DCM"), ("113795", "DCM"), ("F-1", "99LOCAL"))
"""Comment, Subject Name, Device Observer UID, Acquired Image, and one of nobody's."""
LEFT_ALONE = frozenset({0x00080005, 0x0040A040, 0x0040A043, 0x00420011, 0x00420012, 0x00280301})
"""They say how the rest is read, or have an object refused."""
SEQUENCES = tuple(
    sorted(
        tag
        for tag, (vr, *_rest) in DicomDictionary.items()
        if vr == "SQ" and 8 <= tag >> 16 < 0x5000 and tag != 0x0040A730 and tag not in LEFT_ALONE
    )
)
KEPT_TEXT = tuple(
    sorted(
        tag
        for tag, (vr, *_rest) in DicomDictionary.items()
        if vr in TEXT_VRS | BYTE_VRS
        and 8 <= tag >> 16 < 0x5000
        and tag & 0xFFFF
        and tag not in LEFT_ALONE
        and fate(tag, ()) is Fate.STAYS
    )
)
OWN_UIDS = (0x00080018, 0x0020000D, 0x0020000E)
TABLE_TAGS = tuple(
    sorted(
        tag
        for tag, row in table_rows().items()
        if 8 <= tag >> 16 < 0xFF00 and row["vr"] != "SQ" and tag not in {*LEFT_ALONE, *OWN_UIDS}
    )
)


@dataclass(frozen=True)
class Shape:
    """What stands on one level: choices that ``planted_level`` turns into elements."""

    attributes: tuple[int, ...]
    texts: tuple[int, ...]
    private: tuple[tuple[int, str], ...]
    unknown: tuple[tuple[int, str], ...]
    repeating: tuple[int, ...]
    content: tuple[tuple[str, int], ...]
    disguised: tuple[tuple[int, str], ...]
    codec: str
    nested: tuple[tuple[int, str, Shape], ...]


DISGUISES = ("LO", "UT", "UN", "OB", "PN", "ST", "SH", "CS", "OW")
"""VRs under which texts come that have another."""
CHARACTER_SETS = {
    "utf-8": b"ISO_IR 192",
    "gb18030": b"GB18030",
    "iso2022_jp": b"\\ISO 2022 IR 87",
    "latin-1": b"ISO_IR 100",
}
"""Codecs with their defined terms (PS3.3 C.12.1.1.2)."""
VRS = ("AE", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "OB", "OW", "PN", "SH", "ST", "TM", "UC", "UI", "UN", "UR", "UT")


def shapes(depth: int) -> st.SearchStrategy[Shape]:
    """Levels of at most so many levels below."""
    nested: st.SearchStrategy[tuple[tuple[int, str, Shape], ...]] = st.just(())
    if depth:
        within = st.tuples(
            st.one_of(st.sampled_from(SEQUENCES), st.just(0x00291040), st.just(0x00189FF0)),
            st.sampled_from(("SQ", "SQ undefined", "UN")),
            shapes(depth - 1),
        )
        nested = st.lists(within, max_size=3, unique_by=lambda one: one[0]).map(tuple)
    groups = st.sampled_from((0x0009, 0x0019, 0x0029, 0x0033, 0x7053))
    blocks = st.tuples(groups, st.integers(0x1001, 0x10FF)).map(lambda pair: pair[0] << 16 | pair[1])
    odd = st.tuples(st.sampled_from((0x0008, 0x0018, 0x0020, 0x0040)), st.integers(0x8100, 0x8FFF))
    levels = st.tuples(
        st.lists(st.sampled_from(TABLE_TAGS), max_size=6, unique=True).map(tuple),
        st.lists(st.sampled_from(KEPT_TEXT), max_size=6, unique=True).map(tuple),
        st.lists(st.tuples(blocks, st.sampled_from(VRS)), max_size=3).map(tuple),
        st.lists(st.tuples(odd.map(lambda pair: pair[0] << 16 | pair[1]), st.sampled_from(VRS)), max_size=2).map(
            lambda pairs: tuple(pair for pair in pairs if pair[0] not in DicomDictionary)
        ),
        st.lists(st.sampled_from((0x60003000, 0x60024000, 0x601E1500, 0x50003000, 0x501E2500)), max_size=2).map(tuple),
        st.lists(st.tuples(st.sampled_from(VALUE_TYPES), st.integers(0, len(CONCEPTS) - 1)), max_size=3).map(tuple),
        st.lists(st.tuples(st.sampled_from(KEPT_TEXT), st.sampled_from(DISGUISES)), max_size=4).map(tuple),
        st.sampled_from(("", "", "", *CHARACTER_SETS)),
        nested,
    )
    return levels.map(lambda parts: Shape(*parts))  # not ``builds``: printing what failed would take for ever


class ShapePlanter:
    """Turns shapes into elements.

    Parameters
    ----------
    codec : of the character set in force; the patient's name repeats in it
    options : columns of Table E.1-1 that the profile in question applies
    """

    def __init__(
        self, encoder: Encoder, tokens: Tokens, codec: str = "utf-8", options: frozenset[str] = frozenset()
    ) -> None:
        self._encoder = encoder
        self._tokens = tokens
        self._codec = codec
        self._options = options
        self._said = 0

    def level(self, shape: Shape, *, top: bool = False) -> dict[int, bytes]:
        """Encode one level and all below it; items may be in a character set of their own (PS3.5 7.5.3)."""
        if shape.codec and not top:
            inner = ShapePlanter(self._encoder, self._tokens, shape.codec, self._options)
            inner._said = self._said
            own = self._element(0x00080005, "CS", CHARACTER_SETS[shape.codec])
            return inner.level(dataclasses.replace(shape, codec="")) | {0x00080005: own}
        elements: dict[int, bytes] = {}
        for tag, vr in shape.disguised:
            elements[tag] = self._element(tag, vr, self._own(vr))
        for tag in shape.texts:
            elements[tag] = self._element(tag, self._vr(tag), self._own(self._vr(tag)))
        for tag in shape.attributes:
            self._token(elements, tag, self._vr(tag))
        for tag, vr in (*shape.private, *shape.unknown):
            self._token(elements, tag, vr)
        for tag, _vr in shape.private:
            creator = (tag >> 16) << 16 | 0x10
            elements.setdefault(creator, self._element(creator, "LO", b"ACME UNLISTED 1"))
        for tag in shape.repeating:
            self._token(elements, tag, "OW" if tag & 0xFFFF == 0x3000 else "LO")
        if shape.content:
            items = [self._item(value_type, CONCEPTS[number]) for value_type, number in shape.content]
            elements[0x0040A730] = self._encoder.sequence(0x0040A730, items)
        for tag, how, below in shape.nested:
            elements[tag] = self._nested(tag, how, below)
        return elements

    def _vr(self, tag: int) -> str:
        row = table_rows().get(tag)
        return (row["vr"] if row is not None else dictionary_VR(tag)).split(" or ")[0]

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self._encoder.element(tag, vr, value)

    def _token(self, elements: dict[int, bytes], tag: int, vr: str) -> None:
        value = self._tokens.value(vr, f"{tag:08X}")
        if value is not None and fate(tag, self._options) is Fate.GOES and vr not in ("TM", "AS", "IS", "DS", "CS"):
            elements[tag] = self._element(tag, vr, value)

    def _own(self, vr: str) -> bytes:
        self._said += 1
        if vr in BYTE_VRS:
            return b"\0\1" + (FAMILY if self._said % 2 else IDENTIFIER).encode(("utf-8", "utf-16-le")[self._said % 2])
        if vr == "CS":
            return own_text(self._said).upper().encode()
        texts = (own_text(self._said), WIDE_NAME.replace("^", " "), f"{GIVEN}/{WIDE_NAME.split('^', maxsplit=1)[0]}")
        try:
            return texts[self._said % 3 if vr not in ("AE", "UR") else 0].encode(self._codec)
        except UnicodeEncodeError:
            return texts[0].encode()

    def _nested(self, tag: int, how: str, below: Shape) -> bytes:
        if how == "UN" and not self._encoder.implicit:
            # PS3.5 6.2.2: what a UN holds is implicit VR little endian, whatever stands around it.
            inner = ShapePlanter(Encoder(implicit=True), self._tokens, self._codec, self._options)
            item = inner._encoder.data_set(inner.level(below))
            return self._element(tag, "UN", b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item)
        content = self._encoder.data_set(self.level(below))
        if how == "SQ undefined":
            return undefined_length_sequence(self._encoder, tag, [content])
        return self._encoder.sequence(tag, [content])

    def _item(self, value_type: str, concept: tuple[str, str]) -> bytes:
        e = self._encoder
        place = f"content item {value_type} {concept[0]}"
        elements = {
            0x0040A010: e.element(0x0040A010, "CS", b"CONTAINS"),
            0x0040A040: e.element(0x0040A040, "CS", value_type.encode()),
            0x0040A043: e.sequence(0x0040A043, [self._code(concept, own_text(self._said).encode())]),
        }
        values: dict[str, tuple[int, str]] = {
            "TEXT": (0x0040A160, "UT"),
            "PNAME": (0x0040A123, "PN"),
            "DATE": (0x0040A121, "DA"),
            "DATETIME": (0x0040A120, "DT"),
            "UIDREF": (0x0040A124, "UI"),
        }
        if value_type in values:
            tag, vr = values[value_type]
            elements[tag] = e.element(tag, vr, self._tokens.value(vr, place) or b"")
        elif value_type in ("IMAGE", "COMPOSITE", "WAVEFORM"):
            uid = e.element(0x00081155, "UI", self._tokens.value("UI", place) or b"")
            elements[0x00081199] = e.sequence(0x00081199, [uid])
        elif value_type == "CODE":
            elements[0x0040A168] = e.sequence(0x0040A168, [self._code(("X-1", "99LOCAL"), self._own("LO"))])
        elif value_type == "NUM":
            number = e.element(0x0040A30A, "DS", b"12.5")
            units = e.sequence(0x004008EA, [self._code(("mm", "UCUM"), self._own("LO"))])
            elements[0x0040A300] = e.sequence(0x0040A300, [units + number])
        else:
            elements[0x0040A730] = e.sequence(0x0040A730, [self._item("TEXT", concept), self._item("PNAME", concept)])
        return e.data_set(elements)

    def _code(self, code: tuple[str, str], meaning: bytes) -> bytes:
        values = ((0x00080100, "SH", code[0].encode()), (0x00080102, "SH", code[1].encode()))
        head = b"".join(self._encoder.element(tag, vr, value) for tag, vr, value in values)
        return head + self._encoder.element(0x00080104, "LO", meaning)


def undefined_length_sequence(encoder: Encoder, tag: int, items: Sequence[bytes]) -> bytes:
    """A sequence whose length, and whose items' lengths, are told by delimiters (PS3.5 7.5)."""
    little = "little" if encoder.little else "big"

    def head(group: int, element: int, length: int) -> bytes:
        return group.to_bytes(2, little) + element.to_bytes(2, little) + length.to_bytes(4, little)

    start = (tag >> 16).to_bytes(2, little) + (tag & 0xFFFF).to_bytes(2, little)
    start += b"" if encoder.implicit else b"SQ\0\0"
    body = b"".join(head(0xFFFE, 0xE000, 0xFFFFFFFF) + item + head(0xFFFE, 0xE00D, 0) for item in items)
    return start + b"\xff\xff\xff\xff" + body + head(0xFFFE, 0xE0DD, 0)
