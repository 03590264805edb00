"""Texts that are cleaned, not just dropped: what of an element's value may stay (PS3.15 E.3.4, E.3.5)."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from pydicom.charset import decode_bytes, encode_string

from service.deident.element_values import (
    BACKSLASH,
    TEXT_DELIMITERS,
    Element,
    Encoding,
    decoded_text,
    raw_bytes,
)
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import CleanedText, TextKind

SINGLE_VALUED = frozenset({"ST", "LT", "UT", "UR"})
NARRATIVE_VRS = frozenset({"ST", "LT", "UT", "UC"})
LONGEST = {"SH": 16, "LO": 64, "CS": 16, "AE": 16}
UNREADABLE = "\ufffd"
NOTHING_LEFT = "nothing of it is known to be harmless"


class TextCleaning(Protocol):
    """Cleans one text; ``service.deident.text_cleaning.text_cleaner.TextCleaner`` is one."""

    def clean(self, text: str, own_values: OwnValues, kind: TextKind) -> CleanedText:
        """Return what may stay of a text."""


class DescriptorCleaning:
    """Cleans the texts of elements, each value by itself, in the character set that they are in.

    Parameters
    ----------
    cleaner : knows what is harmless
    """

    def __init__(self, cleaner: TextCleaning) -> None:
        self._cleaner = cleaner

    def text(self, text: str, own_values: OwnValues, kind: TextKind) -> str | None:
        """Return what may stay of one text; None when nothing may."""
        if not text.strip():
            return text
        cleaned = self._cleaner.clean(text, own_values, kind).text
        return cleaned if cleaned is not None and cleaned.strip() else None

    def value(
        self,
        element: Element,
        keyword: str,
        vr: str,
        encoding: Encoding,
        own_values: OwnValues,
        kind: TextKind | None = None,
    ) -> tuple[bytes | None, str]:
        """Return the encoded value that may stay, and why it is not the one that was there.

        The value is None where nothing may stay, and the very bytes of the element where nothing had to go. Without
        ``kind`` the element's keyword and VR say what kind of text it is.
        """
        before = decoded_text(element, encoding)
        if UNREADABLE in before:
            return None, "its character set does not read it"
        texts = [before] if vr in SINGLE_VALUED else before.split(BACKSLASH)
        kind = text_kind(keyword, vr) if kind is None else kind
        kept = [self.text(text, own_values, kind) for text in texts]
        if all(text is None for text in kept):
            return None, NOTHING_LEFT
        after = BACKSLASH.join(text or "" for text in kept)
        if after == before:
            return raw_bytes(element, encoding), ""
        encoded = encoded_text(after, encoding)
        if encoded is None or any(len(text or "") > LONGEST.get(vr, len(text or "")) for text in kept):
            return None, "what is left of it cannot be written"
        return encoded, "only what is known to be harmless of it stays"


@lru_cache(maxsize=1024)
def text_kind(keyword: str, vr: str) -> TextKind:
    """Return what kind of text an element holds."""
    if keyword.endswith(("Label", "LongLabel", "Layer", "LabelText")) or keyword in ("ROIName", "EntityName"):
        return TextKind.LABEL
    if keyword in ("ContentDescription", "GraphicLayerDescription"):
        return TextKind.DESCRIPTOR
    return TextKind.NARRATIVE if vr in NARRATIVE_VRS else TextKind.DESCRIPTOR


def encoded_text(text: str, encoding: Encoding) -> bytes | None:
    """Encode a text in the character set in force; None where that cannot write it, or reads it otherwise."""
    if text.isascii():
        return text.encode("ascii")
    try:
        encoded = b"\\".join(encode_string(part, list(encoding.text)) for part in text.split(BACKSLASH))
    except (LookupError, UnicodeError, ValueError):
        return None
    return encoded if text in _readings(encoded, encoding) else None


def _readings(encoded: bytes, encoding: Encoding) -> list[str]:
    if len(encoding.text) == 1:
        return [encoded.decode(encoding.text[0], "replace")]
    return [decode_bytes(encoded, list(encoding.text), TEXT_DELIMITERS)]
