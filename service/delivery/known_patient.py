"""Who a patient is in the words of a data set, and where two of them differ."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset

KEYWORDS: Final = {
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession": "AccessionNumber",
}
_COMPARED: Final = ("patient_id", "issuer", "accession")


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """Patient and accession of a study; it is identity, and lies open in memory alone."""

    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)

    @classmethod
    def of(cls, data_set: Dataset) -> KnownPatient:
        """From an object's header, or from an answer to a query."""
        return cls(**{name: str(data_set.get(keyword) or "").strip() for name, keyword in KEYWORDS.items()})

    def differs_from(self, other: KnownPatient) -> tuple[str, ...]:
        """Where another answer names somebody else: keywords of the attributes.

        What the other one leaves empty is not told, and nothing follows from it. A Patient ID that differs between two
        answers under the same issuer is another patient's, or the patient's after a merge.
        """
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in _COMPARED)
        return tuple(KEYWORDS[name] for name, own, told in pairs if told and own != told)

    def updated_by(self, other: KnownPatient) -> KnownPatient:
        """Who the patient is by a later answer: what it leaves empty stays."""
        return KnownPatient(**{name: getattr(other, name) or getattr(self, name) for name in KEYWORDS})

    def put_into(self, data_set: Dataset) -> None:
        """Make an object this patient's; what is empty here stays as it is there."""
        for name, keyword in KEYWORDS.items():
            if value := getattr(self, name):
                setattr(data_set, keyword, value)

    def digest(self, key: bytes) -> str:
        """A keyed digest, which names nobody."""
        parts = [str(getattr(self, name)).encode() for name in KEYWORDS]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(key, b"known patient" + framed, hashlib.sha256).hexdigest()
