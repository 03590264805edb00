"""The sealed rows of the vault; what is in them only the vault's keys can tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, and_, delete, func, select

from dicom_nodes.errors import GatewayError
from service.archive.database import Database, lean_on, upsert
from service.archive.schema import retired_vault_keys, vault
from service.core.records import SealedEntry

_CHUNK = 500


class VaultStore:
    """Sealed entries by project, kind and key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_all(self, project: str, entries: Iterable[SealedEntry], *, connection: Connection | None = None) -> None:
        """Store entries; a later one takes the place of an earlier one of the same kind and key."""
        rows = [(project, entry) for entry in entries]
        if rows:
            with self._database.write_or_join(connection) as transaction:
                put_entries(transaction, rows)

    def get(self, project: str, kind: str, key: str) -> SealedEntry | None:
        """The entry of a kind under a key."""
        return self.get_all(project, kind, (key,)).get(key)

    def get_all(self, project: str, kind: str, keys: Sequence[str]) -> dict[str, SealedEntry]:
        """Those of the entries that there are, by key."""
        found = {}
        with self._database.read() as connection:
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                query = select(vault).where(
                    vault.c.project == project, vault.c.kind == kind, vault.c.key.in_(list(chunk))
                )
                for row in connection.execute(query):
                    found[row.key] = SealedEntry(row.kind, row.key, row.key_id, row.sealed)
        return found

    def entries(self, project: str, kind: str | None = None, *, after: str = "") -> Iterator[SealedEntry]:
        """Every entry of a project, a page at a time, by kind and key; of one kind those after a key."""
        last = (kind or "", after)
        while True:
            query = (
                select(vault)
                .where(
                    vault.c.project == project,
                    (vault.c.kind > last[0]) | and_(vault.c.kind == last[0], vault.c.key > last[1]),
                    *(() if kind is None else (vault.c.kind == kind,)),
                )
                .order_by(vault.c.kind, vault.c.key)
                .limit(_CHUNK)
            )
            with self._database.read() as connection:
                page = [SealedEntry(row.kind, row.key, row.key_id, row.sealed) for row in connection.execute(query)]
            if not page:
                return
            yield from page
            last = (page[-1].kind, page[-1].key)

    def count(self, project: str) -> int:
        """How many entries a project has."""
        with self._database.read() as connection:
            query = select(func.count()).select_from(vault).where(vault.c.project == project)
            return connection.execute(query).scalar_one()

    def forget(self, project: str, kind: str, keys: Sequence[str], *, connection: Connection | None = None) -> None:
        """Delete entries: there is no way back from what they named."""
        with self._database.write_or_join(connection) as transaction:
            for start in range(0, len(keys), _CHUNK):
                chunk = list(keys[start : start + _CHUNK])
                transaction.execute(
                    delete(vault).where(vault.c.project == project, vault.c.kind == kind, vault.c.key.in_(chunk))
                )


def put_entries(connection: Connection, entries: Iterable[tuple[str, SealedEntry]]) -> None:
    """Store entries, each with its project, in the transaction at hand.

    Raises
    ------
    GatewayError : one was sealed with a key that has left the key file since; seal it again
    """
    rows = {
        (project, entry.kind, entry.key): {
            "project": project,
            "kind": entry.kind,
            "key": entry.key,
            "key_id": entry.key_id,
            "sealed": entry.sealed,
        }
        for project, entry in entries
    }
    if not rows:
        return
    _refuse_retired(connection, {str(row["key_id"]) for row in rows.values()})
    statement = upsert(connection, vault)
    statement = statement.on_conflict_do_update(
        index_elements=[vault.c.project, vault.c.kind, vault.c.key],
        set_={"key_id": statement.excluded.key_id, "sealed": statement.excluded.sealed},
    )
    # Sorted, so that two writers of the same rows never wait for each other (PostgreSQL).
    connection.execute(statement, [rows[key] for key in sorted(rows)])


def _refuse_retired(connection: Connection, key_ids: set[str]) -> None:
    lean_on(connection, retired_vault_keys)
    query = select(retired_vault_keys.c.key_id).where(retired_vault_keys.c.key_id.in_(sorted(key_ids))).limit(1)
    if connection.execute(query).first() is not None:
        raise GatewayError("an entry of the vault was sealed with a key that was retired meanwhile")
