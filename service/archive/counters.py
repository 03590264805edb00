"""Numbers that outlive a restart: what was dropped, kept, seen again."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from service.archive.database import Database, upsert
from service.archive.schema import counters


class CounterTable:
    """Counters by project and name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, project: str, name: str, amount: int = 1, *, connection: Connection | None = None) -> None:
        """Count one thing."""
        self.add_all(project, {name: amount}, connection=connection)

    def add_all(self, project: str, amounts: Mapping[str, int], *, connection: Connection | None = None) -> None:
        """Count several things."""
        rows = [{"project": project, "name": name, "value": amounts[name]} for name in sorted(amounts)]
        if not rows:
            return
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, counters)
            transaction.execute(
                statement.on_conflict_do_update(
                    index_elements=[counters.c.project, counters.c.name],
                    set_={"value": counters.c.value + statement.excluded.value},
                ),
                rows,
            )

    def get(self, project: str, name: str) -> int:
        """One counter; 0 when nothing was counted."""
        return self.all(project).get(name, 0)

    def all(self, project: str) -> dict[str, int]:
        """Every counter of a project."""
        query = select(counters.c.name, counters.c.value).where(counters.c.project == project)
        with self._database.read() as connection:
            return dict(connection.execute(query.order_by(counters.c.name)).all())
