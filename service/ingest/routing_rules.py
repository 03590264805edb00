"""Routing rules: what becomes of an object by what it is, decided on its original attributes.

In a de-identifying project that is before cleaning, so a rule can tell by values that nobody sees afterwards. They are
compared and forgotten: no value gets into a log, a row or an error; rules are known by their names alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from dicom_nodes.command_set import HIGH_PRIORITY
from service.core.records import Incoming
from service.ingest.parsing import ParsedInstance, text_of

ROUTINE: Final = 0
HIGH: Final = 1
STAT: Final = 2

_IMAGE_TYPE: Final = 0x00080008
_MODALITY: Final = 0x00080060
_STUDY_DESCRIPTION: Final = 0x00081030
_SERIES_DESCRIPTION: Final = 0x0008103E
_PROTOCOL_NAME: Final = 0x00181030
_BODY_PART: Final = 0x00180015
_CHARACTER_SET: Final = 0x00080005
_BINARY: Final = {"US": 2, "UL": 4, "UV": 8, "SS": 2, "SL": 4, "SV": 8}
_LONGEST: Final = 4096
_DELIMITERS: Final = {0x0D, 0x0A, 0x09, 0x0C}


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from ``low`` to ``high``, both included."""

    low: float = float("-inf")
    high: float = float("inf")

    def holds(self, value: str) -> bool:
        """Whether a value is a number within."""
        try:
            return self.low <= float(value) <= self.high
        except ValueError:
            return False


Wanted = tuple[str, ...] | Span


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: all that it names has to fit, by one of the values given.

    Parameters
    ----------
    called, calling : AE titles of the association; objects that did not come by one have neither
    sent_priorities : of the C-STORE, by the numbers of PS3.7 9.1.1.1
    tags : by tag; patterns, or a span of numbers
    elements : the same where one of several elements may fit
    priority : the higher is done first
    """

    name: str
    called: tuple[str, ...] = ()
    calling: tuple[str, ...] = ()
    sent_priorities: tuple[int, ...] = ()
    sop_classes: tuple[str, ...] = ()
    tags: Mapping[int, Wanted] = field(default_factory=dict)
    description: tuple[str, ...] = ()
    project: str | None = None
    annotators: tuple[str, ...] | None = None
    priority: int | None = None
    discard: bool = False

    @property
    def is_about_request(self) -> bool:
        """Whether it can be decided before the object is read."""
        return not (self.sop_classes or self.tags or self.description)

    def fits_request(self, calling: str, called: str, sent_priority: int) -> bool:
        """Whether association and request are what the rule is about."""
        return (
            (not self.called or _any_fits(self.called, (called,)))
            and (not self.calling or _any_fits(self.calling, (calling,)))
            and (not self.sent_priorities or sent_priority in self.sent_priorities)
        )

    def fits(self, incoming: Incoming, parsed: ParsedInstance) -> bool:
        """Whether the object is what the rule is about."""
        if not self.fits_request(incoming.calling_ae_title, incoming.called_ae_title, incoming.sent_priority):
            return False
        if self.sop_classes and parsed.sop_class_uid not in self.sop_classes:
            return False
        header = parsed.header
        if self.description and not any(
            _any_fits(self.description, values_of(header, tag))
            for tag in (_SERIES_DESCRIPTION, _STUDY_DESCRIPTION, _PROTOCOL_NAME)
        ):
            return False
        return all(_wanted_fits(wanted, values_of(header, tag)) for tag, wanted in self.tags.items())


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of one object; None where they say nothing.

    ``discarded_by`` is the name of the rule that leaves it out.
    """

    project: str | None = None
    annotators: tuple[str, ...] | None = None
    priority: int | None = None
    discarded_by: str = ""

    @property
    def concerns_study(self) -> bool:
        """Whether there is something to be noted of the object's study."""
        return self.annotators is not None or self.priority is not None


NOTHING: Final = Decision()


