"""Storage commitment: what answers peers on associations of theirs and of ours, and what asks them."""

from __future__ import annotations

import threading
import uuid
from functools import cached_property, partial
from typing import TYPE_CHECKING

from service.archive.commitments import CommitmentRole, CommitmentState, CommitmentTable
from service.archive.held_instances import HeldInstances
from service.archive.study_routes import SignKind
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import DAY_S, STUDIES_BELL, Ground
from service.bootstrap.identity import NO_DEIDENTIFICATION, Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores
from service.deident.sealed_note import NoteSeal
from service.ingest.spool_backlog import SpoolBacklog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_nodes.commitment_service import CommitmentService
    from service.dimse.commitment_desk import CommitmentDesk
    from service.dimse.commitment_judge import CommitmentJudge, ProjectAnswers
    from service.dimse.commitment_note import CommitmentNotes
    from service.dimse.commitment_requests import CommitmentRequests
    from service.dimse.commitment_rounds import CommitmentPeer, CommitmentRounds

COMMITMENT_BELL = "commitments"


class Commitment:
    """The parts of storage commitment, both roles."""

    def __init__(
        self, ground: Ground, stores: Stores, identity: Identity, reception: Reception, peers: DimsePeers
    ) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._stores = stores
        self._identity = identity
        self._reception = reception
        self._peers = peers
        self._looking = threading.Lock()

    @cached_property
    def commitments(self) -> CommitmentTable:
        """Transactions of both roles."""
        return CommitmentTable(self._stores.database, self._ground.clock)

    @cached_property
    def commitment_requests(self) -> CommitmentRequests:
        """What delivery asks peers by."""
        from service.dimse.commitment_requests import CommitmentRequests

        return CommitmentRequests(
            table=self.commitments,
            notes=self._notes,
            peers=tuple(self._settings.peers),
            new_uid=lambda: f"2.25.{uuid.uuid4().int}",
            on_open=self._ground.ring(COMMITMENT_BELL),
            clock=self._ground.clock,
        )

    @cached_property
    def commitment_rounds(self) -> CommitmentRounds:
        """What answers and asks on associations of ours."""
        from service.dimse.commitment_rounds import CommitmentLimits, CommitmentRounds

        limits = self._settings.commitment
        return CommitmentRounds(
            table=self.commitments,
            notes=self._notes,
            desk=self._desk,
            peer_titles={name: peer.ae_title for name, peer in self._settings.peers.items()},
            peer=self._peer,
            owner=self._ground.owner,
            clock=self._ground.clock,
            limits=CommitmentLimits(wait_s=limits.wait_s, linger_s=limits.linger_s, give_up_s=limits.days * DAY_S),
        )

    def notices(self) -> list[str]:
        """What somebody should look after."""
        given_up = self.commitments.counts(CommitmentRole.SCP)[CommitmentState.FAILED]
        if not given_up:
            return []
        days = self._settings.commitment.days
        return [f"{given_up} requests of peers for storage commitment could not be answered in {days:g} days"]

    def service(self) -> CommitmentService:
        """What the node answers by."""
        from dicom_nodes.commitment_service import CommitmentService

        return CommitmentService(self._desk, linger_s=self._settings.commitment.linger_s)

    @cached_property
    def _notes(self) -> CommitmentNotes:
        from service.dimse.commitment_note import CommitmentNotes

        return CommitmentNotes(NoteSeal(self._ground.key_file.sealing_key("commitment")))

    @cached_property
    def _desk(self) -> CommitmentDesk:
        from service.dimse.commitment_desk import CommitmentDesk

        return CommitmentDesk(
            table=self.commitments,
            notes=self._notes,
            judge=self._judge,
            project_of=self._reception.callers.project_of,
            peer_titles={name: peer.ae_title for name, peer in self._settings.peers.items()},
            owner=self._ground.owner,
            on_open=self._ground.ring(COMMITMENT_BELL),
            on_kept=self._give_sign,
            commits_for=self._commits_for(),
            clock=self._ground.clock,
        )

    def _commits_for(self) -> dict[str, frozenset[str]]:
        """Whose instances peers may ask for besides their own; a title may be several peers'."""
        named: dict[str, frozenset[str]] = {}
        for peer in self._settings.peers.values():
            named[peer.ae_title] = named.get(peer.ae_title, frozenset()) | frozenset(peer.commits_for)
        return named

    def _give_sign(self, project: str, sop_instance_uids: Sequence[str], asked_at: float) -> None:
        """All that a sender asked for is kept: its studies may be complete, where their project goes by that."""
        targets = {project, *self._judge_answers[project].elsewhere}
        for name in sorted(targets):
            if "commitment" not in self._settings.projects[name].complete_when:
                continue
            served = sorted({self._judge.served_uid(name, uid) for uid in sop_instance_uids} | set(sop_instance_uids))
            routes = self._reception.study_routes
            for study_uid in routes.studies_of(name, served):
                routes.give_sign(name, study_uid, SignKind.COMMITMENT, asked_at)
            self._ground.ring(STUDIES_BELL)()

    @cached_property
    def _judge_answers(self) -> dict[str, ProjectAnswers]:
        from service.dimse.commitment_judge import ProjectAnswers

        return {
            name: ProjectAnswers(
                self._served_uid(name),
                frozenset(project.drop_sop_classes),
                frozenset(rule.project for rule in project.rules if rule.project is not None),
            )
            for name, project in self._settings.projects.items()
        }

    @cached_property
    def _judge(self) -> CommitmentJudge:
        from dicom_nodes.storage_classes import storage_classes
        from service.dimse.commitment_judge import CommitmentJudge

        stores = self._stores
        return CommitmentJudge(
            projects=self._judge_answers,
            held=HeldInstances(stores.database),
            path_of=stores.blobs.path,
            pending_since=(self._oldest_unregistered_at, stores.intake.oldest_pending_at, self._oldest_waiting_at),
            storage_classes=storage_classes(self._settings.dicom.extra_sop_classes),
        )

    def _served_uid(self, project: str) -> Callable[[str], str] | None:
        if self._settings.projects[project].deidentify == NO_DEIDENTIFICATION:
            return None
        return partial(self._map_uid, project)

    def _map_uid(self, project: str, uid: str) -> str:
        # Not before somebody asks: the node holds no profile otherwise.
        deidentifier = self._identity.deidentifiers[project]
        return uid if deidentifier is None else deidentifier.map_uid(uid)

    def _oldest_unregistered_at(self, project: str) -> float | None:
        with self._looking:  # a backlog is for one thread, and associations are many
            return self._backlog.oldest_at(project)

    @cached_property
    def _backlog(self) -> SpoolBacklog:
        return self._reception.new_spool_backlog()

    def _oldest_waiting_at(self, project: str) -> float | None:
        """Series in quarantine that wait for the rest of them come to the archive by themselves."""
        waiting = (series.last_at for series in self._stores.quarantine_table.waiting() if series.project == project)
        return min(waiting, default=None)

    def _peer(self, name: str) -> CommitmentPeer:
        from service.dimse.commitment_rounds import CommitmentPeer

        return CommitmentPeer(self._peers.address(name), self._peers.calling(name))
