"""The words of the Native DICOM Model (PS3.19 A.1.5 and A.1.6), which its writer and its reader share."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
NAME_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

FIRST_BLOCK: Final = 0x10
LAST_BLOCK: Final = 0xFF


def is_private(tag: int) -> bool:
    """Whether the group is odd."""
    return bool(tag >> 16 & 1)


def is_private_creator(tag: int) -> bool:
    """Whether this is a Private Creator element (PS3.5 7.8.1)."""
    return is_private(tag) and FIRST_BLOCK <= tag & 0xFFFF <= LAST_BLOCK


def place(tag: int) -> str:
    """The tag as messages have it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
