"""Free text that may stay because it consists of nothing but known words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.errors import SettingsInvalid

WORD = re.compile(r"[^\W\d_]+|\d+")
NUMBER_DIGITS = 3
"""A longer number could be somebody's."""


class SafeWords:
    """A vocabulary, patterns for whole texts, and the names of tools that stand before a label.

    Parameters
    ----------
    words : compared without case
    patterns : regular expressions that a whole text must match
    terms : values of coded strings that objects cannot do without
    tools : regular expressions of what viewers' tools are called; a text may be one, or begin with one and a colon
    """

    def __init__(
        self,
        words: Iterable[str],
        patterns: Iterable[str] = (),
        terms: Iterable[str] = (),
        tools: Iterable[str] = (),
    ) -> None:
        self._words = frozenset(word.casefold() for word in words)
        self._terms = frozenset(terms)
        self._patterns = _compiled("patterns", patterns)
        self._tools = _compiled("tools", (f"({tool})(?=:|\\Z)" for tool in tools))

    def match(self, text: str) -> bool:
        """Whether a whole text is one of those that programs write."""
        return any(pattern.fullmatch(text) for pattern in (*self._patterns, *self._tools))

    def tool_of(self, text: str) -> str:
        """Return the tool that a text begins with, the longest where several fit; empty where it names none.

        Behind the tool stands nothing, or a colon and the label that somebody gave.
        """
        found = (pattern.match(text) for pattern in self._tools)
        return max((match[0] for match in found if match is not None), key=len, default="")

    def allow(self, text: str, also: Iterable[str] = ()) -> bool:
        """Whether a text may stay: each word known (or in one of the texts ``also``), no long number."""
        known = self._words.union(word.casefold() for other in also for word in WORD.findall(other))
        return all(
            len(word) <= NUMBER_DIGITS if word.isdigit() else word.casefold() in known for word in WORD.findall(text)
        )

    def is_term(self, value: str) -> bool:
        """Whether a coded string is a term of the standard that may stay even where a patient has that name."""
        return value in self._terms


def _compiled(key: str, patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(pattern) for pattern in patterns)
    except re.error as error:
        raise SettingsInvalid(f"words.{key}: not a regular expression: {error}") from error
