"""Projects that the index knows, each with the fingerprint of its identity keys."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from service.archive.database import Database, upsert
from service.archive.schema import projects, studies, vault
from service.errors import KeysMissing


class ProjectTable:
    """Projects by name.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def register(self, name: str, key_fingerprint: str = "") -> None:
        """Make a project known, and hold its keys against those that its data were made with.

        Raises
        ------
        KeysMissing : the project has data that were made with other keys; nothing was changed
        """
        with self._database.write() as transaction:
            transaction.execute(
                upsert(transaction, projects).on_conflict_do_nothing(),
                {"name": name, "created_at": self._clock(), "key_fingerprint": key_fingerprint},
            )
            held = transaction.execute(select(projects.c.key_fingerprint).where(projects.c.name == name)).scalar_one()
            if not key_fingerprint or held == key_fingerprint:
                return
            if held and _has_data(transaction, name):
                raise KeysMissing(
                    f"project {name} has data made with other keys: bring back the key file that belongs to them"
                )
            transaction.execute(update(projects).where(projects.c.name == name).values(key_fingerprint=key_fingerprint))

    def names(self) -> list[str]:
        """Every project that was ever registered."""
        with self._database.read() as connection:
            return list(connection.execute(select(projects.c.name).order_by(projects.c.name)).scalars())

    def fingerprint(self, name: str) -> str:
        """The fingerprint of a project's keys; empty when it is not known."""
        with self._database.read() as connection:
            query = select(projects.c.key_fingerprint).where(projects.c.name == name)
            return connection.execute(query).scalar_one_or_none() or ""

    def has_data(self, name: str) -> bool:
        """Whether the project holds studies or vault entries: whether its keys are needed."""
        with self._database.read() as connection:
            return _has_data(connection, name)


def _has_data(connection: Connection, name: str) -> bool:
    return any(
        connection.execute(select(table.c.project).where(table.c.project == name).limit(1)).first() is not None
        for table in (studies, vault)
    )
