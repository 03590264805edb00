"""What may be said in a work item, when, and what its end asks for (PS3.4 Table CC.2.5-3), read from data."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Final

from service.core import workitem as tags
from service.core.json_data_set import vr_of
from service.core.search import Attributes
from service.core.workitem import WorkitemState, has_value, items
from service.errors import BadRequest, SettingsInvalid

_MACRO: Final = "macro:"
_NOT_SAID: Final = "-"
_NOT_ALLOWED: Final = "no"
# Set here, whatever a caller says of them.
_OURS: Final = frozenset({tags.TRANSACTION_UID, tags.CHARACTER_SET, tags.SOP_CLASS_UID, tags.MODIFIED_AT})


class Served(StrEnum):
    """What becomes of an attribute in a project that removes identity."""

    KEEP = "keep"
    TEXT = "text"
    """Cleaned like any text that people type."""
    STUDY = "study"
    """Replaced by what the study says as it is served."""
    UID = "uid"
    """Has to be the UID of something that is held."""
    MOVED = "moved"
    """A moment at which work was done; moved like the dates of the patient whose study it is about."""
    DROP = "drop"


class Occasion(Enum):
    """Which of its columns decides on an attribute."""

    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """One row of the table; ``items`` are the rows of its items.

    Parameters
    ----------
    create, update : requirement for the sender, a stroke, and for us; "no" where it may not be sent
    final : R, RC, P, X or O
    """

    tag: str
    name: str
    create: str
    update: str
    final: str
    match: str
    returned: str
    served: Served
    items: dict[str, AttributeRule] = field(default_factory=dict, repr=False)

    @property
    def vr(self) -> str:
        """Its VR; attributes newer than the dictionary are sequences or long texts."""
        return vr_of(self.tag) or ("SQ" if self.name.endswith("Sequence") else "LT")

    def of_sender(self, occasion: Occasion) -> str:
        """What it is to whoever sends it."""
        return (self.create if occasion is Occasion.CREATE else self.update).partition("/")[0]

    def of_receiver(self, occasion: Occasion) -> str:
        """What it is to us."""
        return (self.create if occasion is Occasion.CREATE else self.update).rpartition("/")[2]


Rules = Mapping[str, AttributeRule]


@dataclass(frozen=True, slots=True)
class CheckedAttributes:
    """What of a request stands; ``is_modified`` when it is not all that was sent."""

    attributes: Attributes
    is_modified: bool


class WorkitemRules:
    """The table.

    Parameters
    ----------
    rules : the outermost rows by tag
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @classmethod
    def load(cls, directory: Path) -> WorkitemRules:
        """Read ``attributes.csv`` and ``macros.csv``.

        Raises
        ------
        SettingsInvalid : a file is not there, or not such a table
        """
        macros: dict[str, list[dict[str, str]]] = {}
        for row in _rows(directory / "macros.csv"):
            row |= {"create": f"{row['type']}/{row['type']}", "update": f"{row['type']}/{row['type']}"}
            macros.setdefault(row["macro"], []).append(row | {"final": "O", "match": "O", "returned": "3"})
        outermost: dict[str, AttributeRule] = {}
        path = [outermost]
        try:
            for row in _expanded(_rows(directory / "attributes.csv"), macros):
                depth = int(row["depth"])
                rule = _rule(row)
                path[depth + 1 :] = [rule.items]
                path[depth].setdefault(rule.tag, rule)
        except (KeyError, ValueError, IndexError) as error:
            raise SettingsInvalid(f"worklist: {directory.name}/attributes.csv is no such table") from error
        return cls(outermost)

    def created(self, sent: Attributes) -> CheckedAttributes:
        """What of a new work item stands.

        Raises
        ------
        BadRequest : something that it needs is missing, or something is there that may not be
        """
        return self._checked(sent, Occasion.CREATE)

    def updated(self, sent: Attributes) -> CheckedAttributes:
        """What of an update stands.

        Raises
        ------
        BadRequest : it empties what has to have a value, or changes what may not be changed
        """
        for tag in sent:
            rule = self.rules.get(tag)
            if rule is not None and tag not in _OURS and rule.of_sender(Occasion.UPDATE) == _NOT_ALLOWED:
                raise BadRequest(f"{rule.name} may not be changed by an update")
        if tags.STATE in sent:
            raise BadRequest("Procedure Step State is not changed by an update but by its own request")
        return self._checked(sent, Occasion.UPDATE)

    def missing_at_end(self, attributes: Attributes, state: WorkitemState) -> list[str]:
        """Names of what the final state asks for and the work item has not (PS3.4 CC.2.5.1.1)."""
        asked = {"R", "P" if state is WorkitemState.COMPLETED else "X"}
        return list(_missing(attributes, self.rules, asked))

    def _checked(self, sent: Attributes, occasion: Occasion) -> CheckedAttributes:
        pass_ = _Pass(occasion)
        sent = {tag: element for tag, element in sent.items() if tag not in _OURS}
        kept = pass_.data_set(sent, self.rules, "")
        return CheckedAttributes(kept, pass_.is_modified)


