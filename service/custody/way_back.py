"""The way back: an object of the project as the hospital knows its patient, study and images."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from service.archive.vault_store import VaultStore
from service.core.records import ObjectKind
from service.deident.originals import elements_of_json
from service.deident.patient_study import TIME_ZONE
from service.deident.restoration import Restored, restored, uids_of
from service.deident.vault import Vault
from service.errors import InstanceNotFound
from service.objects.identity_attributes import patient_and_study_of

CHARACTER_SET = 0x00080005


class WayBack:
    """Opens the vault of one project for what may leave it.

    Parameters
    ----------
    vault, store : open and find its entries
    """

    def __init__(self, vault: Vault, store: VaultStore, project: str) -> None:
        self._vault = vault
        self._store = store
        self._project = project

    def original_study(self, study_uid: str) -> Dataset:
        """Return the patient and study attributes that came in with a study, as last received.

        They are those that a result made of the original images would have taken over, in UTF-8.

        Raises
        ------
        InstanceNotFound : nothing came in under this study
        KeysMissing : the entry does not open
        """
        entry = self._study(study_uid)
        # Studies that came in under version 0.1 have no attributes of the patient of their own.
        person = entry.get("person") or self._opened("patient", entry["patient"])["elements"]
        original = elements_of_json(person)
        original.update(elements_of_json(entry["elements"]))
        original.SpecificCharacterSet = "ISO_IR 192"
        return patient_and_study_of(original)

    def character_set(self, study_uid: str) -> tuple[str, ...]:
        """Return the Specific Character Set in which the study came in; empty where it named none."""
        values = self._study(study_uid)["elements"].get(f"{CHARACTER_SET:08X}", {}).get("Value", ())
        return tuple(str(value) for value in values)

    def restore(self, data_set: Dataset, kind: ObjectKind) -> Restored:
        """Return an object as it leaves: original UIDs, patient, study and dates, at every depth.

        Parameters
        ----------
        data_set : as it is served; not changed
        kind : a result takes over the time zone of its images, an annotation keeps its own

        Raises
        ------
        InstanceNotFound : nothing came in under its study
        KeysMissing : an entry does not open
        """
        study_uid = str(data_set.StudyInstanceUID)
        shared = self.original_study(study_uid)
        if kind is not ObjectKind.RESULT and TIME_ZONE in shared:
            del shared[TIME_ZONE]
        # Served dates follow the pseudonym that is served, also where the Patient ID was corrected since.
        patient = self._opened("patient", str(data_set.PatientID))
        uids = self._original_uids(data_set)
        shared.StudyInstanceUID = uids.get(study_uid, study_uid)
        return restored(data_set, shared, uids, int(patient["shift_days"]))

    def _original_uids(self, data_set: Dataset) -> dict[str, str]:
        found = self._store.get_all(self._project, "uid", sorted(uids_of(data_set)))
        return {new: str(self._vault.open(entry)["uid"]) for new, entry in found.items()}

    def _study(self, study_uid: str) -> dict[str, Any]:
        return self._opened("study", study_uid)

    def _opened(self, kind: str, key: str) -> dict[str, Any]:
        entry = self._store.get(self._project, kind, key)
        if entry is None:
            raise InstanceNotFound("nothing came in under this study: there is no way back")
        return self._vault.open(entry)
