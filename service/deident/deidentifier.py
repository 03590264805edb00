"""De-identification of one project: a header goes in, a clean one and the sealed way back come out."""

from __future__ import annotations

import hashlib
import hmac
from copy import deepcopy
from dataclasses import replace
from typing import Literal

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.records import SealedEntry
from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.cleaned import Cleaned
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.date_rule import DateRule, annotation_dates
from service.deident.descriptors import DescriptorCleaning
from service.deident.element_values import Encoding, ascii_at, decoded_text, fits, raw_bytes, raw_element
from service.deident.fast_pass import FastPass
from service.deident.header_pass import HeaderPass, Replacements, encoding_of
from service.deident.header_patients import HeaderPatient, HeaderPatients
from service.deident.identity_sources import IdentitySources, Statement
from service.deident.identity_tags import DATE_TAGS, PATIENT_ID
from service.deident.keys import ProjectKeys
from service.deident.options import CLEAN_FACES, CLEAN_PIXEL_DATA, MODIFIED_DATES, RETAIN_UIDS
from service.deident.own_values import OwnValues
from service.deident.patient_study import STUDY_INSTANCE_UID, is_patient_or_study_attribute
from service.deident.persons import Persons
from service.deident.pixel_look import PixelLook
from service.deident.profile import Profile
from service.deident.pseudonyms import PatientIdentity, Pseudonyms
from service.deident.required_uids import SOP_CLASS_UID, required_uids
from service.deident.rule_book import RuleBook
from service.deident.series_memory import Outcome, SeriesMemories, SeriesMemory
from service.deident.stamps import BURNED_IN, METHOD_CODES, Stamps
from service.deident.uid_map import UidMap
from service.deident.way_back_seals import Sealer, WayBackSeals
from service.errors import IdentityNotRemovable

