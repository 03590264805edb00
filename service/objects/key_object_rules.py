"""Rules of Key Object Selection (PS3.16 TID 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from service.core.codes import Code
from service.objects.content_tree import children, name_of
from service.objects.rule_catalogue import Breach

_REFERENCES: Final = ("IMAGE", "WAVEFORM", "COMPOSITE")
_MODIFIER: Final = Code("113011", "DCM", "Document Title Modifier")
_BEST_IN_SET: Final = "113013"
_NEWER_TITLES: Final = frozenset({"131560"})  # Manifest with Description


def key_object_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Title, references, and the reason that a title asks for."""
    title = name_of(data_set)
    known = {code.value for code in codes.cid7010.concepts.values()} | _NEWER_TITLES
    if title is None or title.scheme != "DCM" or title.value not in known:
        yield "KO-TITLE", f"{title.meaning if title else 'no title'} is none of CID 7010"
    if not any(item.get("ValueType") in _REFERENCES for item in children(data_set)):
        yield "KO-REFERENCES", "it refers to nothing"
    if title is not None and title.value == _BEST_IN_SET and not children(data_set, _MODIFIER):
        yield "KO-REASON", "Best In Set without a Document Title Modifier"
