"""De-identification of one project: a header goes in, a clean one and the sealed way back come out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal, Protocol, TypeVar

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.records import SealedEntry
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.date_rule import DateRule
from service.deident.date_shift import shifted_date
from service.deident.element_values import Encoding, ascii_text, converted_text, decoded_text, raw_bytes, raw_element
from service.deident.fast_pass import FastPass
from service.deident.header_pass import HeaderPass, Replacements, encoding_of
from service.deident.identity_terms import IDENTITY_TAGS, OTHER_IDS_SEQUENCE, other_ids
from service.deident.keys import ProjectKeys
from service.deident.options import CLEAN_FACES, CLEAN_PIXEL_DATA, MODIFIED_DATES, RETAIN_UIDS
from service.deident.originals import CHARACTER_SET, elements_json
from service.deident.own_values import OwnValues
from service.deident.patient_study import STUDY_INSTANCE_UID, WAY_BACK_TAGS, is_patient_or_study_attribute
from service.deident.persons import Persons
from service.deident.profile import Profile
from service.deident.pseudonyms import PatientIdentity, Pseudonyms
from service.deident.rule_book import RuleBook
from service.deident.rules import Decision
from service.deident.series_memory import Outcome, SeriesMemory
from service.deident.stamps import BURNED_IN, METHOD_CODES, Stamps
from service.deident.uid_map import UidMap, is_uid
from service.errors import IdentityNotRemovable

SOP_CLASS_UID, SOP_INSTANCE_UID, SERIES_INSTANCE_UID = 0x00080016, 0x00080018, 0x0020000E
FRAME_OF_REFERENCE_UID = 0x00200052
PATIENT_NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021
DOCUMENT, DOCUMENT_LENGTH = 0x00420011, 0x00420015
REQUIRED_UIDS = {
    SOP_CLASS_UID: "SOP Class UID",
    SOP_INSTANCE_UID: "SOP Instance UID",
    STUDY_INSTANCE_UID: "Study Instance UID",
    SERIES_INSTANCE_UID: "Series Instance UID",
}
SHARED_LEVELS = {
    STUDY_INSTANCE_UID: "study",
    SERIES_INSTANCE_UID: "series",
    FRAME_OF_REFERENCE_UID: "frame of reference",
}
REMEMBERED_PATIENTS = 256
REMEMBERED_ENTRIES = 2048
REMEMBERED_SERIES = 16


Key = TypeVar("Key")
Value = TypeVar("Value")


class Sealer(Protocol):
    """Encrypts what must not lie open; ``service.deident.vault.Vault`` is one."""

    @property
    def sealing_key_id(self) -> str:
        """The name of the key that seals now."""

    def seal(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        """Return the encrypted entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A clean header and what became of the original.

    Parameters
    ----------
    sealed : vault rows: the patient, the study, and the old UID of each of study, series, instance, frame of reference
    decisions : one for each element, only when asked for
    patient_digest : tells two patients under one Study Instance UID apart
    encoded : the clean header as bytes, in the encoding in which it was read; None where it was not at hand. Whoever
        changes ``data_set`` must not use it
    """

    data_set: Dataset = field(repr=False)
    sealed: tuple[SealedEntry, ...]
    decisions: tuple[Decision, ...]
    elements_removed: int
    elements_replaced: int
    patient_digest: bytes = b""
    encoded: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Patient:
    identity: PatientIdentity
    pseudonym: str
    own_values: OwnValues


class Deidentifier:
    """Cleans the headers of one project; may be shared by threads.

    Parameters
    ----------
    profile : what happens to which element
    project_keys : behind UIDs, pseudonyms and dates
    sealer : seals the way back; without one there is none
    persons : tells which identifiers are the same person's
    """

    def __init__(
        self,
        profile: Profile,
        project_keys: ProjectKeys,
        sealer: Sealer | None = None,
        persons: Persons | None = None,
    ) -> None:
        self._persons = persons
        self._revision = ""
        self._learning = Lock()
        self._profile = profile
        self._book = RuleBook(profile)
        self._stamps = Stamps(profile)
        self._sealer = sealer
        self._uids = UidMap(project_keys.uid_key, kept=RETAIN_UIDS in profile.options)
        self._pseudonyms = Pseudonyms(project_keys.pseudonym_key, project_keys.date_key, project_keys.digest_key)
        self._token_key = hmac.digest(project_keys.pseudonym_key, b"tokens", hashlib.sha256)
        self._patients: dict[tuple[bytes, ...], _Patient] = {}
        self._sealed: dict[tuple[str, str], tuple[dict[str, Any], SealedEntry]] = {}
        self._fast = FastPass(profile, self._book)
        self._memories: dict[tuple[_Patient, str, Encoding], SeriesMemory] = {}

    @property
    def cleans_pixels(self) -> bool:
        """Whether the profile asks for text in pixels to be removed; who calls looks at them."""
        return CLEAN_PIXEL_DATA in self._profile.options

    @property
    def removes_faces(self) -> bool:
        """Whether the profile asks for faces to be removed; who calls does it, series by series."""
        return CLEAN_FACES in self._profile.options

    @property
    def harmless_comments(self) -> HarmlessComments:
        """What may stay of the comments in compressed frames; who writes the pixels takes the others out."""
        return self._profile.comments

    @property
    def profile_name(self) -> str:
        """The profile's name."""
        return self._profile.name

    @property
    def table_edition(self) -> str:
        """The edition of PS3.15 Table E.1-1 that it works by."""
        return self._profile.edition

    def map_uid(self, uid: str) -> str:
        """Return the UID that stands for one, whether its object was seen or not."""
        return self._uids.new_uid(uid)

    def pseudonym(self, patient_id: str, issuer: str = "") -> str:
        """Return the Patient ID that a patient has inside the project."""
        return self._pseudonyms.pseudonym(self._identity(PatientIdentity(patient_id, issuer)))

    def patient_digest(self, patient_id: str, issuer: str = "") -> bytes:
        """Return 32 bytes that are equal for the same patient."""
        return self._pseudonyms.digest(self._identity(PatientIdentity(patient_id, issuer)))

    def shift_days(self, patient_id: str, issuer: str = "") -> int:
        """Return by how many days the patient's dates are moved back; 0 where the profile does not move dates."""
        return self.shift_days_of_pseudonym(self.pseudonym(patient_id, issuer))

    def shift_days_of_pseudonym(self, pseudonym: str) -> int:
        """As ``shift_days``, for a Patient ID as it is served."""
        return self._pseudonyms.shift_days(pseudonym) if MODIFIED_DATES in self._profile.options else 0

    def clean(self, header: Dataset, explain: bool = False) -> Cleaned:
        """Return the clean copy of a header, and the sealed way back.

        Parameters
        ----------
        header : the data set, with or without its pixel data; not changed but for parsing
        explain : whether to list a decision for each element

        Raises
        ------
        InstanceUnreadable : no valid SOP Class, SOP Instance, Study or Series Instance UID
        IdentityNotRemovable : the profile forbids passing it on, or it cannot be cleaned
        """
        uids = _required_uids(header)
        encoding = encoding_of(header, Encoding())
        patient = self._patient(header, encoding, uids[STUDY_INSTANCE_UID])
        replacements = Replacements(
            patient.pseudonym,
            DateRule(self.shift_days_of_pseudonym(patient.pseudonym)),
            patient.own_values,
            self._uids.new_uid,
            self._token_key,
        )
        fast = None if explain else self._by_memory(header, encoding, patient, replacements, uids)
        if fast is not None:
            return fast
        cleaned, work = self._pass(header, encoding, replacements, uids[SOP_CLASS_UID], explain=explain)
        for element in _pseudonymous(patient.pseudonym, encoding):
            cleaned[element.tag] = element
        sealed = self._way_back(header, encoding, patient, uids) if self._sealer is not None else ()
        digest = self._pseudonyms.digest(patient.identity)
        return _result(cleaned, sealed, work, digest)

    def adopt_annotation(
        self,
        header: Dataset,
        study_attributes: Dataset,
        own_values: OwnValues | None = None,
        explain: bool = False,
        carried_dates: frozenset[str] = frozenset(),
    ) -> Cleaned:
        """Return the clean copy of an annotation made inside the project, on a study as it is served.

        Its UIDs stay. What it says about patient and study is overwritten with what the project says. All other
        rules apply. Dates from the study's real date on are moved by the patient's shift: they were stamped by the
        reader's tool, and a real date beside a moved one would give the shift away. Earlier ones, and those that
        objects of the study carry, were copied from the project and stay.

        Parameters
        ----------
        study_attributes : the patient and study attributes as served
        own_values : the patient's own values, ``OwnValues.of_vault_entry``, to be found in free text
        carried_dates : DA values that objects of the study carry as they are served

        Raises
        ------
        InstanceUnreadable, IdentityNotRemovable : as ``clean``
        """
        uids = _required_uids(header)
        encoding = encoding_of(header, Encoding())
        pseudonym = str(study_attributes.get("PatientID", ""))
        study_date = str(study_attributes.get("StudyDate", "") or "")
        replacements = Replacements(
            pseudonym or "REMOVED",
            _annotation_dates(self.shift_days_of_pseudonym(pseudonym), study_date, carried_dates),
            own_values or OwnValues((), ()),
            _same_uid,
            self._token_key,
        )
        cleaned, work = self._pass(header, encoding, replacements, uids[SOP_CLASS_UID], explain=explain)
        for tag in [tag for tag in cleaned.keys() if is_patient_or_study_attribute(tag)]:  # noqa: SIM118
            del cleaned[tag]
        for element in study_attributes:
            if is_patient_or_study_attribute(element.tag) and _fits(element, encoding):
                cleaned[element.tag] = deepcopy(element)
        return _result(cleaned, (), work, b"")

    def with_clean_pixels(
        self, cleaned: Cleaned, *, pixels_cleaned: bool = True, faces_removed: bool = False
    ) -> Cleaned:
        """Return a clean header that says what was done to its pixels.

        Parameters
        ----------
        pixels_cleaned : they were looked at, and no text is left in them
        faces_removed : no face is left in them
        """
        stamped = cleaned.data_set
        encoding = encoding_of(stamped, Encoding())
        self._stamps.put(stamped, stamped, encoding, pixels_cleaned=pixels_cleaned, faces_removed=faces_removed)
        return replace(cleaned, encoded=None)

    def _pass(
        self, header: Dataset, encoding: Encoding, replacements: Replacements, sop_class_uid: str, *, explain: bool
    ) -> tuple[Dataset, HeaderPass]:
        work = HeaderPass(self._profile, self._book, sop_class_uid, replacements, explain=explain)
        try:
            cleaned = work.run(header)
        except GatewayError:
            raise
        except RecursionError as error:
            raise IdentityNotRemovable("sequences are nested too deep to be cleaned") from error
        if work.document_replaced:
            length = len(raw_bytes(cleaned.get_item(DOCUMENT), encoding)).to_bytes(4, _order(encoding))
            cleaned[DOCUMENT_LENGTH] = raw_element(DOCUMENT_LENGTH, "UL", length, encoding)
            cleaned[BURNED_IN] = raw_element(BURNED_IN, "CS", b"NO", encoding)
        else:
            self._refuse_burned_in(header)
        self._stamps.put(header, cleaned, encoding)
        return cleaned, work

    def _refuse_burned_in(self, header: Dataset) -> None:
        if self._profile.settings["burned_in_annotation"] == "refuse" and _ascii_at(header, BURNED_IN) == "YES":
            raise IdentityNotRemovable("Burned In Annotation (0028,0301) is YES: text in pixels cannot be removed")

    def _by_memory(
        self, header: Dataset, encoding: Encoding, patient: _Patient, replacements: Replacements, uids: dict[int, str]
    ) -> Cleaned | None:
        """Clean a header by what became of others of its series; None where it has to be cleaned as a whole."""
        memory = self._memory(patient, uids[SOP_CLASS_UID], encoding)
        try:
            result = self._fast.run(header, encoding, uids[SOP_CLASS_UID], replacements, memory)
        except RecursionError:
            return None
        if result is None:
            return None
        self._refuse_burned_in(header)
        result.outcomes.update(self._finish(header, encoding, patient, memory))
        return Cleaned(
            result.data_set(header, encoding),
            self._way_back_by_memory(header, encoding, patient, uids, memory, result.originals),
            (),
            result.removed,
            result.replaced,
            self._pseudonyms.digest(patient.identity),
            result.encoded(),
        )

    def _memory(self, patient: _Patient, sop_class_uid: str, encoding: Encoding) -> SeriesMemory:
        key = (patient, sop_class_uid, encoding)
        memory = self._memories.get(key)
        if memory is None:
            while len(self._memories) >= REMEMBERED_SERIES:
                self._memories.pop(next(iter(self._memories)), None)
            memory = self._memories[key] = SeriesMemory()
        return memory

    def _finish(
        self, header: Dataset, encoding: Encoding, patient: _Patient, memory: SeriesMemory
    ) -> dict[int, Outcome]:
        """Return pseudonyms and stamps, which are the same in all headers of a series that carried the same codes."""
        codes = header.get_item(METHOD_CODES, keep_deferred=True)
        key = ("finish", codes.value if isinstance(codes, RawDataElement) else None)
        finish: dict[int, Outcome] | None = memory.notes.get(key)
        if finish is None:
            stamped = Dataset()
            self._stamps.put(header, stamped, encoding)
            elements = [*_pseudonymous(patient.pseudonym, encoding), *(element for _, element in stamped.items())]
            raw = [element for element in elements if isinstance(element, RawDataElement)]
            finish = {int(element.tag): self._fast.as_it_is(element) for element in raw}
            if codes is None or isinstance(codes, RawDataElement):
                memory.note(key, finish)
        return finish

    def _patient(self, header: Dataset, encoding: Encoding, study_uid: str) -> _Patient:
        patients = self._patients  # a change of the mapping puts a new one in its place
        key = _identity_key(header, encoding, study_uid)
        known = patients.get(key)
        if known is not None:
            return known
        patient_id, issuer = (_text_at(header, tag, encoding) for tag in (PATIENT_ID, ISSUER))
        identity = self._identity(PatientIdentity(patient_id, issuer, study_uid))
        pseudonym = self._pseudonyms.pseudonym(identity)
        further = [other for other in self.identifiers_of(identity) if other != patient_id]
        own_values = OwnValues.of(known_under(header, further), encoding)
        return _remember(patients, key, _Patient(identity, pseudonym, own_values), REMEMBERED_PATIENTS)

    def identifiers_of(self, identity: PatientIdentity) -> list[str]:
        """Return every identifier under which a patient is known."""
        if self._persons is None:
            return [identity.patient_id]
        return self._persons.identifiers_of(self._persons.identity_of(identity))

    def _identity(self, identity: PatientIdentity) -> PatientIdentity:
        return identity if self._persons is None else self._persons.identity_of(identity)

    def learn_persons(self) -> str:
        """Look whether somebody changed which identifiers are the same person's; the revision that holds from now on.

        What is cleaned afterwards follows it, or a later one.
        """
        if self._persons is None:
            return ""
        with self._learning:
            revision = self._persons.revision()
            if revision != self._revision:
                self._revision, self._patients = revision, {}
        return revision

    def _way_back_by_memory(
        self,
        header: Dataset,
        encoding: Encoding,
        patient: _Patient,
        uids: dict[int, str],
        memory: SeriesMemory,
        originals: tuple[object, ...] | None,
    ) -> tuple[SealedEntry, ...]:
        """Seal the way back; what the header shares with others of its series is looked up."""
        if self._sealer is None:
            return ()
        key = (self._sealer.sealing_key_id, originals)
        shared: tuple[SealedEntry, ...] | None = memory.notes.get(key)
        if shared is None:
            shared = self._shared_way_back(header, encoding, patient, uids)
            if originals is not None:
                memory.note(key, shared)
        return (*shared, self._instance_entry(uids))

    def _way_back(
        self, header: Dataset, encoding: Encoding, patient: _Patient, uids: dict[int, str]
    ) -> tuple[SealedEntry, ...]:
        return (*self._shared_way_back(header, encoding, patient, uids), self._instance_entry(uids))

    def _instance_entry(self, uids: dict[int, str]) -> SealedEntry:
        # An instance comes once; remembering it would push out what comes again with each.
        old = uids[SOP_INSTANCE_UID]
        return self._sealed_anew("uid", self._uids.new_uid(old), {"uid": old, "level": "instance"})

    def _shared_way_back(
        self, header: Dataset, encoding: Encoding, patient: _Patient, uids: dict[int, str]
    ) -> tuple[SealedEntry, ...]:
        tags = [int(tag) for tag in header.keys()]  # noqa: SIM118
        charset = [tag for tag in tags if tag == CHARACTER_SET]
        person = [tag for tag in tags if tag >> 16 == 0x0010]
        study = [tag for tag in tags if tag in WAY_BACK_TAGS]
        frame = _ascii_at(header, FRAME_OF_REFERENCE_UID)
        old = uids | ({FRAME_OF_REFERENCE_UID: frame} if frame else {})
        person_elements = elements_json(header, charset + person, encoding)
        patient_value = {
            "elements": person_elements,
            "shift_days": self.shift_days_of_pseudonym(patient.pseudonym),
        }
        study_value = {
            "elements": elements_json(header, charset + study, encoding),
            # Again, since a patient has another age and, known under several, another ID in each study.
            "person": person_elements,
            "patient": patient.pseudonym,
        }
        entries = [
            self._seal("patient", patient.pseudonym, patient_value),
            self._seal("study", self._uids.new_uid(uids[STUDY_INSTANCE_UID]), study_value),
        ]
        for tag, level in SHARED_LEVELS.items():
            if tag in old:
                entries.append(self._seal("uid", self._uids.new_uid(old[tag]), {"uid": old[tag], "level": level}))
        return tuple(entries)

    def _seal(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        """Seal a value, or return the entry that was made of the same value before."""
        known = self._sealed.get((kind, key))
        if known is not None and known[0] == value and self._sealer and known[1].key_id == self._sealer.sealing_key_id:
            return known[1]
        entry = self._sealed_anew(kind, key, value)
        return _remember(self._sealed, (kind, key), (value, entry), REMEMBERED_ENTRIES)[1]

    def _sealed_anew(self, kind: str, key: str, value: dict[str, Any]) -> SealedEntry:
        if self._sealer is None:
            raise TypeError("no sealer")
        return self._sealer.seal(kind, key, value)


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


def _remember(memory: dict[Key, Value], key: Key, value: Value, limit: int) -> Value:
    if len(memory) >= limit:
        memory.clear()
    memory[key] = value
    return value


def _result(data_set: Dataset, sealed: tuple[SealedEntry, ...], work: HeaderPass, digest: bytes) -> Cleaned:
    return Cleaned(data_set, sealed, tuple(work.decisions or ()), work.removed, work.replaced, digest)


def _pseudonymous(pseudonym: str, encoding: Encoding) -> list[RawDataElement]:
    """Return Patient's Name and Patient ID as they are served."""
    value = pseudonym.encode("ascii")
    return [raw_element(tag, vr, value, encoding) for tag, vr in ((PATIENT_NAME, "PN"), (PATIENT_ID, "LO"))]


def _same_uid(uid: str) -> str:
    return uid


def _annotation_dates(days: int, study_date: str, carried: frozenset[str]) -> DateRule:
    """Return the rule for dates of an object made inside the project: real from the real study date on."""
    if not days:
        return DateRule(0)
    # One day earlier: the tool's clock may stand in another zone than the scanner's.
    real_from = shifted_date(study_date, -(days - 1)) if study_date else None
    return DateRule(days, real_from or "", carried)


def _order(encoding: Encoding) -> Literal["little", "big"]:
    return "little" if encoding.little_endian else "big"


def _ascii_at(header: Dataset, tag: int) -> str:
    element = header.get_item(tag, keep_deferred=True)
    return "" if element is None else ascii_text(element)


def _text_at(header: Dataset, tag: int, encoding: Encoding) -> str:
    element = header.get_item(tag, keep_deferred=True)
    return "" if element is None else decoded_text(element, encoding).strip()


def _fits(element: DataElement, encoding: Encoding) -> bool:
    """Whether an element's text can be written in the character set in force."""
    if element.VR == "SQ":
        return True
    try:
        converted_text(element.value).encode(encoding.text[0])
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _required_uids(header: Dataset) -> dict[int, str]:
    """Return the UIDs that an object must have (PS3.3 C.12.1, C.7.2.1, C.7.3.1)."""
    uids = {}
    for tag, keyword in REQUIRED_UIDS.items():
        uid = _ascii_at(header, tag)
        if not uid:
            raise InstanceUnreadable(f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) is missing")
        if not is_uid(uid):
            raise InstanceUnreadable(f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) is not a UID")
        uids[tag] = uid
    return uids


def _identity_key(header: Dataset, encoding: Encoding, study_uid: str) -> tuple[bytes, ...]:
    """Return what two headers share when their patient's own values are the same."""
    parts = [study_uid.encode("ascii"), *(codec.encode("ascii") for codec in encoding.text)]
    for tag in (ISSUER, *IDENTITY_TAGS):
        element = header.get_item(tag, keep_deferred=True)
        if element is None:
            parts.append(b"")
        elif tag == OTHER_IDS_SEQUENCE:
            parts += [raw_bytes(value, encoding) for value in other_ids(header)]
        else:
            parts.append(raw_bytes(element, encoding))
    return tuple(parts)
