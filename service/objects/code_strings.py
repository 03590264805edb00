"""Words as Code Strings, for labels that are one (PS3.5 6.2: CS)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LONGEST: Final = 16


def code_string(words: str, otherwise: str) -> str:
    """Words in capital letters, digits and underscores, at most 16; ``otherwise`` where nothing is left of them."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Z0-9]+", "_", plain.upper())[: _LONGEST + 1].strip("_")[:_LONGEST].strip("_") or otherwise
