"""The sealed way back of a header: its patient, its study, and the old UID of whatever got a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pydicom.dataset import Dataset

from service.core.records import SealedEntry
from service.deident.bounded_memory import remember
from service.deident.element_values import Encoding, ascii_at
from service.deident.known_kinds import KnownKinds
from service.deident.originals import CHARACTER_SET, elements_json
from service.deident.patient_study import STUDY_INSTANCE_UID, WAY_BACK_TAGS, is_patient_attribute
from service.deident.required_uids import SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID
from service.deident.series_memory import SeriesMemory

FRAME_OF_REFERENCE_UID = 0x00200052
SHARED_LEVELS = {
    STUDY_INSTANCE_UID: "study",
    SERIES_INSTANCE_UID: "series",
    FRAME_OF_REFERENCE_UID: "frame of reference",
}
REMEMBERED_ENTRIES = 2048


class Sealer(Protocol):
    """Encrypts what must not lie open; ``service.deident.vault.Vault`` is one."""

    @property
    def sealing_key_id(self) -> str:
        """The name of the key that seals now."""

    def seal(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        """Return the encrypted entry."""


class WayBackSeals:
    """Seals the way back of headers; what they share is sealed once. May be shared by threads.

    Parameters
    ----------
    new_uid : the UID that stands for one inside the project
    shift_days : by how many days the dates of the patient behind a pseudonym are moved back
    kinds : SOP classes that keep their UID whatever stands in it
    """

    def __init__(
        self, sealer: Sealer, new_uid: Callable[[str], str], shift_days: Callable[[str], int], kinds: KnownKinds
    ) -> None:
        self._sealer = sealer
        self._new_uid = new_uid
        self._shift_days = shift_days
        self._kinds = kinds
        self._sealed: dict[tuple[str, str], tuple[dict[str, Any], SealedEntry]] = {}

    def of(self, header: Dataset, encoding: Encoding, pseudonym: str, uids: dict[int, str]) -> tuple[SealedEntry, ...]:
        """Seal the way back of a header.

        Parameters
        ----------
        uids : what ``required_uids`` found in it
        """
        return (*self._shared(header, encoding, pseudonym, uids), self._instance_entry(uids))

    def of_series(
        self,
        header: Dataset,
        encoding: Encoding,
        pseudonym: str,
        uids: dict[int, str],
        memory: SeriesMemory,
        originals: tuple[object, ...] | None,
    ) -> tuple[SealedEntry, ...]:
        """As ``of``; what the header shares with others of its series is looked up.

        Parameters
        ----------
        memory : of the header's series
        originals : equal for headers whose shared way back is the same; None where that is not known
        """
        key = (self._sealer.sealing_key_id, originals)
        shared: tuple[SealedEntry, ...] | None = memory.notes.get(key)
        if shared is None:
            shared = self._shared(header, encoding, pseudonym, uids)
            if originals is not None:
                memory.note(key, shared)
        return (*shared, self._instance_entry(uids))

    def _instance_entry(self, uids: dict[int, str]) -> SealedEntry:
        # An instance comes once; remembering it would push out what comes again with each.
        old = uids[SOP_INSTANCE_UID]
        return self._sealer.seal("uid", self._new_uid(old), {"uid": old, "level": "instance"})

    def _shared(
        self, header: Dataset, encoding: Encoding, pseudonym: str, uids: dict[int, str]
    ) -> tuple[SealedEntry, ...]:
        tags = [int(tag) for tag in header.keys()]  # noqa: SIM118
        charset = [tag for tag in tags if tag == CHARACTER_SET]
        person = [tag for tag in tags if is_patient_attribute(tag)]
        study = [tag for tag in tags if tag in WAY_BACK_TAGS]
        frame = ascii_at(header, FRAME_OF_REFERENCE_UID)
        old = uids | ({FRAME_OF_REFERENCE_UID: frame} if frame else {})
        person_elements = elements_json(header, charset + person, encoding)
        patient_value = {"elements": person_elements, "shift_days": self._shift_days(pseudonym)}
        study_value = {
            "elements": elements_json(header, charset + study, encoding),
            # Again, since a patient has another age and, known under several, another ID in each study.
            "person": person_elements,
            "patient": pseudonym,
        }
        entries = [
            self._seal("patient", pseudonym, patient_value),
            self._seal("study", self._new_uid(uids[STUDY_INSTANCE_UID]), study_value),
        ]
        for tag, level in SHARED_LEVELS.items():
            if tag in old:
                entries.append(self._seal("uid", self._new_uid(old[tag]), {"uid": old[tag], "level": level}))
        sop_class = uids[SOP_CLASS_UID]
        if not self._kinds.holds(sop_class):
            entries.append(self._seal("uid", self._new_uid(sop_class), {"uid": sop_class, "level": "class"}))
        return tuple(entries)

    def _seal(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        """Seal a value, or return the entry that was made of the same value before."""
        known = self._sealed.get((kind, key))
        if known is not None and known[0] == value and known[1].key_id == self._sealer.sealing_key_id:
            return known[1]
        entry = self._sealer.seal(kind, key, value)
        return remember(self._sealed, (kind, key), (value, entry), REMEMBERED_ENTRIES)[1]
