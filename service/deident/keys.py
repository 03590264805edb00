"""The key file: the secrets behind UIDs, pseudonyms and dates, and the keys that encrypt the vault.

Losing this file loses the way back and every link between what is served and what arrives later; leaking it undoes the
de-identification. So it is written once with mode 0600, synced with its directory, and refused when others may read it.
What stands behind UIDs, pseudonyms and dates never changes; the vault's encryption keys rotate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import KeysMissing

FORMAT = "annogate-keys-1"
KEY_BYTES = 32
FileState: TypeAlias = tuple[int, int, int]
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """What one project derives its replacements from; two projects share nothing.

    ``fingerprint`` is a SHA-256 in hex that may be stored beside the data: a key file that does not fit is noticed.
    """

    uid_key: bytes = field(repr=False)
    pseudonym_key: bytes = field(repr=False)
    date_key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)
    fingerprint: str

    @classmethod
    def derive(cls, identity_secret: bytes, project: str) -> ProjectKeys:
        """Derive a project's keys by HKDF-SHA256 (RFC 5869) from the secret and the project's name."""
        uid, pseudonym, date, digest = (
            _derive(identity_secret, f"project {name}", project) for name in ("uid", "pseudonym", "date", "digest")
        )
        fingerprint = hashlib.sha256(b"annogate fingerprint" + uid + pseudonym + date + digest).hexdigest()
        return cls(uid, pseudonym, date, digest, fingerprint)


@dataclass(frozen=True, slots=True)
class VaultKey:
    """One encryption key of the vault; ``key_id`` stands beside each entry that it sealed."""

    key_id: str
    secret: bytes = field(repr=False)

    def for_project(self, project: str) -> bytes:
        """Return the AES-256 key of one project's vault."""
        return _derive(self.secret, "vault", project)


