"""What is searched by value, kept beside studies, series and instances (`service.core.indexed_values`).

Always kept are names of people and what stands in sequences among the search keys; for the rest the table of attributes
that somebody made searchable says what is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from pydicom.dataset import Dataset
from sqlalchemy import Connection, Table, delete, select

from service.archive.database import lean_on, upsert
from service.archive.dicom_json import JsonWriter
from service.archive.schema import instance_values, search_attributes, series_values, study_values
from service.archive.served_attributes import Attributes, loaded
from service.core.indexed_values import TIMEZONE_OFFSET, index_entries
from service.core.search import SEARCH_KEYS, Level, SearchKey
from service.core.search_attributes import FillState, added_key, attribute_path, path_text

VALUE_TABLES: Final[Mapping[Level, Table]] = {
    Level.STUDY: study_values,
    Level.SERIES: series_values,
    Level.INSTANCE: instance_values,
}
ALWAYS_KEPT: Final = tuple(key for key in SEARCH_KEYS if key.has_table)
"""Search keys whose values stand in these tables whatever somebody adds."""


def owner_of(table: Table) -> Any:
    """The column of a table of values that says whose they are."""
    return next(iter(table.primary_key))


def kept_keys(connection: Connection) -> list[SearchKey]:
    """Every key whose values are kept of what is stored from now on; whoever changes the list waits for this one."""
    lean_on(connection, search_attributes)
    columns = search_attributes.c
    added = connection.execute(
        select(columns.attribute, columns.level, columns.held_at).where(columns.state != FillState.REMOVING)
    )
    return [
        *ALWAYS_KEPT,
        *(added_key(attribute_path(row.attribute), Level(row.level), Level(row.held_at)) for row in added),
    ]


def entry_rows(
    key: SearchKey, project: str, owner_id: int, attributes: Attributes, owner: str
) -> Iterable[dict[str, Any]]:
    """The rows of one attribute of one study, series or instance; ``owner`` is the column that says of which."""
    attribute = path_text(key.path)
    for facet, item, value in index_entries(attributes, key.path, key.kind):
        yield {
            owner: owner_id,
            "attribute": attribute + facet,
            "item": item,
            "value": value,
            "project": project,
        }


def put_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Add rows; those that are there already stay."""
    if rows:
        connection.execute(upsert(connection, table).on_conflict_do_nothing(), rows)


class AttributeValues:
    """Keeps the values of what one transaction stores; which attributes there are is read once, when it is needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_level(self, level: Level, project: str, owner_id: int, attributes: Attributes, *, is_new: bool) -> None:
        """Keep what the index now says of a study or series."""
        table = VALUE_TABLES[level]
        owner = owner_of(table)
        if not is_new:
            self._connection.execute(delete(table).where(owner == owner_id))
        keys = self._keys[level]
        rows = [row for key in keys for row in entry_rows(key, project, owner_id, attributes, owner.name)]
        put_rows(self._connection, table, rows)

    def of_instances(self, project: str, headers: Mapping[int, Dataset], *, are_new: bool = True) -> None:
        """Keep what instances have of their own, by the headers that are served."""
        table = VALUE_TABLES[Level.INSTANCE]
        owner = owner_of(table)
        if not are_new:
            self._connection.execute(delete(table).where(owner.in_(list(headers))))
        keys = self._keys[Level.INSTANCE]
        if not keys:
            return
        tags = sorted({key.path[0] for key in keys} | {int(TIMEZONE_OFFSET, 16)})
        rows: list[dict[str, Any]] = []
        for instance_id, header in headers.items():
            (written,) = JsonWriter().elements(header, tags)
            for key in keys:
                rows += entry_rows(key, project, instance_id, loaded(written), owner.name)
        put_rows(self._connection, table, rows)

    @cached_property
    def _keys(self) -> dict[Level, list[SearchKey]]:
        keys: dict[Level, list[SearchKey]] = {level: [] for level in Level}
        for key in kept_keys(self._connection):
            keys[key.held_at].append(key)
        return keys
