"""Which original identifier stands behind which of the project's: what the vault tells to whoever has the right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.archive.patients import PatientTable
from service.archive.vault_store import VaultStore
from service.deident.persons import Persons
from service.deident.pseudonyms import Pseudonyms
from service.deident.vault import Vault


class CrosswalkLevel(StrEnum):
    """Whose identifiers."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True, order=True)
class CrosswalkRow:
    """One identifier as the project serves it, and as it came; ``issuer`` is that of a Patient ID."""

    new: str
    old: str = field(repr=False)
    issuer: str = field(default="", repr=False)


class Crosswalk:
    """Reads the vault of one project.

    Parameters
    ----------
    vault, store : open and find its entries
    patients : tells under which Patient ID each study is served
    persons, pseudonyms : which further identifiers a patient has, and what they become
    """

    def __init__(
        self,
        *,
        project: str,
        vault: Vault,
        store: VaultStore,
        patients: PatientTable,
        persons: Persons,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._project = project
        self._vault = vault
        self._store = store
        self._patients = patients
        self._persons = persons
        self._pseudonyms = pseudonyms

    def rows(self, level: CrosswalkLevel, after: str = "") -> Iterator[CrosswalkRow]:
        """Yield the rows of a level in the order of the new identifiers, those after a new identifier.

        Raises
        ------
        KeysMissing : an entry does not open
        """
        if level is not CrosswalkLevel.PATIENT:
            return self._uids(level, after)
        return iter([row for row in sorted(self._patient_rows()) if row.new > after])

    def _uids(self, level: CrosswalkLevel, after: str) -> Iterator[CrosswalkRow]:
        for entry in self._store.entries(self._project, "uid", after=after):
            value = self._vault.open(entry)
            if value["level"] == level:
                yield CrosswalkRow(entry.key, str(value["uid"]))

    def _patient_rows(self) -> set[CrosswalkRow]:
        """Every identifier that came with a study or its patient, or that somebody said is the same person's."""
        rows: set[CrosswalkRow] = set()
        served = self._patients.served(self._project)
        for kind, names in (("study", served), ("patient", {name: name for name in served.values()})):
            for entry in self._store.entries(self._project, kind):
                if entry.key in names:
                    value = self._vault.open(entry)
                    person = value.get("person", {}) if kind == "study" else value["elements"]
                    rows |= _row(names[entry.key], person)
        for alias in self._persons.aliases():
            new = self._pseudonyms.pseudonym(alias.of)
            rows |= {CrosswalkRow(new, one.patient_id, one.issuer) for one in (alias.member, alias.of)}
        return rows


def _row(new: str, person: dict[str, Any]) -> set[CrosswalkRow]:
    patient_id, issuer = (str((person.get(tag, {}).get("Value") or [""])[0]) for tag in ("00100020", "00100021"))
    return {CrosswalkRow(new, patient_id, issuer)} if patient_id else set()
