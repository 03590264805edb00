"""A profile as it is written: a chain of TOML files, each extending the one before."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import SettingsInvalid

SECTIONS = frozenset({"title", "extends", "options", "rules", "elements", "words", "content_text", "private"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a profile: ``where`` names it in messages."""

    profile: str
    section: str
    key: str
    value: Any

    @property
    def where(self) -> str:
        """The profile, the section and the key."""
        return f"profile {self.profile}: {self.section}.{self.key}"


class ProfileDocument:
    """The files behind one profile, ancestors first.

    Parameters
    ----------
    chain : (name, content) of each
    """

    def __init__(self, chain: list[tuple[str, dict[str, Any]]]) -> None:
        self._chain = chain

    @classmethod
    def read(cls, directory: Path, name: str) -> ProfileDocument:
        """Read a profile and those that it extends.

        Raises
        ------
        SettingsInvalid : one is missing, cannot be parsed, extends itself or has a section that is none
        """
        chain: list[tuple[str, dict[str, Any]]] = []
        wanted: str | None = name
        while wanted is not None:
            if not isinstance(wanted, str) or not wanted.replace("-", "").replace("_", "").isalnum():
                raise SettingsInvalid(f"{wanted!r} is not the name of a profile")
            if wanted in [seen for seen, _ in chain]:
                raise SettingsInvalid(f"profile {wanted}: extends itself")
            chain.append((wanted, _parsed(directory, wanted)))
            wanted = chain[-1][1].get("extends")
        return cls(chain[::-1])

    @property
    def name(self) -> str:
        """The profile's own name."""
        return self._chain[-1][0]

    @property
    def title(self) -> str:
        """What it calls itself."""
        return str(self._chain[-1][1].get("title", self.name))

    @property
    def ancestors(self) -> tuple[str, ...]:
        """The names of those that it extends, the first one first."""
        return tuple(name for name, _ in self._chain[:-1])

    def entries(self, section: str) -> list[Entry]:
        """Return the lines of a section, ancestors first: a later one stands for an earlier one of the same key.

        Raises
        ------
        SettingsInvalid : it is not a table
        """
        found = []
        for name, document in self._chain:
            table = document.get(section, {})
            if not isinstance(table, dict):
                raise SettingsInvalid(f"profile {name}: {section} is not a table")
            found += [Entry(name, section, key, value) for key, value in table.items()]
        return found


def _parsed(directory: Path, name: str) -> dict[str, Any]:
    try:
        document = tomllib.loads((directory / f"{name}.toml").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(file.stem for file in directory.glob("*.toml")))
        raise SettingsInvalid(f"there is no profile {name!r}; there are: {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"profile {name}: {error}") from error
    for key in document:
        if key not in SECTIONS:
            raise SettingsInvalid(f"profile {name}: {key}: no such section ({', '.join(sorted(SECTIONS))})")
    return document
