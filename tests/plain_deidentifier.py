"""The profiles once more, slow and plain: what the pass over headers is held against.

Written apart from ``service.deident``: it reads profiles and tables by itself, walks pydicom's data sets, decides about
each element anew and remembers nothing. Shared are only what has tests of its own and no part in walking or deciding:
the search for a patient's own values, the cleaning of a text, and lists of names.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import re
import struct
import tomllib
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from pydicom._uid_dict import UID_dictionary
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR
from pydicom.values import convert_SQ

from service import __version__
from service.deident.code_meanings import PUBLIC_SCHEMES, SCHEMES
from service.deident.descriptors import DescriptorCleaning
from service.deident.element_values import Encoding
from service.deident.keys import ProjectKeys
from service.deident.options import OPTION_CODES
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.vr_rules import CLASS_UIDS, VR_FAMILIES

TEXT_DUMMIES = dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED") | {
    "AS": "000D",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UI": "2.25.0",
    "UR": "urn:removed",
}
WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4, "OF": 4, "OL": 4, "OD": 8}
DATES = ("retain_longitudinal_full_dates", "retain_longitudinal_modified_dates")
CODE_NAMES = ("CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion")
CONTENT_VALUES = {
    "TEXT": (0x0040A160, "UT"),
    "PNAME": (0x0040A123, "PN"),
    "DATE": (0x0040A121, "DA"),
    "TIME": (0x0040A122, "TM"),
    "DATETIME": (0x0040A120, "DT"),
    "UIDREF": (0x0040A124, "UI"),
    "CODE": (0x0040A168, "SQ"),
    "NUM": (0x0040A300, "SQ"),
    "CONTAINER": (0x0040A730, "SQ"),
}
YEAR = {"a": 1.0, "mo": 12.0, "wk": 52.18, "d": 365.25}


Clean: TypeAlias = dict[int, tuple[Any, Any, bool]]
"""A clean data set: by tag the VR (None where it was not said), the bytes or items, and whether it had no length."""


class Refused(Exception):
    """The header may not be passed on."""


class Level:
    """Where the walk is: the codecs in force and how elements are encoded."""

    def __init__(self, codecs: tuple[str, ...], implicit: bool) -> None:
        self.codecs = codecs
        self.implicit = implicit

    @property
    def encoding(self) -> Encoding:
        return Encoding(self.implicit, True, self.codecs)

    def within(self, data_set: Dataset) -> Level:
        implicit = data_set.original_encoding[0]
        codecs = self.codecs
        element = data_set.get_item(0x00080005, keep_deferred=True)
        if element is not None:
            terms = [python_encoding.get(term.strip()) for term in text(element).split("\\")]
            codecs = codecs if None in terms else tuple(str(term) for term in terms)
        return Level(codecs, self.implicit if implicit is None else bool(implicit))


class PlainDeidentifier:
    """Cleans encoded headers, little endian."""

    def __init__(self, directory: Path, name: str, keys: ProjectKeys, texts: DescriptorCleaning | None) -> None:
        self.name = name
        self.keys = keys
        self.texts = texts
        chain = []
        wanted: str | None = name
        while wanted is not None:
            chain.insert(0, tomllib.loads((directory / f"{wanted}.toml").read_text()))
            wanted = chain[0].get("extends")
        merged: dict[str, dict[str, Any]] = {}
        self.words: dict[str, list[str]] = {"list": [], "terms": [], "patterns": []}
        for document in chain:
            for section in ("options", "rules", "elements", "content_text", "private"):
                merged.setdefault(section, {}).update(document.get(section, {}))
            for key, values in document.get("words", {}).items():
                self.words[key] += values
        self.options = {option for option, is_on in merged["options"].items() if is_on}
        self.rules = merged["rules"]
        self.content_text = merged["content_text"]
        self.table = {int(row["tag"], 16): row for row in table(directory / "ps3.15-e1.csv") if is_tag(row["tag"])}
        by_keyword = {row["keyword"]: tag for tag, row in self.table.items()}
        self.elements = {
            tag_for_keyword(keyword) or by_keyword[keyword]: word for keyword, word in merged["elements"].items()
        }
        self.content = {
            (row["scheme"], row["code"], row["value_type"]): row for row in table(directory / "ps3.15-e3.4-1.csv")
        }
        self.kinds = {row["uid"] for row in table(directory / "known-kinds.csv")}
        self.types = json.loads((directory / "element-types.json").read_text())
        self.private: dict[tuple[int, str, int], str] = {}
        if "retain_safe_private" in self.options:
            for listed in reversed(
                merged["private"].get("lists", ["standard"])
            ):  # the first list that names an element holds
                for row in table(directory / f"safe-private-{listed}.csv"):
                    place = int(row["group"], 16), row["creator"].strip(), int(row["element"], 16)
                    self.private[place] = row["vr"]

    # -- one header --------------------------------------------------------------------------------------------------

    def clean(self, content: bytes, *, implicit: bool) -> bytes:
        header = read_header(content, implicit=implicit)
        level = Level(("iso8859",), implicit).within(header)
        self.header = header
        self.iod = self.types["sop_classes"].get(text_at(header, 0x00080016), "secondary-capture-image")
        self.own = OwnValues.of(read_header(content, implicit=implicit), level.encoding)  # which converts what it reads
        self.pseudonym = self.pseudonym_of(header, level)
        span = int.from_bytes(digest(self.keys.date_key, self.pseudonym.encode())[:8], "big") % 3286
        self.days = 365 + span if "retain_longitudinal_modified_dates" in self.options else 0
        if self.rules["burned_in_annotation"] == "refuse" and text_at(header, 0x00280301) == "YES":
            raise Refused
        clean = self.level(header, 0, Level(("iso8859",), implicit), 0, {})
        for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
            put(clean, tag, vr, self.pseudonym.encode())
        self.stamp(header, clean)
        return written(clean, implicit=implicit)

    def pseudonym_of(self, header: Dataset, level: Level) -> str:
        patient_id, issuer = (
            decoded(header.get_item(tag, keep_deferred=True), level).strip() for tag in (0x00100020, 0x00100021)
        )
        study = text_at(header, 0x0020000D)
        parts = ("patient", issuer, patient_id) if patient_id else ("study", study)
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return "ANON-" + base64.b32encode(digest(self.keys.pseudonym_key, message)[:10]).decode()

    def stamp(self, header: Dataset, clean: Clean) -> None:
        meanings = {"113100": "Basic Application Confidentiality Profile", **dict(OPTION_CODES.values())}
        found = [text_at(item, 0x00080100) for item in items(header, 0x00120064) or []]
        earlier = list(dict.fromkeys(code for code in found if code in meanings))
        pixels = ("clean_pixel_data", "clean_recognizable_visual_features")
        applied = sorted(OPTION_CODES[option][0] for option in self.options if option not in pixels)
        codes_now = [*earlier, *(code for code in ["113100", *applied] if code not in earlier)]
        temporal = "REMOVED"
        if DATES[0] in self.options:
            temporal = "UNMODIFIED"
        elif DATES[1] in self.options:
            temporal = "MODIFIED"
        equipment: Clean = {}
        for tag, vr, value in ((0x00080070, "LO", "Annogate"), (0x00081090, "LO", "Annogate")):
            put(equipment, tag, vr, value.encode())
        put(equipment, 0x00181020, "LO", __version__.encode())
        put_items(equipment, 0x0040A170, [code("109104", "DCM", "De-identifying Equipment")])
        put(clean, 0x00120062, "CS", b"YES")
        put(clean, 0x00120063, "LO", f"Annogate, profile {self.name}".encode())
        put_items(clean, 0x00120064, [code(value, "DCM", meanings[value]) for value in codes_now])
        put_items(clean, 0x0018A001, [equipment])
        put(clean, 0x00280303, "CS", temporal.encode())

    # -- levels ------------------------------------------------------------------------------------------------------

    def level(self, source: Dataset, parent: int, outer: Level, depth: int, overrides: dict[int, Any]) -> Clean:
        here = outer.within(source)
        if 0x0040A040 in source:
            overrides = self.content_overrides(source)
        clean: Clean = {}
        listed = [tag for tag in (0x00081115, 0x00081200) if not depth and self.is_instance_list(tag)]
        for tag in [*sorted(set(source.keys()) - set(listed)), *(tag for tag in listed if tag in source)]:
            if tag in listed and not refers({other: held for other, held in clean.items() if other not in listed}):
                continue
            element = source.get_item(tag, keep_deferred=True)
            verb, vr, otherwise = overrides.get(int(tag)) or self.decide(int(tag), parent, element.VR)
            if verb == "safe private":
                verb, vr = self.decide_private(element, source)
            result = self.value(verb, vr, otherwise, element, source, here, depth)
            if result is None:
                continue
            if result is element:
                result = list(element.value or ()) if isinstance(element, DataElement) else octets(element)
                clean[int(tag)] = (element.VR or vr or None, result, is_undefined(element))
            elif isinstance(result, list):
                clean[int(tag)] = ("SQ", result, is_undefined(element))
            else:
                put(clean, int(tag), vr, result)
        for tag in [tag for tag in clean if tag >> 16 & 1 and tag & 0xFFFF < 0x1000]:
            if not any(other & 0xFFFF0000 == tag & 0xFFFF0000 and other >> 8 & 0xFF == tag & 0xFF for other in clean):
                del clean[tag]
        return clean

    def is_instance_list(self, tag: int) -> bool:
        """Whether a list at the top is there for the references elsewhere alone."""
        return self.rules["references"] == "by-type" and self.kind(tag, 0) != "1" and tag not in self.elements

    def sequence(
        self, element: Any, source: Dataset, here: Level, depth: int, otherwise: str, *, coded: bool
    ) -> list[Clean] | bytes | None:
        tag = int(element.tag)
        inside = items(source, tag)
        if inside is None:
            return None if otherwise == "remove" else b""
        if depth >= 64:
            raise Refused
        clean = []
        for item in inside:
            if 0x0040A040 in item and self.drops(item) and not refers_by_position(self.header):
                continue
            one = self.level(item, tag, here, depth + 1, self.code_overrides(item) if coded else {})
            if tag == 0x0040A300 and first_code(source, 0x0040A043) == ("DCM", "121033"):
                cap_age(one)
            clean.append(one)
        return clean

    # -- which rule --------------------------------------------------------------------------------------------------

    def kind(self, tag: int, parent: int) -> str:
        """The element's Type: the strictest of the modules that name it."""
        if parent:
            found = [self.types["items"].get(f"{parent:08x}", {})]
        else:
            found = [self.types["modules"][index][1] for index in self.types["iods"][self.iod]]
        for kind in ("1", "2"):
            if any(f"{tag:08x}" in module.get(kind, "").split() for module in found):
                return kind
        return "3"

    def decide(self, tag: int, parent: int, encoded_vr: str | None) -> tuple[str, str, str]:
        """What happens, the VR that holds, and what happens to a value that may not stay."""
        group = tag >> 16
        if group & 1 and 8 <= group < 0xFFFE and self.private:
            if 0x10 <= tag & 0xFFFF < 0x100:
                return "creator", "LO", "remove"
            if tag & 0xFFFF >= 0x1000:
                return "safe private", "", "remove"
        if tag & 0xFFFF == 0 or group < 8 or group >= 0xFFFE or group & 1 or group & 0xFF00 == 0x5000:
            return "remove", "", "remove"
        if group & 0xFF00 == 0x6000:
            if tag & 0xFFFF in (0x0100, 0x0102):
                return "embedded", "US", "remove"
            return self.rules["overlays"], "US", "remove"
        if (parent and tag in (0x7FE00008, 0x7FE00009, 0x7FE00010)) or (group & 0xFF00 == 0x7F00 and group != 0x7FE0):
            return "remove", "", "remove"
        row = self.table.get(tag)
        try:
            choices = dictionary_VR(tag).split(" or ")
        except KeyError:
            if row is None:
                return "remove", "", "remove"
            choices = [row["vr"]]
        vr = encoded_vr if encoded_vr in choices else choices[0]
        keyword = keyword_for_tag(tag) or (row["keyword"] if row else "")
        kind = self.kind(tag, parent)
        otherwise = {"1": "dummy", "2": "empty", "3": "remove"}[kind]
        if encoded_vr is not None and encoded_vr not in STANDARD_VR:
            return otherwise, vr, otherwise
        if tag in self.elements:
            return self.elements[tag], vr, otherwise
        if tag == 0x00700022 and parent in (0x00700009, 0x00700209) and "clean_graphics" not in self.options:
            return "flatten", vr, otherwise
        if row is not None:
            return self.by_table(row, keyword, vr, kind, otherwise)
        related = any(encoded_vr in family and vr in family for family in VR_FAMILIES)
        if encoded_vr not in (None, "UN", vr) and not related:
            return otherwise, vr, otherwise
        if vr == "SQ" and keyword.endswith("CodeSequence") and self.cleans(parent):
            return "clean codes", vr, otherwise
        return self.by_vr(keyword, vr, kind, kept=False) or otherwise, vr, otherwise

    def decide_private(self, element: Any, source: Dataset) -> tuple[str, str]:
        """What happens to an element of a private block, and the VR that holds: what the VR that is listed asks for."""
        group, number = element.tag.group, element.tag.element
        listed = self.private.get((group, text_at(source, group << 16 | number >> 8), number & 0xFF))
        if listed is None:
            return "remove", ""
        vr = listed or element.VR or "UN"
        related = any(element.VR in family and vr in family for family in VR_FAMILIES)
        if "PN" in (vr, element.VR) or (element.VR not in (None, "UN", vr) and not related):
            return "remove", ""
        if element.VR not in (None, *STANDARD_VR):
            return "remove", ""
        verb = self.by_vr("", vr, "3", kept=False) or "remove"
        if verb not in ("keep", "search bytes", "search numbers"):
            return verb, vr
        value = octets(element)
        if value.startswith(b"\xfe\xff\x00\xe0"):
            return "items", "SQ"
        return ("search bytes" if value.strip(b"\0").translate(None, PRINTABLE) else "search"), vr

    def cleans(self, parent: int) -> bool:
        """Whether items are there only because descriptors are cleaned, not because something is kept."""
        row = self.table.get(parent, {})
        return "clean_descriptors" in self.options and row.get("clean_descriptors") == "C"

    def by_table(self, row: dict[str, str], keyword: str, vr: str, kind: str, otherwise: str) -> tuple[str, str, str]:
        said = {row[option] for option in self.options if row.get(option)}
        basic = resolved(row["basic"], kind)
        if row.get(DATES[1]) == "C" and DATES[1] in self.options:
            if vr in ("DA", "DT", "TM") or keyword == "TimezoneOffsetFromUTC":
                return self.by_vr(keyword, vr, kind, kept=False) or otherwise, vr, otherwise
            others = {row[option] for option in self.options - {DATES[1]} if row.get(option)}
            said = others | {"C"}
        binary = vr in ("OB", "UN", "OW", "OL", "OV", "OF", "OD")
        keeping = [option for option in self.options if row.get(option) == "K" and not (option == DATES[0] and binary)]
        if keeping:
            return self.by_vr(keyword, vr, kind, kept=True) or otherwise, vr, otherwise
        if "C" in said:
            if vr == "SQ":
                return ("clean codes" if keyword.endswith("CodeSequence") else "items"), vr, otherwise
            if vr == "CS":
                return "words", vr, basic
            if vr in ("SH", "LO", "ST", "LT", "UT", "UC", "AE"):
                return "clean", vr, basic
        if row["basic"] == "X/Z/U*" and self.rules["references"] == "mapped":
            return "items", vr, otherwise
        if row["basic"] == "U" or (vr == "UI" and row["basic"] == "D"):
            return "map-uid", vr, otherwise
        if keyword in ("ContextGroupVersion", "TemplateVersion"):
            return "version", vr, otherwise
        if basic == "dummy" and vr == "SQ":
            return ("dummy code" if keyword.endswith("CodeSequence") else "items"), vr, otherwise
        return basic, vr, otherwise

    def by_vr(self, keyword: str, vr: str, kind: str, *, kept: bool) -> str | None:
        dated = kept or bool(self.options & set(DATES))
        if keyword == "SpecificCharacterSet":
            return "character set"
        if keyword in ("ContextGroupVersion", "TemplateVersion"):
            return "version"
        if vr == "UI":
            if keyword in CLASS_UIDS:
                return "kind UID"
            return "class UID" if kept or "retain_uids" in self.options else "map-uid"
        if vr == "PN":
            return "dummy" if kind == "1" else "empty"
        if vr in ("DA", "DT"):
            return "shift" if dated else None
        if vr == "TM" or keyword == "TimezoneOffsetFromUTC":
            if not dated or self.rules["times"] == "remove":
                return None
            return "time" if vr == "TM" else "offset"
        if keyword == "CodeMeaning":
            return "meaning"
        if vr == "UR" and keyword != "URNCodeValue":
            return None
        if vr in ("SH", "LO", "ST", "LT", "UT", "UC", "UR", "AE"):
            named = kept or keyword in CODE_NAMES
            return None if self.rules["other_text"] == "by-type" and kind != "1" and not named else "search"
        if vr in ("OB", "UN", "OW", "OL", "OV", "OF", "OD"):
            return "search bytes"
        required = {
            "SQ": "items",
            "AS": "age",
            "DS": "number",
            "IS": "number",
            "CS": "term" if kind == "1" else "search",
        }
        return required.get(vr, "search numbers")

    def code_overrides(self, item: Dataset) -> dict[int, Any]:
        scheme, value, meaning = (text_at(item, tag) for tag in (0x00080102, 0x00080100, 0x00080104))
        rules = {0x00080121: ("clean codes", "SQ", "remove")}
        if scheme not in PUBLIC_SCHEMES:
            rules |= dict.fromkeys((524544, 524546), ("clean", "SH", "dummy"))
            rules |= {0x00080103: ("clean", "SH", "remove"), 0x00080119: ("clean", "UC", "dummy")}
            rules |= {0x00080120: ("search", "UR", "remove")}
        if scheme not in PUBLIC_SCHEMES or not has_meaning(scheme, value, meaning):
            rules[0x00080104] = ("clean", "LO", "dummy")
        return rules

    # -- content items -----------------------------------------------------------------------------------------------

    def said_of(self, item: Dataset) -> tuple[tuple[str, str], dict[str, str] | None, set[str]]:
        concept = first_code(item, 0x0040A043)
        row = self.content.get((*concept, text_at(item, 0x0040A040)))
        return concept, row, {row[option] for option in self.options if row.get(option)} if row else set()

    def drops(self, item: Dataset) -> bool:
        concept, row, said = self.said_of(item)
        kind = text_at(item, 0x0040A040)
        if kind in ("IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"):
            return False
        if kind == "TEXT" and ":".join(concept) in self.content_text:
            return False
        return row is not None and row["basic"] == "X" and not said

    def content_overrides(self, item: Dataset) -> dict[int, Any]:
        kind = text_at(item, 0x0040A040)
        if kind not in CONTENT_VALUES:
            return {}
        tag, vr = CONTENT_VALUES[kind]
        verb = self.content_verb(item, kind)
        return {} if verb is None else {tag: (verb, vr, "dummy")}

    def content_verb(self, item: Dataset, kind: str) -> str | None:
        concept, row, said = self.said_of(item)
        dated = bool(self.options & set(DATES))
        if kind == "UIDREF":
            return "class UID" if "retain_uids" in self.options else "map-uid"
        if kind == "PNAME":
            return "pseudonym" if concept == ("DCM", "121029") else "dummy"
        if kind == "TEXT":
            if ":".join(concept) in self.content_text:
                return str(self.content_text[":".join(concept)])
            if "K" in said:
                return "search"
            cleaned = "C" in said or (row is None and "clean_structured_content" in self.options)
            return "clean" if cleaned else "dummy"
        if kind in ("DATE", "DATETIME", "TIME"):
            if not dated or (row is not None and not said):
                return "dummy"
            if kind == "TIME":
                return "time" if self.rules["times"] == "keep" else "dummy"
            return "shift"
        if row is not None and not said:
            return "dummy code" if kind == "CODE" else "empty"
        return None

    # -- values ------------------------------------------------------------------------------------------------------

    def value(self, verb: str, vr: str, otherwise: str, element: Any, source: Dataset, here: Level, depth: int) -> Any:
        """The element itself where it stays, new bytes or items in its place, None where it goes."""
        if verb == "keep":
            return element
        if verb == "creator":
            return element if element.VR in (None, "LO") else text(element).encode("ascii", "replace")
        if verb == "remove":
            return None
        if verb in ("items", "clean codes"):
            return self.sequence(element, source, here, depth, otherwise, coded=verb == "clean codes")
        if verb == "embedded":
            return self.embedded(element, source, depth)
        value = octets(element)
        if not value and not (isinstance(element.value, Sequence) and element.value):
            return b"" if verb in ("empty", "dummy") and element.VR not in (None, vr) else element
        keyword = keyword_for_tag(element.tag) or self.table.get(int(element.tag), {}).get("keyword", "")
        new = self.new_value(verb, vr, otherwise, keyword, value, element, source, here)
        if new is not REFUSED:
            return new
        return {"remove": None, "empty": b"", "dummy": dummy(vr, keyword)}[otherwise]

    def new_value(
        self,
        verb: str,
        vr: str,
        otherwise: str,
        keyword: str,
        value: bytes,
        element: Any,
        source: Dataset,
        here: Level,
    ) -> Any:
        plain = value.decode("latin-1").strip(" \0")
        parts = plain.split("\\")
        if verb == "refuse":
            raise Refused
        if verb == "empty":
            return b""
        if verb == "dummy":
            return dummy(vr, keyword)
        if verb == "dummy code":
            return [code("REMOVED", "99ANNOGATE", "Removed")]
        if verb == "pseudonym":
            return self.pseudonym.encode()
        if verb == "flatten":
            return bytes(len(value))
        if verb == "search":
            terms = vr == "CS" and all(part.strip() in self.words["terms"] for part in parts)
            is_text = vr in ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
            hidden = is_text and value.rstrip(b"\0 ").translate(None, PRINTABLE)
            return REFUSED if hidden or (self.own_in(value, here, coded=vr == "CS") and not terms) else element
        if verb == "term":
            return self.term(value, parts, element, here)
        if verb == "search bytes":
            return REFUSED if self.own.found_in_bytes(value) else element
        if verb == "search numbers":
            return REFUSED if len(value) >= 5 and self.own.found_in_bytes(value) else element
        if verb == "meaning":
            if self.is_typed(source):
                cleaned = self.cleaned_text(keyword, vr, element, here)
                return b"REMOVED" if cleaned is REFUSED else cleaned
            known = has_meaning(text_at(source, 0x00080102), text_at(source, 0x00080100), plain)
            return REFUSED if self.own_in(value, here) and not known else element
        if verb in ("map-uid", "kind UID"):
            kinds = self.kinds if verb == "kind UID" else set()
            stripped = [part.strip(" \0") for part in parts]
            new = "\\".join(part if is_kind(part, kinds) else self.uid(part) for part in stripped)
            if new != plain:
                return new.encode("ascii", "replace")
            return element if all(not part or is_uid(part.strip(" \0")) for part in parts) else REFUSED
        if verb == "class UID":
            return element if all(is_uid(part) for part in parts) else REFUSED
        if verb == "shift":
            return self.shifted(vr, plain, parts, element)
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
        if verb == "number":
            if value.translate(None, b"0123456789+-.eE\\ \0"):
                return REFUSED
            if element.tag == 0x00280008 or not self.own.has_identifier(value):
                return element
            if otherwise != "dummy":
                return REFUSED
            if element.tag not in (0x00200011, 0x00200012, 0x00200013):
                raise Refused
            return b"\\".join(b"0" if self.own.has_identifier(one) else one for one in value.split(b"\\"))
        if verb == "character set":
            return element if all(part.strip() in python_encoding for part in parts) else None
        if verb == "clean":
            return self.cleaned_text(keyword, vr, element, here)
        if verb in ("words", "token", "coded-meaning"):
            return self.words_of(verb, vr, value, plain, element, source, here)
        raise AssertionError(verb)

    def is_typed(self, item: Dataset) -> bool:
        """Whether somebody wrote the code's meaning who publishes nothing."""
        return text_at(item, 0x00080102) not in PUBLIC_SCHEMES and "clean_descriptors" in self.options

    def own_in(self, value: bytes, here: Level, *, coded: bool = False) -> bool:
        forms = [value.decode(codec, "replace") for codec in here.codecs]
        try:
            forms.append(value.decode("utf-8"))
        except UnicodeDecodeError:
            forms += [value.decode("latin-1")] if any("\ufffd" in form for form in forms) else []
        return self.own.found_in(forms, coded=coded)

    def uid(self, old: str) -> str:
        if not old or "retain_uids" in self.options or old in UID_dictionary:
            return old
        value = bytearray(digest(self.keys.uid_key, old.encode("utf-8", "surrogateescape"))[:16])
        value[6], value[8] = 0x80 | value[6] & 0x0F, 0x80 | value[8] & 0x3F
        return f"2.25.{uuid.UUID(bytes=bytes(value)).int}"

    def shifted(self, vr: str, plain: str, parts: list[str], element: Any) -> Any:
        move = moved_date_time if vr == "DT" else moved_date
        new = [move(part.strip(), self.days) if part.strip() else "" for part in parts]
        if None in new:
            return REFUSED
        moved = "\\".join(part or "" for part in new)
        return element if moved == plain else moved.encode()

    def term(self, value: bytes, parts: list[str], element: Any, here: Level) -> Any:
        if not self.own_in(value, here, coded=True):
            return element
        parts = [part.strip() for part in parts]
        new = [
            "REMOVED" if self.own.found_in([part], coded=True) and part not in self.words["terms"] else part
            for part in parts
        ]
        return element if new == parts else "\\".join(new).encode("ascii", "replace")

    def cleaned_text(self, keyword: str, vr: str, element: Any, here: Level) -> Any:
        if self.texts is None:
            return REFUSED
        value, why = self.texts.value(element, keyword, vr, here.encoding, self.own)
        if value is None:
            return REFUSED
        padded = value + b" " * (len(value) % 2) if why else octets(element)
        if self.own_in(padded, here, coded=vr == "CS"):
            return REFUSED
        return value if why else element

    def words_of(self, verb: str, vr: str, value: bytes, plain: str, element: Any, source: Dataset, here: Level) -> Any:
        meanings = []
        if verb == "coded-meaning":
            for tag in (0x0062000F, 0x00620003, 0x00082218, 0x00620011):
                for item in items(source, tag) or []:
                    meaning: str | None = text_at(item, 0x00080104)
                    if meaning and self.is_typed(item) and self.texts is not None:
                        meaning = self.texts.text(meaning, self.own, TextKind.DESCRIPTOR)
                    meanings += [meaning] if meaning else []
        if self.allowed(value, plain, meanings, here):
            return element
        if verb == "words":
            return REFUSED
        if verb == "token":
            keyed = hmac.digest(self.keys.pseudonym_key, b"tokens", hashlib.sha256)
            mark = b"ID_" if vr == "CS" else b"ID-"
            return mark + base64.b32encode(digest(keyed, value.strip(b" \0"))[:5])
        cleaned = REFUSED if self.texts is None else self.cleaned_text("SegmentLabel", vr, element, here)
        if cleaned is not REFUSED:
            return cleaned
        safe = [meaning for meaning in meanings if meaning.isascii() and not self.own.found_in([meaning])]
        return safe[0][:64].encode() if safe else b"Segment"

    def allowed(self, value: bytes, plain: str, also: list[str], here: Level) -> bool:
        plain = plain if value.isascii() else ""
        if any(re.fullmatch(pattern, plain) for pattern in self.words["patterns"]):
            return True
        if not plain or self.own_in(value, here):
            return False
        known = {word.casefold() for word in self.words["list"]}
        known |= {word.casefold() for other in also for word in re.findall(r"[^\W\d_]+|\d+", other)}
        found = re.findall(r"[^\W\d_]+|\d+", plain)
        return all(len(word) <= 3 if word.isdigit() else word.casefold() in known for word in found)

    def embedded(self, element: Any, source: Dataset, depth: int) -> None:
        value = octets(element)
        usual = 1 if int(element.tag) & 0xFFFF == 0x0100 else 0
        has_data = int(element.tag) & 0xFFFF0000 | 0x3000 in source
        if value and int.from_bytes(value[:2], "little") != usual and not has_data and not depth:
            raise Refused


