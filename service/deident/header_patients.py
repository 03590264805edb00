"""Whose a header is: the patient's identity, pseudonym, and own values to be found in texts."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from pydicom.dataset import Dataset

from service.deident.bounded_memory import remember
from service.deident.element_values import Encoding, decoded_text, raw_bytes
from service.deident.identity_sources import IdentitySources, Statement
from service.deident.identity_tags import ISSUER, PATIENT_ID
from service.deident.own_values import OwnValues
from service.deident.persons import Persons
from service.deident.pseudonyms import PatientIdentity, Pseudonyms

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
        self._sources = IdentitySources()
        self._known: dict[tuple[object, ...], HeaderPatient] = {}

    def of(self, header: Dataset, encoding: Encoding, study_uid: str) -> HeaderPatient:
        """Return the patient of a header.

        Raises
        ------
        IdentityNotRemovable : it names more than anybody is called
        """
        patients = self._known  # a change of the mapping puts a new one in its place
        said = self._sources.of(header, encoding)
        key = _identity_key(said, encoding, study_uid)
        known = patients.get(key)
        if known is not None:
            return known
        patient_id, issuer = (_text_at(header, tag, encoding) for tag in (PATIENT_ID, ISSUER))
        identity = self.identity(PatientIdentity(patient_id, issuer, study_uid))
        pseudonym = self._pseudonyms.pseudonym(identity)
        further = [other for other in self.identifiers_of(identity) if other != patient_id]
        own_values = OwnValues.of_statements(said, further)
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


def _text_at(header: Dataset, tag: int, encoding: Encoding) -> str:
    element = header.get_item(tag, keep_deferred=True)
    return "" if element is None else decoded_text(element, encoding).strip()


def _identity_key(said: list[Statement], encoding: Encoding, study_uid: str) -> tuple[object, ...]:
    """Return what two headers share when their patient's own values are the same."""
    parts: list[object] = [study_uid, encoding.text]
    for tag, element, inner in said:
        parts += tag, raw_bytes(element, inner), inner.text
    return tuple(parts)