class RoutingRules:
    """The rules of every project, in their order; of what several say, the first counts.

    Parameters
    ----------
    by_project : of the projects that have any
    """

    def __init__(self, by_project: Mapping[str, Sequence[Rule]]) -> None:
        self._by_project = {name: tuple(rules) for name, rules in by_project.items() if rules}

    def targets(self, project: str) -> frozenset[str]:
        """The projects that a project's objects may land in, itself included."""
        named = (rule.project for rule in self._by_project.get(project, ()))
        return frozenset({project, *(name for name in named if name is not None)})

    def priority_unread(self, project: str, calling: str, called: str, sent_priority: int) -> int:
        """What can be said of an object before it is read: the priority by its association and request."""
        for rule in self._by_project.get(project, ()):
            fits = rule.is_about_request and rule.fits_request(calling, called, sent_priority)
            if fits and rule.priority is not None:
                return rule.priority
        return STAT if sent_priority == HIGH_PRIORITY else ROUTINE

    def decide(self, incoming: Incoming, parsed: ParsedInstance) -> Decision:
        """What becomes of an object; what its sender calls urgent is, where no rule says otherwise."""
        decision = NOTHING
        for rule in self._by_project.get(incoming.project, ()):
            if not rule.fits(incoming, parsed):
                continue
            if rule.discard:
                return Decision(discarded_by=rule.name)
            decision = replace(
                decision,
                project=rule.project if decision.project is None else decision.project,
                annotators=rule.annotators if decision.annotators is None else decision.annotators,
                priority=rule.priority if decision.priority is None else decision.priority,
            )
        if decision.priority is None and incoming.sent_priority == HIGH_PRIORITY:
            return replace(decision, priority=STAT)
        return decision


def rule_tags(
    *,
    modality: Sequence[str] = (),
    image_type: Sequence[str] = (),
    body_part: Sequence[str] = (),
    keywords: Mapping[str, Wanted] | None = None,
) -> dict[int, Wanted]:
    """The elements that a rule looks at."""
    named = {_MODALITY: tuple(modality), _IMAGE_TYPE: tuple(image_type), _BODY_PART: tuple(body_part)}
    tags: dict[int, Wanted] = {tag: wanted for tag, wanted in named.items() if wanted}
    for keyword, wanted in (keywords or {}).items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"{keyword!r} is not the keyword of an element")
        tags[tag] = wanted
    return tags


def values_of(header: Dataset, tag: int) -> tuple[str, ...]:
    """The values of an element as text, taken from its bytes without converting it; ("",) where there are none."""
    if tag not in header:
        return ("",)
    element = header.get_item(tag, keep_deferred=True)
    value = element.value
    if isinstance(element, RawDataElement):
        if not isinstance(value, bytes) or len(value) > _LONGEST:
            return ("",)
        vr = element.VR or _dictionary_vr(tag)
        if vr in _BINARY:
            order = "little" if element.is_little_endian else "big"
            return _numbers(value, _BINARY[vr], order, signed=vr.startswith("S"))
        text = _decoded(value, header)
    else:
        text = "\\".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)
    return tuple(part.strip("\0 ") for part in text.split("\\"))


def _numbers(value: bytes, size: int, order: str, *, signed: bool) -> tuple[str, ...]:
    whole = range(0, len(value) - size + 1, size)
    return tuple(
        str(int.from_bytes(value[at : at + size], "big" if order == "big" else "little", signed=signed)) for at in whole
    ) or ("",)


def _decoded(value: bytes, header: Dataset) -> str:
    if value.isascii():
        return value.decode("ascii")
    try:
        encodings = convert_encodings(text_of(header, _CHARACTER_SET).split("\\"))
        return str(decode_bytes(value, encodings, _DELIMITERS))
    except (LookupError, UnicodeError, ValueError):
        return value.decode("latin-1")


def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _wanted_fits(wanted: Wanted, values: Sequence[str]) -> bool:
    if isinstance(wanted, Span):
        return any(wanted.holds(value) for value in values)
    return _any_fits(wanted, values)


def _any_fits(patterns: Sequence[str], values: Sequence[str]) -> bool:
    return any(_pattern(pattern).fullmatch(value) is not None for pattern in patterns for value in values)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern.strip()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.IGNORECASE | re.DOTALL)
