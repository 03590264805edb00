"""The one pass over a header: every element at every depth meets its rule.

Elements that stay are handed on as they were encoded; nothing but sequences and what a rule looks at is decoded.
"""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from service.core.encoded_bytes import EncodedBytes
from service.deident.clean_codes import code_overrides
from service.deident.content_items import MEASURED_VALUE, NUMERIC_VALUE, VALUE_TYPE, ContentRules
from service.deident.element_values import (
    BACKSLASH,
    DEFAULT_ENCODING,
    Element,
    Encoding,
    ascii_at,
    ascii_text,
    is_empty,
    raw_bytes,
    raw_element,
    text_codecs,
)
from service.deident.instance_lists import refers_to_instances
from service.deident.long_values import LongValues, is_printable
from service.deident.profile import Profile
from service.deident.rule_book import RuleBook
from service.deident.rules import Action, Decision, Rule
from service.deident.sequence_items import as_sequence
from service.deident.value_actions import PRINTABLE, Replacements, ValueActions
from service.errors import IdentityNotRemovable

__all__ = ["HeaderPass", "Replacements", "encoding_of"]

MAX_DEPTH = 64
OVERLAY_BITS_ALLOCATED, OVERLAY_DATA = 0x0100, 0x3000
CHARACTER_SET = 0x00080005
NOT_BY_VALUE = frozenset({Action.CLEAN_ITEMS, Action.CLEAN_CODES, Action.SAFE_PRIVATE, Action.EMBEDDED_OVERLAY})
"""Actions that an empty element meets as well."""
BY_WHAT_IS_KEPT = frozenset({Action.PRIVATE_CREATOR, Action.INSTANCE_LIST})
"""Actions that come last in a data set, since they ask what else is kept of it."""
ITEM = b"\xfe\xff\x00\xe0"


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
        self._values = ValueActions(profile, replacements)
        self._content = ContentRules(profile)
        self._schemes = profile.schemes
        self._long = LongValues(replacements.aside) if replacements.aside else None
        self._depth = 0
        self._path = ""
        self._keeps_order: bool | None = None
        self._root: Dataset | None = None
        self.decisions: list[Decision] | None = [] if explain else None
        self.removed = 0
        self.replaced = 0
        self._handlers = self._values.handlers | {
            Action.CLEAN_ITEMS: self._clean_items,
            Action.CLEAN_CODES: self._clean_items,
            Action.EMBEDDED_OVERLAY: self._embedded_overlay,
            Action.SAFE_PRIVATE: self._safe_private,
        }

    @property
    def document_replaced(self) -> bool:
        """Whether a page of our own stands in the place of an encapsulated document."""
        return self._values.document_replaced

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
        outer = self._values.encoding
        self._values.encoding = encoding_of(source, outer)
        place = self._book.place(self._iod, parent)
        if VALUE_TYPE in source:
            overrides = self._content.overrides(source)
        kept: dict[int, Element] = {}
        later: list[tuple[Element, Rule]] = []
        for tag in source.keys():  # noqa: SIM118 - a Dataset iterates over its converted elements
            element = source.get_item(tag, keep_deferred=True)
            rule = place.get((tag, element.VR)) or self._book.rule(self._iod, parent, tag, element.VR)
            if overrides is not None and tag in overrides:
                rule = overrides[tag]
            action = rule.action
            if action is Action.KEEP:
                result: Element | None = element if self._long is None else self._apply(element, rule, source)
            elif action is Action.REMOVE:
                result = None
            elif action in BY_WHAT_IS_KEPT:
                later.append((element, rule))
                continue
            else:
                self._path = path
                result = self._apply(element, rule, source)
            self._settle(kept, path, element, result, rule)
        if later:
            self._settle_rest(kept, path, later, source)
            kept = dict(sorted(kept.items()))
        clean = self._data_set(kept, source)
        self._values.encoding = outer
        return clean

    def _settle(
        self, kept: dict[int, Element], path: str, element: Element, result: Element | None, rule: Rule
    ) -> None:
        if result is None:
            self.removed += 1
        else:
            if result is not element:
                self.replaced += 1
            elif element.VR is None and not self._values.encoding.implicit_vr:
                result = element._replace(VR=rule.vr or "UN")  # implicit VR inside an explicit data set
            kept[element.tag] = result
        if self.decisions is not None:
            self._explain(path, element, result, rule)

    def _settle_rest(
        self, kept: dict[int, Element], path: str, rest: list[tuple[Element, Rule]], source: Dataset
    ) -> None:
        """Decide about elements that stay for the sake of others, now that it is known which others are kept."""
        for element, rule in rest:
            self._path = path
            if rule.action is Action.PRIVATE_CREATOR:
                result = self._creator(element, kept)
            else:
                result = self._instance_list(element, kept, rule, source)
            self._settle(kept, path, element, result, rule)

    def _instance_list(self, element: Element, kept: dict[int, Element], rule: Rule, source: Dataset) -> Element | None:
        """Keep a list of instances while something else that is kept refers to any."""
        if refers_to_instances(kept):
            return self._apply(element, replace(rule, action=Action.CLEAN_ITEMS), source)
        self._values.why = "nothing else that is kept refers to an instance"
        return None

    def _apply(self, element: Element, rule: Rule, source: Dataset) -> Element | None:
        if self._long is not None and (long := self._long.of(element)) is not None:
            if not self._long.is_done_unread(long, rule.action):
                element = self._long.read(element, long, rule.action)
                source = _with_element(source, element)
        elif element.value is None and isinstance(element, RawDataElement) and element.length:
            element = source[element.tag]  # its reading was deferred
        if rule.action not in NOT_BY_VALUE and is_empty(element):
            right = rule.action not in (Action.EMPTY, Action.DUMMY) or element.VR in (None, rule.vr)
            return element if right else self._values.encoded(element, b"", rule.vr)
        if rule.action is Action.KEEP:
            return element
        return self._handlers[rule.action](element, rule, source)

    def _data_set(self, kept: dict[int, Element], source: Dataset) -> Dataset:
        codecs = list(self._values.encoding.text)
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
            self._values.why = "it cannot be read as a sequence"
            return None if rule.otherwise is Action.REMOVE else self._values.encoded(element, b"", "SQ")
        if self._depth >= MAX_DEPTH:
            raise IdentityNotRemovable(f"sequences are nested deeper than {MAX_DEPTH} levels")
        path = f"{self._path}{converted.tag}" if self.decisions is not None else ""
        codes = rule.action is Action.CLEAN_CODES
        self._depth += 1
        items = [
            self._level(
                item, tag, f"{path}[{number}]." if path else "", code_overrides(item, self._schemes) if codes else None
            )
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
                value = raw_element(NUMERIC_VALUE, "DS", capped.encode("ascii"), self._values.encoding)
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
        creator = ascii_at(source, group << 16 | place >> 8)
        listed = self._profile.private.element(group, creator, place & 0xFF)
        if listed is None:
            return None
        private = self._book.private_rule(listed, element.VR)
        if private.action is Action.SEARCH_BYTES:
            encoding = self._values.encoding
            value = raw_bytes(element, encoding) if self._long is None else self._long.content(element, encoding)
            private = self._seen_through(value, private)
        self._values.why = private.reason
        result = None if private.action is Action.REMOVE else self._apply(element, private, source)
        if result is element and element.VR is None and not self._values.encoding.implicit_vr:
            return element._replace(VR=private.vr)
        return result

    def _seen_through(self, value: EncodedBytes, rule: Rule) -> Rule:
        """Return the rule for what bytes are, whatever a list takes them for."""
        if value[: len(ITEM)] == ITEM:
            return replace(rule, action=Action.CLEAN_ITEMS, vr="SQ")  # UN with an encoded sequence (PS3.5 6.2.2)
        return replace(rule, action=Action.SEARCH) if is_printable(value, PRINTABLE) else rule

    def _creator(self, element: Element, kept: dict[int, Element]) -> Element | None:
        """Keep the creator of a block when elements of the block were kept."""
        block = int(element.tag) >> 16 << 16 | int(element.tag) << 8 & 0xFF00
        if any(tag & 0xFFFFFF00 == block for tag in kept):
            right = element.VR in (None, "LO")
            return element if right else self._values.text(element, ascii_text(element), "LO")
        self._values.why = "none of its block is kept"
        return None

    def _embedded_overlay(self, element: Element, rule: Rule, source: Dataset) -> None:
        """Refuse a plane whose bits lie in Pixel Data; depends on whether it has Overlay Data of its own."""
        value = element.value
        number = int.from_bytes(value[:2], self._values.encoding.order) if isinstance(value, bytes) else value
        usual = 1 if int(element.tag) & 0xFFFF == OVERLAY_BITS_ALLOCATED else 0
        has_data = BaseTag(int(element.tag) & 0xFFFF0000 | OVERLAY_DATA) in source
        if not is_empty(element) and number != usual and not has_data and self._depth == 0:
            raise IdentityNotRemovable(rule.reason)

    # -- reasons -----------------------------------------------------------------------------------------------------

    def _explain(self, path: str, element: Element, result: Element | None, rule: Rule) -> None:
        if self.decisions is None:
            return
        if result is None:
            word = "removed"
        elif result is element or (isinstance(result, DataElement) and result.VR == "SQ"):
            word = "kept"
        else:
            word = "emptied" if is_empty(result) else "replaced"
        decision = Decision(f"{path}{element.tag}", rule.keyword, word, rule.rule, self._values.why or rule.reason)
        self._values.why = ""
        self.decisions.append(decision)


def _with_element(source: Dataset, element: Element) -> Dataset:
    """Return a data set with another element in it; the one that is given does not change."""
    changed = Dataset({tag: source.get_item(tag, keep_deferred=True) for tag in source.keys()})  # noqa: SIM118
    implicit, little = source.original_encoding
    changed.set_original_encoding(implicit, little, source.original_character_set)
    changed[element.tag] = element
    return changed


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
