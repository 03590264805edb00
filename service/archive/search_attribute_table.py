"""Attributes that somebody made searchable: the list, and the gathering of their values from what is stored already.

Values are gathered in portions, each a transaction that also says how far it came: who is killed has lost one portion,
two who gather at once take turns, and what is stored meanwhile keeps its values by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, tuple_, update

from service.archive.attribute_values import VALUE_TABLES, entry_rows, owner_of, put_rows
from service.archive.database import Database, hold_alone
from service.archive.metadata_cache import text_of
from service.archive.rows import AnyRow
from service.archive.schema import instances, search_attributes, series, studies
from service.archive.served_attributes import SERIES_TAGS, STUDY_TAGS, Attributes
from service.core.indexed_values import END, SOUND, WORD
from service.core.search import Level, SearchKey
from service.core.search_attributes import (
    FillState,
    SearchAttribute,
    added_key,
    attribute_path,
    new_key,
    path_keyword,
    path_text,
)
from service.errors import BadRequest

_ROWS_AT_ONCE: Final = 250
_BYTES_AT_ONCE: Final = 8 << 20  # of attributes as they are kept, but one row's at least
_VALUES_AT_ONCE: Final = 5000
_LEAST_PAUSE_S: Final = 0.02
_OWNERS: Final[dict[Level, Table]] = {Level.STUDY: studies, Level.SERIES: series, Level.INSTANCE: instances}
_LEVEL_OF: Final = dict.fromkeys(SERIES_TAGS, Level.SERIES) | dict.fromkeys(STUDY_TAGS, Level.STUDY)


@dataclass(frozen=True, slots=True)
class FillProgress:
    """How far the values of an attribute are gathered: the last row's number, and that of the last row there is."""

    position: int
    last: int


