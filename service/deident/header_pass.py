"""The one pass over a header: every element at every depth meets its rule.

Elements that stay are handed on as they were encoded; nothing but sequences and what a rule looks at is decoded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from service.deident.clean_codes import code_overrides
from service.deident.code_meanings import is_own_meaning
from service.deident.content_items import MEASURED_VALUE, NUMERIC_VALUE, VALUE_TYPE, ContentRules
from service.deident.date_rule import DateRule
from service.deident.date_shift import is_time, shifted_date_time
from service.deident.dummies import TEXT, dummy_code, dummy_value
from service.deident.element_values import (
    BACKSLASH,
    DEFAULT_ENCODING,
    Element,
    Encoding,
    ascii_text,
    element_forms,
    is_empty,
    raw_bytes,
    raw_element,
    text_codecs,
)
from service.deident.encapsulated_document import placeholder_pdf
from service.deident.own_values import OwnValues
from service.deident.profile import Profile
from service.deident.rule_book import RuleBook
from service.deident.rules import Action, Decision, Rule
from service.deident.sequence_items import as_sequence, items_of
from service.deident.uid_map import is_uid
from service.errors import IdentityNotRemovable

MAX_DEPTH = 64
OVERLAY_BITS_ALLOCATED, OVERLAY_DATA = 0x0100, 0x3000
CHARACTER_SET = 0x00080005
CODE_VALUE, CODE_SCHEME = 0x00080100, 0x00080102
MIME_TYPE, DOCUMENT_LENGTH, BURNED_IN = 0x00420012, 0x00420015, 0x00280301
SEGMENT_CODES = (0x0062000F, 0x00620003, 0x00082218, 0x00620011)
NUMBER_BYTES = b"0123456789+-.eE\\ \0"
OWN_VALUE = "one of the patient's own values stands in it"
NOT_OF_ITS_VR = "the value is not of its VR"
NOT_BY_VALUE = frozenset({Action.CLEAN_ITEMS, Action.CLEAN_CODES, Action.SAFE_PRIVATE, Action.EMBEDDED_OVERLAY})
"""Actions that an empty element meets as well."""
PRINTABLE = bytes([*range(0x20, 0x7F), *range(0x80, 0x100)]) + b"\t\r\n\f\x1b"
ITEM = b"\xfe\xff\x00\xe0"
TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
Handler = Callable[[Element, Rule, Dataset], Element | None]


@dataclass(frozen=True, slots=True)
class Replacements:
    """What one patient's values are replaced by.

    Parameters
    ----------
    new_uid : maps a UID; the identity for objects that keep theirs
    token_key : keys the tokens that stand for free-text identifiers
    """

    pseudonym: str
    dates: DateRule
    own_values: OwnValues
    new_uid: Callable[[str], str]
    token_key: bytes


class HeaderPass:
    """One pass over one header; made anew for each.

    Parameters
    ----------
    explain : whether to list a decision for every element
    """

    def __init__(
        self, profile: Profile, book: RuleBook, sop_class_uid: str, replacements: Replacements, *, explain: bool = False
    ) -> None:
        self._profile = profile
        self._book = book
        self._iod = book.iod(sop_class_uid)
        self._to = replacements
        self._content = ContentRules(profile)
        self._encoding = Encoding()
        self._depth = 0
        self._path = ""
        self._why = ""
        self._keeps_order: bool | None = None
        self._root: Dataset | None = None
        self.decisions: list[Decision] | None = [] if explain else None
        self.removed = 0
        self.replaced = 0
        self.document_replaced = False
        self._handlers: dict[Action, Handler] = {
            Action.SEARCH: self._search,
            Action.REMOVE: self._remove,
            Action.EMPTY: self._empty,
            Action.DUMMY: self._dummy,
            Action.MAP_UID: self._map_uid,
            Action.SHIFT: self._shift,
            Action.PSEUDONYM: self._pseudonym,
            Action.WORDS: self._words,
            Action.TOKEN: self._token,
            Action.CODED_MEANING: self._coded_meaning,
            Action.CLEAN_ITEMS: self._clean_items,
            Action.CLEAN_CODES: self._clean_items,
            Action.DUMMY_CODE: self._dummy_code,
            Action.CLASS_UID: self._class_uid,
            Action.NUMBER: self._number,
            Action.TIME: self._time,
            Action.AGE: self._age,
            Action.MEANING: self._meaning,
            Action.TERM: self._term,
            Action.SEARCH_BYTES: self._search_bytes,
            Action.CHARACTER_SET: self._character_set,
            Action.DOCUMENT: self._document,
            Action.UTC_OFFSET: self._utc_offset,
            Action.VERSION: self._version,
            Action.CLEAN: self._clean_text,
            Action.REFUSE: self._refuse,
            Action.FLATTEN: self._flatten,
            Action.EMBEDDED_OVERLAY: self._embedded_overlay,
            Action.SAFE_PRIVATE: self._safe_private,
        }

    def run(self, header: Dataset) -> Dataset:
        """Return the cleaned copy of a header; the header itself is not changed, but its sequences get parsed.

        Raises
        ------
        IdentityNotRemovable : an encapsulated document that cannot be replaced, or sequences nested without end
        """
        self._root = header
        return self._level(header, 0, "")

    # -- levels ------------------------------------------------------------------------------------------------------

    def _level(self, source: Dataset, parent: int, path: str, overrides: dict[int, Rule] | None = None) -> Dataset:
        outer = self._encoding
        self._encoding = encoding_of(source, outer)
        place = self._book.place(self._iod, parent)
        if VALUE_TYPE in source:
            overrides = self._content.overrides(source)
        kept: dict[int, Element] = {}
        creators: list[tuple[Element, Rule]] = []
        for tag in source.keys():  # noqa: SIM118 - a Dataset iterates over its converted elements
            element = source.get_item(tag, keep_deferred=True)
            rule = place.get((tag, element.VR)) or self._book.rule(self._iod, parent, tag, element.VR)
            if overrides is not None and tag in overrides:
                rule = overrides[tag]
            action = rule.action
            if action is Action.KEEP:
                result: Element | None = element
            elif action is Action.REMOVE:
                result = None
            elif action is Action.PRIVATE_CREATOR:
                creators.append((element, rule))
                continue
            else:
                self._path = path
                result = self._apply(element, rule, source)
            self._settle(kept, path, element, result, rule)
        for creator, rule in creators:
            self._settle(kept, path, creator, self._creator(creator, kept), rule)
        if creators:
            kept = dict(sorted(kept.items()))
        clean = self._data_set(kept, source)
        self._encoding = outer
        return clean

    def _settle(
        self, kept: dict[int, Element], path: str, element: Element, result: Element | None, rule: Rule
    ) -> None:
        if result is None:
            self.removed += 1
        else:
            if result is not element:
                self.replaced += 1
            elif element.VR is None and not self._encoding.implicit_vr:
                result = element._replace(VR=rule.vr or "UN")  # implicit VR inside an explicit data set
            kept[element.tag] = result
        if self.decisions is not None:
            self._explain(path, element, result, rule)

    def _apply(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        if element.value is None and isinstance(element, RawDataElement) and element.length:
            element = source[element.tag]  # its reading was deferred
        if rule.action not in NOT_BY_VALUE and is_empty(element):
            right = rule.action not in (Action.EMPTY, Action.DUMMY) or element.VR in (None, rule.vr)
            return element if right else self._encoded(element, b"", rule.vr)
        return self._handlers[rule.action](element, rule, source)

    def _data_set(self, kept: dict[int, Element], source: Dataset) -> Dataset:
        codecs = list(self._encoding.text)
        parent = codecs if CHARACTER_SET not in kept else [DEFAULT_ENCODING]
        clean = Dataset(kept, parent_encoding=parent)  # type: ignore[arg-type]
        implicit, little = source.original_encoding
        if implicit is not None:
            clean.set_original_encoding(implicit, little, codecs)
        return clean

    def _clean_items(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        tag = int(element.tag)
        converted = as_sequence(source, tag)
        if converted is None:
            self._why = "it cannot be read as a sequence"
            return None if rule.otherwise is Action.REMOVE else self._encoded(element, b"", "SQ")
        if self._depth >= MAX_DEPTH:
            raise IdentityNotRemovable(f"sequences are nested deeper than {MAX_DEPTH} levels")
        path = f"{self._path}{converted.tag}" if self.decisions is not None else ""
        codes = rule.action is Action.CLEAN_CODES
        self._depth += 1
        items = [
            self._level(item, tag, f"{path}[{number}]." if path else "", code_overrides(item) if codes else None)
            for number, item in enumerate(converted.value or ())
            if not self._drops(item, f"{path}[{number}]" if path else "")
        ]
        self._depth -= 1
        if tag == MEASURED_VALUE and self._content.is_subject_age(source):
            self._cap_ages(items)
        sequence = Sequence(items)
        cleaned = DataElement(converted.tag, "SQ", sequence)
        cleaned.is_undefined_length = converted.is_undefined_length
        return cleaned

    def _cap_ages(self, measured: list[Dataset]) -> None:
        for item in measured:
            capped = self._content.capped_age(item)
            if capped:
                value = raw_element(NUMERIC_VALUE, "DS", capped.encode("ascii"), self._encoding)
                item[NUMERIC_VALUE] = value

    def _drops(self, item: Dataset, path: str) -> bool:
        """Whether a content item goes whole; not where others refer to items by their position (PS3.3 C.17.3.2.5)."""
        if VALUE_TYPE not in item:
            return False
        reason = self._content.drop_reason(item)
        if not reason or self._order_matters():
            return False
        self.removed += 1
        if self.decisions is not None:
            self.decisions.append(Decision(path, "ContentSequence", "removed", "PS3.15 Table E.3.4-1", reason))
        return True

    def _order_matters(self) -> bool:
        if self._keeps_order is None:
            self._keeps_order = self._root is not None and self._content.refers_by_position(self._root)
        return self._keeps_order

    # -- private blocks ----------------------------------------------------------------------------------------------

    def _safe_private(self, element: Element, _rule: Rule, source: Dataset) -> Element | None:
        """Do what the VR asks for where a list names the element; depends on the creator of its block."""
        group, place = element.tag.group, element.tag.element
        creator = _ascii_at(source, group << 16 | place >> 8)
        listed = self._profile.private.element(group, creator, place & 0xFF)
        if listed is None:
            return None
        private = self._book.private_rule(listed, element.VR)
        if private.action is Action.SEARCH_BYTES:
            private = self._seen_through(raw_bytes(element, self._encoding), private)
        self._why = private.reason
        result = None if private.action is Action.REMOVE else self._apply(element, private, source)
        if result is element and element.VR is None and not self._encoding.implicit_vr:
            return element._replace(VR=private.vr)
        return result

    def _seen_through(self, value: bytes, rule: Rule) -> Rule:
        """Return the rule for what bytes are, whatever a list takes them for."""
        if value.startswith(ITEM):
            return replace(rule, action=Action.CLEAN_ITEMS, vr="SQ")  # UN with an encoded sequence (PS3.5 6.2.2)
        is_text = not value.strip(b"\0").translate(None, PRINTABLE)
        return replace(rule, action=Action.SEARCH) if is_text else rule

    def _creator(self, element: Element, kept: dict[int, Element]) -> Element | None:
        """Keep the creator of a block when elements of the block were kept."""
        block = int(element.tag) >> 16 << 16 | int(element.tag) << 8 & 0xFF00
        if any(tag & 0xFFFFFF00 == block for tag in kept):
            right = element.VR in (None, "LO")
            return element if right else self._text(element, ascii_text(element), "LO")
        self._why = "none of its block is kept"
        return None

    # -- values ------------------------------------------------------------------------------------------------------

    def _encoded(self, element: Element, value: bytes, vr: str) -> RawDataElement:
        return raw_element(element.tag, vr, value, self._encoding)

    def _text(self, element: Element, text: str, vr: str) -> RawDataElement:
        return self._encoded(element, text.encode("ascii"), vr)

    def _otherwise(self, element: Element, rule: Rule, why: str) -> Element | None:
        """Do with a value that may not stay what the element's Type allows."""
        self._why = why
        if rule.otherwise is Action.REMOVE:
            return None
        if rule.otherwise is Action.EMPTY:
            return self._encoded(element, b"", rule.vr)
        return self._dummy(element, rule)

    def _remove(self, _element: Element, _rule: Rule, _source: Dataset) -> None:
        return None

    def _empty(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        return self._encoded(element, b"", rule.vr)

    def _dummy(self, element: Element, rule: Rule, _source: Dataset | None = None) -> Element:
        if rule.vr == "SQ":
            code = dummy_code(self._encoding) if rule.keyword.endswith("CodeSequence") else b""
            return self._encoded(element, code, "SQ")
        return self._encoded(element, dummy_value(rule.vr), rule.vr)

    def _dummy_code(self, element: Element, _rule: Rule, _source: Dataset) -> Element:
        return self._encoded(element, dummy_code(self._encoding), "SQ")

    def _has_own_value(self, element: Element, *, coded: bool = False) -> bool:
        forms = element_forms(element, self._encoding)
        value = raw_bytes(element, self._encoding)
        return self._to.own_values.found_in_value(value, self._encoding, forms, coded=coded)

    def _search(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        found = self._has_own_value(element, coded=rule.vr == "CS")
        if found and not (rule.vr == "CS" and self._is_of_terms(element)):
            return self._otherwise(element, rule, OWN_VALUE)
        if rule.vr not in TEXT_VRS:
            return element  # bytes that look like text
        # What a writer left in its memory after the end of a text is not seen by those who read it.
        hidden = raw_bytes(element, self._encoding).rstrip(b"\0 ").translate(None, PRINTABLE)
        return self._otherwise(element, rule, NOT_OF_ITS_VR) if hidden else element

    def _is_of_terms(self, element: Element) -> bool:
        """Whether a coded string says nothing but terms of the standard, by which a patient may be called as well."""
        return all(self._profile.words.is_term(value.strip()) for value in ascii_text(element).split(BACKSLASH))

    def _search_bytes(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        value = raw_bytes(element, self._encoding)
        if self._to.own_values.found_in_bytes(value):
            return self._otherwise(element, rule, OWN_VALUE)
        return element

    def _meaning(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        if not self._has_own_value(element) or is_own_meaning(
            _ascii_at(source, CODE_SCHEME), _ascii_at(source, CODE_VALUE), ascii_text(element)
        ):
            return element
        return self._otherwise(element, rule, OWN_VALUE)

    def _term(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if not self._has_own_value(element, coded=True):
            return element
        self._why = OWN_VALUE
        values = [value.strip() for value in ascii_text(element).split(BACKSLASH)]
        clean = [
            TEXT
            if self._to.own_values.found_in([value], coded=True) and not self._profile.words.is_term(value)
            else value
            for value in values
        ]
        if clean == values:
            return element
        return self._encoded(element, BACKSLASH.join(clean).encode("ascii", "replace"), rule.vr)

    def _map_uid(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        old = ascii_text(element)
        new = [self._to.new_uid(uid.strip(" \0")) for uid in old.split(BACKSLASH)]
        if BACKSLASH.join(new) != old:
            return self._text(element, BACKSLASH.join(new), "UI")
        if all(not uid or is_uid(uid) for uid in new):
            return element
        # Where UIDs are kept, what is none might be anything.
        return self._otherwise(element, rule, NOT_OF_ITS_VR)

    def _class_uid(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if all(is_uid(uid) for uid in ascii_text(element).split(BACKSLASH)):
            return element
        return self._otherwise(element, rule, NOT_OF_ITS_VR)

    def _shift(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        move = self._to.dates.date_time if rule.vr == "DT" else self._to.dates.date
        old = ascii_text(element)
        new = [move(value.strip()) if value.strip() else "" for value in old.split(BACKSLASH)]
        if None in new:
            return self._otherwise(element, rule, NOT_OF_ITS_VR)
        moved = BACKSLASH.join(value or "" for value in new)
        return element if moved == old else self._text(element, moved, rule.vr)

    def _time(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if all(is_time(value.strip()) for value in ascii_text(element).split(BACKSLASH) if value.strip()):
            return element
        return self._otherwise(element, rule, NOT_OF_ITS_VR)

    def _utc_offset(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        text = ascii_text(element)
        if len(text) == 5 and text[0] in "+-" and text[1:].isdigit():
            return element
        return self._otherwise(element, rule, NOT_OF_ITS_VR)

    def _version(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if shifted_date_time(ascii_text(element), 0) is not None:
            return element
        return self._otherwise(element, rule, NOT_OF_ITS_VR)

    def _age(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        text = ascii_text(element)
        number, unit = (text[:-1], text[-1]) if text[-1:] in tuple("DWMY") else (text, "Y")
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            return self._otherwise(element, rule, NOT_OF_ITS_VR)
        years = int(number) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[unit]
        return self._text(element, "090Y", rule.vr) if years >= 90 else element

    def _number(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        value = raw_bytes(element, self._encoding)
        if value.translate(None, NUMBER_BYTES):
            return self._otherwise(element, rule, NOT_OF_ITS_VR)
        # A required number stays: it is a count, and a patient who has it as an ID is not found by it.
        if rule.vr == "IS" and rule.otherwise is not Action.DUMMY and self._to.own_values.is_identifier(value):
            return self._otherwise(element, rule, OWN_VALUE)
        return element

    def _pseudonym(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        return self._text(element, self._to.pseudonym, rule.vr)

    def _allowed(self, element: Element, also: list[str]) -> bool:
        text = ascii_text(element) if not isinstance(element, RawDataElement) or _plain(element) else ""
        words = self._profile.words
        return words.match(text) or (bool(text) and not self._has_own_value(element) and words.allow(text, also))

    def _clean_text(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if self._profile.texts is None:
            return self._otherwise(element, rule, "the profile cleans no texts")
        own = self._to.own_values
        value, why = self._profile.texts.value(element, rule.keyword, rule.vr, self._encoding, own)
        if value is None:
            return self._otherwise(element, rule, why)
        cleaned = self._encoded(element, value, rule.vr) if why else element
        # The other readings of its bytes count as well: a wrong character set hides nothing.
        if self._has_own_value(cleaned, coded=rule.vr == "CS"):
            return self._otherwise(element, rule, OWN_VALUE)
        self._why = why
        return cleaned

    def _refuse(self, _element: Element, rule: Rule, _source: Dataset) -> Element | None:
        raise IdentityNotRemovable(f"{rule.keyword}: {rule.reason}")

    def _embedded_overlay(self, element: Element, rule: Rule, source: Dataset) -> None:
        """Refuse a plane whose bits lie in Pixel Data; depends on whether it has Overlay Data of its own."""
        value = element.value
        number = int.from_bytes(value[:2], self._encoding.order) if isinstance(value, bytes) else value
        usual = 1 if int(element.tag) & 0xFFFF == OVERLAY_BITS_ALLOCATED else 0
        has_data = BaseTag(int(element.tag) & 0xFFFF0000 | OVERLAY_DATA) in source
        if not is_empty(element) and number != usual and not has_data and self._depth == 0:
            raise IdentityNotRemovable(rule.reason)

    def _flatten(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        length = 4 * element.VM if isinstance(element, DataElement) else len(element.value or b"")
        return self._encoded(element, bytes(length), rule.vr)

    def _words(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        return element if self._allowed(element, []) else self._otherwise(element, rule, "free text of unknown words")

    def _token(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        if self._allowed(element, []):
            return element
        digest = hmac.digest(self._to.token_key, raw_bytes(element, self._encoding).strip(b" \0"), hashlib.sha256)
        self._why = "free text of unknown words; a keyed token in its place"
        mark = "ID_" if rule.vr == "CS" else "ID-"  # a coded string has no hyphens (PS3.5 6.2)
        return self._text(element, mark + base64.b32encode(digest[:5]).decode("ascii"), rule.vr)

    def _coded_meaning(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        meanings = [meaning for tag in SEGMENT_CODES for meaning in _meanings(source, tag)]
        if self._allowed(element, meanings):
            return element
        if self._profile.texts is not None:
            cleaned = self._clean_text(element, replace(rule, otherwise=Action.REMOVE), source)
            if cleaned is not None:
                return cleaned
        self._why = "free text of unknown words; its code's meaning in its place"
        safe = [m for m in meanings if m.isascii() and not self._to.own_values.found_in([m])]
        return self._text(element, safe[0][:64] if safe else "Segment", rule.vr)

    def _character_set(self, element: Element, _rule: Rule, _source: Dataset) -> Element | None:
        if text_codecs(ascii_text(element).split(BACKSLASH)) is None:
            self._why = "not a defined term"
            return None
        return element

    def _document(self, element: Element, rule: Rule, source: Dataset) -> Element:
        kind = _ascii_at(source, MIME_TYPE).lower()
        if kind != "application/pdf" or self._profile.settings["encapsulated_documents"] != "placeholder":
            known = kind if kind in ("application/pdf", "text/xml", "model/stl", "model/obj") else "another type"
            raise IdentityNotRemovable(f"an encapsulated document ({known}) cannot be cleaned")
        self.document_replaced = True
        self._why = "an own page that says so in its place"
        return self._encoded(element, placeholder_pdf(), rule.vr)

    # -- reasons -----------------------------------------------------------------------------------------------------

    def _explain(self, path: str, element: Element, result: Element | None, rule: Rule) -> None:
        if self.decisions is None:
            return
        if result is None:
            word = "removed"
        elif result is element or rule.action is Action.CLEAN_ITEMS:
            word = "kept"
        else:
            word = "emptied" if is_empty(result) else "replaced"
        decision = Decision(f"{path}{element.tag}", rule.keyword, word, rule.rule, self._why or rule.reason)
        self._why = ""
        self.decisions.append(decision)


def encoding_of(source: Dataset, outer: Encoding) -> Encoding:
    """Return how a data set is encoded; what it does not say it takes from the one around it."""
    implicit, little = source.original_encoding
    element = source.get_item(CHARACTER_SET, keep_deferred=True)
    codecs = None
    if element is not None:
        codecs = text_codecs(ascii_text(element).split(BACKSLASH))
    if implicit is None or little is None:
        implicit, little = outer.implicit_vr, outer.little_endian
    if (implicit, little) == (outer.implicit_vr, outer.little_endian) and codecs is None:
        return outer
    return Encoding(implicit, little, codecs or outer.text)


def _ascii_at(source: Dataset, tag: int) -> str:
    element = source.get_item(tag, keep_deferred=True)
    return "" if element is None else ascii_text(element)


def _plain(element: RawDataElement) -> bool:
    return bool(element.value) and element.value is not None and element.value.isascii()


def _meanings(source: Dataset, tag: int) -> list[str]:
    return [meaning for item in items_of(source, tag) if (meaning := _ascii_at(item, 0x00080104))]
