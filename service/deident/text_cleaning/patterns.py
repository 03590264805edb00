"""Patterns of what identifies whoever it is about, and of what looks so but does not; data, read from a file.

Expressions are kept to those whose time grows with the text alone: what repeats does so a bounded number of times.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import SettingsInvalid

LIST_NAME = re.compile(r"%([a-z_]+)%")
UNBOUNDED = re.compile(r"\{\d*,\}")
ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
REPEATED_GROUP = re.compile(r"\)\{(?:\d+,)?(\d+)\}")
MOST_REPEATS_OF_A_GROUP = 12
LONGEST_MATCH = 400
KEYS = {"category", "expression", "reason", "case", "takes"}
TAKES = ("match", "text")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern.

    Parameters
    ----------
    category : what it finds, one word: date, time, telephone, …
    reason : why that goes, or may stay
    takes_text : when it is found the whole text goes, not only what was found
    """

    category: str
    reason: str
    expression: re.Pattern[str]
    takes_text: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Where a pattern was found."""

    start: int
    end: int
    pattern: Pattern


class Patterns:
    """What identifies, and what is harmless although it looks so.

    Parameters
    ----------
    identifying : what goes
    harmless : what stays though a pattern or the rule for numbers would take it; never the patient's own values
    """

    def __init__(self, identifying: tuple[Pattern, ...], harmless: tuple[Pattern, ...] = ()) -> None:
        self._identifying = identifying
        self._harmless = harmless

    @classmethod
    def load(cls, file: Path) -> Patterns:
        """Read the patterns of a file.

        Raises
        ------
        SettingsInvalid : a key, a list or an expression is wrong, or its time could grow faster than the text
        """
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsInvalid(f"{file.name}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{file.name}: {error}") from error
        for key in document:
            if key not in ("lists", "identifying", "harmless"):
                raise SettingsInvalid(f"{file.name}: {key}: no such section (lists, identifying, harmless)")
        lists = _lists(file.name, document.get("lists", {}))
        return cls(
            tuple(_pattern(file.name, entry, lists) for entry in document.get("identifying", [])),
            tuple(_pattern(file.name, entry, lists) for entry in document.get("harmless", [])),
        )

    def identifying_in(self, text: str) -> Iterator[Found]:
        """Yield what identifies, pattern after pattern."""
        return _found(self._identifying, text)

    def harmless_in(self, text: str) -> Iterator[Found]:
        """Yield what may stay."""
        return _found(self._harmless, text)


def _found(patterns: tuple[Pattern, ...], text: str) -> Iterator[Found]:
    for pattern in patterns:
        for match in pattern.expression.finditer(text):
            if match.start() < match.end():
                yield Found(match.start(), match.end(), pattern)


def _lists(name: str, lists: Any) -> dict[str, str]:
    if not isinstance(lists, dict) or not all(isinstance(words, str) for words in lists.values()):
        raise SettingsInvalid(f"{name}: lists: texts of words, by name")
    return {key: "(?:" + "|".join(_longest_first(words.split())) + ")" for key, words in lists.items()}


def _longest_first(words: list[str]) -> list[str]:
    return [re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word))]


def _pattern(name: str, entry: dict[str, Any], lists: dict[str, str]) -> Pattern:
    for key in ("category", "expression", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise SettingsInvalid(f"{name}: a pattern without {key}")
    where = f"{name}: {entry['category']}: {entry['reason']}"
    for key in entry:
        if key not in KEYS:
            raise SettingsInvalid(f"{where}: {key}: no such key ({', '.join(sorted(KEYS))})")
    if entry.get("case", "ignore") not in ("ignore", "exact"):
        raise SettingsInvalid(f"{where}: case: ignore or exact")
    if entry.get("takes", "match") not in TAKES:
        raise SettingsInvalid(f"{where}: takes: {' or '.join(TAKES)}")
    _check_growth(where, entry["expression"])
    flags = re.IGNORECASE if entry.get("case", "ignore") == "ignore" else 0
    try:
        expression = re.compile(LIST_NAME.sub(lambda found: lists[found.group(1)], entry["expression"]), flags)
    except KeyError as error:
        raise SettingsInvalid(f"{where}: no list is called {error}") from error
    except re.error as error:
        raise SettingsInvalid(f"{where}: not a regular expression: {error}") from error
    return Pattern(entry["category"], entry["reason"], expression, entry.get("takes", "match") == "text")


def _check_growth(where: str, expression: str) -> None:
    """Refuse what can repeat without bound: tried at every character, its time would grow with the text's square."""
    bare = ESCAPE_OR_CLASS.sub("x", expression)
    # The + of {1,3}+ only says that what was taken is not given back.
    unpossessive = bare.replace("}+", "}")
    if "*" in unpossessive or "+" in unpossessive or UNBOUNDED.search(bare) or "(?P=" in bare or r"\1" in expression:
        raise SettingsInvalid(f"{where}: repeats without bound; write {{0,20}} or the like")
    if any(int(most) > MOST_REPEATS_OF_A_GROUP for most in REPEATED_GROUP.findall(bare)):
        raise SettingsInvalid(f"{where}: repeats a group more than {MOST_REPEATS_OF_A_GROUP} times")
    if any(int(most) > LONGEST_MATCH for most in re.findall(r"\{(?:\d+,)?(\d+)\}", bare)):
        raise SettingsInvalid(f"{where}: repeats more than {LONGEST_MATCH} times")
