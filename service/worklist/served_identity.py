"""What a work item may say in a project that removes identity: what is served already, and no more.

Patient attributes are the study's own as it is served, or empty; texts are cleaned like any that people type; numbers
and names of orders, admissions and staff go; studies, series and instances have to be held here, since a UID that is
not might be an original one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from service.core import workitem as tags
from service.core.archived import StudyRow
from service.core.ports import InstanceReader
from service.core.search import Attributes
from service.core.workitem import first, items
from service.core.workitem_rules import AttributeRule, Rules, Served, WorkitemRules
from service.errors import BadRequest
from service.worklist.project_time import ProjectTime

_INSTANCE_UID: Final = "00081155"
_TEXT_VRS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT", "PN", "CS", "AE", "UR"})


class TextGuard(Protocol):
    """Knows what may stay of a text in one project."""

    def clean_text(self, study: StudyRow | None, text: str) -> str | None:
        """What may stay of a text about a study, or about none; None when nothing may."""

    def tells_identity(self, study: StudyRow | None, texts: list[str]) -> bool:
        """Whether one of the patient's own values stands in them."""


@dataclass(frozen=True, slots=True)
class About:
    """The study and series that a work item is about, "" for none, with the study's row where it is held."""

    study_uid: str = ""
    series_uid: str = ""
    study: StudyRow | None = None


class ServedIdentity:
    """Makes what was sent fit for its project.

    Parameters
    ----------
    guards : by project; None for one that keeps its objects as they come
    time : tells moments as projects do
    """

    def __init__(
        self,
        index: InstanceReader,
        rules: WorkitemRules,
        guards: Mapping[str, TextGuard | None],
        time: ProjectTime | None = None,
    ) -> None:
        self._index = index
        self._time = time or ProjectTime(index.study)
        self._rules = rules
        self._guards = guards

    def about(self, project: str, attributes: Attributes) -> About:
        """What a new work item is about.

        Raises
        ------
        BadRequest : it names studies of several patients, or, where identity is removed, one that is not held
        """
        named = list(dict.fromkeys(_studies_in(attributes)))
        held = [study for uid in named if (study := self._index.study(project, uid)) is not None]
        if len({study.patient_id for study in held}) > 1:
            raise BadRequest("The work item names studies of several patients")
        if self._guards[project] is not None and len(held) < len(named):
            raise BadRequest("The work item names a study that is not held here under this UID")
        if not named:
            return About()
        series = [first(item, tags.SERIES_INSTANCE_UID) for item in items(attributes, tags.INPUT_INFORMATION)]
        return About(named[0], series[0] if len(set(series)) == 1 else "", held[0] if held else None)

    def served(self, project: str, attributes: Attributes, about: About) -> tuple[Attributes, bool]:
        """What may be kept of the attributes, and whether that is less or other than what was sent.

        Raises
        ------
        BadRequest : they name something that is not held, or hold one of the patient's own values
        """
        guard = self._guards[project]
        if guard is None:
            return attributes, False
        moved = partial(self._time.moved, study=about.study)
        work = _Pass(guard, about, self._held(project, attributes), moved)
        kept = work.data_set(attributes, self._rules.rules)
        if guard.tells_identity(about.study, [text for text in work.kept_texts if text]):
            raise BadRequest("One of the texts or codes holds a value of the patient's own")
        return dict(sorted(kept.items())), work.is_modified

    def _held(self, project: str, attributes: Attributes) -> frozenset[str]:
        """UIDs of the studies that are named and of all that they hold."""
        held: set[str] = set()
        for uid in set(_studies_in(attributes)):
            rows = self._index.instances_of(project, uid)
            held |= {row.series_uid for row in rows} | {row.sop_instance_uid for row in rows}
            if rows:
                held.add(uid)
        return frozenset(held)


class _Pass:
    """One walk over a data set and its rules."""

    def __init__(self, guard: TextGuard, about: About, held: frozenset[str], moved: Callable[[str], str]) -> None:
        self._moved = moved
        self._guard = guard
        self._about = about
        self._held = held
        self._of_study: Attributes = {} if about.study is None else json.loads(about.study.attributes)
        self.is_modified = False
        self.kept_texts: list[str] = []

    def data_set(self, attributes: Attributes, rules: Rules) -> Attributes:
        kept: Attributes = {}
        for tag, element in attributes.items():
            rule = rules.get(tag)
            served = None if rule is None else self._element(element, rule)
            if served is not None:
                kept[tag] = served
            if served != element:
                self.is_modified = True
        return kept

    def _element(self, element: dict[str, Any], rule: AttributeRule) -> dict[str, Any] | None:
        if rule.served is Served.DROP:
            return {"vr": element["vr"]} if "2" in rule.create else None
        if rule.served is Served.STUDY:
            return self._of_study.get(rule.tag) or {"vr": element["vr"]}
        if element["vr"] == "SQ":
            values = [self.data_set(item, rule.items) for item in items({rule.tag: element}, rule.tag)]
            return {"vr": "SQ", "Value": values} if values else {"vr": "SQ"}
        if rule.served is Served.TEXT:
            return self._text(element)
        values = element.get("Value", [])
        if rule.served is Served.MOVED:
            return element | {"Value": [self._moved(str(value)) for value in values]} if values else element
        if rule.served is Served.UID and not all(value in self._held for value in values if value):
            raise BadRequest(f"{rule.name}: there is nothing here under this UID")
        if element["vr"] in _TEXT_VRS:
            self.kept_texts += [str(value) for value in values]
        return element

    def _text(self, element: dict[str, Any]) -> dict[str, Any]:
        cleaned = [self._guard.clean_text(self._about.study, str(value)) for value in element.get("Value", []) if value]
        values = [value for value in cleaned if value]
        return {"vr": element["vr"], "Value": values} if values else {"vr": element["vr"]}


def _studies_in(attributes: Attributes) -> Iterator[str]:
    """The studies that a data set names at any depth."""
    for tag, element in attributes.items():
        if tag == tags.STUDY_INSTANCE_UID:
            yield from (str(value) for value in element.get("Value", ()) if value)
        elif element.get("vr") == "SQ":
            for item in items(attributes, tag):
                yield from _studies_in(item)
