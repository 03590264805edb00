"""The pass over a header whose like was seen before: one look-up for an element that came before, its rule for others.

The headers of a series are all but the same. What became of an element once becomes of it again, as long as patient,
IOD and encoding are the same. Elements not seen before go through ``HeaderPass`` by themselves, so that both ways
agree. Elements whose outcome depends on others of the same data set, and whatever is out of the ordinary, are left to
``HeaderPass`` as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from service.deident.content_items import CONCEPT_NAME, CONTENT_SEQUENCE, REFERENCED_POSITION, VALUE_TAGS, VALUE_TYPE
from service.deident.element_pass import ElementPass
from service.deident.element_values import DEFAULT_ENCODING, Element, Encoding
from service.deident.encoded_header import UNDEFINED, ElementEncoder
from service.deident.header_pass import HeaderPass, Replacements
from service.deident.name_forms import SHORTEST_INSIDE
from service.deident.originals import CHARACTER_SET
from service.deident.patient_study import WAY_BACK_TAGS
from service.deident.profile import Profile
from service.deident.rule_book import RuleBook
from service.deident.rules import SIBLING_ACTIONS, Action
from service.deident.series_memory import Outcome, SeriesMemory, Slot

ORIGINAL_TAGS = WAY_BACK_TAGS | {CHARACTER_SET, 0x0020000E, 0x00200052}
"""What the way back keeps for more than one instance, Series Instance and Frame of Reference UID among it."""
CONTENT_TAGS = frozenset(
    {VALUE_TYPE, CONCEPT_NAME, CONTENT_SEQUENCE, REFERENCED_POSITION, *(tag for tag, _, _ in VALUE_TAGS.values())}
)
"""At the top of a header these make it a content item, whose elements depend on each other (PS3.3 C.17.3)."""
GROUP_ACTIONS = frozenset({Action.SAFE_PRIVATE, Action.PRIVATE_CREATOR, Action.EMBEDDED_OVERLAY})
"""Actions whose outcome depends on other elements of the same group, and on nothing else."""
OVERLAYS = 0x60
NEVER_AGAIN = object()


class Missed(NamedTuple):
    """An element that was not seen before, and under what it will be remembered."""

    slot: Slot
    element: Element
    key: Any


class LookedUp(NamedTuple):
    """What is known of a header from others of its series.

    Parameters
    ----------
    missed : elements that were not seen before
    groups : elements that are cleaned together, by their group
    originals : patient and study attributes as they came, tags and values in turns
    removed : how many elements went without an outcome
    all_raw : whether all originals were raw
    """

    outcomes: dict[int, Outcome]
    missed: list[Missed]
    groups: dict[int, list[Element]]
    originals: list[object]
    removed: int
    all_raw: bool


@dataclass(frozen=True, slots=True, eq=False)
class FastResult:
    """A clean header in pieces, by tag.

    Parameters
    ----------
    originals : patient and study attributes as they came, tags and values in turns; None where not all were raw
    """

    outcomes: dict[int, Outcome] = field(repr=False)
    removed: int
    replaced: int
    originals: tuple[object, ...] | None = field(repr=False)

    def encoded(self) -> bytes:
        """Return the whole header."""
        return b"".join([self.outcomes[number].encoded for number in sorted(self.outcomes)])

    def data_set(self, header: Dataset, encoding: Encoding) -> Dataset:
        """Return the header as a data set whose elements are not converted."""
        ordered = [self.outcomes[number].element for number in sorted(self.outcomes)]
        kept = {element.tag: element for element in ordered if element is not None}
        codecs = list(encoding.text)
        parent = [DEFAULT_ENCODING] if CHARACTER_SET in self.outcomes else codecs
        clean = Dataset(kept, parent_encoding=parent)  # type: ignore[arg-type]
        implicit, little = header.original_encoding
        clean.set_original_encoding(implicit, little, codecs)
        return clean


class FastPass:
    """Cleans headers by what became of their elements before.

    Parameters
    ----------
    profile, book : as for ``HeaderPass``
    """

    def __init__(self, profile: Profile, book: RuleBook) -> None:
        self._profile = profile
        self._book = book
        self._kind = lru_cache(maxsize=8192)(self._make_kind)
        self._encoders = {
            implicit: ElementEncoder(implicit_vr=implicit, little_endian=True) for implicit in (False, True)
        }

    def as_it_is(self, element: RawDataElement) -> Outcome:
        """Return an element that stays, or was made, as it is."""
        return Outcome(self._encoders[element.is_implicit_VR].raw(element), element, 0, 0)

    def run(
        self, header: Dataset, encoding: Encoding, sop_class_uid: str, replacements: Replacements, memory: SeriesMemory
    ) -> FastResult | None:
        """Clean a header; None where it has to be cleaned as a whole.

        Parameters
        ----------
        memory : of the same patient, IOD and encoding
        """
        if not encoding.little_endian or header.original_encoding != (encoding.implicit_vr, True):
            return None
        found = self._look_up(header, encoding, sop_class_uid, memory)
        if found is None:
            return None
        if found.missed or found.groups:
            work = HeaderPass(self._profile, self._book, sop_class_uid, replacements)
            alone = ElementPass(work, header, encoding, self._encoders[encoding.implicit_vr])
            if not self._clean_rest(found, encoding, alone, memory):
                return None
        removed, replaced = found.removed, 0
        for outcome in found.outcomes.values():
            removed += outcome.removed
            replaced += outcome.replaced
        kept = {number: outcome for number, outcome in found.outcomes.items() if outcome.element is not None}
        return FastResult(kept, removed, replaced, tuple(found.originals) if found.all_raw else None)

    def _look_up(
        self, header: Dataset, encoding: Encoding, sop_class_uid: str, memory: SeriesMemory
    ) -> LookedUp | None:
        """Look up what became of each element before; None where the header has to be cleaned as a whole."""
        outcomes: dict[int, Outcome] = {}
        missed: list[Missed] = []
        originals: list[object] = []
        groups: dict[int, list[Element]] = {}
        removed, all_raw = 0, True
        iod, slots = self._book.iod(sop_class_uid), memory.slots
        for tag, element in header.items():
            slot = slots.get(tag)
            if slot is None or slot.vr != element.VR:
                slot = self._slot(memory, iod, int(tag), element.VR)
                if slot is None:
                    return None
            value, key = element.value, NEVER_AGAIN
            if type(element) is RawDataElement:
                key = value if element.length != UNDEFINED else (value,)
            elif element.VR != "SQ":
                return None  # somebody converted it
            if slot.by_group:
                groups.setdefault(slot.number >> 16, []).append(element)
                continue
            if slot.is_original:
                originals += tag, key
                all_raw = all_raw and key is not NEVER_AGAIN
            if slot.action is Action.REMOVE:
                removed += 1
                continue
            outcome = slot.known.get(key)
            if outcome is not None:
                outcomes[slot.number] = outcome
            elif _is_ordinary(element, encoding):
                missed.append(Missed(slot, element, key))
            else:
                return None
        return LookedUp(outcomes, missed, groups, originals, removed, all_raw)

    def _clean_rest(self, found: LookedUp, encoding: Encoding, alone: ElementPass, memory: SeriesMemory) -> bool:
        """Clean what was not seen before, and groups; whether that could be done without the rest of the header."""
        fresh = self._fresh(found.missed, alone, memory)
        if fresh is None:
            return False
        found.outcomes.update(fresh)
        for elements in found.groups.values():
            together = self._group(elements, encoding, alone, memory)
            if together is None:
                return False
            found.outcomes.update(together)
        return True

    def _slot(self, memory: SeriesMemory, iod: str, number: int, vr: str | None) -> Slot | None:
        """Return a place for an element that was not seen before; None where its outcome depends on others."""
        kind = self._kind(iod, number, vr)
        return None if kind is None else memory.add(Slot(number, vr, *kind))

    def _make_kind(self, iod: str, number: int, vr: str | None) -> tuple[Action, bool, bool, bool] | None:
        """Return what no value decides: the action, whether it is a sequence, what the way back keeps, what a group."""
        rule = self._book.place(iod, 0).get((number, vr)) or self._book.rule(iod, 0, number, vr)
        by_group = rule.action in GROUP_ACTIONS or number >> 24 == OVERLAYS
        if number in CONTENT_TAGS or (rule.action in SIBLING_ACTIONS and not by_group):
            return None
        is_original = number >> 16 == 0x0010 or number in ORIGINAL_TAGS
        return rule.action, "SQ" in (vr, rule.vr), is_original, by_group

    def _group(
        self, elements: list[Element], encoding: Encoding, alone: ElementPass, memory: SeriesMemory
    ) -> dict[int, Outcome] | None:
        """Clean the elements of one group together; None where the header has to be cleaned as a whole."""
        raw = [element for element in elements if type(element) is RawDataElement]
        if not all(_is_ordinary(element, encoding) for element in raw):
            return None
        key = tuple((element.tag, element.VR, element.value, element.length == UNDEFINED) for element in raw)
        if len(raw) < len(elements):
            return alone.group(elements)
        known = memory.groups.get(key)
        if known is None:
            known = alone.group(elements)
            if known is not None:
                memory.remember_group(key, known, sum(len(element.value or b"") for element in raw))
        return known

    def _fresh(self, missed: list[Missed], alone: ElementPass, memory: SeriesMemory) -> dict[int, Outcome] | None:
        """Clean elements that were not seen before; None where the header has to be cleaned as a whole."""
        plain: list[Missed] = []
        done: list[tuple[Missed, Outcome | None]] = []
        for one in missed:
            if one.slot.is_sequence:
                done.append((one, alone.nested(one.element)))
            elif isinstance(one.element, RawDataElement) and _stays(one.slot.action, one.element):
                done.append((one, self.as_it_is(one.element)))
            else:
                plain.append(one)
        done += zip(plain, alone.plain([one.element for one in plain]), strict=True)
        outcomes = {}
        for one, outcome in done:
            if outcome is None:
                return None
            outcomes[one.slot.number] = outcome
            if one.key is not NEVER_AGAIN:
                memory.remember(one.slot, one.key, outcome)
        return outcomes


def _stays(action: Action, element: RawDataElement) -> bool:
    """Whether an element stays without a look: numbers are too short to hold an own value."""
    if action is Action.SEARCH_NUMBERS:
        return len(element.value or b"") < SHORTEST_INSIDE
    return action is Action.KEEP


def _is_ordinary(element: Element, encoding: Encoding) -> bool:
    """Whether an element was read whole and in the encoding of its header."""
    if type(element) is not RawDataElement:
        return True
    implicit = encoding.implicit_vr
    if element.is_implicit_VR is not implicit or not element.is_little_endian:
        return False
    if element.length == UNDEFINED:
        return element.VR == "SQ"
    return (element.VR is None) is implicit and element.length == len(element.value or b"")