class SearchAttributeTable:
    """Attributes that were made searchable, in every project.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    pause : waits a while between portions, so that those who store come to their turn
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._database = database
        self._clock = clock
        self._pause = pause

    def all(self) -> list[SearchAttribute]:
        """Every one of them, by path."""
        with self._database.read() as connection:
            return read_attributes(connection)

    def add(self, name: str, level: Level | None = None) -> SearchKey:
        """Have the values of an attribute kept from now on; `fill` gathers those of what is stored already.

        To add one again changes nothing.

        Raises
        ------
        BadRequest : it cannot be made searchable, is there with another level, or is being removed
        """
        key = new_key(name, level, _LEVEL_OF)
        held = {attribute.key.path: attribute for attribute in self.all()}.get(key.path)
        if held is not None:
            if held.state is FillState.REMOVING:
                raise BadRequest(f"{key.keyword} is being removed; run its removal again, then add it")
            if level not in (None, held.key.level):
                raise BadRequest(f"{key.keyword} is searched at the level of the {held.key.level.name.lower()}")
            return held.key
        values = {
            "attribute": path_text(key.path),
            "level": key.level,
            "held_at": key.held_at,
            "state": FillState.FILLING,
            "added_at": self._clock(),
        }
        with self._database.write() as transaction:
            hold_alone(transaction, search_attributes)
            there = search_attributes.c.attribute == values["attribute"]
            if transaction.execute(select(search_attributes.c.level).where(there)).first() is None:
                transaction.execute(insert(search_attributes).values(values))
        return key

    def fill(
        self,
        key: SearchKey,
        told: Callable[[FillProgress], None] = lambda _: None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Gather the values of what is stored already, from where the last one came; returns when all are there."""
        while not is_stopped():
            began = time.monotonic()
            progress = self._fill_portion(key)
            if progress is None:
                return
            told(progress)
            self._pause(max(_LEAST_PAUSE_S, (time.monotonic() - began) / 2))

    def remove(self, name: str) -> str:
        """Search an attribute no more, and forget its values; what broke off is ended. Returns its keyword.

        Raises
        ------
        BadRequest : it was not made searchable
        """
        path = attribute_path(name)
        attribute = path_text(path)
        same = search_attributes.c.attribute == attribute
        with self._database.write() as transaction:
            hold_alone(transaction, search_attributes)
            row = transaction.execute(select(search_attributes).where(same)).one_or_none()
            if row is None:
                raise BadRequest("This attribute was not made searchable")
            transaction.execute(update(search_attributes).where(same).values(state=FillState.REMOVING))
        self.forget(added_key(path, Level(row.level), Level(row.held_at)))
        return path_keyword(path)

    def forget(self, key: SearchKey, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Forget the values of an attribute that is being removed, and then the attribute."""
        attribute, table = path_text(key.path), VALUE_TABLES[key.held_at]
        for project in self._projects():
            while not is_stopped() and self._forget_portion(table, project, attribute):
                self._pause(_LEAST_PAUSE_S)
        if not is_stopped():
            with self._database.write() as transaction:
                transaction.execute(delete(search_attributes).where(_is_removed(attribute)))

    def _fill_portion(self, key: SearchKey) -> FillProgress | None:
        attribute = path_text(key.path)
        same = search_attributes.c.attribute == attribute
        owner = _OWNERS[key.held_at]
        table = VALUE_TABLES[key.held_at]
        with self._database.write() as transaction:
            state = transaction.execute(select(search_attributes).where(same).with_for_update()).one_or_none()
            if state is None or state.state != FillState.FILLING:
                return None
            ids = _next_ids(transaction, owner, state.position)
            if not ids:
                done = {"state": FillState.READY, "ready_at": self._clock()}
                transaction.execute(update(search_attributes).where(same).values(done))
                return None
            name = owner_of(table).name
            for row in _locked_rows(transaction, owner, ids):
                put_rows(transaction, table, list(entry_rows(key, row.project, row.id, _attributes(row), name)))
            transaction.execute(update(search_attributes).where(same).values(position=ids[-1]))
            last = transaction.execute(select(func.max(owner.c.id))).scalar_one()
        return FillProgress(ids[-1], last)

    def _projects(self) -> list[str]:
        """The projects that hold something, each found by one look into an index."""
        found: list[str] = []
        with self._database.read() as connection:
            while True:
                behind = studies.c.project > (found[-1] if found else "")
                project = connection.execute(select(func.min(studies.c.project)).where(behind)).scalar_one()
                if project is None:
                    return found
                found.append(project)

    def _forget_portion(self, table: Table, project: str, attribute: str) -> bool:
        columns = list(table.primary_key)
        named = table.c.attribute.in_([attribute, *(attribute + facet for facet in (WORD, END, SOUND))])
        query = select(*columns).where(table.c.project == project, named)
        with self._database.write() as transaction:
            # Somebody else may have been faster, and it may have been added anew since.
            wanted = select(search_attributes.c.state).where(_is_removed(attribute)).with_for_update()
            if transaction.execute(wanted).first() is None:
                return False
            few = transaction.execute(query.limit(_VALUES_AT_ONCE)).all()
            for start in range(0, len(few), 200):
                chunk = [tuple(row) for row in few[start : start + 200]]
                transaction.execute(delete(table).where(tuple_(*columns).in_(chunk)))
        return len(few) == _VALUES_AT_ONCE


def _is_removed(attribute: str) -> ColumnElement[bool]:
    return and_(search_attributes.c.attribute == attribute, search_attributes.c.state == FillState.REMOVING)


def _body_of(owner: Table) -> Any:
    return owner.c.metadata if owner is instances else owner.c.attributes


def _next_ids(transaction: Connection, owner: Table, position: int) -> list[int]:
    """The next rows of a level that are read at once; what one instance says may be large."""
    ahead = select(owner.c.id, func.length(_body_of(owner))).where(owner.c.id > position)
    chosen: list[int] = []
    size = 0
    for row_id, length in transaction.execute(ahead.order_by(owner.c.id).limit(_ROWS_AT_ONCE)).all():
        size += length
        if chosen and size > _BYTES_AT_ONCE:
            break
        chosen.append(row_id)
    return chosen


def _locked_rows(transaction: Connection, owner: Table, ids: Sequence[int]) -> Sequence[AnyRow]:
    """Those of the rows that are still there; nobody may replace them by other content before their values stand."""
    query = select(owner.c.id, owner.c.project, _body_of(owner).label("body")).where(owner.c.id.in_(ids))
    return transaction.execute(query.order_by(owner.c.id).with_for_update()).all()


def read_attributes(connection: Connection) -> list[SearchAttribute]:
    """Every attribute that was made searchable, by path."""
    rows = connection.execute(select(search_attributes).order_by(search_attributes.c.attribute))
    return [
        SearchAttribute(
            key=added_key(attribute_path(row.attribute), Level(row.level), Level(row.held_at)),
            state=FillState(row.state),
            position=row.position,
            added_at=row.added_at,
            ready_at=row.ready_at,
        )
        for row in rows
    ]


def _attributes(row: AnyRow) -> Attributes:
    body: Any = row.body
    return json.loads(body if isinstance(body, str) else text_of(body, ""))  # type: ignore[no-any-return]
