"""Whole objects of a SOP class in which every attribute that the standard allows is there, and full of identity.

Two kinds are made of each. In one, whatever must go holds a token, and whatever may stay a plain value, which is then
held against what came out. In the other, whatever may stay repeats who the patient is, each time in another way.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.planted_identity import FAMILY, GIVEN, IDENTIFIER, Encoder, own_text
from tests.planted_values import BYTE_VRS, PLAIN, TEXT_VRS, Tokens
from tests.standard_attributes import Attribute, Fate, attributes_of, fate, goes_whole

CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
ISSUER = 0x00100021
STAMPED = frozenset({0x00120062, 0x00120063, 0x00120064, 0x0018A001, 0x00280301, 0x00280302, 0x00280303})
"""What a de-identified object says about its cleaning (PS3.15 E.3); it is written anew."""
GIVEN_VALUES = {
    0x00080005: ("CS", b"ISO_IR 192"),
    0x00100010: ("PN", f"{FAMILY}^{GIVEN}".encode()),
    0x00100020: ("LO", IDENTIFIER.encode()),
    0x00280002: ("US", 1),
    0x00280004: ("CS", b"MONOCHROME2"),
    0x00280008: ("IS", b"1"),
    0x00280010: ("US", 2),
    0x00280011: ("US", 2),
    0x00280100: ("US", 8),
    0x00280101: ("US", 8),
    0x00280102: ("US", 7),
    0x00280103: ("US", 0),
    0x00280301: ("CS", b"NO"),
    0x00420012: ("LO", b"application/pdf"),
}
"""At the top of every object: what must be true for the object to be read at all."""
SEARCHED = TEXT_VRS - {"CS"} | {"UR"}
LIST_OF_MIME_TYPES = 0x00420014
CODE_MEANING = 0x00080104
PERSON_CODES = frozenset({0x00401101, 0x0040A088})
"""Person Identification Code Sequence, Verifying Observer Identification Code Sequence."""
LEFT_OUT = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010, 0x00287FE0, 0x00420015, 0x0040A040, 0x00080008})
"""Pixels have tests of their own; the rest says how its neighbours are to be read."""


@dataclass(frozen=True)
class Leaf:
    """An element that is no sequence: where it is, as (tag, item) steps, and what was planted there."""

    path: tuple[int, ...]
    vr: str
    value: bytes
    fate: Fate


@dataclass
class PlantedObject:
    """An object, and what must become of each of its elements."""

    data_set: bytes
    tokens: Tokens
    leaves: list[Leaf] = field(default_factory=list)

    def staying(self) -> Iterator[Leaf]:
        """What must come out as it went in."""
        return (leaf for leaf in self.leaves if leaf.fate is Fate.STAYS)

    def going(self) -> Iterator[Leaf]:
        """What must not come out as it went in."""
        return (leaf for leaf in self.leaves if leaf.fate is Fate.GOES)


class ObjectPlanter:
    """Makes objects of one SOP class.

    Parameters
    ----------
    options : columns of Table E.1-1 that the profile in question applies
    to_the_letter : whether the profile takes away also what the table leaves to it: references and other texts
    repeat_patient : whether what may stay repeats the patient's own values
    depth : how deep sequences are filled
    number : tells the UIDs of several objects apart
    study_uid : of the study that they belong to
    """

    def __init__(
        self,
        sop_class_uid: str,
        encoder: Encoder,
        options: Collection[str],
        tokens: Tokens,
        *,
        to_the_letter: bool = False,
        repeat_patient: bool = False,
        depth: int = 3,
        number: int = 1,
        study_uid: str = "1.2.826.0.1.3680043.77.8.1",
    ) -> None:
        self._sop_class_uid = sop_class_uid
        self._encoder = encoder
        self._options = frozenset(options)
        self._tokens = tokens
        self._to_the_letter = to_the_letter
        self._repeats = repeat_patient
        self._depth = depth
        self._number = number
        self._study_uid = study_uid
        self._leaves: list[Leaf] = []
        self._said = 0

    def make(self) -> PlantedObject:
        """Return an object in which every attribute is there once."""
        top = attributes_of(self._sop_class_uid, self._depth)
        elements = self._level(top, (), in_doubt=False) | self._head()
        return PlantedObject(self._encoder.data_set(elements), self._tokens, self._leaves)

    def _head(self) -> dict[int, bytes]:
        root = f"1.2.826.0.1.3680043.77.9{self._number:03d}"
        values: dict[int, tuple[str, bytes | int]] = {
            SOP_CLASS: ("UI", self._sop_class_uid.encode()),
            SOP_INSTANCE: ("UI", f"{root}.3".encode()),
            SERIES: ("UI", f"{root}.2".encode()),
            ISSUER: ("LO", self._tokens.issuer()),
            STUDY: ("UI", self._study_uid.encode()),
            **GIVEN_VALUES,
        }
        order = self._encoder.order
        return {
            tag: self._encoder.element(tag, vr, struct.pack(f"{order}H", value) if isinstance(value, int) else value)
            for tag, (vr, value) in values.items()
        }

    def _level(self, attributes: dict[int, Attribute], path: tuple[int, ...], *, in_doubt: bool) -> dict[int, bytes]:
        """Encode one level.

        Parameters
        ----------
        in_doubt : the sequence around it may go whole, so that nothing is sure to stay
        """
        elements = {}
        for tag, attribute in attributes.items():
            given = not path and tag in GIVEN_VALUES
            if (
                tag in LEFT_OUT
                or given
                or (not path and tag in STAMPED | {SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, ISSUER})
            ):
                continue
            here = (*path, tag)
            if attribute.vr == "SQ":
                elements[tag] = self._sequence(attribute, here, in_doubt=in_doubt)
            elif tag != CHARACTER_SET:
                value = self._value(attribute, here, in_doubt=in_doubt)
                if value is not None:
                    elements[tag] = self._encoder.element(tag, attribute.vr, value)
        return elements

    def _sequence(self, attribute: Attribute, path: tuple[int, ...], *, in_doubt: bool) -> bytes:
        tag = path[-1]
        in_doubt = in_doubt or goes_whole(tag, self._options, to_the_letter=self._to_the_letter)
        in_doubt = in_doubt or (len(path) == 1 and tag in STAMPED)
        content = self._level(attribute.items, path, in_doubt=in_doubt)
        return self._encoder.sequence(tag, [self._encoder.data_set(content)] if content else [])

    def _value(self, attribute: Attribute, path: tuple[int, ...], *, in_doubt: bool) -> bytes | None:
        tag, vr = path[-1], attribute.vr
        what = Fate.GOES if _names_a_person(path) else fate(tag, self._options)
        if what is Fate.GOES:
            value = self._tokens.value(vr, ".".join(Tag(step).json_key for step in path) + f" {attribute.keyword}")
            if value is None:
                return None
        elif self._repeats and what is Fate.STAYS and vr in TEXT_VRS | BYTE_VRS:
            value = self._own_value(vr)
        else:
            value = self._plain(tag, vr)
            if in_doubt or (self._to_the_letter and vr in SEARCHED):
                what = Fate.OPEN
        self._leaves.append(Leaf(path, vr, value, what))
        return value

    def _own_value(self, vr: str) -> bytes:
        self._said += 1
        if vr in BYTE_VRS:
            text = (FAMILY, IDENTIFIER, GIVEN.upper())[self._said % 3]
            return b"\x01\x02" + text.encode(("ascii", "utf-16-le", "utf-16-be")[self._said // 3 % 3]) + b"\0\0"
        text = own_text(self._said)
        return text.upper().encode() if vr == "CS" else text.encode()

    def _plain(self, tag: int, vr: str) -> bytes:
        value = PLAIN[vr] if tag != LIST_OF_MIME_TYPES else b"application/pdf"
        # Numbers are one value each; turned round they are the same number in big endian.
        return value if self._encoder.little or vr in TEXT_VRS or len(value) > 8 else self._turned(vr, value)

    def _turned(self, vr: str, value: bytes) -> bytes:
        if vr == "AT":
            return b"\x00\x08\x00\x60"
        return value[::-1] if vr in ("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV") else value


def _names_a_person(path: tuple[int, ...]) -> bool:
    """Whether an element is the meaning of a code that stands for a person: the name (PS3.3 Table 10-1)."""
    return path[-1] == CODE_MEANING and any(step in PERSON_CODES for step in path)


def value_at(data_set: Dataset, path: tuple[int, ...]) -> bytes | None:
    """The encoded value of an element, each sequence on the way with one item; None where it is no longer there."""
    for tag in path[:-1]:
        if tag not in data_set:
            return None
        element = data_set[tag]
        if element.VR != "SQ" or not element.value:
            return None
        data_set = element.value[0]
    element = data_set.get_item(path[-1]) if path[-1] in data_set else None
    if element is None:
        return None
    return element.value or b""
