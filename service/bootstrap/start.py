"""What is done and refused before anything runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog

from service.bootstrap.cleaning import Cleaning
from service.bootstrap.ground import Ground
from service.bootstrap.identity import Identity
from service.bootstrap.stores import Stores
from service.deident.keys import KeyFile
from service.errors import KeysMissing, SettingsInvalid
from service.settings import ProjectSettings

log = structlog.get_logger("annogate")


class Start:
    """What a first start makes, and what every start checks."""

    def __init__(self, ground: Ground, stores: Stores, identity: Identity, cleaning: Cleaning) -> None:
        self._ground = ground
        self._directory = ground.directory
        self._stores = stores
        self._identity = identity
        self._cleaning = cleaning

    def prepare(self) -> None:
        """Make what a first start needs, and refuse what cannot work; safe when several processes do it at once.

        Raises
        ------
        SettingsInvalid : a profile, an annotator or an address cannot be used
        KeysMissing : the key file is gone or does not fit a project that has data
        """
        keys = self._directory.keys
        self._directory.create()
        with self._exclusively("prepare"):
            if not keys.exists():
                self._refuse_lost_keys()
                KeyFile.create(keys)
                log.warning("a key file was made: back it up apart from the data", path=str(keys))
        for name in self._ground.settings.projects:
            self._stores.project_table.register(name, self._ground.key_file.project_keys(name).fingerprint)
        self._refuse_older_keys()
        self._check_projects()

    def require_data(self) -> None:
        """Refuse to look into a data directory that no gateway has made.

        Raises
        ------
        SettingsInvalid : there is none
        """
        made = self._directory.keys if isinstance(self._ground.index, str) else self._directory.index
        if not made.exists():
            raise SettingsInvalid(f"storage.data_dir: no gateway has run on {self._directory.root}")

    def _refuse_lost_keys(self) -> None:
        table = self._stores.project_table
        held = [f"project {name}" for name in table.names() if table.has_data(name)]
        # What was acknowledged and not yet ingested, or is held, can be read with that file alone.
        sealed = {"the spool": self._directory.spool, "quarantine": self._directory.quarantine}
        held += [name for name, directory in sealed.items() if any(directory.iterdir())]
        if held:
            raise KeysMissing(
                f"the key file {self._directory.keys} is gone, and {', '.join(held)} holds data that were made with "
                "it: restore it from its backup"
            )

    def _refuse_older_keys(self) -> None:
        """Refuse a key file that is a copy from before the vault's key was last rotated."""
        key_file, vault_keys = self._ground.key_file, self._stores.vault_keys
        held, retired = set(key_file.vault_key_ids), vault_keys.retired()
        if vault_keys.key_ids() <= held and key_file.newest_vault_key.key_id not in retired:
            return
        raise KeysMissing(
            f"the key file {self._directory.keys} is older than the last rotation of the vault's key: entries were "
            "sealed with a key that it does not hold. Bring back a later copy"
        )

    def _check_projects(self) -> None:
        """Load what each project names, so that a mistake is told at start."""
        from service.annotators.registry import load_annotators

        faults = []
        for name, project in self._ground.settings.projects.items():
            for look in (
                partial(self._check_deidentification, name, project),
                partial(load_annotators, self._ground.config / "annotators", _annotators_of(project)),
            ):
                try:
                    look()
                except SettingsInvalid as error:
                    faults.append(f"projects.{name}: {error}")
        if faults:
            raise SettingsInvalid("\n".join(faults))

    def _check_deidentification(self, name: str, project: ProjectSettings) -> None:
        self._cleaning.pixel_step(self._identity.deidentifier(name, project))

    @contextmanager
    def _exclusively(self, name: str) -> Iterator[None]:
        descriptor = os.open(self._directory.run / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _annotators_of(project: ProjectSettings) -> tuple[str, ...]:
    """Those that a project runs, and those that its rules name."""
    return (*project.annotators, *(name for rule in project.rules for name in rule.annotators or ()))
