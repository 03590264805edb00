"""What an incoming object is to its project: something of ours that comes back, an annotation, or to be cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from service.core.archived import StudyRow
from service.core.cleaning_report import SeriesCleaning
from service.core.encoded_bytes import EncodedBytes, Keep
from service.core.ports import InstanceStore
from service.core.records import ObjectKind, SealedEntry
from service.core.set_aside import NOTHING_ASIDE, SetAside
from service.deident.cleaned import Cleaned
from service.deident.code_streams.overwritten_bytes import OverwrittenBytes
from service.deident.pixel_rest import frames_of, refuse_pixel_rest
from service.deident.pixels.pixel_outcome import Region
from service.ingest.cleaning import ProjectCleaner
from service.ingest.content_digest import content_digest
from service.ingest.object_classes import marks_a_study, may_be_result
from service.ingest.parsing import ParsedInstance, text_of
from service.ingest.pixel_step import SeenInstance, free_of_overlay_bits
from service.ingest.project_rules import ProjectRules
from service.ingest.stored_file import StoredFile, cleaned_file, original_file


@dataclass(frozen=True, slots=True)
class OwnObject:
    """A result or an annotation that left this project and comes back; it changes nothing."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """An object in the form in which it may be kept; without a file where the same is kept already."""

    kind: ObjectKind
    header: Dataset = field(repr=False)
    file: StoredFile | None
    content_digest: bytes
    patient_digest: bytes | None
    transfer_syntax_uid: str
    vault: tuple[SealedEntry, ...] = ()
    elements_removed: int = 0
    elements_replaced: int = 0
    report: SeriesCleaning | None = None
    pixel_outcome: str = ""
    aside: SetAside = field(default=NOTHING_ASIDE, repr=False)


class Router:
    """Decides what an object is and brings it into the form in which it may be kept.

    Parameters
    ----------
    implementation_version : stands in the file meta of what is stored
    keep : keeps a data set that is deflated again
    """

    def __init__(self, index: InstanceStore, implementation_version: str, keep: Keep = b"".join) -> None:
        self._index = index
        self._version = implementation_version
        self._keep = keep

    def own_object(self, rules: ProjectRules, parsed: ParsedInstance) -> OwnObject | None:
        """The object of ours that this one is, if it is one.

        A result keeps its UID when it leaves, and so does an annotation, which then carries the original study's UID.
        """
        if not may_be_result(parsed.sop_class_uid):
            return None
        held = self._index.find(rules.name, parsed.sop_instance_uid)
        if held is None:
            return None
        returning = held.kind is ObjectKind.ANNOTATION and held.study_uid != parsed.study_uid
        if held.kind is ObjectKind.RESULT or returning:
            return OwnObject(held.study_uid, held.series_uid, held.sop_instance_uid)
        return None

    def is_held(self, rules: ProjectRules, parsed: ParsedInstance) -> bool:
        """Whether an object from outside is stored already, made from the same content."""
        uid = parsed.sop_instance_uid
        held = self._index.find(rules.name, uid if rules.cleaner is None else rules.cleaner.served_uid(uid))
        return held is not None and held.content_digest == _digest(rules, parsed)

    def holds(self, rules: ProjectRules, admitted: Admitted) -> bool:
        """Whether an object is stored already in the form in which it may be kept."""
        held = self._index.find(rules.name, text_of(admitted.header, 0x00080018))
        return held is not None and held.content_digest == admitted.content_digest

    def admit(
        self,
        rules: ProjectRules,
        parsed: ParsedInstance,
        data_set: EncodedBytes,
        regions: Sequence[Region] | None = None,
        face: Sequence[Region] | None = None,
    ) -> Admitted:
        """Bring the object into the form in which it may be kept.

        Parameters
        ----------
        data_set : the bytes that came in
        regions : what a person wants blackened, none where they saw nothing; None when nobody decided
        face : where the face of its series is in it; None when nobody looked

        Raises
        ------
        IdentityNotRemovable : a rule of the project's profile forbids passing it on
        PixelsNeedPerson : what its pixels show is for a person to decide
        SeriesAwaited : it may show a face, which only its whole series can lose
        InstanceUnreadable : a value cannot be read, or not be written back
        """
        study = self._index.study(rules.name, parsed.study_uid) if marks_a_study(parsed.sop_class_uid) else None
        digest = _digest(rules, parsed)
        if rules.cleaner is None:
            return self._as_it_came(rules, parsed, data_set, digest, study)
        is_held = study is None and self._came_before(rules, parsed)
        seen = self._pixels_seen(rules, parsed, study, regions, face, is_held=is_held)
        blanked = None if is_held else _blanked(seen.parsed, rules.cleaner)
        parsed = seen.parsed if blanked is None else _with_pixels(seen.parsed, blanked)
        cleaned, patient_digest, report = _cleaned(rules.cleaner, parsed, seen, study, blanked)
        file = None if is_held else cleaned_file(parsed, cleaned.data_set, self._version, self._keep, cleaned.encoded)
        return Admitted(
            _kind(study),
            cleaned.data_set,
            file,
            digest,
            patient_digest,
            parsed.transfer_syntax_uid,
            cleaned.sealed,
            cleaned.elements_removed,
            cleaned.elements_replaced,
            report,
            seen.outcome,
            parsed.aside,
        )

    def _as_it_came(
        self, rules: ProjectRules, parsed: ParsedInstance, data_set: EncodedBytes, digest: bytes, study: StudyRow | None
    ) -> Admitted:
        """The object as a project keeps it that cleans nothing."""
        parsed.aside.refuse_unheld()
        return Admitted(
            _kind(study),
            parsed.header,
            original_file(parsed, data_set, self._version),
            digest,
            _whose(rules, parsed, study),
            parsed.transfer_syntax_uid,
            aside=parsed.aside,
        )

    def _pixels_seen(
        self,
        rules: ProjectRules,
        parsed: ParsedInstance,
        study: StudyRow | None,
        regions: Sequence[Region] | None,
        face: Sequence[Region] | None,
        *,
        is_held: bool,
    ) -> SeenInstance:
        """The object after its pixels were looked at for what nobody wrote down: overlays, text, a face."""
        if parsed.pixels is not None and not parsed.pixels.encapsulated:
            refuse_pixel_rest(parsed.pixels.value, parsed.header)
            parsed = free_of_overlay_bits(parsed)
        if rules.faces is not None and study is None and regions is None and face is None:
            rules.faces.hold(parsed)
        seen = self._seen(rules, parsed, regions, is_held=is_held)
        return seen if rules.faces is None or face is None else rules.faces.remove(seen, face)

    def _came_before(self, rules: ProjectRules, parsed: ParsedInstance) -> bool:
        """Whether an object that would be looked at is stored already."""
        return rules.pixels is not None and rules.pixels.must_look(parsed) and self.is_held(rules, parsed)

    @staticmethod
    def _seen(
        rules: ProjectRules, parsed: ParsedInstance, regions: Sequence[Region] | None, *, is_held: bool
    ) -> SeenInstance:
        """Look at an object's pixels, unless it is one that came before: of that nothing is kept but the way back."""
        if rules.pixels is None:
            return SeenInstance(parsed)
        return rules.pixels.unseen(parsed) if is_held else rules.pixels.see(parsed, regions)


