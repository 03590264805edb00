"""Codes where the Basic Profile takes the whole sequence and an option cleans it (PS3.15 E.3.5).

A code of a public scheme is nobody's free text, and stays. What a local scheme calls a code may be anything: it is
cleaned like the text that it may be.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.deident.code_meanings import is_own_meaning
from service.deident.coding_schemes import CodingSchemes
from service.deident.element_values import ascii_at
from service.deident.rules import Action, Rule

CODE_VALUE, CODE_SCHEME, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
RULE = "PS3.15 Table E.1-1: a code sequence C"


def _rule(action: Action, keyword: str, vr: str, otherwise: Action, reason: str) -> Rule:
    return Rule(action, keyword, vr, otherwise, RULE, reason)


EQUIVALENT = {
    0x00080121: _rule(Action.CLEAN_CODES, "EquivalentCodeSequence", "SQ", Action.REMOVE, "codes of public schemes"),
}
MEANING = {
    CODE_MEANING: _rule(Action.CLEAN, "CodeMeaning", "LO", Action.DUMMY, "a meaning that the dictionary does not give"),
}
LOCAL = MEANING | {
    CODE_VALUE: _rule(Action.CLEAN, "CodeValue", "SH", Action.DUMMY, "a code of no public scheme"),
    CODE_SCHEME: _rule(Action.CLEAN, "CodingSchemeDesignator", "SH", Action.DUMMY, "no public scheme"),
    0x00080103: _rule(Action.CLEAN, "CodingSchemeVersion", "SH", Action.REMOVE, "of no public scheme"),
    0x00080119: _rule(Action.CLEAN, "LongCodeValue", "UC", Action.DUMMY, "a code of no public scheme"),
    0x00080120: _rule(Action.SEARCH, "URNCodeValue", "UR", Action.REMOVE, "a name that needs no scheme"),
}


def code_overrides(item: Dataset, schemes: CodingSchemes) -> dict[int, Rule]:
    """Return the rules that hold in one item of such a sequence, by the scheme that it names."""
    scheme, value, meaning = (ascii_at(item, tag) for tag in (CODE_SCHEME, CODE_VALUE, CODE_MEANING))
    if scheme not in schemes.published:
        return EQUIVALENT | LOCAL
    return EQUIVALENT if is_own_meaning(scheme, value, meaning) else EQUIVALENT | MEANING
