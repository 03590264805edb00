"""Patients who are known under several identifiers: one person, one pseudonym, one shift of dates.

The mapping is identity, so it lies in the vault: an entry for each identifier that stands for another, found by a keyed
digest. A revision lies beside it, so that whoever remembers patients notices that the mapping has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from service.core.records import SealedEntry
from service.deident.pseudonyms import PatientIdentity

ALIAS, REVISION = "alias", "alias-revision"
REVISION_KEY = "newest"


class Opener(Protocol):
    """Opens entries; ``service.deident.vault.Vault`` is one."""

    def open(self, entry: SealedEntry) -> dict[str, Any]:
        """Return the value."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An identifier that stands for another one of the same person; ``of`` is what everything derives from."""

    member: PatientIdentity
    of: PatientIdentity

    def value(self) -> dict[str, Any]:
        """Return what is sealed."""
        return {
            "id": self.member.patient_id,
            "issuer": self.member.issuer,
            "id_of": self.of.patient_id,
            "issuer_of": self.of.issuer,
        }

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> Alias:
        """Return what was sealed."""
        member = PatientIdentity(value["id"], value["issuer"])
        return cls(member, PatientIdentity(value["id_of"], value["issuer_of"]))


class Persons:
    """Tells which identifiers are the same person's.

    Parameters
    ----------
    find : the vault's entry of a kind under a key
    all_of : every entry of a kind
    digest : a keyed digest of an identity, which names its entry
    """

    def __init__(
        self,
        opener: Opener,
        find: Callable[[str, str], SealedEntry | None],
        all_of: Callable[[str], list[SealedEntry]],
        digest: Callable[[PatientIdentity], bytes],
    ) -> None:
        self._opener = opener
        self._find = find
        self._all_of = all_of
        self._digest = digest
        self._revision: tuple[bytes, str] = (b"", "")
        self._known: tuple[str, dict[PatientIdentity, list[str]]] = ("", {})

    def revision(self) -> str:
        """Return what changes whenever the mapping does; empty while there is none."""
        entry = self._find(REVISION, REVISION_KEY)
        if entry is None:
            return ""
        if entry.sealed != self._revision[0]:
            self._revision = (entry.sealed, str(self._opener.open(entry)["revision"]))
        return self._revision[1]

    def identity_of(self, identity: PatientIdentity) -> PatientIdentity:
        """Return the identity that stands for a patient: their own, unless the mapping names another.

        Raises
        ------
        KeysMissing : the entry does not open
        """
        if not identity.patient_id or not self.revision():
            return identity
        entry = self._find(ALIAS, self.key(identity))
        return identity if entry is None else Alias.from_value(self._opener.open(entry)).of

    def identifiers_of(self, identity: PatientIdentity) -> list[str]:
        """Return every identifier of the person for whom an identity stands (``identity_of``)."""
        revision = self.revision()
        if not revision:
            return [identity.patient_id]
        if self._known[0] != revision:
            members: dict[PatientIdentity, list[str]] = {}
            for alias in self.aliases():
                members.setdefault(alias.of, [alias.of.patient_id]).append(alias.member.patient_id)
            self._known = (revision, members)
        alone = PatientIdentity(identity.patient_id, identity.issuer)
        return self._known[1].get(alone, [identity.patient_id])

    def aliases(self) -> list[Alias]:
        """Return the whole mapping.

        Raises
        ------
        KeysMissing : an entry does not open
        """
        return [Alias.from_value(self._opener.open(entry)) for entry in self._all_of(ALIAS)]

    def key(self, identity: PatientIdentity) -> str:
        """Return the key of an identity's entry."""
        return self._digest(PatientIdentity(identity.patient_id, identity.issuer)).hex()
