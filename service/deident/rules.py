"""What can be done to an element, and why it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Action(Enum):
    """What the pass does with an element; the value is the word that a profile uses where it may say so."""

    __hash__ = object.__hash__  # members are one of a kind; Enum's own is a function in Python, called for each element

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
    CLEAN = "clean"
    """Keep of a text what is known to be harmless (PS3.15 E.3.5)."""
    REFUSE = "refuse"
    """Hold the whole object when the element has a value."""
    # What VR and standard decide; a profile cannot ask for these by name.
    CLEAN_ITEMS = "clean items"
    CLEAN_CODES = "clean codes"
    """Keep the codes of public schemes; a local one may be free text, and is cleaned as such."""
    DUMMY_CODE = "dummy code"
    CLASS_UID = "class UID"
    """Keep a UID, whatever it names."""
    SOP_CLASS = "SOP class"
    """Keep a UID that names a SOP class, unless one of the patient's own numbers stands in it."""
    KIND_UID = "kind UID"
    """Keep a UID that names a kind and is known for it; any other is mapped."""
    NUMBER = "number"
    SEARCH_NUMBERS = "search numbers"
    """Keep encoded numbers unless one of the patient's own values stands in their bytes."""
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
    FLATTEN = "flatten"
    """Coordinates of a drawing that is not kept: as many zeros."""
    EMBEDDED_OVERLAY = "embedded overlay"
    """Hold the object when an overlay lies in the bits of its Pixel Data."""
    SAFE_PRIVATE = "safe private"
    """Keep a private element that a list names for the creator of its block, by its VR (PS3.15 E.3.10)."""
    PRIVATE_CREATOR = "private creator"
    """Keep the creator of a block that keeps elements."""
    INSTANCE_LIST = "instance list"
    """Keep the list of the instances that an object refers to while it refers to any, its items cleaned."""


SIBLING_ACTIONS = frozenset(
    {
        Action.MEANING,
        Action.CODED_MEANING,
        Action.DOCUMENT,
        Action.EMBEDDED_OVERLAY,
        Action.SAFE_PRIVATE,
        Action.PRIVATE_CREATOR,
        Action.INSTANCE_LIST,
    }
)
"""Actions whose outcome depends on other elements of the same data set: the code beside a meaning, the segment's
codes, the MIME type of a document, the data of an overlay plane, the creator of a private block, the elements that a
creator's block keeps, the references that are left. Beside these, every content item (a data set with Value Type) has
its value's rule decided by its Concept Name, and a content item may be dropped only when nothing in the whole header
refers to others by position.
"""


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
        Action.CLEAN,
        Action.REFUSE,
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
    """What became of one element.

    ``path`` names it from the top, items counted from 0: ``(0040,A730)[2].(0040,A160)``; ``action`` says "kept",
    "removed", "emptied" or "replaced". ``before`` and ``after`` are values, only there when they were asked for.
    """

    path: str
    keyword: str
    action: str
    rule: str
    reason: str
    before: str | None = field(default=None, repr=False)
    after: str | None = field(default=None, repr=False)
