"""The vault: the only way back from what is served to what came, encrypted entry by entry.

AES-256-GCM under a key of the project; project, kind, key and key id are bound as associated data, so that an entry
moved to another row or project does not open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.core.records import SealedEntry
from service.deident.keys import KeyFile
from service.errors import KeysMissing

NONCE_BYTES = 12


class Vault:
    """Seals and opens the entries of one project.

    Parameters
    ----------
    random_bytes : source of nonces; each entry gets a fresh one
    """

    def __init__(self, key_file: KeyFile, project: str, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._key_file = key_file
        self._project = project
        self._random_bytes = random_bytes
        self._ciphers: dict[str, AESGCM] = {}

    @property
    def sealing_key_id(self) -> str:
        """The name of the key that seals now."""
        return self._key_file.newest_vault_key.key_id

    def seal(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        """Encrypt a value under the newest vault key."""
        key_id = self._key_file.newest_vault_key.key_id
        nonce = self._random_bytes(NONCE_BYTES)
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        sealed = self._cipher(key_id).encrypt(nonce, plain, self._bound_to(kind, key, key_id))
        return SealedEntry(kind, key, key_id, nonce + sealed)

    def open(self, entry: SealedEntry) -> dict[str, Any]:
        """Decrypt an entry.

        Raises
        ------
        KeysMissing : its key is not in the key file, or it was sealed elsewhere or altered
        """
        nonce, sealed = entry.sealed[:NONCE_BYTES], entry.sealed[NONCE_BYTES:]
        cipher = self._cipher(entry.key_id)
        try:
            plain = cipher.decrypt(nonce, sealed, self._bound_to(entry.kind, entry.key, entry.key_id))
        except (InvalidTag, ValueError) as error:
            raise KeysMissing(f"a vault entry ({entry.kind}) does not open with the project's key") from error
        value: dict[str, Any] = json.loads(plain)
        return value

    def resealed(self, entry: SealedEntry) -> SealedEntry:
        """Return the entry under the newest vault key; the same object when it is already."""
        if entry.key_id == self._key_file.newest_vault_key.key_id:
            return entry
        return self.seal(entry.kind, entry.key, self.open(entry))

    def _cipher(self, key_id: str) -> AESGCM:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            secret = self._key_file.vault_key(key_id).for_project(self._project)
            cipher = self._ciphers[key_id] = AESGCM(secret)
        return cipher

    def _bound_to(self, kind: str, key: str, key_id: str) -> bytes:
        return f"annogate-vault-1\0{self._project}\0{kind}\0{key}\0{key_id}".encode()