REFUSED = object()
PRINTABLE = bytes(byte for byte in range(256) if byte >= 0x20 and byte != 0x7F) + b"\t\r\n\f\x1b"


def table(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def read_header(content: bytes, *, implicit: bool) -> Dataset:
    header = read_dataset(io.BytesIO(content), is_implicit_VR=implicit, is_little_endian=True)
    for tag in [tag for tag in header.keys() if tag.group < 8 or tag.element == 0]:  # noqa: SIM118
        del header[tag]
    return header


def is_tag(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{8}", name) is not None


def resolved(code: str, kind: str) -> str:
    if code.startswith("X"):
        return {"1": "dummy", "2": "empty", "3": "remove"}[kind]
    if code.startswith("Z"):
        return "dummy" if kind == "1" else "empty"
    return "dummy"


def digest(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)


def is_uid(value: str) -> bool:
    return 0 < len(value) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)*", value) is not None


def is_kind(uid: str, kinds: set[str]) -> bool:
    """Whether a UID is listed, each * standing for a number of at most four digits."""
    patterns = (listed.replace(".", "[.]").replace("*", "(0|[1-9][0-9]{0,3})") for listed in kinds)
    return any(re.fullmatch(pattern, uid) for pattern in patterns)


def octets(element: Any) -> bytes:
    return element.value if isinstance(element.value, bytes) else b""


def text(element: Any) -> str:
    return octets(element).decode("latin-1").strip(" \0")


def text_at(data_set: Dataset, tag: int) -> str:
    element = data_set.get_item(tag, keep_deferred=True)
    if element is None:
        return ""
    return text(element) if isinstance(element, RawDataElement) else str(element.value or "").strip(" \0")


def decoded(element: Any, level: Level) -> str:
    """A text as it is meant; with several codecs pydicom's own reading of them."""
    from service.deident.element_values import decoded_text

    return "" if element is None else decoded_text(element, level.encoding)


def is_undefined(element: Any) -> bool:
    return bool(element.is_undefined_length if isinstance(element, DataElement) else element.length == 0xFFFFFFFF)


def items(data_set: Dataset, tag: int) -> list[Dataset] | None:
    """The items of a sequence; None where it cannot be read as one."""
    element = data_set.get_item(tag, keep_deferred=True)
    if element is None:
        return None
    try:
        if isinstance(element, RawDataElement) and (
            element.VR == "UN" or (element.VR is None and element.tag.is_private)
        ):
            read = list(convert_SQ(element.value or b"", True, True))
        elif isinstance(element, RawDataElement):
            alone = Dataset({element.tag: element})  # reading it in place would convert Pixel Representation as well
            alone.set_original_encoding(*data_set.original_encoding, data_set.original_character_set)
            converted = alone[tag]
            if converted.VR != "SQ":
                return None
            read = list(converted.value or ())
        else:
            return list(element.value) if element.VR == "SQ" else None
    except Exception:  # noqa: BLE001
        return None
    for item in read:
        last = [held for _, held in item.items()][-1:]
        if last and isinstance(last[0], RawDataElement) and last[0].length != 0xFFFFFFFF:
            held = last[0].value
            if held is not None and len(held) < last[0].length:
                return None
    return read


def refers_by_position(item: Dataset) -> bool:
    return 0x0040DB73 in item or any(refers_by_position(inner) for inner in items(item, 0x0040A730) or [])


def first_code(item: Dataset, tag: int) -> tuple[str, str]:
    for inner in items(item, tag) or []:
        return text_at(inner, 0x00080102), text_at(inner, 0x00080100)
    return "", ""


def has_meaning(scheme: str, value: str, meaning: str) -> bool:
    if scheme not in SCHEMES or not hasattr(codes, scheme):
        return False
    concepts = getattr(codes, scheme).concepts.values()
    return any(held.value == value and held.meaning.casefold() == meaning.strip().casefold() for held in concepts)


def cap_age(measured: Clean) -> None:
    def held(clean: Clean, tag: int) -> Any:
        return clean.get(tag, (None, b"", False))[1]

    units = held(measured, 0x004008EA)
    a_year = YEAR.get(held(units[0], 0x00080100).decode("latin-1").strip(" \0") if units else "", 1.0)
    try:
        years = float(held(measured, 0x0040A30A).decode("latin-1").strip(" \0")) / a_year
    except ValueError:
        return
    if years >= 90:
        put(measured, 0x0040A30A, "DS", f"{90 * a_year:g}".encode())


def age(plain: str, element: Any) -> Any:
    match = re.fullmatch(r"([0-9]{1,3})([DWMY]?)", plain)
    if match is None:
        return REFUSED
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1, "": 1}[match[2]]
    return b"090Y" if years >= 90 else element


