"""Which words of names meet the words of a fuzzy query, found through the index (`service.core.person_names`).

Words that one letter apart keep either their first or their last half as it is, so two ranges of an index hold every
candidate: words that begin as the query's does, and words that end so, kept from their end. Those that sound the same
stand together under their sound. The rule itself then decides on each candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, false, or_, select, true

from service.archive.attribute_values import VALUE_TABLES
from service.core.indexed_values import END, SOUND, WORD
from service.core.person_names import (
    WORTH_COMPARING,
    is_letter,
    is_near,
    name_groups,
    name_words,
    sound,
    sounds_like,
)
from service.core.search import Match
from service.core.search_attributes import path_text

_CANDIDATES: Final = 20_000
_WORDS_AT_MOST: Final = 1000
_WILDCARDS: Final = frozenset("*?")


@dataclass(frozen=True, slots=True)
class WordChoice:
    """What meets one word of a query: words, whatever begins with ``prefix``, or what fits ``pattern``."""

    words: tuple[str, ...] = ()
    prefix: str = ""
    pattern: str = ""


def word_choices(connection: Connection, project: str, match: Match) -> tuple[WordChoice, ...]:
    """One choice for each word of the query; a name has to meet all of them."""
    words = dict.fromkeys(word for value in match.values for word in name_words(name_groups(value)))
    candidates = _Candidates(connection, project, match)
    return tuple(candidates.of(word) for word in words)


def begins_with(column: Any, prefix: str) -> ColumnElement[bool]:
    """A range of a column in the order of the letters' codes."""
    if not prefix:
        return true()
    following = _following(prefix)
    return and_(column >= prefix, column < following) if following else column >= prefix


def _following(prefix: str) -> str:
    """The first text behind all that begins so; "" where there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code < 0x110000:
            # Surrogates are no characters of a text.
            return prefix[:-1] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)
        prefix = prefix[:-1]
    return ""


class _Candidates:
    def __init__(self, connection: Connection, project: str, match: Match) -> None:
        self._connection = connection
        self._project = project
        self._table: Table = VALUE_TABLES[match.key.held_at]
        self._attribute = path_text(match.key.path)

    def of(self, word: str) -> WordChoice:
        if _WILDCARDS & set(word):
            return WordChoice(pattern=word)
        if len(word) == 1 and is_letter(word):
            return WordChoice(prefix=word)
        met = [word, word[0]] if is_letter(word[0]) else [word]
        if len(word) >= WORTH_COMPARING:
            half = (len(word) - 1) // 2
            met += [one for one in self._within(WORD, word[:half]) if is_near(word, one)]
            ends = (one[::-1] for one in self._within(END, word[-half:][::-1]))
            met += [one for one in ends if is_near(word, one)]
        if code := sound(word):
            alike = (one.partition(":")[2] for one in self._within(SOUND, f"{code}:"))
            met += [one for one in alike if sounds_like(word, one)]
        return WordChoice(words=tuple(dict.fromkeys(met))[:_WORDS_AT_MOST])

    def _within(self, facet: str, prefix: str) -> Iterator[str]:
        """The different values of a facet that begin so."""
        values = self._table.c
        query = select(values.value).where(
            values.project == self._project,
            values.attribute == self._attribute + facet,
            begins_with(values.value, prefix),
        )
        yield from self._connection.execute(query.distinct().limit(_CANDIDATES)).scalars()


def meets(table: Table, attribute: str, choice: WordChoice, fits: Any) -> ColumnElement[bool]:
    """The condition on a row of values that it is a word which a choice takes; ``fits`` compares with wildcards."""
    values = table.c
    conditions: list[ColumnElement[bool]] = []
    if choice.words:
        conditions.append(values.value.in_(choice.words))
    if choice.prefix:
        conditions.append(begins_with(values.value, choice.prefix))
    if choice.pattern:
        conditions.append(fits(values.value, choice.pattern))
    return and_(values.attribute == attribute + WORD, or_(*conditions) if conditions else false())
