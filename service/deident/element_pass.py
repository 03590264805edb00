"""Single elements of a header through the ordinary pass, and what came out as bytes.

Only for elements whose outcome depends on nothing else in the header but its character set and, for words without a
sign in implicit VR, Pixel Representation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from service.deident.element_values import Element, Encoding, raw_bytes
from service.deident.encoded_header import ElementEncoder, character_set_of
from service.deident.header_pass import HeaderPass
from service.deident.name_forms import SHORTEST_INSIDE
from service.deident.originals import CHARACTER_SET
from service.deident.raw_scan import base_tag, scan
from service.deident.series_memory import Outcome

PIXEL_REPRESENTATION = 0x00280103
UNSIGNED_SHORT = (None, "US")


class ElementPass:
    """Cleans elements of one header by themselves.

    Parameters
    ----------
    work : made for this header
    encoder : writes in the header's encoding
    """

    def __init__(self, work: HeaderPass, header: Dataset, encoding: Encoding, encoder: ElementEncoder) -> None:
        self._work = work
        self._encoding = encoding
        self._encoder = encoder
        self._codecs = header.original_character_set
        self._character_set = header.get_item(base_tag(CHARACTER_SET), keep_deferred=True)
        representation = header.get_item(base_tag(PIXEL_REPRESENTATION), keep_deferred=True)
        # One that is searched and may go would be counted with each element.
        is_short = representation is not None and len(raw_bytes(representation, encoding)) < SHORTEST_INSIDE
        is_kept = representation is not None and representation.VR in UNSIGNED_SHORT and is_short
        context = [self._character_set, representation if is_kept else None]
        self._context: dict[BaseTag, Any] = {element.tag: element for element in context if element is not None}

    def nested(self, element: Element) -> Outcome | None:
        """Clean a sequence; None where the header has to be cleaned as a whole."""
        removed, replaced = self._work.removed, self._work.replaced
        clean = self._run([element])
        if clean is None:
            return None
        counted = self._work.removed - removed, self._work.replaced - replaced
        return self._outcome(clean, element, *counted)

    def plain(self, elements: Iterable[Element]) -> list[Outcome | None]:
        """Clean elements that are no sequences, all at once."""
        elements = list(elements)
        clean = self._run(elements) if elements else None
        if clean is None:
            return [None] * len(elements)
        outcomes = []
        for element in elements:
            result = clean.get_item(element.tag, keep_deferred=True)
            counted = int(result is None), int(result is not None and result is not element)
            outcomes.append(self._outcome(clean, element, *counted))
        return outcomes

    def group(self, elements: Iterable[Element]) -> dict[int, Outcome] | None:
        """Clean elements of one group together, by tag; the first one carries what was counted for all."""
        elements = list(elements)
        counted = self._work.removed, self._work.replaced
        clean = self._run(elements)
        if clean is None:
            return None
        removed, replaced = self._work.removed - counted[0], self._work.replaced - counted[1]
        outcomes: dict[int, Outcome] = {}
        for element in elements:
            outcome = self._outcome(clean, element, removed, replaced)
            if outcome is None:
                return None
            outcomes[int(element.tag)] = outcome
            removed = replaced = 0
        return outcomes

    def _run(self, elements: Iterable[Element]) -> Dataset | None:
        held: dict[BaseTag, Any] = self._context | {element.tag: element for element in elements}
        part = Dataset(held)
        part.set_original_encoding(self._encoding.implicit_vr, self._encoding.little_endian, self._codecs)
        clean = self._work.run(part)
        # Without a character set that holds, texts of the header would be read in another.
        lost = self._character_set is not None and base_tag(CHARACTER_SET) not in clean
        return None if lost else clean

    def _outcome(self, clean: Dataset, element: Element, removed: int, replaced: int) -> Outcome | None:
        result = clean.get_item(element.tag, keep_deferred=True)
        if result is None:
            return Outcome(b"", None, removed, replaced)
        if isinstance(result, RawDataElement) and self._encoder.fits(result):
            return Outcome(self._encoder.raw(result), result, removed, replaced)
        encoded = self._encoder.element(clean, element.tag, character_set_of(clean))
        read = scan(encoded, implicit_vr=self._encoding.implicit_vr)
        raw = None if read is None else read[0].get_item(element.tag, keep_deferred=True)
        return Outcome(encoded, raw, removed, replaced) if isinstance(raw, RawDataElement) else None
