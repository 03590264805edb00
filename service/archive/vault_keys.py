"""Which keys the entries of the vault were sealed with, and what became of keys and of backups of their file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from service.archive.database import Database, hold_alone, upsert
from service.archive.schema import key_backups, retired_vault_keys, vault
from service.core.records import SealedEntry

Place: TypeAlias = tuple[str, str, str]
"""Project, kind and key of an entry."""
FIRST: Place = ("", "", "")
_RESEAL = (
    update(vault)
    .where(
        vault.c.project == bindparam("its_project"),
        vault.c.kind == bindparam("its_kind"),
        vault.c.key == bindparam("its_key"),
    )
    .values(key_id=bindparam("new_key_id"), sealed=bindparam("new_sealed"))
)


@dataclass(frozen=True, slots=True)
class ResealedPage:
    """One page of entries: how many were sealed anew, how many did not open, and where the next page begins."""

    resealed: int
    unopened: int
    last: Place | None


@dataclass(frozen=True, slots=True)
class KeyBackup:
    """When a copy of the key file was made, and of which content."""

    at: float
    key_file_digest: str


class VaultKeyTable:
    """The keys behind the vault's entries.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def key_ids(self) -> set[str]:
        """The names of every key that an entry was sealed with; a step through the index for each."""
        found: set[str] = set()
        last = ""
        with self._database.read() as connection:
            while True:
                query = select(func.min(vault.c.key_id)).where(vault.c.key_id > last)
                following = connection.execute(query).scalar_one()
                if following is None:
                    return found
                found.add(following)
                last = following

    def retired(self) -> set[str]:
        """The names of keys under which nothing is stored any more."""
        with self._database.read() as connection:
            return set(connection.execute(select(retired_vault_keys.c.key_id)).scalars())

    def reseal_page(
        self, old_key_id: str, after: Place, reseal: Callable[[str, SealedEntry], SealedEntry | None], size: int
    ) -> ResealedPage:
        """Walk one page of the vault and seal anew what stands under an old key, in one short transaction.

        Parameters
        ----------
        after : where the page before ended; ``FIRST`` begins
        reseal : by project and entry, the entry under the new key; None where it does not open
        """
        place = (vault.c.project, vault.c.kind, vault.c.key)
        query = (
            select(vault)
            .where(
                or_(
                    vault.c.project > after[0],
                    and_(vault.c.project == after[0], vault.c.kind > after[1]),
                    and_(vault.c.project == after[0], vault.c.kind == after[1], vault.c.key > after[2]),
                )
            )
            .order_by(*place)
            .limit(size)
        )
        unopened = 0
        last: Place | None = None
        changes: list[dict[str, object]] = []
        with self._database.write() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                last = (row.project, row.kind, row.key)
                if row.key_id != old_key_id:
                    continue
                new = reseal(row.project, SealedEntry(row.kind, row.key, row.key_id, row.sealed))
                if new is None:
                    unopened += 1
                    continue
                where = {"its_project": row.project, "its_kind": row.kind, "its_key": row.key}
                changes.append(where | {"new_key_id": new.key_id, "new_sealed": new.sealed})
            if changes:
                connection.execute(_RESEAL, changes)
        return ResealedPage(len(changes), unopened, last if len(rows) == size else None)

    def retire(self, key_id: str) -> bool:
        """Let nothing be stored under a key any more, unless an entry is; whether it was retired."""
        with self._database.write() as connection:
            # Whoever stores entries looks whether their keys are retired: what they store can be seen from here on.
            hold_alone(connection, retired_vault_keys)
            if connection.execute(select(vault.c.key).where(vault.c.key_id == key_id).limit(1)).first() is not None:
                return False
            connection.execute(
                upsert(connection, retired_vault_keys).on_conflict_do_nothing(),
                {"key_id": key_id, "retired_at": self._clock()},
            )
        return True

    def record_backup(self, key_file_digest: str) -> None:
        """Note that a copy of the key file was made."""
        with self._database.write() as connection:
            connection.execute(insert(key_backups), {"at": self._clock(), "key_file_digest": key_file_digest})

    def last_backup(self) -> KeyBackup | None:
        """The newest copy that was made; None when none was."""
        with self._database.read() as connection:
            row = connection.execute(select(key_backups).order_by(key_backups.c.id.desc()).limit(1)).first()
        return None if row is None else KeyBackup(row.at, row.key_file_digest)
