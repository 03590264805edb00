"""Whether a code's meaning is the one that its scheme gives it, and so nobody's name."""

from __future__ import annotations

from functools import lru_cache

SCHEMES = ("DCM", "SCT", "UCUM", "FMA", "LN", "NCIt", "UMLS", "RADLEX", "NEU")

PUBLIC_SCHEMES = frozenset(
    {
        *SCHEMES, "SRT", "SNM3", "99SDM", "I9", "I9C", "I10", "I10P", "ICD10", "I11", "ICDO3", "ACR", "BARI", "BI",
        "C4", "C5", "CD2", "DCMUID", "HPC", "IBSI", "ISO3166_1", "ISO639_1", "ISO639_2", "ITIS_TSN", "MA", "MDC",
        "MDNS", "MGI", "MSH", "NCDR", "NCDR[2.0b]", "NDC", "NICIP", "PATHLEX", "POS", "PUBCHEM_CID", "RADELEMENT",
        "RFC3066", "RFC5646", "RXNORM", "SCPECG", "UBERON", "UNS", "UPC",
    }
)  # fmt: skip
"""Coding schemes that somebody publishes (PS3.16 Table 8-1): their codes are nobody's free text."""


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
