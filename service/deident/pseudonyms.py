"""Who a patient is inside a project: a keyed pseudonym, and from it one secret shift of all dates.

The shift comes from the pseudonym, so that whoever knows only what is served (an annotation that refers to it) gets the
same shift without opening the vault; without the project's key it cannot be computed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from service.deident.keys import ProjectKeys

PREFIX = "ANON-"
PSEUDONYM_BYTES = 10
SHIFT_MIN_DAYS = 365
SHIFT_MAX_DAYS = 3650


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """What makes two objects the same patient's.

    An object without a Patient ID belongs to its study only: two such studies are never taken for one patient's.
    """

    patient_id: str
    issuer: str = ""
    study_uid: str = ""

    def encoded(self) -> bytes:
        """Return an unambiguous form for the keyed digests."""
        parts = ("study", self.study_uid) if not self.patient_id else ("patient", self.issuer, self.patient_id)
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


class Pseudonyms:
    """Derives pseudonyms, digests and date shifts of one project.

    Parameters
    ----------
    pseudonym_key, date_key, digest_key : the project's keys
    """

    def __init__(self, pseudonym_key: bytes, date_key: bytes, digest_key: bytes) -> None:
        self._pseudonym_key = pseudonym_key
        self._date_key = date_key
        self._digest_key = digest_key

    @classmethod
    def of(cls, keys: ProjectKeys) -> Pseudonyms:
        """Return those of a project."""
        return cls(keys.pseudonym_key, keys.date_key, keys.digest_key)

    def pseudonym(self, patient: PatientIdentity) -> str:
        """Return the Patient ID inside the project: ``ANON-`` and 80 bits in base 32."""
        digest = hmac.digest(self._pseudonym_key, patient.encoded(), hashlib.sha256)
        return PREFIX + base64.b32encode(digest[:PSEUDONYM_BYTES]).decode("ascii")

    def digest(self, patient: PatientIdentity) -> bytes:
        """Return 32 bytes that are equal for equal patients and say nothing else."""
        return hmac.digest(self._digest_key, b"patient" + patient.encoded(), hashlib.sha256)

    def shift_days(self, pseudonym: str) -> int:
        """Return by how many whole days the dates of the patient behind a pseudonym are moved back: 365 to 3650."""
        digest = hmac.digest(self._date_key, pseudonym.encode("utf-8", "surrogateescape"), hashlib.sha256)
        span = SHIFT_MAX_DAYS - SHIFT_MIN_DAYS + 1
        return SHIFT_MIN_DAYS + int.from_bytes(digest[:8], "big") % span
