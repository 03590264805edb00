"""Finds a study by what the hospital calls it, for the person on call: original accession number or Patient ID.

The vault is read entry by entry, since nothing in the index tells who a patient is. What was looked for is written
down as a keyed digest alone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from service.core.archived import StudyRow
from service.core.records import SealedEntry
from service.errors import BadRequest

ACCESSION_NUMBER, PATIENT_ID, ISSUER = "00080050", "00100020", "00100021"
_LONGEST: Final = 64


class Entries(Protocol):
    """The vault's rows."""

    def entries(self, project: str, kind: str) -> Iterator[SealedEntry]:
        """Those of a kind."""


class Opener(Protocol):
    """The vault."""

    def open(self, entry: SealedEntry) -> dict[str, Any]:
        """The value of an entry."""


@dataclass(frozen=True, slots=True)
class LookupQuestion:
    """What is looked for; it is identity. One of accession number and Patient ID is enough."""

    accession: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)

    def check(self) -> LookupQuestion:
        """Itself, trimmed.

        Raises
        ------
        BadRequest : it asks for nothing, or for what is no such value
        """
        asked = LookupQuestion(self.accession.strip(), self.patient_id.strip(), self.issuer.strip())
        if not asked.accession and not asked.patient_id:
            raise BadRequest("look for an accession number or a Patient ID")
        if max(len(value) for value in (asked.accession, asked.patient_id, asked.issuer)) > _LONGEST:
            raise BadRequest(f"a value is longer than {_LONGEST} characters")
        return asked

    def digest(self, key: bytes) -> str:
        """A keyed digest: the same question can be seen to be the same, and nothing else."""
        text = f"lookup\0{self.accession}\0{self.patient_id}\0{self.issuer}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def matches(self, accession: str, patient_id: str, issuer: str) -> bool:
        """Whether a study is what is looked for; what is not asked for does not matter."""
        pairs = ((self.accession, accession), (self.patient_id, patient_id), (self.issuer, issuer))
        return all(not asked or asked == held for asked, held in pairs)


class StudyLookup:
    """Looks in one project.

    Parameters
    ----------
    vault, store : open and find its entries; None for a project that keeps identity, whose index is asked
    study : gives the row of a study as served; None where it is not held
    kept : the studies of a project that keeps identity, by accession number and Patient ID
    """

    def __init__(
        self,
        project: str,
        *,
        vault: Opener | None,
        store: Entries,
        study: Callable[[str, str], StudyRow | None],
        kept: Callable[[str, str, str], list[StudyRow]],
    ) -> None:
        self._project = project
        self._vault = vault
        self._store = store
        self._study = study
        self._kept = kept

    def find(self, question: LookupQuestion) -> list[StudyRow]:
        """The studies that the question is about, as they are served.

        Raises
        ------
        BadRequest : nothing is asked
        KeysMissing : an entry of the vault does not open
        """
        asked = question.check()
        if self._vault is None:
            return self._kept(self._project, asked.accession, asked.patient_id)
        uids = [entry.key for entry in self._store.entries(self._project, "study") if self._is_meant(entry, asked)]
        rows = [self._study(self._project, uid) for uid in uids]
        return [row for row in rows if row is not None]

    def _is_meant(self, entry: SealedEntry, asked: LookupQuestion) -> bool:
        assert self._vault is not None  # noqa: S101 (asked for above)
        value = self._vault.open(entry)
        person = value.get("person") or {}
        return asked.matches(
            _first(value["elements"], ACCESSION_NUMBER), _first(person, PATIENT_ID), _first(person, ISSUER)
        )


def _first(elements: dict[str, Any], tag: str) -> str:
    values = elements.get(tag, {}).get("Value") or [""]
    return str(values[0]).strip()
