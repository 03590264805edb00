"""What takes identity out of objects, and what people do with the vault that it goes into."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property, partial

from service.archive.audit import AuditEvent
from service.archive.patients import PatientTable
from service.bootstrap.ground import Ground
from service.bootstrap.stores import Stores
from service.core.archived import StudyRow
from service.custody.crosswalk import Crosswalk
from service.custody.key_backup import KeyBackups
from service.custody.key_rotation import KeyRotation
from service.custody.patient_import import PatientImport
from service.custody.study_lookup import LookupQuestion, StudyLookup
from service.custody.way_back import WayBack
from service.deident.deidentifier import Deidentifier
from service.deident.persons import Persons
from service.deident.profile import load_profile
from service.deident.pseudonyms import Pseudonyms
from service.deident.text_cleaning.external_recogniser import ExternalNameRecogniser, recogniser_of
from service.deident.vault import Vault
from service.errors import SettingsInvalid
from service.settings import ProjectSettings

NO_DEIDENTIFICATION = "none"


class Identity:
    """Each project's de-identification, its vault, and the keys of both."""

    def __init__(self, ground: Ground, stores: Stores) -> None:
        self._ground = ground
        self._stores = stores

    @property
    def key_rotation(self) -> KeyRotation:
        """What changes the vault's encryption key."""
        directory = self._ground.directory
        return KeyRotation(directory.keys, self._stores.vault_keys, directory.run / "vault-rotation.lock")

    @property
    def key_backups(self) -> KeyBackups:
        """What copies the key file, and tells when there is no copy."""
        directory = self._ground.directory
        return KeyBackups(directory.keys, directory.root, self._stores.vault_keys)

    def notices(self) -> list[str]:
        """What somebody should do before it hurts."""
        return [words for words in (self.key_backups.notice(),) if words]

    @cached_property
    def name_recogniser(self) -> ExternalNameRecogniser | None:
        """The operator's program that finds names in texts; None where the settings name none."""
        text = self._ground.settings.text
        recogniser = recogniser_of(text.name_recogniser, text.name_recogniser_timeout_s)
        if recogniser is not None:
            self._ground.opened.callback(recogniser.close)
        return recogniser

    @cached_property
    def deidentifiers(self) -> dict[str, Deidentifier | None]:
        """One for each project; None where objects are kept as they come."""
        return {name: self.deidentifier(name, project) for name, project in self._ground.settings.projects.items()}

    def deidentifier(self, name: str, project: ProjectSettings) -> Deidentifier | None:
        """What de-identifies a project's objects, made anew; None where they are kept as they come."""
        if project.deidentify == NO_DEIDENTIFICATION:
            return None
        profile = load_profile(self._ground.config / "profiles", project.deidentify, recogniser=self.name_recogniser)
        keys = self._ground.key_file.project_keys(name)
        return Deidentifier(profile, keys, self.vault(name), self.persons(name))

    def vault(self, project: str) -> Vault:
        """What seals and opens a project's identity."""
        return Vault(self._ground.key_file, project)

    def persons(self, project: str) -> Persons:
        """Which identifiers are the same person's in a project."""
        store = self._stores.vault_store
        return Persons(
            self.vault(project),
            partial(store.get, project),
            lambda kind: list(store.entries(project, kind)),
            self._pseudonyms(project).digest,
        )

    def patient_import(self, project: str) -> PatientImport:
        """What changes that.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return PatientImport(
            project=project,
            database=self._stores.database,
            store=self._stores.vault_store,
            patients=PatientTable(self._stores.database),
            vault=self.vault(project),
            persons=self.persons(project),
            pseudonyms=self._pseudonyms(project),
        )

    def crosswalk(self, project: str) -> Crosswalk:
        """What tells the original identifiers of a project.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return Crosswalk(
            project=project,
            vault=self.vault(project),
            store=self._stores.vault_store,
            patients=PatientTable(self._stores.database),
            persons=self.persons(project),
            pseudonyms=self._pseudonyms(project),
        )

    def way_back(self, project: str) -> WayBack:
        """What gives results their patient, UIDs and dates back.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return WayBack(self.vault(project), self._stores.vault_store, project)

    def look_up(self, project: str, question: LookupQuestion, by: str) -> list[StudyRow]:
        """The studies that the hospital calls so; the audit trail has who asked and a digest of the question.

        Raises
        ------
        SettingsInvalid : there is no such project
        BadRequest : nothing is asked
        """
        projects = self._ground.settings.projects
        if project not in projects:
            raise SettingsInvalid(f"there is no project {project!r} (there are: {', '.join(projects)})")
        keeps = projects[project].deidentify == NO_DEIDENTIFICATION
        asked = question.check()
        digest = asked.digest(self._ground.key_file.project_keys(project).digest_key)
        lookup = StudyLookup(
            project,
            vault=None if keeps else self.vault(project),
            store=self._stores.vault_store,
            study=self._stores.instances.study,
            kept=PatientTable(self._stores.database).kept,
        )
        # Written down before anything is told.
        trash = self._stores.trash
        found = [row for row in lookup.find(asked) if not trash.holds_all(project, row.study_uid)]
        detail: dict[str, str | int] = {"question": digest, "found": len(found)}
        self._stores.audit.record(AuditEvent(by, "study.lookup", project=project, detail=detail))
        return found

    def original_uid(self, project: str, served_uid: str) -> str | None:
        """The UID that stands behind one as served; None where nothing came in under it."""
        if self._ground.settings.projects[project].deidentify == NO_DEIDENTIFICATION:
            return served_uid
        entry = self._stores.vault_store.get(project, "uid", served_uid)
        return None if entry is None else str(self.vault(project).open(entry)["uid"])

    def moved_now(self, study: StudyRow) -> datetime:
        """Now, moved like the patient's dates: a real date beside a moved one would give the shift away."""
        deidentifier = self.deidentifiers[study.project]
        days = 0 if deidentifier is None else deidentifier.shift_days_of_pseudonym(study.patient_id)
        return datetime.fromtimestamp(self._ground.clock()) - timedelta(days=days)  # DA and TM are local

    def refuse_without_vault(self, project: str) -> None:
        """Refuse a project whose objects are kept as they come: it has no pseudonyms.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        projects = self._ground.settings.projects
        if project not in projects:
            raise SettingsInvalid(f"there is no project {project!r} (there are: {', '.join(projects)})")
        if projects[project].deidentify == NO_DEIDENTIFICATION:
            raise SettingsInvalid(f"project {project} keeps its objects as they come: there is nothing to map")

    def _pseudonyms(self, project: str) -> Pseudonyms:
        return Pseudonyms.of(self._ground.key_file.project_keys(project))