def moved_date(value: str, days: int) -> str | None:
    match = re.fullmatch(r"(\d{4})(\.?)(\d{2})\2(\d{2})", value)
    return None if match is None else moved(match[1], match[3], match[4], days)


def moved_date_time(value: str, days: int) -> str | None:
    match = re.fullmatch(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?", value)
    if match is None or (match[4] and not match[3]):
        return None
    day = moved(match[1], match[2] or "01", match[3] or "01", days)
    if day is None:
        return None
    return day[: 8 if match[3] else 6 if match[2] else 4] + match[4] + (match[5] or "")


def moved(year: str, month: str, day: str, days: int) -> str | None:
    try:
        then = date(int(year), int(month), int(day)) - timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{then.year:04d}{then.month:02d}{then.day:02d}"


def dummy(vr: str, keyword: str) -> Any:
    if vr == "SQ":
        return [code("REMOVED", "99ANNOGATE", "Removed")] if keyword.endswith("CodeSequence") else []
    return TEXT_DUMMIES[vr].encode() if vr in TEXT_DUMMIES else bytes(WIDTHS.get(vr, 2))


def code(value: str, scheme: str, meaning: str) -> Clean:
    item: Clean = {}
    for tag, vr, content in ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)):
        put(item, tag, vr, content.encode())
    return item


