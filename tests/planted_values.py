"""Tokens: values that stand nowhere else, in the form that each VR asks for, and how they are found again.

A token's number is in its value, so that what survives can be named. Values for what may stay are plain, the same
everywhere, and hold no token.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

UID_ROOT = "1.2.826.0.1.3680043.77"
TEXT = re.compile(rb"tk[0-9]{5}q")
UIDS = re.compile(rb"1\.2\.826\.0\.1\.3680043\.77\.[0-9]+\.1")
DATES = re.compile(rb"(?<![0-9.])[0-9]{8}")
TIMES = re.compile(rb"[0-9]{6}\.7[0-9]{5}")
AGES = re.compile(rb"(?<![0-9])(?:09[1-9]|1[01][0-9])y")
NUMBERS = re.compile(rb"(?<![0-9.])7[0-9]{6}(?![0-9])")
IDEOGRAPHS, KANA = "零一二三四五六七八九", "あいうえおかきくけこ"
WIDE_MARKS = {"瓢": "ideographic", "ぬ": "phonetic"}
TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
BYTE_VRS = frozenset({"OB", "OW", "UN", "OL", "OV", "OF", "OD"})
ISSUER = "Tk99999q"
FIRST_DAY = date(1931, 1, 1)
PLAIN = {
    "AE": b"PLAIN",
    "AS": b"045Y",
    "AT": b"\x08\x00\x60\x00",
    "CS": b"PLAIN",
    "DS": b"1.25",
    "FD": struct.pack("<d", 1.25),
    "FL": struct.pack("<f", 1.25),
    "IS": b"12",
    "LO": b"plain words",
    "LT": b"plain words",
    "OB": b"\x01\x02\x03\x04",
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": b"\x01\x02\x03\x04",
    "SH": b"plain",
    "SL": struct.pack("<i", 7),
    "SS": struct.pack("<h", 7),
    "ST": b"plain words",
    "SV": struct.pack("<q", 7),
    "TM": b"101112",
    "UC": b"plain words",
    "UI": b"1.2.840.10008.5.1.4.1.1.2",
    "UL": struct.pack("<I", 7),
    "UN": b"\x01\x02\x03\x04",
    "US": struct.pack("<H", 7),
    "UT": b"plain words",
    "UV": struct.pack("<Q", 7),
    "DA": b"20200102",
    "DT": b"20200102030405",
    "PN": b"Plain^Words",
    "UR": b"urn:plain",
}


@dataclass
class Tokens:
    """Hands tokens out and finds those that survive.

    Parameters
    ----------
    codec : of the object's text
    step_days : between the dates that are handed out, so that none becomes another by being moved
    first_day : before the first of them
    without : VRs for which there are no tokens
    """

    codec: str = "utf-8"
    step_days: int = 1
    first_day: date = FIRST_DAY
    without: frozenset[str] = frozenset()
    places: dict[bytes, str] = field(default_factory=dict)
    count: int = 0

    def value(self, vr: str, place: str) -> bytes | None:
        """A token of a VR; None where the VR has no room for anything that could be told again."""
        if vr in self.without:
            return None
        self.count += 1
        value, needles = self._made(vr, self.count)
        for needle in needles:
            self.places[needle.lower()] = f"{place} {vr}"
        return value

    def issuer(self) -> bytes:
        """The one token that is the same in all objects of a patient: who issued the Patient ID."""
        self.places[ISSUER.lower().encode()] = "IssuerOfPatientID LO"
        return ISSUER.encode()

    def _made(self, vr: str, number: int) -> tuple[bytes | None, list[bytes]]:
        text = f"Tk{number:05d}q"
        plain = [text.lower().encode()]
        if vr in TEXT_VRS:
            return (text.upper() if vr in ("CS", "AE") else text).encode(), plain
        if vr == "PN":
            return self._name(text, number), plain
        if vr == "UR":
            return f"https://{text}.example.test/{text}".encode(), plain
        if vr in BYTE_VRS:
            return b"\x01\x02" + text.encode() + b"\0\0" + text.encode("utf-16-le") + b"\0\0", plain
        if vr == "UI":
            uid = f"{UID_ROOT}.{number}.1".encode()
            return uid, [uid]
        if vr in ("DA", "DT"):
            day = (self.first_day + timedelta(days=self.step_days * number)).strftime("%Y%m%d").encode()
            return (day if vr == "DA" else day + b"101112.000000+0100"), [day]
        if vr == "TM":
            time = f"101112.7{number:05d}".encode()
            return time, [time]
        if vr == "AS":
            age = f"{91 + number % 29:03d}Y".encode()
            return age, [age]
        if vr in ("IS", "DS"):
            figure = f"7{number:06d}".encode()
            return figure, [figure]
        return None, []

    def _name(self, text: str, number: int) -> bytes:
        """A person's name with all three groups (PS3.5 6.2.1), the wide ones where the character set has them."""
        digits = f"{number:05d}"
        ideographic = "瓢" + "".join(IDEOGRAPHS[int(d)] for d in digits)
        phonetic = "ぬ" + "".join(KANA[int(d)] for d in digits)
        name = f"{text}^{text}^^Dr={ideographic}^{ideographic}={phonetic}^{phonetic}"
        try:
            return name.encode(self.codec)
        except UnicodeEncodeError:
            return f"{text}^{text}".encode("ascii")

    def left_in(self, content: bytes) -> list[str]:
        """Where the tokens were planted that are found in bytes, in whatever width and case they stand there."""
        found: set[bytes] = set()
        for form in _forms(content):
            for pattern in (TEXT, UIDS, DATES, TIMES, AGES, NUMBERS):
                found.update(match.group() for match in pattern.finditer(form))
        left = {place for needle, place in self.places.items() if needle in found}
        return sorted(left) + self._wide_left(content)

    def _wide_left(self, content: bytes) -> list[str]:
        codecs = dict.fromkeys((self.codec, "utf-8", "utf-16-le", "utf-16-be"))
        return [
            f"{group} group of a name, in {codec}"
            for mark, group in WIDE_MARKS.items()
            for codec in codecs
            if _wide_needle(mark, codec) in content
        ]

    def left_in_text(self, text: str) -> list[str]:
        """As ``left_in``, for text that was decoded."""
        folded = unicodedata.normalize("NFKC", text)
        return self.left_in(folded.encode("utf-8", "replace"))


def _wide_needle(mark: str, codec: str) -> bytes:
    """Enough of a wide token that it does not stand in other text by chance: its mark and the first digit, 0."""
    whole = mark + (IDEOGRAPHS[0] if mark == "瓢" else KANA[0])
    try:
        encoded = whole.encode(codec)
    except UnicodeEncodeError:
        return b"\xff never \xff"
    return encoded.split(b"\x1b")[1][2:] if encoded.startswith(b"\x1b") else encoded


def _forms(content: bytes) -> Iterator[bytes]:
    lowered = content.lower()
    yield lowered
    narrow = lowered.replace(b"\0", b"")
    if len(narrow) != len(lowered):
        yield narrow
