"""Whether a code's meaning is the one that its scheme gives it, and so nobody's name."""

from __future__ import annotations

from functools import lru_cache

SCHEMES = ("DCM", "SCT", "UCUM", "FMA", "LN", "NCIt", "UMLS", "RADLEX", "NEU")


@lru_cache(maxsize=1024)
def is_own_meaning(scheme: str, value: str, meaning: str) -> bool:
    """Whether the code dictionary gives this code this meaning, in any case."""
    if scheme not in SCHEMES:
        return False
    # The dictionary takes 16 MiB, and most processes never meet a code.
    from pydicom.sr.codedict import codes

    try:
        concepts = getattr(codes, scheme).concepts
    except AttributeError:
        return False
    wanted = meaning.strip().casefold()
    return any(code.value == value and code.meaning.casefold() == wanted for code in concepts.values())
