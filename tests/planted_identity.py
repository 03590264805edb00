"""Plants identity in a data set wherever it can hide, and looks for what is left of it.

It reads the standard's table (config/profiles/ps3.15-e1.csv) and pydicom's dictionary, never a profile: what a profile
forgets is found. Values are encoded here, by hand, so that also those arrive that no library would write.
"""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import CTImageStorage, EnhancedSRStorage, RTStructureSetStorage, SegmentationStorage

TABLE = Path(__file__).parent.parent / "config" / "profiles" / "ps3.15-e1.csv"
SOP_CLASSES = {
    "CT": str(CTImageStorage),
    "SR": str(EnhancedSRStorage),
    "SEG": str(SegmentationStorage),
    "RTSTRUCT": str(RTStructureSetStorage),
}
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT", "SV", "UV"})
TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})
SEARCHED_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "OB", "UN"})
CHARACTERISTICS = "retain_patient_characteristics"
NESTS = (0x00081115, 0x0008114A)
"""Sequences that no table names: Referenced Series Sequence, Referenced Instance Sequence."""

FAMILY, GIVEN, IDENTIFIER = "Zyxwvutsrq", "Quonkelbert", "XQ-778899-Z"
OWN = (FAMILY, GIVEN, IDENTIFIER, "XQ778899Z")
ENCAPSULATED_DOCUMENT = 0x00420011
"""Has tests of its own: an object with an unknown document is refused."""
WELL_KNOWN = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100020, 0x00100010}


@dataclass(frozen=True)
class Encoder:
    """Encodes elements by hand (PS3.5 7.1)."""

    implicit: bool = False
    little: bool = True

    @property
    def order(self) -> str:
        return "<" if self.little else ">"

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) % 2:
            value += b"\0" if vr in ("UI", "OB", "UN") else b" "
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return head + struct.pack(f"{self.order}I", len(value)) + value
        if vr in LONG_VRS:
            return head + vr.encode() + b"\0\0" + struct.pack(f"{self.order}I", len(value)) + value
        return head + vr.encode() + struct.pack(f"{self.order}H", len(value)) + value

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        parts = [struct.pack(f"{self.order}HHI", 0xFFFE, 0xE000, len(item)) + item for item in items]
        return self.element(tag, "SQ", b"".join(parts))

    def data_set(self, elements: dict[int, bytes]) -> bytes:
        return b"".join(elements[tag] for tag in sorted(elements))

    def read(self, content: bytes) -> Dataset:
        return read_dataset(BytesIO(content), self.implicit, self.little)


@dataclass
class Plantation:
    """Tokens as they are handed out, and where each was planted."""

    where: dict[str, str] = field(default_factory=dict)

    def token(self, place: str) -> str:
        token = f"Tkn{len(self.where):05d}Qx"
        self.where[token] = place
        return token

    def left_in(self, content: bytes) -> list[str]:
        """Where tokens, or the patient's own values, were planted that are still there."""
        lowered = content.lower()
        left = [place for token, place in self.where.items() if token.lower().encode() in lowered]
        return left + [f"own value {value}" for value in OWN if value.lower().encode() in lowered]


