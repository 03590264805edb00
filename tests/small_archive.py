"""A small index, and short ways to fill and search it."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.search import InstanceSearch
from service.archive.search_attribute_table import SearchAttributeTable
from service.core.search import SEARCH_KEYS, Found, Level, Match, SearchKey, SearchPage, SearchQuery
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice

KEYS = {key.keyword: key for key in SEARCH_KEYS}


class SmallArchive:
    """The project "default"; clock and portions of gathering do not wait."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.database = Database.open(folder / "index.sqlite")
        self.index = InstanceIndex(self.database, self.clock)
        self.attributes = SearchAttributeTable(self.database, self.clock, pause=lambda _: None)
        self.searching = InstanceSearch(self.database)

    def add(self, study: str = "1.2.3", series: str = "", instances: int = 1, **attributes: object) -> None:
        for number in range(1, instances + 1):
            header = ct_slice(number, study_uid=study, series_uid=series or f"{study}.1")
            for keyword, value in attributes.items():
                setattr(header, keyword, value)
            self.add_header(header)

    def add_header(self, header: Dataset, project: str = "default") -> None:
        self.index.add(new_instance(header, project=project))

    def page(self, level: Level = Level.STUDY, **asked: object) -> SearchPage:
        fields = {name: asked.pop(name) for name in list(asked) if name in SearchQuery.__dataclass_fields__}
        asked_for = tuple(match_of(keyword, value) for keyword, value in asked.items())
        matches = (*fields.pop("matches", ()), *asked_for)
        return self.searching.search(SearchQuery("default", level, matches=matches, **fields))

    def found(self, level: Level = Level.STUDY, **asked: object) -> list[Found]:
        return self.page(level, **asked).found

    def uids(self, level: Level = Level.STUDY, **asked: object) -> list[str]:
        return [uid_of(found) for found in self.found(level, **asked)]

    def make_searchable(self, name: str, level: Level | None = None) -> SearchKey:
        key = self.attributes.add(name, level)
        self.attributes.fill(key)
        return key


def uid_of(found: Found) -> str:
    return found.sop_instance_uid or found.series_uid or found.study_uid


def match_of(keyword: str, value: object) -> Match:
    key = KEYS[keyword.replace("__", ".")]
    if isinstance(value, list):
        return Match(key, tuple(value), is_range=True)
    return Match(key, value if isinstance(value, tuple) else (str(value),))


def item(**attributes: object) -> Dataset:
    """An item of a sequence."""
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set