class KeyFile:
    """The secrets of one installation, as read from its file.

    Parameters
    ----------
    identity_secret : 32 bytes behind UIDs, pseudonyms, dates and digests; never changes
    vault_keys : newest last; the last one seals, every one opens
    seen : the state of the file that was read
    """

    def __init__(
        self,
        identity_secret: bytes,
        vault_keys: tuple[VaultKey, ...],
        path: Path | None = None,
        seen: FileState | None = None,
    ) -> None:
        self._identity_secret = identity_secret
        self._vault_keys = vault_keys
        self._path = path
        self._seen = seen or _state(path)
        # Keys that left the file while this process runs: what it read before still opens.
        self._known = {key.key_id: key for key in vault_keys}

    def __repr__(self) -> str:
        return f"KeyFile({self._path}, vault keys {self.vault_key_ids})"

    @classmethod
    def ephemeral(cls, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> KeyFile:
        """Return keys that are never written: what they replace cannot be found again."""
        return cls(random_bytes(KEY_BYTES), (_new_vault_key(random_bytes),))

    @classmethod
    def create(cls, path: Path, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> KeyFile:
        """Write a new key file and return its keys; the file is on disk when this returns.

        Raises
        ------
        FileExistsError : there is one already; a key file is never overwritten
        """
        keys = cls(random_bytes(KEY_BYTES), (_new_vault_key(random_bytes),), path)
        _write_new(path, keys._encoded())
        return keys

    @classmethod
    def load(cls, path: Path) -> KeyFile:
        """Read a key file.

        Raises
        ------
        KeysMissing : there is none, it cannot be read, others may read it, or it is not one of ours
        """
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
        except OSError as error:
            raise KeysMissing(
                f"the key file {path} cannot be read: {error.strerror}; restore it from its backup"
            ) from error
        mode = status.st_mode
        if mode & OTHERS:
            raise KeysMissing(f"the key file {path} may be read by others (mode {mode & 0o777:04o}); set it to 0600")
        try:
            document = json.loads(content)
            if document["format"] != FORMAT:
                raise KeysMissing(f"the key file {path} has format {document['format']!r}, not {FORMAT}")
            secret = _decoded(document["identity_secret"])
            vault_keys = tuple(VaultKey(key["id"], _decoded(key["secret"])) for key in document["vault_keys"])
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise KeysMissing(f"the key file {path} is damaged; restore it from its backup") from error
        if len(secret) != KEY_BYTES or not vault_keys or any(len(key.secret) != KEY_BYTES for key in vault_keys):
            raise KeysMissing(f"the key file {path} is damaged: a key is not {KEY_BYTES} bytes long")
        return cls(secret, vault_keys, path, _state_of(status))

    def project_keys(self, name: str) -> ProjectKeys:
        """Return the keys of one project."""
        return ProjectKeys.derive(self._identity_secret, name)

    def sealing_key(self, purpose: str) -> bytes:
        """Return the 32 bytes that encrypt one store outside the vault, such as "spool" or "quarantine"."""
        return _derive(self._identity_secret, "sealing", purpose)

    @property
    def newest_vault_key(self) -> VaultKey:
        """The key that seals; another process may have added it a moment ago."""
        self._follow()
        return self._vault_keys[-1]

    @property
    def vault_key_ids(self) -> tuple[str, ...]:
        """The names of the vault keys that the file holds, newest last."""
        return tuple(key.key_id for key in self._vault_keys)

    def vault_key(self, key_id: str) -> VaultKey:
        """Return the vault key of that name.

        Raises
        ------
        KeysMissing : the file does not hold it
        """
        if key_id not in self._known:
            self._follow()
        if key_id not in self._known:
            raise KeysMissing(f"the vault key {key_id} is not in the key file; restore the file from its backup")
        return self._known[key_id]

    def _follow(self) -> None:
        """Read the file again when it was replaced: vault keys rotate while the gateway runs.

        Raises
        ------
        KeysMissing : what stands there now is not a later state of the same file
        """
        if self._path is None or (state := _state(self._path)) == self._seen or state is None:
            return  # a file that is gone is told at the next start; what is known still seals and opens
        now = KeyFile.load(self._path)
        if now._identity_secret != self._identity_secret:
            raise KeysMissing(f"the key file {self._path} was replaced by another one; bring it back and start again")
        self._known = self._known | now._known
        self._vault_keys = now._vault_keys
        self._seen = state

    def rotated(self, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> KeyFile:
        """Add a vault key to the file and return the keys with it; older entries stay readable."""
        keys = KeyFile(self._identity_secret, (*self._vault_keys, _new_vault_key(random_bytes)), self._path)
        if self._path is not None:
            _replace(self._path, keys._encoded())
        return KeyFile(keys._identity_secret, keys._vault_keys, self._path)

    def without(self, key_id: str) -> KeyFile:
        """Drop a vault key from the file and return the keys without it; what it sealed never opens again.

        Raises
        ------
        ValueError : it is the newest one, or none of the file's
        """
        if key_id not in self.vault_key_ids[:-1]:
            raise ValueError("only an older key of the file can be dropped")
        left = tuple(key for key in self._vault_keys if key.key_id != key_id)
        if self._path is not None:
            _replace(self._path, KeyFile(self._identity_secret, left)._encoded())
        return KeyFile(self._identity_secret, left, self._path)

    @property
    def content_digest(self) -> str:
        """SHA-256 over what the file holds, in hex: which state of it was backed up."""
        return hashlib.sha256(b"annogate key file" + self._encoded()).hexdigest()

    def copy_to(self, path: Path) -> None:
        """Write a copy, synced, and read it back.

        Raises
        ------
        FileExistsError : there is something else at this place
        KeysMissing : what was read back is not what was written
        """
        content = self._encoded()
        if not (path.is_file() and path.read_bytes() == content):
            _write_new(path, content)
        if path.read_bytes() != content:
            raise KeysMissing(f"the copy {path} does not read back as it was written")

    def _encoded(self) -> bytes:
        document = {
            "format": FORMAT,
            "identity_secret": _text(self._identity_secret),
            "vault_keys": [{"id": key.key_id, "secret": _text(key.secret)} for key in self._vault_keys],
        }
        return json.dumps(document, indent=2).encode("ascii") + b"\n"


def _state(path: Path | None) -> FileState | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        return None if path is None else _state_of(path.stat())
    except OSError:
        return None


def _state_of(status: os.stat_result) -> FileState:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _derive(secret: bytes, purpose: str, name: str) -> bytes:
    info = f"annogate/1/{purpose}/{name}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def _new_vault_key(random_bytes: Callable[[int], bytes]) -> VaultKey:
    return VaultKey(random_bytes(8).hex(), random_bytes(KEY_BYTES))


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _write_new(path: Path, content: bytes) -> None:
    """Make the file appear whole or not at all, and only where there is none (two processes may start at once)."""
    beside = _write_beside(path, content)
    try:
        os.link(beside, path)
    except PermissionError:  # a file system without links, as on a USB stick
        _rename_new(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _rename_new(beside: Path, path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    beside.replace(path)


def _replace(path: Path, content: bytes) -> None:
    _write_beside(path, content).replace(path)
    _sync_directory(path.parent)


def _write_beside(path: Path, content: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with suppress(PermissionError):  # where there are no modes; a key file that others may read is refused
            os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return beside


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
