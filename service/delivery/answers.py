"""What a peer's answer to a stored object means: it has it, it never will, or it may later (PS3.4 B.2.3, PS3.7 C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

_WARNINGS: Final = {
    0xB000: "the peer stored it and changed some of its elements",
    0xB006: "the peer stored it and left some of its elements out",
    0xB007: "the peer stored it although it does not match its SOP class",
    0x0111: "the peer had it already",
}
_LATER: Final = {0x0110: "the peer could not process it", 0x0213: "the peer lacks resources"}
_NEVER: Final = {
    0x0105: "the peer knows no such attribute",
    0x0106: "the peer finds an invalid attribute value",
    0x0112: "the peer knows no such instance",
    0x0115: "the peer finds an invalid argument",
    0x0117: "the peer finds the SOP Instance UID invalid",
    0x0118: "the peer knows no such SOP class",
    0x0119: "the peer finds that class and instance do not belong together",
    0x0120: "the peer misses an attribute",
    0x0121: "the peer misses an attribute value",
    0x0122: "the peer does not support the SOP class",
    0x0124: "the peer does not authorise us",
    0x0210: "the peer finds the operation repeated",
    0x0211: "the peer does not know the operation",
    0x0212: "the peer finds an argument of the wrong type",
}


class Verdict(Enum):
    """What follows from an answer."""

    STORED = "stored"
    NEVER = "never"
    LATER = "later"


# Families of statuses: from, to, what follows.
_RANGES: Final = (
    (0xA700, 0xA7FF, Verdict.LATER, "the peer is out of resources"),
    (0xA900, 0xA9FF, Verdict.NEVER, "the peer finds that the data set does not match its SOP class"),
    (0xB000, 0xBFFF, Verdict.STORED, "the peer stored it with a warning"),
    (0xC000, 0xCFFF, Verdict.NEVER, "the peer cannot understand it"),
)


def _known(status: int) -> tuple[Verdict, str] | None:
    for verdict, table in ((Verdict.STORED, _WARNINGS), (Verdict.LATER, _LATER), (Verdict.NEVER, _NEVER)):
        if status in table:
            return verdict, table[status]
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer's answer to one object.

    ``status`` is as PS3.7 has it, also for STOW-RS, whose reasons are the same numbers (PS3.18 I.2); None where the
    peer takes no such object at all. ``words`` say what it means, without anything that the peer wrote.
    """

    status: int | None
    verdict: Verdict
    words: str

    @property
    def warning(self) -> str:
        """What to tell of an object that was stored all the same."""
        return self.words if self.verdict is Verdict.STORED else ""

    @classmethod
    def of_status(cls, status: int) -> Answer:
        """From a C-STORE status, or from a STOW-RS Warning or Failure Reason."""
        if status == 0:
            return cls(status, Verdict.STORED, "")
        verdict, words = _known(status) or next(
            ((verdict, words) for low, high, verdict, words in _RANGES if low <= status <= high),
            (Verdict.LATER, "the peer did not store it"),
        )
        return cls(status, verdict, f"{words} (status {status:04X})")

    @classmethod
    def class_not_taken(cls, sop_class_uid: str) -> Answer:
        """The peer accepted no presentation context for it."""
        return cls(None, Verdict.NEVER, f"the peer takes no object of SOP class {sop_class_uid}")
