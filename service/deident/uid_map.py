"""New UIDs for old ones: the same for the same project, whichever object arrives first."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid

from pydicom._uid_dict import UID_dictionary  # pydicom.uid has it, but does not export it

UID_FORM = re.compile(r"[0-9]+(\.[0-9]+)*\Z")
UUID_ROOT = "2.25."
UUID_DIGITS = 39
REMEMBERED = 65_536


def is_uid(text: str) -> bool:
    """Whether the text has the form of a UID (PS3.5 9.1): at most 64 digits and dots."""
    return 0 < len(text) <= 64 and UID_FORM.match(text) is not None


def is_own_form(text: str) -> bool:
    """Whether a UID has the form that ``UidMap`` gives: ``2.25.`` and a UUID of version 8 and RFC 9562's variant."""
    number = text.removeprefix(UUID_ROOT)
    if number == text or not number.isdigit() or len(number) > UUID_DIGITS:
        return False
    value = int(number)
    return value >> 128 == 0 and value >> 76 & 0xF == 8 and value >> 62 & 0x3 == 2


class UidMap:
    """Maps UIDs to ``2.25.`` UUIDs (PS3.5 B.2) made by HMAC-SHA256 of the old UID under the project's key.

    Parameters
    ----------
    key : the project's key; without it neither direction can be computed
    kept : the profile retains UIDs (PS3.15 E.3.9): each one stands for itself
    """

    def __init__(self, key: bytes, *, kept: bool = False) -> None:
        self._key = key
        self._kept = kept
        self._known: dict[str, str] = {}

    def new_uid(self, old: str) -> str:
        """Return the UID that stands for ``old``; the standard's own, and the empty one, stay as they are.

        Its own are those that PS3.6 Annex A registers: some writers make up others under the standard's root.
        """
        known = self._known.get(old)
        if known is not None:
            return known
        if self._kept or not old or old in UID_dictionary:
            return old
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        digest = hmac.digest(self._key, old.encode("utf-8", "surrogateescape"), hashlib.sha256)
        # Version 8 of RFC 9562 is the one whose bits an application may choose; a checker then accepts the UUID.
        value = bytearray(digest[:16])
        value[6] = 0x80 | (value[6] & 0x0F)
        value[8] = 0x80 | (value[8] & 0x3F)
        new = self._known[old] = f"2.25.{uuid.UUID(bytes=bytes(value)).int}"
        return new
