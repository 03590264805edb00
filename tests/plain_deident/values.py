"""What is done to one value."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset

from service.deident.descriptors import DescriptorCleaning
from service.deident.element_values import raw_element
from service.deident.keys import ProjectKeys
from service.deident.text_cleaning.cleaned_text import TextKind
from tests.plain_deident.dates import moved_date, moved_date_time
from tests.plain_deident.own_values import PlainOwnValues
from tests.plain_deident.profile import PlainProfile
from tests.plain_deident.reading import Level, is_uid, items, octets, text_at
from tests.plain_deident.rules import PRINTABLE, has_meaning
from tests.plain_deident.writing import code, dummy

REFUSED = object()
"""The value may not stay."""
STRINGS = ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
COUNTERS = (0x00200011, 0x00200012, 0x00200013)


class Refused(Exception):
    """The header may not be passed on."""


class PlainValues:
    """What becomes of values in one header."""

    def __init__(
        self,
        profile: PlainProfile,
        keys: ProjectKeys,
        texts: DescriptorCleaning | None,
        own: PlainOwnValues,
        pseudonym: str,
        days: int,
    ) -> None:
        self.profile = profile
        self.keys = keys
        self.texts = texts
        self.own = own
        self.pseudonym = pseudonym
        self.days = days

    def new_value(
        self, verb: str, vr: str, keyword: str, element: Any, source: Dataset, here: Level, other: str
    ) -> Any:
        """Return the element itself where it stays, new bytes or items in its place, None where it goes.

        Parameters
        ----------
        other : what happens to a value that may not stay, which is ``REFUSED``
        """
        value = octets(element)
        plain = value.decode("latin-1").strip(" \0")
        if verb == "refuse":
            raise Refused
        if verb in ("empty", "dummy", "dummy code", "pseudonym", "flatten"):
            return self._made(verb, vr, keyword, value)
        if verb in ("map-uid", "class UID", "kind UID", "SOP class"):
            return self._uid(verb, plain, element)
        if verb in ("shift", "time", "offset", "version", "age", "number"):
            return self._number(verb, vr, plain, element, other)
        if verb == "character set":
            return element if all(part.strip() in python_encoding for part in plain.split("\\")) else None
        if verb == "clean":
            return self._cleaned(keyword, vr, element, here)
        if verb in ("words", "token", "coded-meaning"):
            return self._of_words(verb, vr, plain, element, source, here)
        return self._sought(verb, vr, keyword, element, source, here)

    def _made(self, verb: str, vr: str, keyword: str, value: bytes) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "empty": lambda: b"",
            "dummy": lambda: dummy(vr, keyword),
            "dummy code": lambda: [code("REMOVED", "99ANNOGATE", "Removed")],
            "pseudonym": self.pseudonym.encode,
            "flatten": lambda: bytes(len(value)),
        }
        return made[verb]()

    # -- UIDs, dates, numbers ----------------------------------------------------------------------------------------

    def _uid(self, verb: str, plain: str, element: Any) -> Any:
        parts = plain.split("\\")
        if verb == "class UID":
            return element if all(is_uid(part) for part in parts) else REFUSED
        stays: dict[str, Callable[[str], bool]] = {
            "map-uid": lambda _: False,
            "kind UID": self.profile.is_kind,
            "SOP class": lambda uid: self.profile.is_kind(uid) or not self.own.has_number_in_uid(uid),
        }
        stripped = [part.strip(" \0") for part in parts]
        new = "\\".join(part if stays[verb](part) else self.uid(part) for part in stripped)
        if new != plain:
            return new.encode("ascii", "replace")
        return element if all(not part or is_uid(part.strip(" \0")) for part in parts) else REFUSED

    def uid(self, old: str) -> str:
        """Return the UID that stands for one."""
        if not old or "retain_uids" in self.profile.options or old in UID_dictionary:
            return old
        value = bytearray(digest(self.keys.uid_key, old.encode("utf-8", "surrogateescape"))[:16])
        value[6], value[8] = 0x80 | value[6] & 0x0F, 0x80 | value[8] & 0x3F
        return f"2.25.{uuid.UUID(bytes=bytes(value)).int}"

    def _number(self, verb: str, vr: str, plain: str, element: Any, other: str) -> Any:
        value, parts = octets(element), plain.split("\\")
        if verb == "shift":
            return self._shifted(vr, plain, element)
        if verb == "time":
            form = r"\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?\Z"
            times = all(re.match(form, part.strip()) for part in parts if part.strip())
            return element if times and not self.own.has_identifier(value) else REFUSED
        if verb == "offset":
            return element if len(plain) == 5 and plain[0] in "+-" and plain[1:].isdigit() else REFUSED
        if verb == "version":
            return element if moved_date_time(plain, 0) is not None else REFUSED
        if verb == "age":
            return age(plain, element)
        if value.translate(None, b"0123456789+-.eE\\ \0"):
            return REFUSED
        if element.tag == 0x00280008 or not self.own.has_identifier(value):
            return element
        if other != "dummy":
            return REFUSED
        if element.tag not in COUNTERS:
            raise Refused
        return b"\\".join(b"0" if self.own.has_identifier(one) else one for one in value.split(b"\\"))

    def _shifted(self, vr: str, plain: str, element: Any) -> Any:
        move = moved_date_time if vr == "DT" else moved_date
        new = [move(part.strip(), self.days) if part.strip() else "" for part in plain.split("\\")]
        if None in new:
            return REFUSED
        moved = "\\".join(part or "" for part in new)
        return element if moved == plain else moved.encode()

    # -- texts -------------------------------------------------------------------------------------------------------

    def _has_own(self, value: bytes, here: Level, *, coded: bool = False) -> bool:
        return self.own.found_in_value(value, here.codecs, coded=coded)

    def _sought(self, verb: str, vr: str, keyword: str, element: Any, source: Dataset, here: Level) -> Any:
        value = octets(element)
        plain = value.decode("latin-1").strip(" \0")
        if verb == "search":
            terms = vr == "CS" and all(part.strip() in self.profile.words["terms"] for part in plain.split("\\"))
            hidden = vr in STRINGS and value.rstrip(b"\0 ").translate(None, PRINTABLE)
            return REFUSED if hidden or (self._has_own(value, here, coded=vr == "CS") and not terms) else element
        if verb == "term":
            return self._term(value, plain, element, here)
        if verb == "search bytes":
            return REFUSED if self.own.found_in_bytes(value) else element
        if verb == "search numbers":
            return REFUSED if len(value) >= 5 and self.own.found_in_bytes(value) else element
        assert verb == "meaning", verb
        if self.profile.is_typed(text_at(source, 0x00080102)):
            cleaned = self._cleaned(keyword, vr, element, here)
            return b"REMOVED" if cleaned is REFUSED else cleaned
        known = has_meaning(text_at(source, 0x00080102), text_at(source, 0x00080100), plain)
        return REFUSED if self._has_own(value, here) and not known else element

    def _term(self, value: bytes, plain: str, element: Any, here: Level) -> Any:
        if not self._has_own(value, here, coded=True):
            return element
        parts, terms = [part.strip() for part in plain.split("\\")], self.profile.words["terms"]
        strange = [part for part in parts if any(not " " <= character <= "~" for character in part)]
        told = [part for part in parts if part in strange or self.own.found_in([part], coded=True)]
        gone = [part for part in told if part not in terms] or [part for part in parts if part not in terms]
        new = ["REMOVED" if part in gone else part for part in parts]
        return element if new == parts else "\\".join(new).encode("ascii", "replace")

    def _cleaned(self, keyword: str, vr: str, element: Any, here: Level) -> Any:
        if self.texts is None:
            return REFUSED
        value, why = self.texts.value(element, keyword, vr, here.encoding, self.own)  # type: ignore[arg-type]
        if value is None:
            return REFUSED
        padded = value + b" " * (len(value) % 2) if why else octets(element)
        if self._has_own(padded, here, coded=vr == "CS"):
            return REFUSED
        return value if why else element

    def _of_words(self, verb: str, vr: str, plain: str, element: Any, source: Dataset, here: Level) -> Any:
        value = octets(element)
        meanings = list(self._meanings(source)) if verb == "coded-meaning" else []
        if self._is_allowed(value, plain, meanings, here):
            return element
        if verb == "words":
            return REFUSED
        if verb == "token":
            return self._token(value.strip(b" \0"), vr, element, here)
        cleaned = self._cleaned("SegmentLabel", vr, element, here)
        if cleaned is not REFUSED:
            return cleaned
        safe = [meaning for meaning in meanings if meaning.isascii() and not self.own.found_in([meaning])]
        return safe[0][:64].encode() if safe else b"Segment"

    def _token(self, value: bytes, vr: str, element: Any, here: Level) -> Any:
        tools = (re.match(f"({tool}):", value.decode("latin-1")) for tool in self.profile.words["tools"])
        before = max((match[0] for match in tools if match), key=len, default="").encode()
        label = value[len(before) :]
        kept = self._label(label, vr, element, here) if before else None
        if kept is None:
            keyed = hmac.digest(self.keys.pseudonym_key, b"tokens", hashlib.sha256)
            kept = (b"ID_" if vr == "CS" else b"ID-") + base64.b32encode(digest(keyed, label)[:5])
        return element if kept == label else before + kept

    def _label(self, label: bytes, vr: str, element: Any, here: Level) -> bytes | None:
        if self._is_allowed(label, label.decode("latin-1").strip(" \0"), [], here):
            return label
        if self.texts is None:
            return None
        alone = raw_element(element.tag, vr, label, here.encoding)
        kept, _ = self.texts.value(alone, "", vr, here.encoding, self.own, TextKind.LABEL)  # type: ignore[arg-type]
        if kept is None or self._has_own(kept + b" " * (len(kept) % 2), here):
            return None
        return kept.strip(b" \0")

    def _meanings(self, source: Dataset) -> list[str]:
        found = []
        for tag in (0x0062000F, 0x00620003, 0x00082218, 0x00620011):
            for item in items(source, tag) or []:
                meaning: str | None = text_at(item, 0x00080104)
                if meaning and self.profile.is_typed(text_at(item, 0x00080102)) and self.texts is not None:
                    meaning = self.texts.text(meaning, self.own, TextKind.DESCRIPTOR)  # type: ignore[arg-type]
                found += [meaning] if meaning else []
        return found

    def _is_allowed(self, value: bytes, plain: str, also: list[str], here: Level) -> bool:
        plain = plain if value.isascii() else ""
        if any(
            re.fullmatch(pattern, plain) for pattern in self.profile.words["patterns"] + self.profile.words["tools"]
        ):
            return True
        if not plain or self._has_own(value, here):
            return False
        known = {word.casefold() for word in self.profile.words["list"]}
        known |= {word.casefold() for other in also for word in re.findall(r"[^\W\d_]+|\d+", other)}
        found = re.findall(r"[^\W\d_]+|\d+", plain)
        return all(len(word) <= 3 if word.isdigit() else word.casefold() in known for word in found)


def digest(key: bytes, message: bytes) -> bytes:
    """Return what a key makes of a message."""
    return hmac.digest(key, message, hashlib.sha256)


def age(plain: str, element: Any) -> Any:
    """Make of an age of 90 years and more one of 90."""
    match = re.fullmatch(r"([0-9]{1,3})([DWMY]?)", plain)
    if match is None:
        return REFUSED
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1, "": 1}[match[2]]
    return b"090Y" if years >= 90 else element
