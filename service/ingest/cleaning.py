"""The de-identifying project's side of ingest: a deidentifier with the vault that knows its patients."""

from __future__ import annotations

import json

from pydicom.dataset import Dataset

from service.archive.study_dates import StudyDates
from service.archive.vault_store import VaultStore
from service.core.archived import StudyRow
from service.deident.deidentifier import Cleaned, Deidentifier
from service.deident.own_values import OwnValues
from service.deident.vault import Vault


class ProjectCleaner:
    """Takes the patient out of what comes into one project.

    Parameters
    ----------
    vault, store : open and find the entry of a patient, whose own values are looked for in what readers type
    dates : tells which dates a study carries, so that a copy of one in an annotation is not moved again
    """

    def __init__(
        self, deidentifier: Deidentifier, vault: Vault, store: VaultStore, project: str, dates: StudyDates
    ) -> None:
        self._deidentifier = deidentifier
        self._vault = vault
        self._store = store
        self._project = project
        self._dates = dates

    def clean(self, header: Dataset, *, pixels_cleaned: bool = False) -> Cleaned:
        """Clean an object that came from outside.

        Parameters
        ----------
        pixels_cleaned : somebody looked at its pixels, and no text is left in them

        Raises
        ------
        IdentityNotRemovable : a rule of the profile forbids passing it on
        """
        cleaned = self._deidentifier.clean(header)
        return self._deidentifier.with_clean_pixels(cleaned) if pixels_cleaned else cleaned

    def adopt(self, header: Dataset, study: StudyRow, *, pixels_cleaned: bool = False) -> Cleaned:
        """Clean an annotation that was made on a study as it is served; its UIDs stay.

        Parameters
        ----------
        pixels_cleaned : as ``clean``

        Raises
        ------
        IdentityNotRemovable : a rule of the profile forbids passing it on
        KeysMissing : the patient's vault entry does not open
        """
        entry = self._store.get(self._project, "patient", study.patient_id)
        own_values = None if entry is None else OwnValues.of_vault_entry(self._vault.open(entry))
        attributes = Dataset.from_json(json.loads(study.attributes))
        dates = self._dates.of(study)
        cleaned = self._deidentifier.adopt_annotation(header, attributes, own_values, carried_dates=dates)
        return self._deidentifier.with_clean_pixels(cleaned) if pixels_cleaned else cleaned
