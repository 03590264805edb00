"""Names of persons as they are compared: without case and accents, word by word, by sound (PS3.4 C.2.2.2.1).

A word of a query meets a word of a name when

- they are the same, or the query's has wildcards and fits;
- one of them is an initial of the other;
- both have four letters or more, and one letter more, less, other or swapped with its neighbour makes them the same; or
- they sound the same (Cologne phonetics, for words in a to z) and at most half of their letters differ.

A fuzzy query finds a name when each of its words meets some word of it, in whatever component or group that stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

WORDS_AT_MOST: Final = 16
LETTERS_AT_MOST: Final = 64
WORTH_COMPARING: Final = 4  # letters: two words of three that differ in one are two words
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
# Latin, Greek and Cyrillic, whose marks are accents; elsewhere (kana, Hangul, Indic) a mark makes another letter.
_ACCENTED: Final = ((0x41, 0x24F), (0x370, 0x52F), (0x1E00, 0x1FFF))
# Letters that have no decomposition.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
)
_BETWEEN_WORDS: Final = re.compile(r"[\s^=,.;/\-\u2010-\u2015]+")
_APOSTROPHES: Final = re.compile(r"['`\u00b4\u2018\u2019\u02bc]")
_WILD: Final = re.compile(r"[*?]")


def folded(text: str) -> str:
    """Without case, and without accents on Latin, Greek and Cyrillic letters; ideographs and kana stay as they are."""
    kept = []
    drops_marks = False
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    for character in text:
        if not unicodedata.combining(character):
            drops_marks = is_letter(character)
            kept.append(character)
        elif not drops_marks:
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept).translate(_PLAIN))


def is_letter(character: str) -> bool:
    """Whether it is of a script in which an initial stands for a name."""
    code = ord(character)
    return any(first <= code <= last for first, last in _ACCENTED) and character.isalpha()


def name_groups(value: Mapping[str, str] | str) -> list[str]:
    """The component groups of a name that are not empty, folded; empty components at the end are left out."""
    groups = value.split("=") if isinstance(value, str) else [value.get(group, "") for group in _GROUPS]
    found = ("^".join(part.strip() for part in folded(str(group)).split("^")).rstrip("^") for group in groups)
    return [group for group in found if group]


def name_words(groups: Iterable[str]) -> list[str]:
    """The different words of folded groups, in order."""
    words: dict[str, None] = {}
    for group in groups:
        for word in _BETWEEN_WORDS.split(_APOSTROPHES.sub("", group)):
            if word:
                words.setdefault(word[:LETTERS_AT_MOST])
    return list(words)[:WORDS_AT_MOST]


def literally_matches(asked: str, held: Mapping[str, str] | str) -> bool:
    """Whether each group of a query, in which * and ? are wildcards, fits some group of a name."""
    groups = name_groups(held)
    return all(any(_fits(pattern, group) for group in groups) for pattern in name_groups(asked))


def fuzzily_matches(asked: str, held: Mapping[str, str] | str) -> bool:
    """The rule of this module."""
    words = name_words(name_groups(held))
    return all(any(words_meet(word, other) for other in words) for word in name_words(name_groups(asked)))


def words_meet(asked: str, held: str) -> bool:
    """Whether a word of a query, folded, meets one of a name."""
    if _WILD.search(asked):
        return _fits(asked, held)
    if asked == held or is_initial_of(asked, held) or is_initial_of(held, asked):
        return True
    return is_near(asked, held) or sounds_like(asked, held)


def is_initial_of(word: str, other: str) -> bool:
    """Whether a word is the first letter of another."""
    return len(word) == 1 and is_letter(word) and other.startswith(word)


def is_near(word: str, other: str) -> bool:
    """Whether one letter makes them the same, if they are long enough for that to say anything."""
    if min(len(word), len(other)) < WORTH_COMPARING or abs(len(word) - len(other)) > 1:
        return False
    return distance(word, other) <= 1


def sounds_like(word: str, other: str) -> bool:
    """Whether two words sound the same and look alike enough."""
    code = sound(word)
    return bool(code) and code == sound(other) and 2 * distance(word, other) <= max(len(word), len(other)) + 1


def distance(word: str, other: str) -> int:
    """How many letters to add, leave out, change or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(word, start=1):
        current = [row]
        for column, opposite in enumerate(other, start=1):
            least = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != opposite))
            if row > 1 and column > 1 and letter == other[column - 2] and word[row - 2] == opposite:
                least = min(least, before[column - 2] + 1)
            current.append(least)
        before, last = last, current
    return last[-1]


@lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """Cologne phonetics (Postel 1969) of a word in a to z with four letters or more; "" of any other."""
    if len(word) < WORTH_COMPARING or not (word.isascii() and word.isalpha()):
        return ""
    digits = "".join(_digits(word))
    single = re.sub(r"(.)\1+", r"\1", digits)
    code = single[:1] + single[1:].replace("0", "")
    return code if len(code) > 1 else ""


def _digits(word: str) -> Iterator[str]:
    for place, letter in enumerate(word):
        before, after = word[place - 1 : place], word[place + 1 : place + 2]
        if letter == "h":
            continue
        if letter == "c":
            yield _c_digit(before, after)
        elif letter == "x":
            yield "8" if before and before in "ckq" else "48"
        elif letter == "p":
            yield "3" if after == "h" else "1"
        elif letter in "dt":
            yield "8" if after and after in "csz" else "2"
        else:
            yield _DIGITS[letter]


def _c_digit(before: str, after: str) -> str:
    if not before:
        return "4" if after and after in "ahkloqrux" else "8"
    return "4" if after and after in "ahkoqux" and before not in "sz" else "8"


_DIGITS: Final[Mapping[str, str]] = {
    letter: digit
    for letters, digit in (
        *(("aeijouy", "0"), ("b", "1"), ("fvw", "3"), ("gkq", "4")),
        *(("l", "5"), ("mn", "6"), ("r", "7"), ("sz", "8")),
    )
    for letter in letters
}


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern))
    return re.compile(".*".join(parts), re.DOTALL)


def _fits(pattern: str, text: str) -> bool:
    return _expression(pattern).fullmatch(text) is not None
