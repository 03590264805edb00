"""Passwords: argon2id, with a short memory of what was just verified.

HTTP Basic brings the password with each request, and argon2 is slow on purpose (tens of milliseconds and 64 MiB). A
password that was right is therefore remembered for a minute, as an HMAC under a key of this process: a hit costs
microseconds, what lies in memory cannot be turned back, and another password hash in the index forgets it at once.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.errors import BadRequest

_MINIMUM_LENGTH, _MAXIMUM_LENGTH = 12, 1024
_REMEMBERED = 1000
_AT_ONCE = 2


class Passwords:
    """Hashes and verifies passwords.

    Parameters
    ----------
    monotonic : a clock in seconds that never goes back
    remember_s : for how long a right password is taken without argon2
    hasher : argon2id with its costs
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        remember_s: float = 60.0,
        hasher: PasswordHasher | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._monotonic = monotonic
        self._remember_s = remember_s
        self._hasher = hasher or PasswordHasher()
        self._key = random_bytes(32)
        self._lock = threading.Lock()
        self._until: dict[bytes, float] = {}
        # As many at once as there is memory and time for; the others wait their turn.
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        self._nobody = self._hasher.hash(random_bytes(16).hex())

    def hash(self, password: str) -> str:
        """The argon2id hash to keep.

        Raises
        ------
        BadRequest : the password is shorter than 12 characters, or longer than 1024
        """
        if not _MINIMUM_LENGTH <= len(password) <= _MAXIMUM_LENGTH:
            raise BadRequest(f"a password has {_MINIMUM_LENGTH} to {_MAXIMUM_LENGTH} characters")
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Without a hash (no such user) it takes as long and says no, so that time does not tell names apart.
        """
        mark = self._mark(password_hash or "", password)
        if password_hash is not None and self._remembers(mark):
            return True
        with self._turn:
            right = self._matches(password_hash or self._nobody, password)
        if password_hash is None or not right:
            return False
        self._remember(mark)
        return True

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return len(password) <= _MAXIMUM_LENGTH and self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _mark(self, password_hash: str, password: str) -> bytes:
        return hmac.new(self._key, f"{password_hash}\0{password}".encode(), hashlib.sha256).digest()

    def _remembers(self, mark: bytes) -> bool:
        with self._lock:
            return self._until.get(mark, 0.0) > self._monotonic()

    def _remember(self, mark: bytes) -> None:
        now = self._monotonic()
        with self._lock:
            if len(self._until) >= _REMEMBERED:
                self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) < _REMEMBERED:
                self._until[mark] = now + self._remember_s