PATIENT_NAME = 0x00100010
DOCUMENT, DOCUMENT_LENGTH = 0x00420011, 0x00420015


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
        self._profile = profile
        self._book = RuleBook(profile)
        self._stamps = Stamps(profile)
        self._uids = UidMap(project_keys.uid_key, kept=RETAIN_UIDS in profile.options)
        self._pseudonyms = Pseudonyms(project_keys.pseudonym_key, project_keys.date_key, project_keys.digest_key)
        self._token_key = hmac.digest(project_keys.pseudonym_key, b"tokens", hashlib.sha256)
        self._patients = HeaderPatients(self._pseudonyms, persons)
        self._seals = (
            WayBackSeals(sealer, self._uids.new_uid, self.shift_days_of_pseudonym, profile.kinds)
            if sealer is not None
            else None
        )
        self._fast = FastPass(profile, self._book)
        self._memories = SeriesMemories()

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
    def texts(self) -> DescriptorCleaning | None:
        """What cleans texts; None where the profile drops them."""
        return self._profile.texts

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
        return self._pseudonyms.pseudonym(self._patients.identity(PatientIdentity(patient_id, issuer)))

    def patient_digest(self, patient_id: str, issuer: str = "") -> bytes:
        """Return 32 bytes that are equal for the same patient."""
        return self._pseudonyms.digest(self._patients.identity(PatientIdentity(patient_id, issuer)))

    def shift_days(self, patient_id: str, issuer: str = "") -> int:
        """Return by how many days the patient's dates are moved back; 0 where the profile does not move dates."""
        return self.shift_days_of_pseudonym(self.pseudonym(patient_id, issuer))

    def shift_days_of_pseudonym(self, pseudonym: str) -> int:
        """As ``shift_days``, for a Patient ID as it is served."""
        return self._pseudonyms.shift_days(pseudonym) if MODIFIED_DATES in self._profile.options else 0

    def identifiers_of(self, identity: PatientIdentity) -> list[str]:
        """Return every identifier under which a patient is known."""
        return self._patients.identifiers_of(identity)

    def learn_persons(self) -> str:
        """Look whether somebody changed which identifiers are the same person's; the revision that holds from now on.

        What is cleaned afterwards follows it, or a later one.
        """
        return self._patients.learn_persons()

    def clean(self, header: Dataset, explain: bool = False, aside: SetAside = NOTHING_ASIDE) -> Cleaned:
        """Return the clean copy of a header, and the sealed way back.

        Parameters
        ----------
        header : the data set, with or without its pixel data; not changed but for parsing
        explain : whether to list a decision for each element
        aside : what stands for long values in the header

        Raises
        ------
        InstanceUnreadable : no valid SOP Class, SOP Instance, Study or Series Instance UID
        IdentityNotRemovable : the profile forbids passing it on, or it cannot be cleaned
        """
        uids = required_uids(header)
        encoding = encoding_of(header, Encoding())
        patient = self._patients.of(header, encoding, uids[STUDY_INSTANCE_UID])
        replacements = Replacements(
            patient.pseudonym,
            DateRule(self.shift_days_of_pseudonym(patient.pseudonym)),
            patient.own_values,
            self._uids.new_uid,
            self._token_key,
            aside,
        )
        fast = None if explain or aside else self._by_memory(header, encoding, patient, replacements, uids)
        if fast is not None:
            return fast
        cleaned, work = self._pass(header, encoding, replacements, uids[SOP_CLASS_UID], explain=explain)
        for element in _pseudonymous(patient.pseudonym, encoding):
            cleaned[element.tag] = element
        seals = self._seals
        sealed = seals.of(header, encoding, patient.pseudonym, uids) if seals is not None else ()
        digest = self._pseudonyms.digest(patient.identity)
        return _result(cleaned, sealed, work, digest)

    def adopt_annotation(
        self,
        header: Dataset,
        study_attributes: Dataset,
        own_values: OwnValues | None = None,
        explain: bool = False,
        carried_dates: frozenset[str] = frozenset(),
        aside: SetAside = NOTHING_ASIDE,
    ) -> Cleaned:
        """Return the clean copy of an annotation made inside the project, on a study as it is served.

        Its UIDs stay. What it says about patient and study is overwritten with what the project says. All other
        rules apply. Dates from the study's real date on are moved by the patient's shift: they were stamped by the
        reader's tool, and a real date beside a moved one would give the shift away. Earlier ones, and those that
        objects of the study carry, were copied from the project and stay.

        Parameters
        ----------
        study_attributes : the patient and study attributes as served
        own_values : the patient's own values, ``OwnValues.of_vault_entry``, to be found in texts beside the names and
            identifiers that the annotation itself carries
        carried_dates : DA values that objects of the study carry as they are served
        aside : what stands for long values in the header

        Raises
        ------
        InstanceUnreadable, IdentityNotRemovable : as ``clean``
        """
        uids = required_uids(header)
        encoding = encoding_of(header, Encoding())
        pseudonym = str(study_attributes.get("PatientID", ""))
        study_date = str(study_attributes.get("StudyDate", "") or "")
        replacements = Replacements(
            pseudonym or "REMOVED",
            annotation_dates(self.shift_days_of_pseudonym(pseudonym), study_date, carried_dates),
            (own_values or OwnValues((), ())).and_of(_typed_into(header, encoding, pseudonym)),
            _same_uid,
            self._token_key,
            aside,
        )
        cleaned, work = self._pass(header, encoding, replacements, uids[SOP_CLASS_UID], explain=explain)
        for tag in [tag for tag in cleaned.keys() if is_patient_or_study_attribute(tag)]:  # noqa: SIM118
            del cleaned[tag]
        for element in study_attributes:
            if is_patient_or_study_attribute(element.tag) and fits(element, encoding):
                cleaned[element.tag] = deepcopy(element)
        return _result(cleaned, (), work, b"")

    def with_clean_pixels(
        self, cleaned: Cleaned, *, look: PixelLook = PixelLook.NONE, faces_removed: bool = False
    ) -> Cleaned:
        """Return a clean header that says what was done to its pixels.

        Parameters
        ----------
        look : who looked at them; no text is left
        faces_removed : no face is left in them
        """
        stamped = cleaned.data_set
        encoding = encoding_of(stamped, Encoding())
        self._stamps.put(stamped, stamped, encoding, look=look, faces_removed=faces_removed)
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
        if self._profile.settings["burned_in_annotation"] == "refuse" and ascii_at(header, BURNED_IN) == "YES":
            raise IdentityNotRemovable("Burned In Annotation (0028,0301) is YES: text in pixels cannot be removed")

    def _by_memory(
        self,
        header: Dataset,
        encoding: Encoding,
        patient: HeaderPatient,
        replacements: Replacements,
        uids: dict[int, str],
    ) -> Cleaned | None:
        """Clean a header by what became of others of its series; None where it has to be cleaned as a whole."""
        memory = self._memories.of((patient, uids[SOP_CLASS_UID], encoding))
        try:
            result = self._fast.run(header, encoding, uids[SOP_CLASS_UID], replacements, memory)
        except RecursionError:
            return None
        if result is None:
            return None
        self._refuse_burned_in(header)
        result.outcomes.update(self._finish(header, encoding, patient, memory))
        data_set = result.data_set(header, encoding)
        sealed: tuple[SealedEntry, ...] = ()
        if self._seals is not None:
            sealed = self._seals.of_series(header, encoding, patient.pseudonym, uids, memory, result.originals)
        return Cleaned(
            data_set,
            sealed,
            (),
            result.removed,
            result.replaced,
            self._pseudonyms.digest(patient.identity),
            result.encoded(),
        )

    def _finish(
        self, header: Dataset, encoding: Encoding, patient: HeaderPatient, memory: SeriesMemory
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


def _result(data_set: Dataset, sealed: tuple[SealedEntry, ...], work: HeaderPass, digest: bytes) -> Cleaned:
    return Cleaned(data_set, sealed, tuple(work.decisions or ()), work.removed, work.replaced, digest)


def _pseudonymous(pseudonym: str, encoding: Encoding) -> list[RawDataElement]:
    """Return Patient's Name and Patient ID as they are served."""
    value = pseudonym.encode("ascii")
    return [raw_element(tag, vr, value, encoding) for tag, vr in ((PATIENT_NAME, "PN"), (PATIENT_ID, "LO"))]


def _typed_into(header: Dataset, encoding: Encoding, pseudonym: str) -> list[Statement]:
    """Return the persons and identifiers that an annotation names; dates and the pseudonym are the project's own."""
    said = (statement for statement in IdentitySources().of(header, encoding) if statement.tag not in DATE_TAGS)
    return [statement for statement in said if decoded_text(statement.element, statement.encoding) != pseudonym]


def _same_uid(uid: str) -> str:
    return uid


def _order(encoding: Encoding) -> Literal["little", "big"]:
    return "little" if encoding.little_endian else "big"
