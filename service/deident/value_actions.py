"""What is done to one value: each action in the encoding of the data set at hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.code_meanings import is_own_meaning
from service.deident.date_rule import DateRule
from service.deident.date_shift import is_time, shifted_date_time
from service.deident.dummies import TEXT, dummy_code, dummy_value
from service.deident.element_values import (
    BACKSLASH,
    Element,
    Encoding,
    ascii_at,
    ascii_text,
    element_forms,
    raw_bytes,
    raw_element,
    text_codecs,
)
from service.deident.encapsulated_document import placeholder_pdf
from service.deident.name_forms import SHORTEST_INSIDE
from service.deident.options import CLEAN_DESCRIPTORS
from service.deident.own_values import OwnValues
from service.deident.profile import Profile
from service.deident.rules import Action, Rule
from service.deident.sequence_items import items_of
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.uid_map import is_uid
from service.errors import IdentityNotRemovable

CODE_VALUE, CODE_SCHEME, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
MIME_TYPE = 0x00420012
SEGMENT_CODES = (0x0062000F, 0x00620003, 0x00082218, 0x00620011)
NUMBER_OF_FRAMES = 0x00280008
"""A count that the pixels repeat, and without which nobody reads them."""
COUNTERS = frozenset({0x00200011, 0x00200012, 0x00200013})
"""Series, Acquisition and Instance Number, which say nothing of what is shown."""
NUMBER_BYTES = b"0123456789+-.eE\\ \0"
PRINTABLE = bytes([*range(0x20, 0x7F), *range(0x80, 0x100)]) + b"\t\r\n\f\x1b"
OWN_VALUE = "one of the patient's own values stands in it"
NOT_OF_ITS_VR = "the value is not of its VR"
TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
Handler = Callable[[Element, Rule, Dataset], Element | None]


@dataclass(frozen=True, slots=True)
class Replacements:
    """What one patient's values are replaced by.

    Parameters
    ----------
    new_uid : maps a UID; the identity for objects that keep theirs
    token_key : keys the tokens that stand for free-text identifiers
    aside : what stands for long values in the header
    """

    pseudonym: str
    dates: DateRule
    own_values: OwnValues
    new_uid: Callable[[str], str]
    token_key: bytes
    aside: SetAside = NOTHING_ASIDE


class ValueActions:
    """The actions on values, for one header.

    Parameters
    ----------
    replacements : what the patient's values are replaced by

    Attributes
    ----------
    encoding : of the data set at hand; whoever goes through the levels sets it
    why : why the last value became what it did, where the rule does not say; whoever reads it empties it
    """

    def __init__(self, profile: Profile, replacements: Replacements) -> None:
        self._profile = profile
        self._to = replacements
        self.encoding = Encoding()
        self.why = ""
        self.document_replaced = False
        self.handlers: dict[Action, Handler] = {
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
            Action.DUMMY_CODE: self._dummy_code,
            Action.CLASS_UID: self._class_uid,
            Action.SOP_CLASS: self._sop_class,
            Action.KIND_UID: self._kind_uid,
            Action.NUMBER: self._number,
            Action.TIME: self._time,
            Action.AGE: self._age,
            Action.MEANING: self._meaning,
            Action.TERM: self._term,
            Action.SEARCH_BYTES: self._search_bytes,
            Action.SEARCH_NUMBERS: self._search_numbers,
            Action.CHARACTER_SET: self._character_set,
            Action.DOCUMENT: self._document,
            Action.UTC_OFFSET: self._utc_offset,
            Action.VERSION: self._version,
            Action.CLEAN: self._clean_text,
            Action.REFUSE: self._refuse,
            Action.FLATTEN: self._flatten,
        }

    def encoded(self, element: Element, value: bytes, vr: str) -> RawDataElement:
        """Return an element with another encoded value."""
        return raw_element(element.tag, vr, value, self.encoding)

    def text(self, element: Element, text: str, vr: str) -> RawDataElement:
        """Return an element with another value, in ASCII."""
        return self.encoded(element, text.encode("ascii"), vr)

    def _otherwise(self, element: Element, rule: Rule, why: str) -> Element | None:
        """Do with a value that may not stay what the element's Type allows."""
        self.why = why
        if rule.otherwise is Action.REMOVE:
            return None
        if rule.otherwise is Action.EMPTY:
            return self.encoded(element, b"", rule.vr)
        return self._dummy(element, rule)

    def _remove(self, _element: Element, _rule: Rule, _source: Dataset) -> None:
        return None

    def _empty(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        return self.encoded(element, b"", rule.vr)

    def _dummy(self, element: Element, rule: Rule, _source: Dataset | None = None) -> Element:
        if rule.vr == "SQ":
            code = dummy_code(self.encoding) if rule.keyword.endswith("CodeSequence") else b""
            return self.encoded(element, code, "SQ")
        return self.encoded(element, dummy_value(rule.vr), rule.vr)

    def _dummy_code(self, element: Element, _rule: Rule, _source: Dataset) -> Element:
        return self.encoded(element, dummy_code(self.encoding), "SQ")

    def _has_own_value(self, element: Element, *, coded: bool = False) -> bool:
        forms = element_forms(element, self.encoding)
        value = raw_bytes(element, self.encoding)
        return self._to.own_values.found_in_value(value, self.encoding, forms, coded=coded)

    def _search(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        found = self._has_own_value(element, coded=rule.vr == "CS")
        if found and not (rule.vr == "CS" and self._is_of_terms(element)):
            return self._otherwise(element, rule, OWN_VALUE)
        if rule.vr not in TEXT_VRS:
            return element  # bytes that look like text
        # What a writer left in its memory after the end of a text is not seen by those who read it.
        hidden = raw_bytes(element, self.encoding).rstrip(b"\0 ").translate(None, PRINTABLE)
        return self._otherwise(element, rule, NOT_OF_ITS_VR) if hidden else element

    def _is_of_terms(self, element: Element) -> bool:
        """Whether a coded string says nothing but terms of the standard, by which a patient may be called as well."""
        return all(self._profile.words.is_term(value.strip()) for value in ascii_text(element).split(BACKSLASH))

    def _search_bytes(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        long = self._to.aside.of(element.value)
        value = raw_bytes(element, self.encoding) if long is None else long.source
        if self._to.own_values.found_in_bytes(value):
            return self._otherwise(element, rule, OWN_VALUE)
        return element

    def _search_numbers(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        value = element.value if isinstance(element.value, bytes) else raw_bytes(element, self.encoding)
        if len(value) < SHORTEST_INSIDE:
            return element
        return self._search_bytes(element, rule, source)

    def _meaning(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        """Keep what a public scheme calls a code; what a local one calls it was typed by somebody, like any text."""
        scheme = ascii_at(source, CODE_SCHEME)
        if self._is_typed(scheme):
            # A code has a meaning (PS3.3 Table 8.8-1).
            return self._clean_text(element, replace(rule, otherwise=Action.DUMMY), source)
        if not self._has_own_value(element) or is_own_meaning(
            scheme, ascii_at(source, CODE_VALUE), ascii_text(element)
        ):
            return element
        return self._otherwise(element, rule, OWN_VALUE)

    def _is_typed(self, scheme: str) -> bool:
        return scheme not in self._profile.schemes.published and CLEAN_DESCRIPTORS in self._profile.options

    def _term(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if not self._has_own_value(element, coded=True):
            return element
        self.why = OWN_VALUE
        values = [value.strip() for value in ascii_text(element).split(BACKSLASH)]
        clean = [TEXT if self._is_own_term(value) else value for value in values]
        if clean == values:
            # What one value alone does not say, all of them may.
            clean = [value if self._profile.words.is_term(value) else TEXT for value in values]
        if clean == values:
            return element
        return self.encoded(element, BACKSLASH.join(clean).encode("ascii", "replace"), rule.vr)

    def _is_own_term(self, value: str) -> bool:
        """Whether one value of a coded string has to go; letters that no coded string has may be a name's."""
        if self._profile.words.is_term(value):
            return False
        plain = value.isascii() and value.isprintable()
        return not plain or self._to.own_values.found_in([value], coded=True)

    def _map_uid(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        return self._mapped(element, rule, self._to.new_uid)

    def _sop_class(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        """Keep SOP classes of manufacturers and sites, too: what an object is says nothing of the patient."""
        known, own = self._profile.kinds.holds, self._to.own_values.has_number_in_uid
        return self._mapped(element, rule, lambda uid: self._to.new_uid(uid) if own(uid) and not known(uid) else uid)

    def _kind_uid(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        known = self._profile.kinds.holds
        return self._mapped(element, rule, lambda uid: uid if known(uid) else self._to.new_uid(uid))

    def _mapped(self, element: Element, rule: Rule, new_uid: Callable[[str], str]) -> Element | None:
        old = ascii_text(element)
        new = [new_uid(uid.strip(" \0")) for uid in old.split(BACKSLASH)]
        if BACKSLASH.join(new) != old:
            return self.text(element, BACKSLASH.join(new), "UI")
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
        return element if moved == old else self.text(element, moved, rule.vr)

    def _time(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if not all(is_time(value.strip()) for value in ascii_text(element).split(BACKSLASH) if value.strip()):
            return self._otherwise(element, rule, NOT_OF_ITS_VR)
        if self._to.own_values.has_identifier(raw_bytes(element, self.encoding)):
            return self._otherwise(element, rule, OWN_VALUE)
        return element

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
        return self.text(element, "090Y", rule.vr) if years >= 90 else element

    def _number(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        value = raw_bytes(element, self.encoding)
        if value.translate(None, NUMBER_BYTES):
            return self._otherwise(element, rule, NOT_OF_ITS_VR)
        own = self._to.own_values
        if element.tag == NUMBER_OF_FRAMES or not own.has_identifier(value):
            return element
        if rule.otherwise is not Action.DUMMY:
            return self._otherwise(element, rule, OWN_VALUE)
        if element.tag not in COUNTERS:
            # Another number would be a wrong distance, position or finding.
            raise IdentityNotRemovable(f"{rule.keyword}: may not be missing, and is one of the patient's identifiers")
        self.why = OWN_VALUE
        numbers = [b"0" if own.has_identifier(number) else number for number in value.split(b"\\")]
        return self.encoded(element, b"\\".join(numbers), rule.vr)

    def _pseudonym(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        return self.text(element, self._to.pseudonym, rule.vr)

    def _allowed(self, element: Element, also: list[str]) -> bool:
        text = ascii_text(element) if not isinstance(element, RawDataElement) or _plain(element) else ""
        words = self._profile.words
        return words.match(text) or (bool(text) and not self._has_own_value(element) and words.allow(text, also))

    def _clean_text(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        if self._profile.texts is None:
            return self._otherwise(element, rule, "the profile cleans no texts")
        own = self._to.own_values
        value, why = self._profile.texts.value(element, rule.keyword, rule.vr, self.encoding, own)
        if value is None:
            return self._otherwise(element, rule, why)
        cleaned = self.encoded(element, value, rule.vr) if why else element
        # The other readings of its bytes count as well: a wrong character set hides nothing.
        if self._has_own_value(cleaned, coded=rule.vr == "CS"):
            return self._otherwise(element, rule, OWN_VALUE)
        self.why = why
        return cleaned

    def _refuse(self, _element: Element, rule: Rule, _source: Dataset) -> Element | None:
        raise IdentityNotRemovable(f"{rule.keyword}: {rule.reason}")

    def _flatten(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        length = 4 * element.VM if isinstance(element, DataElement) else len(element.value or b"")
        return self.encoded(element, bytes(length), rule.vr)

    def _words(self, element: Element, rule: Rule, _source: Dataset) -> Element | None:
        return element if self._allowed(element, []) else self._otherwise(element, rule, "free text of unknown words")

    def _token(self, element: Element, rule: Rule, _source: Dataset) -> Element:
        if self._allowed(element, []):
            return element
        value = raw_bytes(element, self.encoding).strip(b" \0")
        tool = self._profile.words.tool_of(value.decode("latin-1"))
        if not tool:
            return self.encoded(element, self._token_of(value, rule), rule.vr)
        label = value[len(tool) + 1 :]
        kept = self._label(self.encoded(element, label, rule.vr), label, rule)
        return element if kept == label else self.encoded(element, tool.encode("ascii") + b":" + kept, rule.vr)

    def _token_of(self, value: bytes, rule: Rule) -> bytes:
        """Return the token that stands for a value, the same one wherever the value stands in the project."""
        self.why = "free text of unknown words; a keyed token in its place"
        mark = b"ID_" if rule.vr == "CS" else b"ID-"  # a coded string has no hyphens (PS3.5 6.2)
        return mark + base64.b32encode(hmac.digest(self._to.token_key, value, hashlib.sha256)[:5])

    def _label(self, element: Element, label: bytes, rule: Rule) -> bytes:
        """Return what may stay of the label behind the name of a tool; a token where nothing may."""
        if self._allowed(element, []):
            return label
        texts, own = self._profile.texts, self._to.own_values
        if texts is None:
            return self._token_of(label, rule)
        value, why = texts.value(element, rule.keyword, rule.vr, self.encoding, own, TextKind.LABEL)
        if value is None or self._has_own_value(self.encoded(element, value, rule.vr)):
            return self._token_of(label, rule)
        self.why = why
        return value.strip(b" \0")

    def _coded_meaning(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        meanings = [meaning for tag in SEGMENT_CODES for meaning in self._meanings(source, tag)]
        if self._allowed(element, meanings):
            return element
        if self._profile.texts is not None:
            cleaned = self._clean_text(element, replace(rule, otherwise=Action.REMOVE), source)
            if cleaned is not None:
                return cleaned
        self.why = "free text of unknown words; its code's meaning in its place"
        safe = [m for m in meanings if m.isascii() and not self._to.own_values.found_in([m])]
        return self.text(element, safe[0][:64] if safe else "Segment", rule.vr)

    def _meanings(self, source: Dataset, tag: int) -> Iterator[str]:
        """Yield the meanings of codes as they stay."""
        for item in items_of(source, tag):
            meaning: str | None = ascii_at(item, CODE_MEANING)
            if meaning and self._is_typed(ascii_at(item, CODE_SCHEME)) and self._profile.texts is not None:
                meaning = self._profile.texts.text(meaning, self._to.own_values, TextKind.DESCRIPTOR)
            if meaning:
                yield meaning

    def _character_set(self, element: Element, _rule: Rule, _source: Dataset) -> Element | None:
        if text_codecs(ascii_text(element).split(BACKSLASH)) is None:
            self.why = "not a defined term"
            return None
        return element

    def _document(self, element: Element, rule: Rule, source: Dataset) -> Element:
        kind = ascii_at(source, MIME_TYPE).lower()
        if kind != "application/pdf" or self._profile.settings["encapsulated_documents"] != "placeholder":
            known = kind if kind in ("application/pdf", "text/xml", "model/stl", "model/obj") else "another type"
            raise IdentityNotRemovable(f"an encapsulated document ({known}) cannot be cleaned")
        self.document_replaced = True
        self.why = "an own page that says so in its place"
        return self.encoded(element, placeholder_pdf(), rule.vr)


def _plain(element: RawDataElement) -> bool:
    return bool(element.value) and element.value is not None and element.value.isascii()
