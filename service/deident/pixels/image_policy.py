"""Which images are looked at for text: rules as data, the first that fits decides, and unknown ones are looked at."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from service.deident.pixels.image_criteria import ImageCriteria, read_criteria
from service.errors import SettingsInvalid


class Look(StrEnum):
    """What the policy says of an image."""

    LOOK = "look"
    PASS = "pass"  # noqa: S105 - no password, though it is called so
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of the policy, with the reason that a privacy officer reads.

    Parameters
    ----------
    every_frame : frames show different things, so that each is looked at, however many there are
    """

    decide: Look
    why: str
    when: ImageCriteria
    every_frame: bool = False


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """The rules in their order, and the words that may stay in pictures.

    Parameters
    ----------
    harmless : texts that say nothing about a person (orientation, laterality, view), upper case
    harmless_patterns : regular expressions of further ones
    """

    rules: tuple[PolicyRule, ...]
    harmless: frozenset[str]
    harmless_patterns: tuple[str, ...] = ()

    def decide(self, header: Dataset) -> PolicyRule:
        """The rule that decides about an image."""
        return next((rule for rule in self.rules if rule.when.fit(header)), UNKNOWN)


UNKNOWN: Final = PolicyRule(Look.LOOK, "no rule knows such images", ImageCriteria(frozenset(), (), ()))
_KEYS: Final = {"rule", "harmless"}
_RULE_KEYS: Final = {"decide", "why", "when", "every_frame"}


def load_policy(path: Path) -> ImagePolicy:
    """Read the policy from its TOML file.

    Raises
    ------
    SettingsInvalid : the file cannot be read, or something in it is unknown, named in words
    """
    document = read_rules_file(path)
    where = path.name
    for key in document:
        if key not in _KEYS:
            raise SettingsInvalid(f"{where}: {key}: no such section ({', '.join(sorted(_KEYS))})")
    harmless = document.get("harmless", {})
    if not isinstance(harmless, dict) or set(harmless) - {"texts", "patterns"}:
        raise SettingsInvalid(f"{where}: harmless: a table with texts and patterns")
    texts, patterns = (_texts(harmless.get(key, []), f"{where}: harmless.{key}") for key in ("texts", "patterns"))
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise SettingsInvalid(f"{where}: harmless.patterns: {pattern!r} is no regular expression") from error
    rules = tuple(_rule(table, f"{where}: rule {index}") for index, table in enumerate(document.get("rule", []), 1))
    return ImagePolicy(rules, frozenset(text.upper() for text in texts), tuple(patterns))


def read_rules_file(path: Path) -> dict[str, Any]:
    """The document of a TOML file under config/devices.

    Raises
    ------
    SettingsInvalid : it is missing or no TOML
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{path.name}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path.name}: {error}") from error


def _rule(table: Any, where: str) -> PolicyRule:
    if not isinstance(table, dict) or set(table) - _RULE_KEYS:
        raise SettingsInvalid(f"{where}: a table with {', '.join(sorted(_RULE_KEYS))}")
    decide = table.get("decide")
    if decide not in list(Look):
        raise SettingsInvalid(f"{where}: decide: {decide!r} is none of {', '.join(Look)}")
    why = table.get("why")
    if not isinstance(why, str) or not why:
        raise SettingsInvalid(f"{where}: why: the reason in words")
    every_frame = table.get("every_frame", False)
    if not isinstance(every_frame, bool):
        raise SettingsInvalid(f"{where}: every_frame: true or false")
    return PolicyRule(Look(decide), why, read_criteria(table.get("when", {}), where), every_frame)


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise SettingsInvalid(f"{where}: a list of texts")
    return value
