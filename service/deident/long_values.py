"""Values that were too long to be read with their header: what is done to them from where they lie.

Bytes are searched a stretch at a time and handed through. What has to be read as text, numbers or items is read only
where it is little; else the object is refused.
"""

from __future__ import annotations

from typing import Final

from pydicom.dataelem import RawDataElement

from service.core.encoded_bytes import EncodedBytes, chunks
from service.core.set_aside import LongValue, SetAside
from service.deident.element_values import Element, Encoding, raw_bytes
from service.deident.rules import Action
from service.errors import IdentityNotRemovable

BY_RULE_ALONE: Final = frozenset(
    {
        Action.REMOVE,
        Action.EMPTY,
        Action.DUMMY,
        Action.DUMMY_CODE,
        Action.DOCUMENT,
        Action.PSEUDONYM,
        Action.REFUSE,
        Action.SAFE_PRIVATE,
    }
)
"""Actions that do not ask what the value is."""
BY_BYTES: Final = frozenset({Action.KEEP, Action.SEARCH_BYTES, Action.SEARCH_NUMBERS})
"""Actions that take the value for bytes."""
ITEM_ACTIONS: Final = frozenset({Action.CLEAN_ITEMS, Action.CLEAN_CODES})
READ: Final = 1 << 20
"""Bytes of all the long values of a header that may be read after all."""
ITEMS_WEIGH: Final = 8
"""How much more of it is taken by bytes that are taken apart."""


class LongValues:
    """The long values of one header.

    Parameters
    ----------
    aside : what stands for them in the header
    """

    def __init__(self, aside: SetAside) -> None:
        self._aside = aside
        self._left = READ

    def of(self, element: Element) -> LongValue | None:
        """What an element's value stands for; None where it is the value itself."""
        return self._aside.of(element.value) if isinstance(element, RawDataElement) else None

    def content(self, element: Element, encoding: Encoding) -> EncodedBytes:
        """The bytes of any element's value."""
        long = self.of(element)
        return raw_bytes(element, encoding) if long is None else long.source

    def is_done_unread(self, long: LongValue, action: Action) -> bool:
        """Whether an action needs nothing but a look at the bytes, or not even that."""
        return action in BY_RULE_ALONE or (long.is_opaque and action in BY_BYTES)

    def read(self, element: Element, long: LongValue, action: Action) -> RawDataElement:
        """Return the element with its value.

        Raises
        ------
        IdentityNotRemovable : it is too much to be held
        """
        size = len(long.source)
        self._left -= size * (ITEMS_WEIGH if action in ITEM_ACTIONS else 1)
        if self._left < 0 or not isinstance(element, RawDataElement):
            raise IdentityNotRemovable(long.refusal)
        return element._replace(value=long.source[:], length=size)


def is_printable(value: EncodedBytes, printable: bytes) -> bool:
    """Whether a value is text as far as its bytes tell, with nothing but zeros before and behind it."""
    begun = ended = False
    for chunk in chunks(value):
        text = bytes(chunk)
        if not begun:
            text = text.lstrip(b"\0")
        if not text:
            continue
        begun = True
        body = text.rstrip(b"\0")
        if (ended and body) or body.translate(None, printable):
            return False
        ended = ended or len(body) < len(text)
    return True
