"""What de-identification did to the objects of a study, by rule and element, without a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CleaningLine:
    """What became of the elements at one place in an object, and how many there were.

    Parameters
    ----------
    path : tags from the top, without the numbers of items: ``(0040,A730).(0040,A160)``
    action : "kept", "removed", "emptied" or "replaced"
    rule : where the rule comes from
    """

    path: str
    keyword: str
    action: str
    rule: str
    count: int


@dataclass(frozen=True, slots=True)
class SeriesCleaning:
    """What was done to the first object of one SOP class that came into a series; the others are alike.

    Parameters
    ----------
    edition : of PS3.15 Table E.1-1
    """

    series_uid: str
    sop_class_uid: str
    profile: str
    edition: str
    lines: tuple[CleaningLine, ...]


@dataclass(frozen=True, slots=True)
class StudyCleaning:
    """What was done to a study.

    Parameters
    ----------
    counts : over all objects that are stored: "objects", "elements removed", "elements replaced", and how the look at
        their pixels ended ("pixels clean", "pixels blackened", "pixels passed")
    """

    study_uid: str
    series: tuple[SeriesCleaning, ...]
    counts: Mapping[str, int]

    def by_rule(self) -> list[tuple[str, str, int]]:
        """Return action, rule and how many elements met it, in the first object of each series; the most first."""
        found: Counter[tuple[str, str]] = Counter()
        for one in self.series:
            for line in one.lines:
                found[(line.action, line.rule)] += line.count
        return [(*key, count) for key, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))]

    def by_element(self) -> list[CleaningLine]:
        """Return the lines of all series, equal ones as one, in the order of their tags."""
        found: Counter[tuple[str, str, str, str]] = Counter()
        for one in self.series:
            for line in one.lines:
                found[(line.path, line.keyword, line.action, line.rule)] += line.count
        return [CleaningLine(*key, count) for key, count in sorted(found.items())]
