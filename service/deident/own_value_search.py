"""Where search terms stand in a text, told by the characters of the text as it is written.

Terms are folded and without separators; a text is read the same way, and each character remembers where it came from.
Everything takes time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.deident.name_forms import SHORTEST_WORD, folded

Span = tuple[int, int]


class JoinedText:
    """A text folded and without separators, each character with its place in the original.

    Parameters
    ----------
    text : as it is written
    """

    def __init__(self, text: str) -> None:
        self._text = text
        joined: list[str] = []
        places: list[int] = []
        known: dict[str, str] = {}
        for place, char in enumerate(text):
            plain = known.get(char)
            if plain is None:
                plain = known[char] = "".join(c for c in folded(char) if c.isalnum())
            joined += plain
            places += [place] * len(plain)
        self.joined = "".join(joined)
        self._places = places

    def anywhere(self, term: str) -> Iterator[Span]:
        """Yield each place of a term."""
        for start in _places_of(term, self.joined):
            yield self._places[start], self._places[start + len(term) - 1] + 1

    def apart(self, term: str) -> Iterator[Span]:
        """Yield each place where a term begins and ends with a word, or where letters, digits or cases change.

        Zeros that lead a number belong to it. A number of three digits is not put together of others.
        """
        whole = len(term) <= SHORTEST_WORD and term.isdigit()
        for found in _places_of(term, self.joined):
            start, end = found, found + len(term)
            if whole and self._places[end - 1] - self._places[start] >= len(term):
                continue
            while term[0].isdigit() and start and self.joined[start - 1] == "0" and not self._begins(start):
                start -= 1
            if self._begins(start) and self._begins(end):
                yield self._places[start], self._places[end - 1] + 1

    def _begins(self, place: int) -> bool:
        """Whether a word begins at a place of the joined text, or the text ends there."""
        if place in (0, len(self.joined)):
            return True
        before, here = self._places[place - 1], self._places[place]
        if here != before + 1:
            return here != before
        a, b = self._text[before], self._text[here]
        if a.isdigit() != b.isdigit():
            return True
        after = self._text[here + 1 : here + 2]
        return b.isupper() and (a.islower() or (a.isupper() and after.islower()))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch or overlap as one."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _places_of(term: str, text: str) -> Iterator[int]:
    place = text.find(term)
    while place >= 0:
        yield place
        place = text.find(term, place + 1)
