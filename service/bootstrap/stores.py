"""What the archive holds: the index with its tables, objects as files, the audit trail."""

from __future__ import annotations

import time
from functools import cached_property

import structlog

from service.archive.accounts import Accounts
from service.archive.annotation_versions import AnnotationVersions
from service.archive.audit import AuditTrail
from service.archive.audit_buffer import AuditBuffer
from service.archive.blobs import FilesystemBlobStore
from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.intake import IntakeTable
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.archive.overview import Overview
from service.archive.projects import ProjectTable
from service.archive.quarantine_rows import QuarantineTable
from service.archive.rejections import RejectionTable
from service.archive.releases import ReleaseTable
from service.archive.runs import Follow, RunTable
from service.archive.search_attribute_table import SearchAttributeTable
from service.archive.study_cleaning import StudyCleaningTable
from service.archive.trash import TrashTable
from service.archive.vault_keys import VaultKeyTable
from service.archive.vault_store import VaultStore
from service.bootstrap.ground import Ground

log = structlog.get_logger("annogate")


class Stores:
    """The tables over one index, and what lies beside it.

    ``follow_run`` is told of each run that changes; who composes the gateway sets it before the first use.
    """

    follow_run: Follow | None = None

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._clock = ground.clock

    @cached_property
    def database(self) -> Database:
        """The index."""
        return self._ground.opened.enter_context(Database.open(self._ground.index))

    @cached_property
    def project_table(self) -> ProjectTable:
        """Projects with their keys' fingerprints."""
        return ProjectTable(self.database, self._clock)

    @cached_property
    def instances(self) -> InstanceIndex:
        """Studies, series and instances."""
        return InstanceIndex(self.database, self._clock)

    @cached_property
    def blobs(self) -> FilesystemBlobStore:
        """Objects as files."""
        return FilesystemBlobStore(self._ground.directory.blobs)

    @cached_property
    def vault_store(self) -> VaultStore:
        """Sealed rows of the vault."""
        return VaultStore(self.database)

    @cached_property
    def vault_keys(self) -> VaultKeyTable:
        """Which keys the vault's entries were sealed with."""
        return VaultKeyTable(self.database, self._clock)

    @cached_property
    def study_cleaning(self) -> StudyCleaningTable:
        """What was done to each study."""
        return StudyCleaningTable(self.database)

    @cached_property
    def runs(self) -> RunTable:
        """Annotator runs."""
        return RunTable(self.database, self._clock, self.follow_run)

    @cached_property
    def annotation_versions(self) -> AnnotationVersions:
        """Who said what after what."""
        return AnnotationVersions(self.database, self._clock)

    @cached_property
    def releases(self) -> ReleaseTable:
        """Which versions of results may leave."""
        return ReleaseTable(self.database, self._clock)

    @cached_property
    def rejections(self) -> RejectionTable:
        """What rejection notes hid."""
        return RejectionTable(self.database, self._clock)

    @cached_property
    def trash(self) -> TrashTable:
        """What people deleted."""
        return TrashTable(self.database, self._clock)

    @cached_property
    def outbox(self) -> OutboxTable:
        """What is on its way to peers."""
        return OutboxTable(self.database, self._clock)

    @cached_property
    def outbox_peers(self) -> OutboxPeers:
        """Who delivers to which peer."""
        return OutboxPeers(self.database, self._clock)

    @cached_property
    def intake(self) -> IntakeTable:
        """Objects of the spool on their way."""
        return IntakeTable(self.database, self._clock)

    @cached_property
    def quarantine_table(self) -> QuarantineTable:
        """Rows of what could not be processed."""
        return QuarantineTable(self.database, self._clock)

    @cached_property
    def conflicts(self) -> ConflictTable:
        """UIDs that came again with other content."""
        return ConflictTable(self.database, self._clock)

    @cached_property
    def counters(self) -> CounterTable:
        """What is counted and not kept."""
        return CounterTable(self.database)

    @cached_property
    def overview(self) -> Overview:
        """What happens inside, in numbers."""
        return Overview(self.database, time.monotonic)

    @cached_property
    def search_attributes(self) -> SearchAttributeTable:
        """What people made searchable."""
        return SearchAttributeTable(self.database, self._clock)

    @cached_property
    def accounts(self) -> Accounts:
        """Users and tokens."""
        return Accounts(self.database, self._clock)

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        return AuditTrail(self.database, self._clock, self._ground.key_file.sealing_key("audit"))

    @cached_property
    def audit_buffer(self) -> AuditBuffer:
        """The audit trail for what must not wait for the disk."""
        buffer = AuditBuffer(self.audit, on_failure=lambda error: log.error("audit.trouble", reason=str(error)))
        self._ground.opened.callback(buffer.close)
        return buffer
