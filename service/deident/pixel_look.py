"""Who looked at the pixels of an object in which no text is left: a program or a person, never which one."""

from __future__ import annotations

from enum import StrEnum

from service.deident.pixels.pixel_outcome import OutcomeKind


class PixelLook(StrEnum):
    """How the look ended, in the words of Contribution Description (0018,A003)."""

    NONE = ""
    """Nobody looked, so that nothing is said of text."""
    PROGRAM_FOUND_NONE = "Pixels looked at by text recognition; nothing found"
    PROGRAM_BLACKENED = "Pixels looked at by text recognition; regions blackened"
    PERSON_FOUND_NONE = "Pixels looked at by a person; nothing blackened"
    PERSON_BLACKENED = "Pixels looked at by a person; regions blackened"

    @classmethod
    def of(cls, kind: OutcomeKind, *, by_person: bool = False) -> PixelLook:
        """How an outcome came about; none where it leaves text in the pixels or says nothing of it."""
        if kind is OutcomeKind.CLEAN:
            return cls.PERSON_FOUND_NONE if by_person else cls.PROGRAM_FOUND_NONE
        if kind is OutcomeKind.BLACKENED:
            return cls.PERSON_BLACKENED if by_person else cls.PROGRAM_BLACKENED
        return cls.NONE