def written(clean: Clean, *, implicit: bool) -> bytes:
    """The data set with its values as they stand (PS3.5 7.1, 7.5)."""
    parts = []
    for tag, (known_vr, held, undefined) in sorted(clean.items()):
        value = held
        if isinstance(held, list):
            inside = [written(item, implicit=implicit) for item in held]
            value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in inside)
        length = 0xFFFFFFFF if undefined else len(value)
        value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        vr = known_vr or dictionary_VR(tag).split(" or ")[0]
        if implicit:
            head += struct.pack("<I", length)
        elif vr in EXPLICIT_VR_LENGTH_32:
            head += vr.encode() + struct.pack("<HI", 0, length)
        else:
            head += vr.encode() + struct.pack("<H", length)
        parts.append(head + value)
    return b"".join(parts)


def refers(clean: Clean) -> bool:
    """Whether an instance is named, at any depth."""
    if clean.get(0x00081155, (None, b"", False))[1]:
        return True
    return any(refers(item) for _, held, _ in clean.values() if isinstance(held, list) for item in held)


def put(clean: Clean, tag: int, vr: str, value: bytes) -> None:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN", "OW") else b" "
    clean[tag] = (vr, value, False)


def put_items(clean: Clean, tag: int, inside: list[Clean]) -> None:
    clean[tag] = ("SQ", inside, False)
