"""Rotation of the vault's encryption key, while the gateway runs and across kills.

The new key is in the key file, synced, before anything is sealed with it. Then every entry is sealed anew, a page at a
time; running processes read the key file again by themselves. A key leaves the file only when no entry was sealed with
it, and in the same transaction the index learns to refuse entries under it: what a process sealed a moment before is
sealed again. What stands behind pseudonyms, UIDs and dates never changes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.archive.vault_keys import FIRST, Place, VaultKeyTable
from service.core.records import SealedEntry
from service.deident.keys import KeyFile
from service.deident.vault import Vault
from service.errors import ContentConflict, KeysMissing

PAGE = 500
PASSES = 10
"""Entries that running processes sealed with the old key while a pass ran are met by the next one."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation came to.

    Parameters
    ----------
    resumed : one that was begun before was ended; no further key was made
    unopened : entries that no key of the file opens; their key stays in the file
    dropped : keys that left the file
    """

    key_id: str
    resumed: bool
    resealed: int
    unopened: int
    dropped: tuple[str, ...]


class KeyRotation:
    """Rotates the vault key of an installation.

    Parameters
    ----------
    key_path : the key file
    lock_path : held while a rotation runs
    """

    def __init__(self, key_path: Path, table: VaultKeyTable, lock_path: Path) -> None:
        self._key_path = key_path
        self._table = table
        self._lock_path = lock_path

    def rotate(self, on_page: Callable[[int], None] = lambda _: None) -> Rotation:
        """Make a new key and move every entry to it, or end a rotation that was interrupted.

        Parameters
        ----------
        on_page : told after each page how many entries were sealed anew so far

        Raises
        ------
        ContentConflict : another rotation is under way
        KeysMissing : the key file cannot be read
        """
        with self._alone():
            keys = KeyFile.load(self._key_path)
            resumed = len(keys.vault_key_ids) > 1
            if not resumed:
                keys = keys.rotated()
            resealed = unopened = 0
            dropped = []
            for old in keys.vault_key_ids[:-1]:
                done, left = self._move(keys, old, partial(_told, on_page, resealed))
                resealed, unopened = resealed + done, unopened + left
                if not left and self._table.retire(old):
                    keys = keys.without(old)
                    dropped.append(old)
            return Rotation(keys.newest_vault_key.key_id, resumed, resealed, unopened, tuple(dropped))

    def _move(self, keys: KeyFile, old: str, on_page: Callable[[int], None]) -> tuple[int, int]:
        """Seal anew what stands under an old key; how many entries were, and how many could not be opened."""
        vaults: dict[str, Vault] = {}

        def reseal(project: str, entry: SealedEntry) -> SealedEntry | None:
            vault = vaults.setdefault(project, Vault(keys, project))
            try:
                return vault.resealed(entry)
            except KeysMissing:
                return None

        resealed = unopened = 0
        for _ in range(PASSES):
            if old not in self._table.key_ids():
                return resealed, 0
            moved, unopened = 0, 0
            last: Place | None = FIRST
            while last is not None:
                page = self._table.reseal_page(old, last, reseal, PAGE)
                moved, unopened, last = moved + page.resealed, unopened + page.unopened, page.last
                on_page(resealed + moved)
            resealed += moved
            if not moved:
                break
        return resealed, unopened

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ContentConflict("another rotation of the vault key is under way") from error
            yield
        finally:
            os.close(descriptor)


def _told(on_page: Callable[[int], None], before: int, count: int) -> None:
    on_page(before + count)
