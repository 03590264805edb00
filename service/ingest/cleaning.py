"""The de-identifying project's side of ingest: a deidentifier with the vault that knows its patients."""

from __future__ import annotations

import json

from pydicom.dataset import Dataset

from service.archive.study_dates import StudyDates
from service.archive.vault_store import VaultStore
from service.core.archived import StudyRow
from service.core.cleaning_report import SeriesCleaning
from service.core.encoded_bytes import EncodedBytes
from service.core.raw_text import ascii_at
from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.cleaned import Cleaned
from service.deident.cleaning_lines import cleaning_lines
from service.deident.code_streams.frame_comments import decisions_on, without_comments
from service.deident.code_streams.overwritten_bytes import OverwrittenBytes
from service.deident.deidentifier import Deidentifier
from service.deident.element_values import Encoding
from service.deident.originals import Json, elements_of_json
from service.deident.own_values import OwnValues
from service.deident.pixel_look import PixelLook
from service.deident.pseudonyms import PatientIdentity
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.vault import Vault

REMEMBERED_SERIES = 4096


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
        self._reported: set[tuple[str, str]] = set()

    def learn_persons(self) -> str:
        """Look which identifiers are the same person's; what is cleaned afterwards follows this revision or a later."""
        return self._deidentifier.learn_persons()

    def served_uid(self, sop_instance_uid: str) -> str:
        """The SOP Instance UID under which an object from outside is served."""
        return self._deidentifier.map_uid(sop_instance_uid)

    def clean(
        self,
        header: Dataset,
        *,
        look: PixelLook = PixelLook.NONE,
        faces_removed: bool = False,
        aside: SetAside = NOTHING_ASIDE,
    ) -> Cleaned:
        """Clean an object that came from outside.

        Parameters
        ----------
        look : who looked at its pixels; no text is left in them
        faces_removed : no face is left in them
        aside : what stands for long values in the header

        Raises
        ------
        IdentityNotRemovable : a rule of the profile forbids passing it on
        """
        cleaned = self._deidentifier.clean(header, aside=aside)
        if not (look or faces_removed):
            return cleaned
        return self._deidentifier.with_clean_pixels(cleaned, look=look, faces_removed=faces_removed)

    def without_comments(self, value: EncodedBytes, transfer_syntax_uid: str, frames: int) -> OverwrittenBytes | None:
        """Encapsulated pixel data without comments in its frames; None where there are none.

        Raises
        ------
        IdentityNotRemovable : what stands in a frame cannot be told apart
        """
        return without_comments(value, transfer_syntax_uid, frames, self._deidentifier.harmless_comments)

    def report_on(
        self,
        header: Dataset,
        cleaned: Dataset,
        aside: SetAside = NOTHING_ASIDE,
        blanked: OverwrittenBytes | None = None,
    ) -> SeriesCleaning | None:
        """What cleaning does to each element; None where this process told it of the series and SOP class before.

        Parameters
        ----------
        header, cleaned : an object as it came, and what ``clean`` made of it
        aside : what stands for long values in the header
        blanked : its pixels, where ``without_comments`` took some out
        """
        series_uid, sop_class_uid = ascii_at(cleaned, 0x0020000E), ascii_at(cleaned, 0x00080016)
        if (series_uid, sop_class_uid) in self._reported:
            return None
        if len(self._reported) >= REMEMBERED_SERIES:
            self._reported.clear()
        self._reported.add((series_uid, sop_class_uid))
        decisions = self._deidentifier.clean(header, explain=True, aside=aside).decisions
        lines = cleaning_lines(decisions + decisions_on(blanked))
        name, edition = self._deidentifier.profile_name, self._deidentifier.table_edition
        return SeriesCleaning(series_uid, sop_class_uid, name, edition, lines)

    def report_again(self) -> None:
        """Forget which series were told of: what was told was not stored."""
        self._reported.clear()

    def adopt(
        self, header: Dataset, study: StudyRow, *, look: PixelLook = PixelLook.NONE, aside: SetAside = NOTHING_ASIDE
    ) -> Cleaned:
        """Clean an annotation that was made on a study as it is served; its UIDs stay.

        Parameters
        ----------
        look, aside : as ``clean``

        Raises
        ------
        IdentityNotRemovable : a rule of the profile forbids passing it on
        KeysMissing : the patient's vault entry does not open
        """
        own_values = self._own_values(study)
        attributes = Dataset.from_json(json.loads(study.attributes))
        dates = self._dates.of(study)
        cleaned = self._deidentifier.adopt_annotation(header, attributes, own_values, carried_dates=dates, aside=aside)
        return self._deidentifier.with_clean_pixels(cleaned, look=look) if look else cleaned

    def clean_text(self, study: StudyRow | None, text: str) -> str | None:
        """What may stay of a text about a study, or about none; None when nothing may."""
        texts = self._deidentifier.texts
        if texts is None:
            return None
        own_values = None if study is None else self._own_values(study)
        return texts.text(text, own_values or OwnValues((), ()), TextKind.LABEL)

    def tells_identity(self, study: StudyRow | None, texts: list[str]) -> bool:
        """Whether one of the patient's own values stands in texts about a study."""
        own_values = None if study is None else self._own_values(study)
        return own_values is not None and own_values.found_in(texts)

    def _own_values(self, study: StudyRow) -> OwnValues | None:
        """What the patient was called in this study, and by which identifiers in any."""
        entry = self._store.get(self._project, "study", study.study_uid)
        if entry is None:
            return None
        value = self._vault.open(entry)
        person = elements_of_json(value["elements"])
        person.update(elements_of_json(self._person(value)))
        identity = PatientIdentity(str(person.get("PatientID") or ""), str(person.get("IssuerOfPatientID") or ""))
        return OwnValues.of(person, Encoding(), self._deidentifier.identifiers_of(identity))

    def _person(self, study: Json) -> Json:
        """The patient's attributes; those of the patient as a whole where the study came in before it kept its own."""
        if "person" in study:
            return dict(study["person"])
        entry = self._store.get(self._project, "patient", study["patient"])
        return {} if entry is None else dict(self._vault.open(entry)["elements"])
