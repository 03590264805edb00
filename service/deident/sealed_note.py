"""Small notes with identity in them, such as original UIDs, as they may stand in a row of the index: sealed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import KeysMissing

_NONCE_BYTES: Final = 12


class NoteSeal:
    """Seals values by AES-256-GCM, bound to a context, and gives keyed digests by which they are found again.

    Parameters
    ----------
    sealing_key : the key file's for the purpose; 32 bytes
    random_bytes : source of nonces; each note gets a fresh one
    """

    def __init__(self, sealing_key: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher = AESGCM(sealing_key)
        self._digest_key = HKDF(SHA256(), 32, None, b"annogate note digest").derive(sealing_key)
        self._random_bytes = random_bytes

    def seal(self, context: str, value: dict[str, Any]) -> bytes:
        """Encrypt a value; it opens in the same context only."""
        nonce = self._random_bytes(_NONCE_BYTES)
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, context: str, sealed: bytes) -> dict[str, Any]:
        """Decrypt a value.

        Raises
        ------
        KeysMissing : it was sealed with another key or in another context, or altered
        """
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise KeysMissing("a sealed note does not open with the key file") from error
        value: dict[str, Any] = json.loads(plain)
        return value

    def digest(self, *parts: str) -> str:
        """A keyed digest of texts, in hex: equal for equal texts, and for nobody else to compute."""
        framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.digest(self._digest_key, framed, hashlib.sha256).hex()
