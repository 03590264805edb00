"""Results on their way out: who releases them, what leaves, and what brings it to the peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__, audit_events
from service.bootstrap.commitment import Commitment
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import DAY_S, IMPLEMENTATION_VERSION, OUTBOX_BELL, STUDIES_BELL, Ground
from service.bootstrap.identity import NO_DEIDENTIFICATION, Identity
from service.bootstrap.jobs import Jobs
from service.bootstrap.stores import Stores
from service.core.deliveries import DeliveryState, ReleaseState
from service.core.implementation import random_uid
from service.core.release import ReleaseRules
from service.ingest.sealed_file import erase_sealed, read_sealed, write_sealed

if TYPE_CHECKING:
    from service.core.archived import StudyRow
    from service.core.deliveries import ReleaseRow
    from service.custody.way_back import WayBack
    from service.delivery.commitment_keeper import CommitmentKeeper
    from service.delivery.courier import Courier
    from service.delivery.outbox_desk import DeliveryDecision, OutboxDesk
    from service.delivery.outbox_files import OutboxFiles
    from service.delivery.outbox_runner import OutboxRunner
    from service.delivery.preparation import Preparation
    from service.delivery.recall_desk import RecallDesk
    from service.delivery.rejection_desk import RejectionDesk
    from service.delivery.release_desk import ReleaseDecision, ReleaseDesk
    from service.delivery.targets import Target


class Delivery:
    """The parts of delivery."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        identity: Identity,
        jobs: Jobs,
        commitment: Commitment,
        peers: DimsePeers,
    ) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._stores = stores
        self._identity = identity
        self._jobs = jobs
        self._commitment = commitment
        self._peers = peers

    @cached_property
    def rules(self) -> dict[str, ReleaseRules]:
        """By project, what its settings say of delivery."""
        return {name: self._rules_of(name) for name in self._settings.projects}

    def _rules_of(self, name: str) -> ReleaseRules:
        project, known = self._settings.projects[name], self._jobs.annotators
        serious = frozenset(one for one in project.annotators if not known[one].algorithm.demonstrator)
        return ReleaseRules(project.approve, project.allow_demonstrator, project.deliver_to, serious)

    @cached_property
    def release_desk(self) -> ReleaseDesk:
        """Where results are released and rejected."""
        from service.delivery.release_desk import ReleaseDesk

        return ReleaseDesk(
            database=self._stores.database,
            releases=self._stores.releases,
            outbox=self._stores.outbox,
            rules=self.rules,
            asks_commitment=frozenset(name for name, peer in self._settings.peers.items() if peer.storage_commitment),
            on_decision=self._audit_release,
            on_queued=self._ground.ring(OUTBOX_BELL),
        )

    @cached_property
    def outbox_desk(self) -> OutboxDesk:
        """What people see of the outbox, and decide there."""
        from service.delivery.outbox_desk import OutboxDesk

        return OutboxDesk(
            outbox=self._stores.outbox,
            peers=self._stores.outbox_peers,
            on_decision=self._audit_delivery,
            on_queued=self._ground.ring(OUTBOX_BELL),
            in_trash=self._stores.trash.holds_any,
        )

    @cached_property
    def recall_desk(self) -> RecallDesk:
        """Where results are taken back."""
        from service.delivery.recall_desk import RecallDesk
        from service.jobs.note_store import NoteStore

        stores = self._stores
        return RecallDesk(
            database=stores.database,
            releases=stores.releases,
            outbox=stores.outbox,
            index=stores.instances,
            blobs=stores.blobs,
            notes=NoteStore(stores.blobs, self._ground.clock, IMPLEMENTATION_VERSION),
            created_at=self._in_project_time,
            new_uid=random_uid,
            version=__version__,
            on_decision=self._audit_release,
            on_queued=self._ground.ring(OUTBOX_BELL),
        )

    def _in_project_time(self, study: StudyRow) -> datetime:
        """Now, moved like the patient's dates: a real date beside a moved one would give the shift away."""
        deidentifier = self._identity.deidentifiers[study.project]
        days = 0 if deidentifier is None else deidentifier.shift_days_of_pseudonym(study.patient_id)
        return datetime.fromtimestamp(self._ground.clock()) - timedelta(days=days)  # DA and TM are local

    @cached_property
    def rejection_desk(self) -> RejectionDesk:
        """What obeys rejection notes, and where a person restores what one hid."""
        from service.delivery.rejection_desk import RejectionDesk

        stores = self._stores
        return RejectionDesk(
            table=stores.rejections,
            index=stores.instances,
            runs=stores.runs,
            releases=stores.releases,
            recall=self.recall_desk,
            on_event=lambda event: stores.audit.record(audit_events.of_rejection(event)),
            on_studies=self._ground.ring(STUDIES_BELL),
        )

    @cached_property
    def outbox_files(self) -> OutboxFiles:
        """Parcels that are ready to leave."""
        from service.delivery.outbox_files import OutboxFiles

        files = _Sealed(self._ground.key_file.sealing_key("outbox"))
        return OutboxFiles(self._ground.directory.outbox, files, self._stores.outbox.is_finished)

    @cached_property
    def preparation(self) -> Preparation:
        """What makes results fit to leave."""
        from service.delivery.preparation import Preparation
        from service.objects.arrival import ArrivalJudge

        return Preparation(
            index=self._stores.instances,
            blobs=self._stores.blobs,
            way_out=self._way_out,
            key=self._identity_key,
            problems=ArrivalJudge(self._stores.instances, self._stores.blobs, {}).problems,
        )

    @property
    def _identity_key(self) -> bytes:
        return self._ground.key_file.sealing_key("outbox identity")

    def _way_out(self, project: str) -> WayBack | None:
        if self._settings.projects[project].deidentify == NO_DEIDENTIFICATION:
            return None
        return self._identity.way_back(project)

    def runner(self, remove: Callable[[], object]) -> OutboxRunner:
        """What works the outbox off, and beside it removes what was deleted."""
        from service.delivery.outbox_runner import OutboxRunner

        chores: dict[str, Callable[[], object]] = {
            "release": self.release_desk.release_automatically,
            "rejections": self.rejection_desk.obey,
            "commitment": self._commitment_keeper.run,
            "tidy": self.outbox_files.tidy,
            "removal": remove,
        }
        couriers = {name: self._courier(name) for name in self._settings.peers}
        return OutboxRunner(couriers, chores, self._settings.delivery.sweep_s)

    @cached_property
    def _commitment_keeper(self) -> CommitmentKeeper:
        from service.delivery.commitment_keeper import CommitmentKeeper

        requests = self._commitment.commitment_requests
        return CommitmentKeeper(
            outbox=self._stores.outbox, request=requests.request_commitment, outcome=requests.outcome
        )

    def _courier(self, name: str) -> Courier:
        from service.delivery.courier import Courier
        from service.delivery.peer_rules import Patience, PeerRules

        peer, delivery = self._settings.peers[name], self._settings.delivery
        return Courier(
            rules=PeerRules(name, peer.check_identity, peer.segmentation, peer.objects, peer.instead),
            target=self._target(name),
            outbox=self._stores.outbox,
            peers=self._stores.outbox_peers,
            preparation=self.preparation,
            files=self.outbox_files,
            owner=self._ground.owner,
            clock=self._ground.clock,
            key=self._identity_key,
            on_ended=lambda action, delivery: self._stores.audit.record(
                audit_events.of_delivery(action, delivery, audit_events.GATEWAY)
            ),
            patience=Patience(
                delivery.first_pause_s,
                delivery.longest_pause_s,
                delivery.days * DAY_S,
                delivery.lease_s,
                delivery.sweep_s,
                delivery.batch,
            ),
        )

    def _target(self, name: str) -> Target:
        from service.delivery.dimse_target import DimseTarget
        from service.delivery.stow_target import StowTarget

        peer = self._settings.peers[name]
        if peer.protocol == "dicomweb":
            return StowTarget(name, str(peer.dicomweb_url), peer.authorization_file)
        return DimseTarget(self._peers.address(name), self._peers.calling(name))

    def notices(self) -> list[str]:
        """What of the outbox waits for somebody."""
        counts = self._stores.outbox.counts()
        said = []
        for (peer, state), count in sorted(counts.items()):
            noun = "delivery" if count == 1 else "deliveries"
            if state == DeliveryState.HELD:
                said.append(f"{count} {noun} to {peer} held for a person: annogate outbox list --state held")
            elif state == DeliveryState.FAILED:
                said.append(f"{count} {noun} to {peer} failed: annogate outbox list --state failed")
        return said

    def standing(self, project: str, study_uid: str) -> dict[str, str]:
        """By SOP Instance UID, how far each result of a study came on its way out, in words."""
        told: dict[str, str] = {}
        # The newest first: an object stands in one release.
        for release in self.release_desk.of_study(project, study_uid):
            words = self._words(release)
            told |= dict.fromkeys(release.all_objects, words)
        return told

    def why_held(self, project: str, annotator: str) -> str:
        """What keeps an annotator's results from leaving as long as nobody decides, in words."""
        return str(self.rules[project].why_held(annotator, approved=False) or "leaves by itself")

    def _words(self, release: ReleaseRow) -> str:
        if release.state is ReleaseState.WAITING:
            return str(self.release_desk.why_held(release) or "is released in a moment")
        if release.state is not ReleaseState.RELEASED:
            return " ".join(word for word in (str(release.state), release.reason and f"({release.reason})") if word)
        deliveries = self._stores.outbox.of_release(release.id)
        return ", ".join(f"{one.state} to {one.peer}" for one in deliveries) or str(release.state)

    def _audit_release(self, decision: ReleaseDecision) -> None:
        self._stores.audit.record(audit_events.of_release(decision.action, decision.release, decision.by))

    def _audit_delivery(self, decision: DeliveryDecision) -> None:
        self._stores.audit.record(audit_events.of_delivery(decision.action, decision.delivery, decision.by))


class _Sealed:
    """Files sealed like those of the quarantine."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        write_sealed(path, parts, self._key)

    def read(self, path: Path) -> bytes:
        content = read_sealed(path, self._key)
        return content if isinstance(content, bytes) else bytes(content[:])

    def erase(self, path: Path) -> None:
        erase_sealed(path)
