"""Write docs/deidentification-coverage.md from the profiles: what each does with every attribute.

Run it when a profile, a table or a rule changes: ``python tools/make_deident_coverage.py``. A test compares.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydicom.datadict import DicomDictionary

from service.deident.element_types import ElementTypes
from service.deident.options import OPTION_CODES
from service.deident.profile import Profile, load_profile
from service.deident.rule_book import RuleBook
from service.deident.rules import Action

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "deidentification-coverage.md"
PROFILES = ROOT / "config" / "profiles"
OPTIONAL, EMPTY, REQUIRED = "3", "2", "1"

WORDS = {
    Action.KEEP: "kept",
    Action.SEARCH: "kept unless an own value stands in it",
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "dummy",
    Action.MAP_UID: "new UID",
    Action.SHIFT: "date shifted",
    Action.PSEUDONYM: "pseudonym",
    Action.WORDS: "kept where of known words",
    Action.TOKEN: "kept where of known words, else a token",
    Action.CODED_MEANING: "kept where of known words, else the code's meaning",
    Action.CLEAN: "text cleaned",
    Action.CLEAN_CODES: "codes of public schemes kept",
    Action.CLEAN_ITEMS: "items cleaned",
    Action.INSTANCE_LIST: "items cleaned while the object refers to instances",
    Action.DUMMY_CODE: "dummy code",
    Action.CLASS_UID: "kept",
    Action.SOP_CLASS: "kept unless an own number stands in it",
    Action.KIND_UID: "kept where known for a kind, else a new UID",
    Action.NUMBER: "number kept",
    Action.SEARCH_NUMBERS: "number kept",
    Action.TIME: "time kept",
    Action.UTC_OFFSET: "kept",
    Action.AGE: "age kept, at most 90",
    Action.MEANING: "kept where the code's own, else searched or cleaned",
    Action.TERM: "kept where a term",
    Action.SEARCH_BYTES: "kept unless an own value stands in it",
    Action.CHARACTER_SET: "kept",
    Action.VERSION: "kept",
    Action.DOCUMENT: "replaced by a page that says so, or refused",
}
"""What a cell says; an action without words here is written by its own name."""

HEAD = """# De-identification coverage

What each profile does with every attribute of PS3.15 Table E.1-1, and with all others that the data dictionary knows.
Made from `config/profiles/` by `tools/make_deident_coverage.py`; a test compares. How the rules work stands in
[deidentification.md](deidentification.md).

Table E.1-1: {edition}.
"""

ATTRIBUTES = """
## Attributes of the table

A cell says what happens where the IOD does not ask for the attribute; after a semicolon, where the IOD requires a value
(Type 1), if that is something else. "Items cleaned" means that each element in the items meets its own rule. A text
that is cleaned keeps what is known to be harmless; a date, time or number that is none goes. Overlays (60xx), curves
(50xx) and private elements stand for whole groups: see the rules.

"""

OTHERS = """
## Attributes outside of the table

How many of the public attributes that the data dictionary knows and the table does not name meet which action, where
the IOD does not ask for them. Those that neither knows are removed.

"""


class SameType(ElementTypes):
    """An IOD that gives every attribute the same Type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def iod(self, sop_class_uid: str) -> str:  # noqa: ARG002 (the signature of what it stands for)
        """Return a name that stands for it."""
        return self._kind

    def level(self, iod: str, parent: int) -> Mapping[int, str]:  # noqa: ARG002
        """Return the Types: one for all."""
        return AllTags(self._kind)


class AllTags(dict[int, str]):
    """A mapping that has every tag."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def get(self, key: int, default: object = None) -> str:  # type: ignore[override] # noqa: ARG002
        """Return the one Type."""
        return self._kind


def book(profile: Profile, kind: str) -> RuleBook:
    """Return a profile's rules under an IOD of one Type."""
    return RuleBook(replace(profile, types=SameType(kind)))


def words(action: Action) -> str:
    """Return what a cell says of an action."""
    return WORDS.get(action, action.value)


def page(directory: Path) -> str:
    """Return the page for the profiles of a directory."""
    profiles = [load_profile(directory, path.stem) for path in sorted(directory.glob("*.toml"))]
    parts = [HEAD.format(edition=profiles[0].edition), _profiles(profiles), ATTRIBUTES, _attributes(profiles)]
    return "".join([*parts, OTHERS, _others(profiles)])


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _profiles(profiles: list[Profile]) -> str:
    rows = []
    for profile in profiles:
        options = ", ".join(f"{option} ({OPTION_CODES[option][0]})" for option in sorted(profile.options)) or "none"
        settings = ", ".join(f"{key} {value}" for key, value in sorted(profile.settings.items()))
        rows.append([f"`{profile.name}`", profile.title, options, settings])
    return "\n## Profiles\n\n" + _table(["profile", "title", "options (CID 7050)", "rules"], rows)


def _attributes(profiles: list[Profile]) -> str:
    books = [(book(profile, OPTIONAL), book(profile, REQUIRED)) for profile in profiles]
    rows = []
    for tag, row in sorted(profiles[0].attributes.rows().items()):
        cells = []
        for optional, required in books:
            one, other = (words(rules.rule("", 0, tag, None).action) for rules in (optional, required))
            cells.append(one if one == other else f"{one}; {other}")
        rows.append([f"({tag >> 16:04X},{tag & 0xFFFF:04X})", row.keyword, row.vr, row.basic, *cells])
    return _table(["tag", "attribute", "VR", "Basic", *(f"`{profile.name}`" for profile in profiles)], rows)


def _others(profiles: list[Profile]) -> str:
    listed = set(profiles[0].attributes.rows())
    tags = [tag for tag in sorted(DicomDictionary) if tag not in listed and 0x0008 <= tag >> 16 < 0xFFFE]
    counts: list[Counter[str]] = []
    for profile in profiles:
        rules = book(profile, OPTIONAL)
        counts.append(Counter(words(rules.rule("", 0, tag, None).action) for tag in tags))
    actions = sorted(set().union(*counts), key=lambda action: (-counts[0][action], action))
    rows = [[action, *(str(count[action]) for count in counts)] for action in actions]
    return _table(["action", *(f"`{profile.name}`" for profile in profiles)], rows)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.parse_args().out.write_text(page(PROFILES), encoding="utf-8")


if __name__ == "__main__":
    main()
