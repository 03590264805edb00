"""What the web edge is handed: every collaborator by name, nothing found through a global."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from service.archive.accounts import Accounts
from service.archive.audit import AuditTrail
from service.archive.audit_buffer import AuditBuffer
from service.archive.overview import Overview
from service.core.archived import ConflictRow, QuarantineRow, StudyRow
from service.core.cleaning_report import StudyCleaning
from service.core.ports import InstanceReader
from service.core.records import Outcome
from service.core.search_attributes import SearchAttribute
from service.core.view import EVERYTHING, View
from service.custody.crosswalk import CrosswalkLevel, CrosswalkRow
from service.custody.study_lookup import LookupQuestion
from service.delivery.deletion_desk import DeletionDesk
from service.delivery.outbox_desk import OutboxDesk
from service.delivery.recall_desk import RecallDesk
from service.delivery.rejection_desk import RejectionDesk
from service.delivery.release_desk import ReleaseDesk
from service.fetching.desk import PullDesk
from service.ingest.pixel_case import PixelCase, Region
from service.objects.rule_catalogue import Problem
from service.versions.desk import VersionDesk
from service.versions.restoring import VersionRestoring
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.ups_services import WorklistServices
from service.web.passwords import Passwords
from service.web.viewer.configuration import ViewerSettings


class QuarantineList(Protocol):
    """What could not be processed."""

    def list(
        self, project: str | None = None, *, state: str | None = "held", limit: int = 100, offset: int = 0
    ) -> Sequence[QuarantineRow]:
        """A page of rows, the last received first."""


class QuarantineDesk(Protocol):
    """Where people decide on it; each decision is written to the audit trail there, whichever edge it came by."""

    def show(self, quarantine_id: str) -> QuarantineRow:
        """One row.

        Raises
        ------
        InstanceNotFound : there is none of this id
        """

    def release(self, quarantine_id: str, by: str) -> Outcome:
        """Process the object again.

        Raises
        ------
        InstanceNotFound : it is not held
        """

    def pixel_case(self, quarantine_id: str) -> PixelCase | None:
        """What was found in the pixels of an object that waits for a person; None where they are not the question.

        Raises
        ------
        InstanceNotFound : it is not held
        """

    def picture(self, quarantine_id: str, frame: int) -> bytes:
        """One frame of such an object as PNG.

        Raises
        ------
        InstanceNotFound : it is not held, or its pixels are not the question
        GatewayError : it cannot be drawn; says why
        """

    def release_seen(self, quarantine_id: str, by: str, regions: Sequence[Region]) -> Outcome:
        """Let such an object in, with what the person who saw it wants blackened.

        Raises
        ------
        InstanceNotFound : it is not held, or its pixels are not the question
        BadRequest : a region lies outside of the image
        """

    def release_cut(self, quarantine_id: str, by: str) -> Outcome:
        """Process the object without the bytes behind its last frame.

        Raises
        ------
        InstanceNotFound : it is not held
        BadRequest : nothing stands behind its frames
        """

    def discard(self, quarantine_id: str, by: str) -> QuarantineRow:
        """Destroy the object and keep its row.

        Raises
        ------
        InstanceNotFound : it is not held
        """


class IdentifierList(Protocol):
    """The original identifiers behind those of a project (``service.custody.crosswalk``)."""

    def rows(self, level: CrosswalkLevel, after: str = "") -> Iterator[CrosswalkRow]:
        """The rows of a level, in the order of the new identifiers, after one of them.

        Raises
        ------
        KeysMissing : an entry of the vault does not open
        """


class ConflictList(Protocol):
    """UIDs that came again with other content."""

    def list(self, project: str | None = None, *, limit: int = 100, offset: int = 0) -> Sequence[ConflictRow]:
        """A page of rows, the newest first."""


@dataclass(frozen=True, slots=True)
class WebServices:
    """The collaborators of the web edge.

    Parameters
    ----------
    projects : names of the configured projects
    blind_to_models : those of them whose readers see no results of models
    view : by project, what the present caller sees of it; `service.web.caller_view` puts theirs here
    listens_on_loopback : whether only this machine can reach the listener (``auth.is_loopback`` of its host)
    trusted_proxy : whether X-Forwarded-For, -Proto and -Host are believed
    cors_origins : of other sites' pages that may call what a viewer calls
    pings : what ``/health/ready`` tries, by name; each raises when its part is not well
    viewer_directory : the unpacked viewer; absent or empty where it was not installed
    form_key : 32 bytes that sign forms; the same in every web process of a gateway
    cleaning : by project and study, what de-identification did to it; None where nothing is known
    problems : by project and SOP Instance UID, which rules an object breaks that is held
    crosswalk : by project, its original identifiers; raises ``SettingsInvalid`` where it keeps identity
    notices : what somebody should do before it hurts, in words
    why_held : by project and annotator, what keeps such a result from leaving while nobody decides, in words
    standing : by project and study, how far its results came on their way out, in words by SOP Instance UID
    releases, outbox : where it is decided which results leave, and what becomes of them on their way
    pulls : where studies of peers are asked for
    worklist : what UPS-RS works on
    deletions : where studies are deleted and restored
    versions, restoring : where versions of annotations are looked at, and restored
    author_name : what an account is called; empty where it is nobody's any more
    recall, rejections : where results are taken back, and what rejection notes of the hospital hid
    lookup : by project, question and who asks, the studies that the hospital calls so; writes the audit trail
    clock : seconds since the epoch, UTC
    monotonic : seconds that never go back
    """

    version: str
    projects: Sequence[str]
    default_project: str
    listens_on_loopback: bool
    dicomweb: DicomWebServices
    instances: InstanceReader
    overview: Overview
    quarantine: QuarantineList
    desk: QuarantineDesk
    conflicts: ConflictList
    accounts: Accounts
    audit: AuditTrail
    accesses: AuditBuffer
    viewer_settings: ViewerSettings
    viewer_directory: Path | None
    pings: Mapping[str, Callable[[], object]]
    form_key: bytes = field(repr=False)
    why_held: Callable[[str, str], str]
    standing: Callable[[str, str], Mapping[str, str]]
    releases: ReleaseDesk
    outbox: OutboxDesk
    deletions: DeletionDesk
    versions: VersionDesk
    restoring: VersionRestoring
    author_name: Callable[[str], str]
    pulls: PullDesk
    worklist: WorklistServices
    recall: RecallDesk
    rejections: RejectionDesk
    lookup: Callable[[str, LookupQuestion, str], Sequence[StudyRow]]
    cleaning: Callable[[str, str], StudyCleaning | None]
    problems: Callable[[str, str], Sequence[Problem]]
    crosswalk: Callable[[str], IdentifierList]
    notices: Callable[[], Sequence[str]]
    search_attributes: Callable[[], Sequence[SearchAttribute]] = tuple
    blind_to_models: frozenset[str] = frozenset()
    view: Callable[[str], View] = lambda _: EVERYTHING
    trusted_proxy: bool = False
    cors_origins: frozenset[str] = frozenset()
    passwords: Passwords = field(default_factory=lambda: Passwords(time.monotonic))
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
