"""Where it is decided which results leave: by a person with the right, or by the project's rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.archive.database import Database
from service.archive.outbox import OutboxTable
from service.archive.releases import ReleaseTable
from service.core.deliveries import CommitmentStanding, ReleaseRow, ReleaseState
from service.core.release import Held, ReleaseRules
from service.errors import DecisionRefused, InstanceNotFound

AUTOMATIC = "annogate"
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class ReleaseDecision:
    """What was decided on one version of a result, by whom; ``action`` is "release" or "reject"."""

    action: str
    release: ReleaseRow
    by: str
    reason: str = ""


class ReleaseDesk:
    """Release and reject; each decision is told to the audit trail.

    Parameters
    ----------
    rules : by project
    asks_commitment : names of the peers that are asked to promise that they keep what they are sent
    on_decision : writes the audit trail
    on_queued : wakes who delivers
    """

    def __init__(
        self,
        *,
        database: Database,
        releases: ReleaseTable,
        outbox: OutboxTable,
        rules: Mapping[str, ReleaseRules],
        asks_commitment: frozenset[str] = frozenset(),
        on_decision: Callable[[ReleaseDecision], None],
        on_queued: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._releases = releases
        self._outbox = outbox
        self._rules = rules
        self._asks_commitment = asks_commitment
        self._on_decision = on_decision
        self._on_queued = on_queued

    def page(
        self, project: str | None = None, *, state: ReleaseState | None = None, limit: int = 100, offset: int = 0
    ) -> list[ReleaseRow]:
        """Versions of results, the newest first."""
        return self._releases.page(project, state=state, limit=limit, offset=offset)

    def show(self, release_id: int) -> ReleaseRow:
        """One of them.

        Raises
        ------
        InstanceNotFound : there is none of this number
        """
        row = self._releases.get(release_id)
        if row is None:
            raise InstanceNotFound("there is no result of this number")
        return row

    def of_study(self, project: str, study_uid: str) -> list[ReleaseRow]:
        """The versions of a study's results, by annotator, the newest first."""
        return self._releases.of_study(project, study_uid)

    def why_held(self, release: ReleaseRow) -> Held | None:
        """What keeps a result that nobody has decided on; None where a person's word is enough to let it go."""
        return self._rules_of(release).why_held(release.annotator, approved=False)

    def release(self, release_id: int, by: str) -> ReleaseRow:
        """Let a result leave for every peer of its project.

        Raises
        ------
        InstanceNotFound : there is none of this number
        DecisionRefused : it may not leave, or somebody has decided already; says which
        """
        release = self.show(release_id)
        held = self._rules_of(release).why_held(release.annotator, approved=True)
        if held is not None:
            raise DecisionRefused(f"this result may not leave: {held}")
        if not self._queue(release, by):
            raise DecisionRefused(f"this result does not wait for a decision: it is {self.show(release_id).state}")
        self._on_decision(ReleaseDecision("release", release, by))
        self._on_queued()
        return self.show(release_id)

    def reject(self, release_id: int, by: str, reason: str) -> ReleaseRow:
        """Keep a result in the house.

        Raises
        ------
        InstanceNotFound : there is none of this number
        DecisionRefused : there is no reason, or somebody has decided already
        """
        reason = reason.strip()[:LONGEST_REASON]
        if not reason:
            raise DecisionRefused("a result is rejected with a reason")
        release = self.show(release_id)
        if not self._releases.decide(release_id, ReleaseState.REJECTED, by, reason=reason):
            raise DecisionRefused(f"this result does not wait for a decision: it is {release.state}")
        self._on_decision(ReleaseDecision("reject", release, by, reason))
        return self.show(release_id)

    def release_automatically(self, limit: int = 100) -> int:
        """Release what the rules of its project let go by themselves; how many that were."""
        # Demonstrators that may not leave are not even looked at: they may be many, and stay for good.
        pairs = []
        for project, rules in self._rules.items():
            if rules.approve == "automatic" and rules.deliver_to:
                names = self._releases.annotators_of(project) if rules.allow_demonstrator else sorted(rules.serious)
                pairs.append((project, names))
        done = 0
        for release in self._releases.waiting_of(pairs, limit):
            if self._queue(release, AUTOMATIC):
                self._on_decision(ReleaseDecision("release", release, AUTOMATIC))
                done += 1
        return done

    def _queue(self, release: ReleaseRow, by: str) -> bool:
        """Note the decision and what follows from it at once."""
        with self._database.write() as connection:
            if not self._releases.decide(release.id, ReleaseState.RELEASED, by, connection=connection):
                return False
            for peer in self._rules_of(release).deliver_to:
                wanted = CommitmentStanding.WANTED if peer in self._asks_commitment else CommitmentStanding.NONE
                self._outbox.add(
                    project=release.project,
                    release_id=release.id,
                    study_uid=release.study_uid,
                    peer=peer,
                    objects=release.objects,
                    commitment=wanted,
                    connection=connection,
                )
        return True

    def _rules_of(self, release: ReleaseRow) -> ReleaseRules:
        return self._rules.get(release.project, ReleaseRules())
