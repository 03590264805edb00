"""Cleans encoded headers, little endian, one level after the other."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service import __version__
from service.deident.descriptors import DescriptorCleaning
from service.deident.keys import ProjectKeys
from service.deident.options import OPTION_CODES
from tests.plain_deident.content_items import PlainContent, cap_age, refers_by_position
from tests.plain_deident.identity import said_in
from tests.plain_deident.own_terms import PlainTerms
from tests.plain_deident.own_values import PlainOwnValues
from tests.plain_deident.profile import PlainProfile
from tests.plain_deident.reading import (
    Level,
    decoded,
    first_code,
    is_undefined,
    items,
    octets,
    read_header,
    text,
    text_at,
)
from tests.plain_deident.rules import DATES, PlainRules
from tests.plain_deident.values import REFUSED, PlainValues, Refused, digest
from tests.plain_deident.writing import Clean, code, dummy, put, put_items, written

INSTANCE_LISTS = (0x00081115, 0x00081200)
DEEPEST = 64


class PlainDeidentifier:
    """Cleans headers by a profile; ``texts`` cleans texts, or is None where the profile drops them."""

    def __init__(self, directory: Path, name: str, keys: ProjectKeys, texts: DescriptorCleaning | None) -> None:
        self.profile = PlainProfile(directory, name)
        self.keys = keys
        self.texts = texts

    def clean(self, content: bytes, *, implicit: bool) -> bytes:
        """Return the clean header, encoded.

        Raises
        ------
        Refused : it may not be passed on
        """
        header = read_header(content, implicit=implicit)
        level = Level(implicit=implicit).within(header)
        said = said_in(read_header(content, implicit=implicit), level)
        if said is None:
            raise Refused
        pseudonym = self._pseudonym(header, level)
        span = int.from_bytes(digest(self.keys.date_key, pseudonym.encode())[:8], "big") % 3286
        days = 365 + span if DATES[1] in self.profile.options else 0
        own = PlainOwnValues(PlainTerms.of(said))
        values = PlainValues(self.profile, self.keys, self.texts, own, pseudonym, days)
        if self.profile.rules["burned_in_annotation"] == "refuse" and text_at(header, 0x00280301) == "YES":
            raise Refused
        clean = PlainWalk(self.profile, values, header).level(header, 0, Level(implicit=implicit), 0, {})
        for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
            put(clean, tag, vr, pseudonym.encode())
        self._stamp(header, clean)
        return written(clean, implicit=implicit)

    def _pseudonym(self, header: Dataset, level: Level) -> str:
        elements = (header.get_item(tag, keep_deferred=True) for tag in (0x00100020, 0x00100021))
        patient_id, issuer = ("" if e is None else decoded(octets(e), level.codecs).strip() for e in elements)
        parts = ("patient", issuer, patient_id) if patient_id else ("study", text_at(header, 0x0020000D))
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return "ANON-" + base64.b32encode(digest(self.keys.pseudonym_key, message)[:10]).decode()

    def _stamp(self, header: Dataset, clean: Clean) -> None:
        meanings = {"113100": "Basic Application Confidentiality Profile", **dict(OPTION_CODES.values())}
        found = [text_at(item, 0x00080100) for item in items(header, 0x00120064) or []]
        earlier = list(dict.fromkeys(value for value in found if value in meanings))
        pixels = {"clean_pixel_data", "clean_recognizable_visual_features"}
        applied = ["113100", *sorted(OPTION_CODES[option][0] for option in self.profile.options - pixels)]
        values = [*earlier, *(value for value in applied if value not in earlier)]
        temporal = "UNMODIFIED" if DATES[0] in self.profile.options else "REMOVED"
        if DATES[1] in self.profile.options:
            temporal = "MODIFIED"
        equipment: Clean = {}
        for tag, value in ((0x00080070, "Annogate"), (0x00081090, "Annogate"), (0x00181020, __version__)):
            put(equipment, tag, "LO", value.encode())
        put_items(equipment, 0x0040A170, [code("109104", "DCM", "De-identifying Equipment")])
        put(clean, 0x00120062, "CS", b"YES")
        put(clean, 0x00120063, "LO", f"Annogate, profile {self.profile.name}".encode())
        put_items(clean, 0x00120064, [code(value, "DCM", meanings[value]) for value in values])
        put_items(clean, 0x0018A001, [equipment])
        put(clean, 0x00280303, "CS", temporal.encode())


class PlainWalk:
    """Goes through the levels of one header."""

    def __init__(self, profile: PlainProfile, values: PlainValues, header: Dataset) -> None:
        self.profile = profile
        self.values = values
        self.header = header
        self.rules = PlainRules(profile, text_at(header, 0x00080016))
        self.content = PlainContent(profile)

    def level(self, source: Dataset, parent: int, outer: Level, depth: int, overrides: dict[int, Any]) -> Clean:
        """Return a data set clean."""
        here = outer.within(source)
        if 0x0040A040 in source:
            overrides = self.content.overrides(source)
        clean: Clean = {}
        listed = [tag for tag in INSTANCE_LISTS if not depth and self.rules.is_instance_list(tag)]
        for tag in [*sorted(set(source.keys()) - set(listed)), *(tag for tag in listed if tag in source)]:
            if tag in listed and not refers({other: held for other, held in clean.items() if other not in listed}):
                continue
            element = source.get_item(tag, keep_deferred=True)
            verb, vr, other = overrides.get(int(tag)) or self.rules.decide(int(tag), parent, element.VR)
            if verb == "safe private":
                verb, vr = self.rules.decide_private(element, source)
            self._keep(clean, element, vr, self._value(verb, vr, other, element, source, here, depth))
        drop_lone_creators(clean)
        return clean

    def _keep(self, clean: Clean, element: Any, vr: str, result: Any) -> None:
        if result is element:
            held = list(element.value or ()) if isinstance(element, DataElement) else octets(element)
            clean[int(element.tag)] = (element.VR or vr or None, held, is_undefined(element))
        elif isinstance(result, list):
            clean[int(element.tag)] = ("SQ", result, is_undefined(element))
        elif result is not None:
            put(clean, int(element.tag), vr, result)

    def _value(self, verb: str, vr: str, other: str, element: Any, source: Dataset, here: Level, depth: int) -> Any:
        """Return the element itself where it stays, new bytes or items in its place, None where it goes."""
        if verb == "keep":
            return element
        if verb == "remove":
            return None
        if verb == "creator":
            return element if element.VR in (None, "LO") else text(element).encode("ascii", "replace")
        if verb in ("items", "clean codes"):
            return self._items(element, source, here, depth, other, coded=verb == "clean codes")
        if verb == "embedded":
            return refuse_embedded(element, source, depth)
        if not octets(element) and not (isinstance(element.value, Sequence) and element.value):
            return b"" if verb in ("empty", "dummy") and element.VR not in (None, vr) else element
        keyword = keyword_for_tag(element.tag) or self.profile.table.get(int(element.tag), {}).get("keyword", "")
        new = self.values.new_value(verb, vr, keyword, element, source, here, other)
        return {"remove": None, "empty": b"", "dummy": dummy(vr, keyword)}[other] if new is REFUSED else new

    def _items(
        self, element: Any, source: Dataset, here: Level, depth: int, other: str, *, coded: bool
    ) -> list[Clean] | bytes | None:
        tag = int(element.tag)
        inside = items(source, tag)
        if inside is None:
            return None if other == "remove" else b""
        if depth >= DEEPEST:
            raise Refused
        clean = []
        for item in inside:
            if 0x0040A040 in item and self.content.drops(item) and not refers_by_position(self.header):
                continue
            one = self.level(item, tag, here, depth + 1, self.rules.code_overrides(item) if coded else {})
            if tag == 0x0040A300 and first_code(source, 0x0040A043) == ("DCM", "121033"):
                cap_age(one)
            clean.append(one)
        return clean


def refuse_embedded(element: Any, source: Dataset, depth: int) -> None:
    """Refuse a plane of an overlay that lies in the bits of Pixel Data."""
    value = octets(element)
    usual = 1 if int(element.tag) & 0xFFFF == 0x0100 else 0
    has_data = int(element.tag) & 0xFFFF0000 | 0x3000 in source
    if value and int.from_bytes(value[:2], "little") != usual and not has_data and not depth:
        raise Refused


def drop_lone_creators(clean: Clean) -> None:
    """Take out creators of private blocks that keep nothing."""
    for tag in [tag for tag in clean if tag >> 16 & 1 and tag & 0xFFFF < 0x1000]:
        if not any(other & 0xFFFF0000 == tag & 0xFFFF0000 and other >> 8 & 0xFF == tag & 0xFF for other in clean):
            del clean[tag]


def refers(clean: Clean) -> bool:
    """Whether an instance is named, at any depth."""
    if clean.get(0x00081155, (None, b"", False))[1]:
        return True
    return any(refers(item) for _, held, _ in clean.values() if isinstance(held, list) for item in held)