def table_rows() -> list[dict[str, str]]:
    """The rows of Table E.1-1 that have a tag of their own, in a stored object's groups."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return [row for row in rows if len(row["tag"]) == 8 and "x" not in row["tag"] and int(row["tag"][:4], 16) >= 8]


def own_text(number: int) -> str:
    """A text that repeats who the patient is, each time in another way."""
    forms = (
        f"{FAMILY}^{GIVEN}",
        f"{GIVEN} {FAMILY}",
        f"{FAMILY.upper()}, {GIVEN.upper()}",
        f"x_{FAMILY.lower()}_1",
        f"No {IDENTIFIER}",
        IDENTIFIER.replace("-", ""),
        f"{GIVEN}.{FAMILY}",
    )
    return forms[number % len(forms)]


class Planter:
    """Makes data sets of one SOP class that are full of identity.

    Parameters
    ----------
    encoder : how the data set is encoded
    kept : columns of the table whose K leaves a value; there the patient's own values are planted, not tokens
    """

    def __init__(self, sop_class_uid: str, encoder: Encoder, kept: tuple[str, ...] = (CHARACTERISTICS,)) -> None:
        self.sop_class_uid = sop_class_uid
        self.encoder = encoder
        self.kept = kept
        self.plantation = Plantation()

    def head(self) -> dict[int, bytes]:
        """What an object must have to be taken at all."""
        e = self.encoder
        return {
            0x00080005: e.element(0x00080005, "CS", b"ISO_IR 192"),
            0x00080016: e.element(0x00080016, "UI", self.sop_class_uid.encode()),
            0x00080018: e.element(0x00080018, "UI", b"1.2.3.4.5.777001"),
            0x00080060: e.element(0x00080060, "CS", b"OT"),
            0x00100010: e.element(0x00100010, "PN", f"{FAMILY}^{GIVEN}".encode()),
            0x00100020: e.element(0x00100020, "LO", IDENTIFIER.encode()),
            0x0020000D: e.element(0x0020000D, "UI", b"1.2.3.4.5.777002"),
            0x0020000E: e.element(0x0020000E, "UI", b"1.2.3.4.5.777003"),
        }

    def table_elements(self, rows: Iterable[dict[str, str]], depth: int) -> dict[int, bytes]:
        """A token in every attribute of the table, whatever its VR says about the form of its values."""
        elements = {}
        for row in rows:
            tag, vr = int(row["tag"], 16), row["vr"].split(" or ")[0]
            if tag == ENCAPSULATED_DOCUMENT or (depth == 0 and tag in WELL_KNOWN):
                continue
            keeps = any(row[column] in ("K", "C") for column in self.kept)
            place = f"{row['keyword']} {vr} at depth {depth}"
            if vr == "SQ":
                inner = self.encoder.element(0x00100020, "LO", self.plantation.token(place).encode())
                code = self.encoder.element(0x00080100, "SH", self._value(place, keeps or not self._goes(row)))
                elements[tag] = self.encoder.sequence(tag, [code + inner])
            elif vr in TEXT_VRS or vr in ("OB", "UN", "OW"):
                elements[tag] = self.encoder.element(tag, vr, self._value(place, keeps))
            elif vr == "UI":
                elements[tag] = self.encoder.element(tag, vr, self.plantation.token(place).encode())
        return elements

    def _goes(self, row: dict[str, str]) -> bool:
        """Whether a sequence of codes must not keep its codes."""
        return row["keyword"].endswith("CodeSequence")

    def _value(self, place: str, kept: bool) -> bytes:
        return (own_text(len(self.plantation.where)) if kept else self.plantation.token(place)).encode()

    def public_elements(self, tags: Iterable[int], depth: int) -> dict[int, bytes]:
        """The patient's own values in public elements that the table does not name."""
        return {
            tag: self.encoder.element(tag, DicomDictionary[tag][0], own_text(number + depth).encode())
            for number, tag in enumerate(tags)
        }

    def other_elements(self, depth: int) -> dict[int, bytes]:
        """Tokens in private, unknown and retired elements, and in what the group of a tag alone decides."""
        e = self.encoder
        places = {
            0x00090010: ("private creator", "LO"),
            0x00091001: ("private element", "LO"),
            0x00091002: ("private bytes", "OB"),
            0x00290010: ("another private creator", "LO"),
            0x00291008: ("private UN", "UN"),
            0x00089ABC: ("unknown public element", "LO"),
            0x0018FFF1: ("unknown public text", "UT"),
            0x50003000: ("curve data", "OW"),
            0x50102500: ("curve label", "LO"),
            0x60003000: ("overlay data", "OB"),
            0x60004000: ("overlay comments", "LT"),
            0x60021500: ("overlay label", "LO"),
        }
        return {
            tag: e.element(tag, vr, self.plantation.token(f"{place} at depth {depth}").encode())
            for tag, (place, vr) in places.items()
        }

    def nested(self, elements: dict[int, bytes], depth: int) -> dict[int, bytes]:
        """Put elements into items of sequences of sequences."""
        for level in range(depth):
            tag = NESTS[level % len(NESTS)]
            elements = {tag: self.encoder.sequence(tag, [self.encoder.data_set(elements)])}
        return elements

    def read(self, elements: dict[int, bytes]) -> Dataset:
        return self.encoder.read(self.encoder.data_set(elements))


def public_tags() -> Iterator[int]:
    """Public text elements of the dictionary that the table does not name, and that no rule treats as terms."""
    named = {int(row["tag"], 16) for row in table_rows()}
    for tag, (vr, *_rest) in sorted(DicomDictionary.items()):
        group = tag >> 16
        if 8 <= group < 0x5000 and tag not in named and tag & 0xFFFF and vr in SEARCHED_VRS:
            yield tag


def full_data_set(planter: Planter, depths: Iterable[int] = (0, 1, 2)) -> Dataset:
    """Identity everywhere, at every depth."""
    rows, tags = table_rows(), list(public_tags())
    elements: dict[int, bytes] = {}
    for depth in depths:
        here = planter.public_elements(tags, depth)
        here |= planter.table_elements(rows, depth) | planter.other_elements(depth)
        for tag in NESTS:
            here.pop(tag, None)
        elements |= planter.nested(here, depth) if depth else here
    return planter.read(elements | planter.head())
