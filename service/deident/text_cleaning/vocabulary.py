"""The words that are known to be harmless, read from files that a person can read and extend.

A file under ``vocabulary/`` holds words by language, as one string with spaces, and

- phrases: words that are harmless beside each other though one of them alone could be a name ("long axis", "white
  matter"); a word with a hyphen is one, too;
- doubtful words: they stay, but not beside a word that goes ("will" in "Will Testperson");
- names: never known, although they would follow from known words (Waters, Dunn).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from service.deident.name_forms import WRITTEN_OUT, folded
from service.deident.text_cleaning.cleaned_text import TextKind
from service.errors import SettingsInvalid

KEYS = {"title", "kinds", "compounds", "words", "phrases", "doubtful", "names"}
ENDINGS = ("s", "es", "e", "n", "en", "a", "i", "o", "al", "as", "os")
"""Endings of plurals and cases in the languages at hand; none that makes a name of a word (-er, -mann, -son)."""
SHORTEST_STEM = 4
SHORTEST_PART = 4
LONGEST_WORD = 40
JOINTS = ("", "s", "n", "en", "o")
LONGEST_PHRASE = 3


class Vocabulary:
    """Known words by kind of text.

    Parameters
    ----------
    words : by kind, folded
    phrases : by kind, folded, words joined by single spaces
    parts : words that German and Dutch join to longer ones, by kind
    doubtful : words that do not stay beside one that goes
    names : folded, never known
    """

    def __init__(
        self,
        words: dict[TextKind, frozenset[str]],
        phrases: dict[TextKind, frozenset[str]],
        parts: dict[TextKind, frozenset[str]],
        doubtful: frozenset[str] = frozenset(),
        names: frozenset[str] = frozenset(),
    ) -> None:
        self._words = words
        self._phrases = phrases
        self._parts = parts
        self._doubtful = doubtful
        self._names = names

    @classmethod
    def load(cls, directory: Path) -> Vocabulary:
        """Read all files of a directory.

        Raises
        ------
        SettingsInvalid : with the file, the key and what is wrong with it
        """
        words: dict[TextKind, set[str]] = {kind: set() for kind in TextKind}
        phrases: dict[TextKind, set[str]] = {kind: set() for kind in TextKind}
        parts: dict[TextKind, set[str]] = {kind: set() for kind in TextKind}
        doubtful: set[str] = set()
        names: set[str] = set()
        files = sorted(directory.glob("*.toml"))
        if not files:
            raise SettingsInvalid(f"{directory}: no vocabulary there")
        for file in files:
            document = _read(file)
            entries = [word for text in _words(file, document).values() for word in text.split()]
            unsure = _text(file, document, "doubtful").split()
            known = _spelled(file, [word for word in entries + unsure if "-" not in word])
            joined = {word for word in known if len(word) >= SHORTEST_PART and word.isalpha()}
            for kind in _kinds(file, document):
                words[kind] |= known
                phrases[kind] |= _phrases(file, document, [word for word in entries if "-" in word])
                parts[kind] |= joined if document.get("compounds", False) else set()
            doubtful |= _spelled(file, unsure)
            names |= _spelled(file, _text(file, document, "names").split())
        return cls(_frozen(words), _frozen(phrases), _frozen(parts), frozenset(doubtful), frozenset(names))

    def knows(self, word: str, kind: TextKind) -> bool:
        """Whether a folded word of letters is known, as it stands, with an ending, or put together of known ones."""
        words = self._words[kind]
        if word in words:
            return True
        if len(word) > LONGEST_WORD or word in self._names:
            return False
        stems = (word[: -len(ending)] for ending in ENDINGS if word.endswith(ending))
        return any(len(stem) >= SHORTEST_STEM and stem in words for stem in stems) or self._put_together(word, kind)

    def knows_phrase(self, words: Sequence[str], kind: TextKind) -> bool:
        """Whether folded words are harmless beside each other."""
        return " ".join(words) in self._phrases[kind]

    def doubts(self, word: str) -> bool:
        """Whether a folded word is known, but also a name that people have."""
        return word in self._doubtful

    def size(self, kind: TextKind) -> int:
        """Return how many words are known for a kind of text."""
        return len(self._words[kind])

    def _put_together(self, word: str, kind: TextKind) -> bool:
        parts = self._parts[kind]
        for end in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
            if word[:end] not in parts:
                continue
            for joint in JOINTS:
                rest = word[end + len(joint) :]
                if word.startswith(joint, end) and len(rest) >= SHORTEST_PART and self._is_part(rest, kind):
                    return True
        return False

    def _is_part(self, rest: str, kind: TextKind) -> bool:
        parts = self._parts[kind]
        stems = (rest[: -len(ending)] for ending in ENDINGS if rest.endswith(ending))
        return rest in parts or any(stem in parts for stem in stems) or self._put_together(rest, kind)


def _frozen(sets: dict[TextKind, set[str]]) -> dict[TextKind, frozenset[str]]:
    return {kind: frozenset(entries) for kind, entries in sets.items()}


def _read(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file.name}: {error}") from error
    for key in document:
        if key not in KEYS:
            raise SettingsInvalid(f"{file.name}: {key}: no such key ({', '.join(sorted(KEYS))})")
    return document


def _kinds(file: Path, document: dict[str, Any]) -> list[TextKind]:
    names = document.get("kinds", [kind.value for kind in TextKind])
    known = {kind.value: kind for kind in TextKind}
    if not isinstance(names, list) or not all(name in known for name in names):
        raise SettingsInvalid(f"{file.name}: kinds: a list of {', '.join(known)}")
    return [known[name] for name in names]


def _words(file: Path, document: dict[str, Any]) -> dict[str, str]:
    tables = document.get("words", {})
    if not isinstance(tables, dict) or not all(isinstance(text, str) for text in tables.values()):
        raise SettingsInvalid(f"{file.name}: words: texts of words, by language")
    return tables


def _text(file: Path, document: dict[str, Any], key: str) -> str:
    text = document.get(key, "")
    if not isinstance(text, str):
        raise SettingsInvalid(f"{file.name}: {key}: a text of words")
    return text


def _spelled(file: Path, words: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for word in words:
        if not folded(word).isalnum() or word.isdigit():
            raise SettingsInvalid(f"{file.name}: {word!r} is not made of letters and digits")
        found |= {folded(word), folded(word.translate(WRITTEN_OUT))}
    return found


def _phrases(file: Path, document: dict[str, Any], hyphened: list[str]) -> set[str]:
    phrases = document.get("phrases", [])
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise SettingsInvalid(f"{file.name}: phrases: a list of texts")
    phrases = [*phrases, *(word.replace("-", " ") for word in hyphened)]
    for phrase in phrases:
        if not 1 < len(phrase.split()) <= LONGEST_PHRASE:
            raise SettingsInvalid(f"{file.name}: phrases: {phrase!r}: two words, or three")
    return {" ".join(words) for phrase in phrases for words in _written(phrase.split())}


def _written(words: list[str]) -> Iterable[list[str]]:
    yield [folded(word) for word in words]
    yield [folded(word.translate(WRITTEN_OUT)) for word in words]