class _Pass:
    """One walk over a data set and its rules."""

    def __init__(self, occasion: Occasion) -> None:
        self._occasion = occasion
        self.is_modified = False

    def data_set(self, sent: Attributes, rules: Rules, parent: str) -> Attributes:
        kept: Attributes = {}
        for tag, element in sent.items():
            rule = rules.get(tag)
            if rule is None or rule.of_sender(self._occasion) == _NOT_SAID:
                self.is_modified = True
                continue
            if rule.of_sender(self._occasion) == _NOT_ALLOWED:
                raise BadRequest(f"{rule.name} may not be given")
            kept[tag] = self._element(element, rule)
        for rule in rules.values():
            self._require(rule, kept, parent)
        return dict(sorted(kept.items()))

    def _element(self, element: dict[str, object], rule: AttributeRule) -> dict[str, object]:
        if element.get("vr") != "SQ" or not rule.items:
            return element
        values = [self.data_set(item, rule.items, rule.name) for item in items({rule.tag: element}, rule.tag)]
        return {"vr": "SQ", "Value": values} if values else {"vr": "SQ"}

    def _require(self, rule: AttributeRule, kept: Attributes, parent: str) -> None:
        """Within items, and when it is created, what has to be there; in an update what must not be emptied."""
        if rule.tag in _OURS:
            return
        sender, receiver = rule.of_sender(self._occasion), rule.of_receiver(self._occasion)
        whole = bool(parent) or self._occasion is Occasion.CREATE
        if sender == "1" and whole and not has_value(kept, rule.tag):
            raise BadRequest(f"{rule.name}{f' in {parent}' if parent else ''} is missing")
        if receiver == "1" and rule.tag in kept and not has_value(kept, rule.tag) and sender != "2":
            raise BadRequest(f"{rule.name} needs a value")
        if receiver == "2" and whole and rule.tag not in kept:
            kept[rule.tag] = {"vr": rule.vr}
            self.is_modified |= sender == "2"


def _missing(attributes: Attributes, rules: Rules, asked: set[str]) -> Iterator[str]:
    for rule in rules.values():
        if rule.final not in asked:
            continue
        if not has_value(attributes, rule.tag):
            yield rule.name
            continue
        of_items = [list(_missing(item, rule.items, asked)) for item in items(attributes, rule.tag)]
        if of_items:
            # One item that has it all is enough: a list of progress notes need not repeat the reason.
            yield from min(of_items, key=len)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"worklist: {path.name} cannot be read") from error
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _expanded(
    rows: Iterable[dict[str, str]], macros: Mapping[str, list[dict[str, str]]], depth: int = 0
) -> Iterator[dict[str, str]]:
    """The rows with each macro's own in its place."""
    for row in rows:
        level = depth + int(row["depth"])
        if row["tag"].startswith(_MACRO):
            yield from _expanded(macros[row["tag"].removeprefix(_MACRO)], macros, level)
        else:
            yield row | {"depth": str(level)}


def _rule(row: Mapping[str, str]) -> AttributeRule:
    return AttributeRule(
        tag=row["tag"].upper(),
        name=row["name"],
        create=row["create"],
        update=row["update"],
        final=row["final"],
        match=row["match"],
        returned=row.get("return") or row.get("returned") or "3",
        served=Served(row["served"]),
    )
