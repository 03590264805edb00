"""Conditions under which the standard asks for an attribute, or forbids one, in words that a table can hold.

``SegmentationType is FRACTIONAL``, ``not (A given or B missing)``, ``ImageType[2] is PRIMARY|SECONDARY``,
``/FrameOfReferenceUID given`` (at the top of the object), ``SamplesPerPixel > 1``, ``always``; a value of several words
stands between single quotes. ``A is X`` holds where any value of A is X, ``A is not X`` where A has values and none is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset

Condition = Callable[[Dataset, Dataset], bool]
"""Whether it holds for an item, within the whole object."""

_TOKEN: Final = re.compile(r"\s*(\(|\)|>|\||'[^']*'|[^\s()>|']+)")
_NAME: Final = re.compile(r"(/?)([A-Z][A-Za-z0-9]*)(?:\[(\d)\])?")
_Values = Callable[[Dataset, Dataset], list[str]]


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    ValueError : it is none
    """
    tokens = _TOKEN.findall(text)
    if "".join(tokens).replace(" ", "") != text.replace(" ", ""):
        raise ValueError(f"no condition: {text}")
    reader = _Reader(tokens, text)
    condition = reader.either()
    reader.end()
    return condition


def values_of(item: Dataset, keyword: str) -> list[str]:
    """The values of an attribute as text; none where it is absent or empty, one word where they are no text."""
    element = item.get(keyword)
    if element is None or (hasattr(element, "__len__") and len(element) == 0):
        return []
    if isinstance(element, bytes) or hasattr(element, "is_undefined_length"):
        return ["(bytes)"]
    if isinstance(element, str) or not hasattr(element, "__iter__"):
        return [_text(element)]
    return [_text(one) for one in element]


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class _Reader:
    def __init__(self, tokens: list[str], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._place = 0

    def either(self) -> Condition:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda item, root: any(part(item, root) for part in parts)

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise ValueError(f"no condition: {self._text}")

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda item, root: all(part(item, root) for part in parts)

    def _one(self) -> Condition:
        if self._take("not"):
            inner = self._one()
            return lambda item, root: not inner(item, root)
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise ValueError(f"a bracket is not closed: {self._text}")
            return inner
        if self._take("always"):
            return lambda _item, _root: True
        return self._test(self._attribute(self._next()))

    def _test(self, values: _Values) -> Condition:
        word = self._next()
        if word == "given":
            return lambda item, root: bool(values(item, root))
        if word == "missing":
            return lambda item, root: not values(item, root)
        if word == ">":
            least = float(self._next())
            return lambda item, root: any(_above(value, least) for value in values(item, root))
        if word != "is":
            raise ValueError(f"no condition: {self._text}")
        if self._take("not"):
            others = self._words()
            return lambda item, root: bool(found := values(item, root)) and others.isdisjoint(found)
        words = self._words()
        return lambda item, root: not words.isdisjoint(values(item, root))

    def _words(self) -> frozenset[str]:
        words = [self._next().strip("'")]
        while self._take("|"):
            words.append(self._next().strip("'"))
        return frozenset(words)

    def _attribute(self, token: str) -> _Values:
        named = _NAME.fullmatch(token)
        if named is None:
            raise ValueError(f"no attribute: {token}")
        at_top, keyword, position = bool(named[1]), named[2], named[3]

        def values(item: Dataset, root: Dataset) -> list[str]:
            found = values_of(root if at_top else item, keyword)
            return found if position is None else found[int(position) - 1 : int(position)]

        return values

    def _take(self, word: str) -> bool:
        if self._place < len(self._tokens) and self._tokens[self._place] == word:
            self._place += 1
            return True
        return False

    def _next(self) -> str:
        if self._place >= len(self._tokens):
            raise ValueError(f"a condition that ends too soon: {self._text}")
        self._place += 1
        return self._tokens[self._place - 1]


def _above(value: str, least: float) -> bool:
    try:
        return float(value) > least
    except ValueError:
        return False
