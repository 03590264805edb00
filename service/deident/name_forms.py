"""The ways in which a person's name is written inside other texts.

"Doe^John^Q" is also DOE J, J.DOE, DOEJOHN, John Q Doe; "Müller" is also Mueller. Each form is kept folded and without
separators, in one of two sets: words are found where they stand apart, longer forms anywhere.
"""

from __future__ import annotations

import re
import unicodedata

NOT_WORD = re.compile(r"[\W_]+")
SHORTEST_WORD = 3
"""A two-letter name part is found only beside another part of the name, or its initial."""
SHORTEST_INSIDE = 5
"""From this length on a value is also found inside a longer run of letters and digits."""
MOST_PARTS = 12
"""A name of more parts is no name; the pairs of its first ones are enough."""
NOT_DECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"}
)
"""Letters that Unicode does not take apart though readers do."""
WRITTEN_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa", "Ø": "Oe"}
)
CONTRACTED = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))
PARTICLES = frozenset(
    {
        "al",
        "and",
        "bin",
        "da",
        "das",
        "de",
        "del",
        "della",
        "den",
        "der",
        "des",
        "di",
        "do",
        "dos",
        "du",
        "e",
        "el",
        "et",
        "ibn",
        "la",
        "las",
        "le",
        "los",
        "och",
        "of",
        "ten",
        "ter",
        "the",
        "und",
        "van",
        "vom",
        "von",
        "y",
        "zu",
        "zum",
        "zur",
    }
)
"""Parts of a family name that stand in any text; they count only together with another part."""


def folded(text: str) -> str:
    """Return the text without case, accents and width."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold().translate(NOT_DECOMPOSED)


def ideographic(part: str) -> bool:
    """Whether a part is written in ideographs, kana or hangul (also taken apart by folding), where one is a name."""
    return any(ord(char) >= 0x2E80 or 0x1100 <= ord(char) <= 0x11FF for char in part)


def name_parts(name: str) -> list[str]:
    """Return the folded words of a name; those with unreadable characters are left out."""
    return [part for part in NOT_WORD.split(folded(name)) if part and "�" not in part]


def add_name(name: str, words: set[str], inside: set[str]) -> None:
    """Add the forms of a name of PN, its component groups one by one (PS3.5 6.2.1).

    Parameters
    ----------
    words : receives what is found where it stands apart
    inside : receives what is found anywhere
    """
    for group in name.split("="):
        parts: list[tuple[str, ...]] = []
        for component in group.split("^"):
            here = [_spellings(part) for part in NOT_WORD.split(unicodedata.normalize("NFC", component)) if part]
            here = [spellings for spellings in here if spellings]
            for spellings in here:
                if len(here) == 1 or spellings[0] not in PARTICLES:
                    _add_part(spellings, words, inside)
            parts += here
        _add_pairs(parts[:MOST_PARTS], words, inside)


def _spellings(part: str) -> tuple[str, ...]:
    """Return a part folded, and as it is written where ä is ae, and the other way round."""
    if "�" in part:
        return ()
    # Folding takes some letters apart at a sign: a quarter is "1⁄4", and "ü" in the wrong character set "Ã" and it.
    plain = NOT_WORD.sub("", folded(part))
    found = [plain, NOT_WORD.sub("", folded(part.translate(WRITTEN_OUT)))]
    for long, short in CONTRACTED:
        shorter = plain.replace(long, short)
        if shorter != plain and len(shorter) > SHORTEST_WORD:
            found.append(shorter)
    return tuple(dict.fromkeys(found)) if plain else ()


def _add_part(spellings: tuple[str, ...], words: set[str], inside: set[str]) -> None:
    for part in spellings:
        wide = ideographic(part)
        if wide or (len(part) >= SHORTEST_WORD and not part.isdigit()):
            words.add(part)
        if len(part) >= SHORTEST_INSIDE or (wide and len(part) > 1):
            inside.add(part)


def _add_pairs(parts: list[tuple[str, ...]], words: set[str], inside: set[str]) -> None:
    for number, first in enumerate(parts):
        others = parts[:number] + parts[number + 1 :]
        initials = {other[0][0] for other in others} | {"".join(other[0][0] for other in others)}
        for a in first:
            for other in others:
                for b in other:
                    if not {a, b} <= PARTICLES:
                        _add_joined(a + b, words, inside)
                    if len(a) < SHORTEST_WORD and len(b) < SHORTEST_WORD:
                        for initial in initials:
                            _add_joined(a + initial + b, words, inside)
            # Longer parts are found inside whatever stands beside them.
            if 1 < len(a) < SHORTEST_INSIDE and a not in PARTICLES and not a.isdigit():
                for initial in initials - {""}:
                    words.update({a + initial, initial + a})


def _add_joined(form: str, words: set[str], inside: set[str]) -> None:
    if len(form) >= SHORTEST_INSIDE or (len(form) > 1 and ideographic(form)):
        inside.add(form)
    elif len(form) >= SHORTEST_WORD:
        words.add(form)
