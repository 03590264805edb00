"""What can be done to an element, and why it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What the pass does with an element; the value is the word that a profile uses where it may say so."""

    KEEP = "keep"
    SEARCH = "search"
    """Keep the text unless one of the patient's own values stands in it."""
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    MAP_UID = "map-uid"
    SHIFT = "shift"
    PSEUDONYM = "pseudonym"
    WORDS = "words"
    """Keep the text only when it is made of words that the profile lists."""
    TOKEN = "token"  # noqa: S105 - a word of the profile, no secret
    """As WORDS, else a keyed token: equal texts stay equal."""
    CODED_MEANING = "coded-meaning"
    """As WORDS and the words of the segment's own codes, else the code's meaning."""
    # What VR and standard decide; a profile cannot ask for these by name.
    CLEAN_ITEMS = "clean items"
    DUMMY_CODE = "dummy code"
    CLASS_UID = "class UID"
    NUMBER = "number"
    TIME = "time"
    AGE = "age"
    MEANING = "code meaning"
    TERM = "term"
    SEARCH_BYTES = "search bytes"
    CHARACTER_SET = "character set"
    DOCUMENT = "document"
    UTC_OFFSET = "UTC offset"
    VERSION = "version"
    """Keep a date that the standard gave, not the patient."""


PROFILE_ACTIONS = {
    action.value: action
    for action in (
        Action.KEEP,
        Action.SEARCH,
        Action.REMOVE,
        Action.EMPTY,
        Action.DUMMY,
        Action.MAP_UID,
        Action.SHIFT,
        Action.PSEUDONYM,
        Action.WORDS,
        Action.TOKEN,
        Action.CODED_MEANING,
    )
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The decision about one tag in one place, made once and then looked up.

    Parameters
    ----------
    vr : the VR to treat the value as
    otherwise : what to do when the value may not stay: REMOVE, EMPTY or DUMMY, by the element's Type
    rule : where the rule comes from
    reason : why, in words
    """

    action: Action
    keyword: str
    vr: str
    otherwise: Action
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one element, without its value.

    ``path`` names it from the top, items counted from 0: ``(0040,A730)[2].(0040,A160)``; ``action`` says "kept",
    "removed", "emptied" or "replaced".
    """

    path: str
    keyword: str
    action: str
    rule: str
    reason: str
