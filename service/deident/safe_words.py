"""Free text that may stay because it consists of nothing but known words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.errors import SettingsInvalid

WORD = re.compile(r"[^\W\d_]+|\d+")
NUMBER_DIGITS = 3
"""A longer number could be somebody's."""


class SafeWords:
    """A vocabulary, and patterns for whole texts such as the names of tools.

    Parameters
    ----------
    words : compared without case
    patterns : regular expressions that a whole text must match
    terms : values of coded strings that objects cannot do without
    """

    def __init__(self, words: Iterable[str], patterns: Iterable[str] = (), terms: Iterable[str] = ()) -> None:
        self._words = frozenset(word.casefold() for word in words)
        self._terms = frozenset(terms)
        try:
            self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        except re.error as error:
            raise SettingsInvalid(f"words.patterns: not a regular expression: {error}") from error

    def match(self, text: str) -> bool:
        """Whether a whole text is one of those that programs write."""
        return any(pattern.fullmatch(text) for pattern in self._patterns)

    def allow(self, text: str, also: Iterable[str] = ()) -> bool:
        """Whether a text may stay: each word known (or in one of the texts ``also``), no long number."""
        known = self._words.union(word.casefold() for other in also for word in WORD.findall(other))
        return all(
            len(word) <= NUMBER_DIGITS if word.isdigit() else word.casefold() in known for word in WORD.findall(text)
        )

    def is_term(self, value: str) -> bool:
        """Whether a coded string is a term of the standard that may stay even where a patient has that name."""
        return value in self._terms
