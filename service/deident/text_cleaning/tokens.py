"""A text taken apart into words and what stands between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.deident.name_forms import folded

# Whatever is no blank, punctuation or sign belongs to a word: marks of other scripts, control characters, U+FFFD.
_BETWEEN = (
    r"\s!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f\u2190-\u22ff"
    r"\u3000-\u303f"
)
TOKEN = re.compile(rf"[^{_BETWEEN}]+")
PIECE = re.compile(r"[^\W\d_]+|\d+|.", re.DOTALL)
BRACKETS = {"(": ")", "[": "]", "{": "}"}
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or mixture of both.

    Parameters
    ----------
    start, end : its place in the text
    plain : without case, accents and width
    """

    start: int
    end: int
    written: str
    plain: str

    @property
    def is_initial(self) -> bool:
        """Whether it is one single letter."""
        return len(self.plain) == 1 and self.plain.isalpha()


def tokens_of(text: str) -> list[Token]:
    """Return the words of a text in order."""
    return [Token(m.start(), m.end(), m.group(), folded(m.group())) for m in TOKEN.finditer(text)]


def pieces_of(plain: str) -> list[str]:
    """Return the runs of letters and of digits of a word; any other character is a piece of its own."""
    return PIECE.findall(plain)


def camel_parts(written: str) -> list[str]:
    """Return the words of one that is written like sagBrain or MPRage; empty when it is not."""
    parts = CAMEL.findall(written)
    return parts if len(parts) > 1 and "".join(parts) == written else []


def rebuilt(text: str, tokens: Sequence[Token], stays: Sequence[bool], gap: str) -> str:
    """Return the text with the words that stay.

    Parameters
    ----------
    gap : stands in the place of words that went; without one what stood around them is closed
    """
    out: list[str] = []
    between: list[str] = []
    place = 0
    for token, kept in zip(tokens, stays, strict=True):
        between.append(text[place : token.start])
        place = token.end
        if kept:
            out += [_joint(between, gap, first=not out, last=False), token.written]
            between = []
    between.append(text[place:])
    out.append(_joint(between, gap, first=not out, last=True))
    return "".join(out) if gap else _closed("".join(out))


def _closed(text: str) -> str:
    """Return a text without the brackets whose other half went."""
    open_at: list[int] = []
    alone: set[int] = set()
    for place, char in enumerate(text):
        if char in BRACKETS:
            open_at.append(place)
        elif char in BRACKETS.values():
            if open_at and BRACKETS[text[open_at[-1]]] == char:
                open_at.pop()
            else:
                alone.add(place)
    alone.update(open_at)
    return "".join(char for place, char in enumerate(text) if place not in alone) if alone else text


def _joint(between: list[str], gap: str, *, first: bool, last: bool) -> str:
    if len(between) == 1:
        return between[0]
    if gap:
        return between[0] + gap + between[-1]
    if first or last:
        return ""
    if len(set(between)) == 1:
        return between[0]
    return "\n" if any("\n" in part for part in between) else " "


def covered(tokens: Sequence[Token], spans: Sequence[tuple[int, int]]) -> Iterator[bool]:
    """Yield for each token whether one of some spans, in order and apart, reaches into it."""
    number = 0
    for token in tokens:
        while number < len(spans) and spans[number][1] <= token.start:
            number += 1
        yield number < len(spans) and spans[number][0] < token.end
