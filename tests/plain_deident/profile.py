"""A profile and the tables beside it, as they are written."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

SECTIONS = ("options", "rules", "elements", "content_text", "private")


class PlainProfile:
    """What a profile says, with what it extends."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        merged = self._merged(directory, name)
        self.options = {option for option, is_on in merged["options"].items() if is_on}
        self.rules = merged["rules"]
        self.content_text = merged["content_text"]
        self.table = {int(row["tag"], 16): row for row in table(directory / "ps3.15-e1.csv") if is_tag(row["tag"])}
        by_keyword = {row["keyword"]: tag for tag, row in self.table.items()}
        self.elements = {
            tag_for_keyword(keyword) or by_keyword[keyword]: word for keyword, word in merged["elements"].items()
        }
        self.content = {
            (row["scheme"], row["code"], row["value_type"]): row for row in table(directory / "ps3.15-e3.4-1.csv")
        }
        schemes = [row for row in table(directory / "coding-schemes.csv") if row["codes"] == "published"]
        self.schemes = {row["designator"] for row in schemes}
        self.kinds = {row["uid"] for row in [*schemes, *table(directory / "known-kinds.csv")] if row["uid"]}
        self.types = json.loads((directory / "element-types.json").read_text())
        self.private = self._private(directory, merged["private"].get("lists", ["standard"]))

    def _merged(self, directory: Path, name: str) -> dict[str, dict[str, Any]]:
        chain: list[dict[str, Any]] = []
        wanted: str | None = name
        while wanted is not None:
            chain.insert(0, tomllib.loads((directory / f"{wanted}.toml").read_text()))
            wanted = chain[0].get("extends")
        merged: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self.words: dict[str, list[str]] = {"list": [], "terms": [], "patterns": [], "tools": []}
        for document in chain:
            for section in SECTIONS:
                merged[section].update(document.get(section, {}))
            for key, values in document.get("words", {}).items():
                self.words[key] += values
        return merged

    def _private(self, directory: Path, lists: list[str]) -> dict[tuple[int, str, int], str]:
        """Return the VRs of private elements; the first list that names one holds."""
        found: dict[tuple[int, str, int], str] = {}
        if "retain_safe_private" in self.options:
            for listed in reversed(lists):
                for row in table(directory / f"safe-private-{listed}.csv"):
                    place = int(row["group"], 16), row["creator"].strip(), int(row["element"], 16)
                    found[place] = row["vr"]
        return found

    def is_kind(self, uid: str) -> bool:
        """Whether a UID is listed, each * standing for a number of at most four digits."""
        patterns = (listed.replace(".", "[.]").replace("*", "(0|[1-9][0-9]{0,3})") for listed in self.kinds)
        return any(re.fullmatch(pattern, uid) for pattern in patterns)

    def is_typed(self, scheme: str) -> bool:
        """Whether somebody wrote the meanings of a scheme who publishes nothing."""
        return scheme not in self.schemes and "clean_descriptors" in self.options


def table(path: Path) -> list[dict[str, str]]:
    """Read a table of the standard."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def is_tag(name: str) -> bool:
    """Whether a row is about one element, not a group of them."""
    return re.fullmatch("[0-9a-f]{8}", name) is not None
