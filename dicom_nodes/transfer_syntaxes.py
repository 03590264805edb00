"""The transfer syntaxes that a node takes (PS3.5 Annex A), and which of them may have lost pixel information."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

# Registered after the dictionary of the oldest pydicom that we run with.
_NEWER: Final = (
    "1.2.840.10008.1.2.4.110",  # JPEG XL Lossless
    "1.2.840.10008.1.2.4.111",  # JPEG XL JPEG Recompression
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
)

_LOSSLESS: Final = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.1.98",  # encapsulated, uncompressed
        "1.2.840.10008.1.2.1.99",  # deflated
        "1.2.840.10008.1.2.2",  # big endian
        "1.2.840.10008.1.2.4.57",  # JPEG process 14
        "1.2.840.10008.1.2.4.58",  # JPEG process 15
        "1.2.840.10008.1.2.4.65",  # JPEG process 28
        "1.2.840.10008.1.2.4.66",  # JPEG process 29
        "1.2.840.10008.1.2.4.70",  # JPEG process 14, selection value 1
        "1.2.840.10008.1.2.4.80",  # JPEG-LS
        "1.2.840.10008.1.2.4.90",  # JPEG 2000
        "1.2.840.10008.1.2.4.92",  # JPEG 2000 part 2
        "1.2.840.10008.1.2.4.110",  # JPEG XL
        "1.2.840.10008.1.2.4.201",  # HTJ2K
        "1.2.840.10008.1.2.4.202",  # HTJ2K with RPCL
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.8.1",  # deflated frames
        "1.2.840.10008.1.20",  # Papyrus 3
    }
)


@cache
def transfer_syntaxes() -> frozenset[str]:
    """UIDs of every transfer syntax that a node takes: all that pydicom knows, and newer ones."""
    known = (uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax")
    return frozenset(known) | frozenset(_NEWER)


def is_lossless(transfer_syntax_uid: str) -> bool:
    """Whether the syntax itself promises that no pixel information was lost; by reference (JPIP) it does not."""
    return transfer_syntax_uid in _LOSSLESS


def choose_transfer_syntax(proposed: Sequence[str]) -> str | None:
    """The first of the sender's syntaxes that we take, but never a lossy one where a lossless one stands too.

    None if we take none of them. The sender's order is its wish (PS3.8 9.3.2.2 leaves the choice to the acceptor).
    """
    known = [uid for uid in proposed if uid in transfer_syntaxes()]
    return next((uid for uid in known if is_lossless(uid)), known[0] if known else None)