def _whose(rules: ProjectRules, parsed: ParsedInstance, study: StudyRow | None) -> bytes | None:
    """Digest of the patient whose the object is.

    Viewers leave the issuer out of what they save (OHIF 3.13 does), so an annotation without one, under the Patient ID
    of its study, is about its study's patient.
    """
    patient_id, issuer = text_of(parsed.header, 0x00100020), text_of(parsed.header, 0x00100021)
    if study is not None and patient_id and not issuer and patient_id == study.patient_id:
        return study.patient_digest
    return rules.patient_digest(patient_id, issuer)


def _kind(study: StudyRow | None) -> ObjectKind:
    return ObjectKind.IMAGE if study is None else ObjectKind.ANNOTATION


def _cleaned(
    cleaner: ProjectCleaner,
    parsed: ParsedInstance,
    seen: SeenInstance,
    study: StudyRow | None,
    blanked: OverwrittenBytes | None,
) -> tuple[Cleaned, bytes | None, SeriesCleaning | None]:
    """The header as it may be kept, whose it is, and what was done to it; of an annotation its study's person."""
    if study is not None:
        adopted = cleaner.adopt(parsed.header, study, look=seen.look, aside=parsed.aside)
        return adopted, study.patient_digest, None
    cleaned = cleaner.clean(parsed.header, look=seen.look, faces_removed=seen.free_of_faces, aside=parsed.aside)
    report = cleaner.report_on(parsed.header, cleaned.data_set, parsed.aside, blanked)
    return cleaned, cleaned.patient_digest, report


def _blanked(parsed: ParsedInstance, cleaner: ProjectCleaner) -> OverwrittenBytes | None:
    """The object's pixels without comments in their compressed frames; None where there are none."""
    if parsed.pixels is None or not parsed.pixels.encapsulated:
        return None
    return cleaner.without_comments(parsed.pixels.value, parsed.transfer_syntax_uid, frames_of(parsed.header))


def _with_pixels(parsed: ParsedInstance, value: EncodedBytes) -> ParsedInstance:
    return parsed if parsed.pixels is None else replace(parsed, pixels=replace(parsed.pixels, value=value))


def _digest(rules: ProjectRules, parsed: ParsedInstance) -> bytes:
    value = parsed.pixels.value if parsed.pixels else b""
    return content_digest(parsed.header, value, rules.digest_key, parsed.aside)
