"""Takes in which identifiers are the same person's: all of a file, or nothing of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from service.archive.database import Connection, Database
from service.archive.patients import PatientTable
from service.archive.vault_store import VaultStore
from service.deident.patient_mapping import MappingRow, persons_of
from service.deident.persons import ALIAS, REVISION, REVISION_KEY, Alias, Persons
from service.deident.pseudonyms import PatientIdentity, Pseudonyms
from service.deident.vault import Vault
from service.errors import ContentConflict

NAMED_STUDIES = 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: how many persons and identifiers it names, and how many identifiers were new."""

    persons: int
    identifiers: int
    changed: int


class PatientImport:
    """Changes the mapping of one project.

    Parameters
    ----------
    persons : the mapping as it stands
    pseudonyms : of the project
    token : makes a revision that was never used
    """

    def __init__(
        self,
        *,
        project: str,
        database: Database,
        store: VaultStore,
        patients: PatientTable,
        vault: Vault,
        persons: Persons,
        pseudonyms: Pseudonyms,
        token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._project = project
        self._database = database
        self._store = store
        self._patients = patients
        self._vault = vault
        self._persons = persons
        self._pseudonyms = pseudonyms
        self._token = token

    def run(self, rows: list[MappingRow]) -> Imported:
        """Take rows in, in one transaction; studies that are in already keep patient and dates.

        A person with studies under one pseudonym keeps it, whichever identifier the file puts first. Where two
        pseudonyms of one person have studies, nothing is changed: new dates beside the ones that were served would
        tell the difference of the shifts.

        Raises
        ------
        ContentConflict : names those studies by the UIDs under which they are served
        KeysMissing : an entry of the vault does not open
        """
        with self._database.write() as connection:
            before = {alias.member: alias.of for alias in self._persons.aliases()}
            pairs = [*before.items(), *((row.member, row.of) for row in rows)]
            touched = {identity for row in rows for identity in (row.member, row.of)}
            persons = [group for group in persons_of(pairs) if not touched.isdisjoint(group)]
            after: dict[PatientIdentity, PatientIdentity] = {}
            for group in persons:
                stands_for_all = self._choose(group, before, connection)
                after |= {identity: stands_for_all for identity in group if identity != stands_for_all}
            changed = self._write(before, after, {identity for group in persons for identity in group}, connection)
        return Imported(len(persons), sum(len(group) for group in persons), changed)

    def _choose(
        self, group: tuple[PatientIdentity, ...], before: dict[PatientIdentity, PatientIdentity], connection: Connection
    ) -> PatientIdentity:
        """Return the identity that a person's pseudonym and shift derive from."""
        in_force = {self._pseudonyms.pseudonym(of): of for of in (before.get(one, one) for one in group)}
        served = self._patients.study_uids(self._project, list(in_force), connection=connection)
        if len(served) > 1:
            uids = [uid for studies in served.values() for uid in studies]
            more = f" and {len(uids) - NAMED_STUDIES} more" if len(uids) > NAMED_STUDIES else ""
            raise ContentConflict(
                f"nothing was imported: the file joins patients who have studies under {len(served)} pseudonyms "
                f"already: {', '.join(uids[:NAMED_STUDIES])}{more}"
            )
        return in_force[next(iter(served))] if served else group[0]

    def _write(
        self,
        before: dict[PatientIdentity, PatientIdentity],
        after: dict[PatientIdentity, PatientIdentity],
        members: set[PatientIdentity],
        connection: Connection,
    ) -> int:
        new = [Alias(member, of) for member, of in after.items() if before.get(member) != of]
        gone = [identity for identity in members if identity in before and identity not in after]
        if not new and not gone:
            return 0
        entries = [self._vault.seal(ALIAS, self._persons.key(alias.member), alias.value()) for alias in new]
        entries.append(self._vault.seal(REVISION, REVISION_KEY, {"revision": self._token()}))
        self._store.forget(self._project, ALIAS, [self._persons.key(one) for one in gone], connection=connection)
        self._store.put_all(self._project, entries, connection=connection)
        return len(new) + len(gone)
