"""Whose a header is: the patient's identity, pseudonym, and own values to be found in texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from pydicom.dataset import Dataset

from service.deident.bounded_memory import remember
from service.deident.element_values import Encoding, decoded_text, raw_bytes
from service.deident.identity_terms import IDENTITY_TAGS, OTHER_IDS_SEQUENCE, PATIENT_ID, other_ids
from service.deident.own_values import OwnValues
from service.deident.persons import Persons
from service.deident.pseudonyms import PatientIdentity, Pseudonyms

ISSUER = 0x00100021
REMEMBERED_PATIENTS = 256


@dataclass(frozen=True, slots=True, eq=False)
class HeaderPatient:
    """The patient of all headers that say the same of them; compared by identity, since one is kept of each."""

    identity: PatientIdentity
    pseudonym: str
    own_values: OwnValues


class HeaderPatients:
    """Tells whose a header is; may be shared by threads.

    Parameters
    ----------
    pseudonyms : the project's
    persons : tells which identifiers are the same person's
    """

    def __init__(self, pseudonyms: Pseudonyms, persons: Persons | None) -> None:
        self._pseudonyms = pseudonyms
        self._persons = persons
        self._revision = ""
        self._learning = Lock()
        self._known: dict[tuple[bytes, ...], HeaderPatient] = {}

    def of(self, header: Dataset, encoding: Encoding, study_uid: str) -> HeaderPatient:
        """Return the patient of a header."""
        patients = self._known  # a change of the mapping puts a new one in its place
        key = _identity_key(header, encoding, study_uid)
        known = patients.get(key)
        if known is not None:
            return known
        patient_id, issuer = (_text_at(header, tag, encoding) for tag in (PATIENT_ID, ISSUER))
        identity = self.identity(PatientIdentity(patient_id, issuer, study_uid))
        pseudonym = self._pseudonyms.pseudonym(identity)
        further = [other for other in self.identifiers_of(identity) if other != patient_id]
        own_values = OwnValues.of(known_under(header, further), encoding)
        return remember(patients, key, HeaderPatient(identity, pseudonym, own_values), REMEMBERED_PATIENTS)

    def identity(self, identity: PatientIdentity) -> PatientIdentity:
        """Return the identity that stands for a patient."""
        return identity if self._persons is None else self._persons.identity_of(identity)

    def identifiers_of(self, identity: PatientIdentity) -> list[str]:
        """Return every identifier under which a patient is known."""
        if self._persons is None:
            return [identity.patient_id]
        return self._persons.identifiers_of(self._persons.identity_of(identity))

    def learn_persons(self) -> str:
        """Look whether somebody changed which identifiers are the same person's; the revision that holds from now on.

        What is asked afterwards follows it, or a later one.
        """
        if self._persons is None:
            return ""
        with self._learning:
            revision = self._persons.revision()
            if revision != self._revision:
                self._revision, self._known = revision, {}
        return revision


def known_under(header: Dataset, further: Sequence[str]) -> Dataset:
    """Return what a header says of the patient, with further identifiers among it; the header where there are none."""
    if not further:
        return header
    person = Dataset()
    for tag in IDENTITY_TAGS:
        element = header.get_item(tag, keep_deferred=True)
        if element is not None:
            person[tag] = element
    held = person.get("OtherPatientIDs") or []
    person.OtherPatientIDs = [*([held] if isinstance(held, str) else held), *further]
    return person


def _text_at(header: Dataset, tag: int, encoding: Encoding) -> str:
    element = header.get_item(tag, keep_deferred=True)
    return "" if element is None else decoded_text(element, encoding).strip()


def _identity_key(header: Dataset, encoding: Encoding, study_uid: str) -> tuple[bytes, ...]:
    """Return what two headers share when their patient's own values are the same."""
    parts = [study_uid.encode("ascii"), *(codec.encode("ascii") for codec in encoding.text)]
    # Plain numbers, which are found several times faster than tags; and none of them is converted.
    held = {int(tag): element for tag, element in header.items()}
    for tag in (ISSUER, *IDENTITY_TAGS):
        element = held.get(tag)
        if element is None:
            parts.append(b"")
        elif tag == OTHER_IDS_SEQUENCE:
            parts += [raw_bytes(value, encoding) for value in other_ids(header)]
        else:
            parts.append(raw_bytes(element, encoding))
    return tuple(parts)
