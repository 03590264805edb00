"""Brings what is due to one peer: asked who the patient is, sealed, sent in order, and noted object by object.

Whoever has the peer's lease works alone. An object is noted as on its way before it leaves, so that a kill in between
is seen: the peer is then asked whether it has the object, and where it tells nothing the object goes again under the
same UID, which changes nothing at a peer that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerUnavailable
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.core.archived import InstanceRow
from service.core.deliveries import DeliveryItem, DeliveryRow, DeliveryState, ItemState
from service.core.fault_place import fault_place
from service.delivery.answers import Answer, Verdict
from service.delivery.forms import chosen_objects, classes_of
from service.delivery.identity_check import Standing, standing_of
from service.delivery.known_patient import KnownPatient
from service.delivery.outbox_files import OutboxFiles
from service.delivery.parcel import Parcel
from service.delivery.peer_rules import Patience, PeerRules
from service.delivery.preparation import OriginalStudy, Preparation
from service.delivery.targets import OpenTarget, Target
from service.errors import InstanceNotFound, ObjectInvalid

_log = structlog.get_logger("annogate.delivery")


@dataclass(slots=True)
class _Load:
    """One delivery that goes now."""

    delivery: DeliveryRow
    rows: dict[str, InstanceRow]
    study: OriginalStudy = field(repr=False)
    patient: KnownPatient = field(repr=False)
    warnings: list[str] = field(default_factory=list)

    @property
    def series(self) -> tuple[str, str]:
        """What keeps its order: a study of a project."""
        return self.delivery.project, self.delivery.study_uid


class Courier:
    """Delivers to one peer.

    Parameters
    ----------
    owner : names this process in leases; no other one has the same
    clock : seconds since the epoch, UTC
    key : what digests of patients are keyed with
    on_ended : told of each delivery that was "sent", has "failed" or is "held"; writes the audit trail
    """

    def __init__(
        self,
        *,
        rules: PeerRules,
        target: Target,
        outbox: OutboxTable,
        peers: OutboxPeers,
        preparation: Preparation,
        files: OutboxFiles,
        owner: str,
        clock: Callable[[], float],
        key: bytes,
        patience: Patience | None = None,
        on_ended: Callable[[str, DeliveryRow], None] | None = None,
    ) -> None:
        self._on_ended = on_ended or _tell_nobody
        self._rules = rules
        self._target = target
        self._outbox = outbox
        self._peers = peers
        self._preparation = preparation
        self._files = files
        self._owner = owner
        self._clock = clock
        self._key = key
        self._patience = patience or Patience()
        self._renewed_at = 0.0

    def turn(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """Do what is due now; seconds until something may be due again."""
        name = self._rules.name
        due_at = self._outbox.next_due_at(name)
        if due_at is None or due_at > self._clock() or not self._peers.take(name, self._owner, self._patience.lease_s):
            return self._rest(due_at)
        self._renewed_at = self._clock()
        try:
            self._give_up()
            while not stopped() and (batch := self._outbox.due(name, self._patience.batch)):
                self._bring(batch, stopped)
            self._peers.give_back(name, self._owner)
        except PeerUnavailable as error:
            self._peers.away(name, self._owner, str(error), self._patience.pause_s)
            _log.warning("peer.away", peer=name, reason=str(error))
        except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next turn does it
            words = _trouble(error)
            self._peers.away(name, self._owner, words, self._patience.pause_s)
            _log.error("delivery.trouble", peer=name, reason=words)
        return self._rest(self._outbox.next_due_at(name))

    def _rest(self, due_at: float | None) -> float:
        if due_at is None:
            return self._patience.sweep_s
        wait = max(due_at, self._peers.of(self._rules.name).next_at) - self._clock()
        # Not at once even where it is due: then somebody else has the peer.
        return min(max(wait, 0.5), self._patience.sweep_s)

    def _give_up(self) -> None:
        before = self._clock() - self._patience.give_up_s
        words = self._peers.of(self._rules.name).last_error
        for delivery in self._outbox.give_up(self._rules.name, before, words):
            self._fail(delivery, delivery.last_error)

    def _fail(self, delivery: DeliveryRow, words: str) -> None:
        self._files.erase(delivery.id)
        self._on_ended("failed", delivery)
        _log.error("delivery.failed", delivery=delivery.id, peer=delivery.peer, reason=words)

    def _bring(self, batch: Sequence[DeliveryRow], stopped: Callable[[], bool]) -> None:
        loads = [load for delivery in batch if (load := self._loaded(delivery)) is not None]
        if not loads:
            return
        classes = classes_of([row for load in loads for row in load.rows.values()])
        kept_back: set[tuple[str, str]] = set()
        with self._target.open(classes) as peer:
            for load in loads:
                if stopped() or not self._keep_lease():
                    return
                if load.series not in kept_back and not self._sent(load, peer):
                    kept_back.add(load.series)

    def _keep_lease(self) -> bool:
        """Whether the peer is still ours; renewed once a third of the lease has passed."""
        now = self._clock()
        if now - self._renewed_at < self._patience.lease_s / 3:
            return True
        self._renewed_at = now
        return self._peers.renew(self._rules.name, self._owner, self._patience.lease_s)

    def _loaded(self, delivery: DeliveryRow) -> _Load | None:
        """What goes of a delivery; one that our own trouble keeps here does not keep the others."""
        try:
            return self._load(delivery)
        except PeerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # a vault entry that does not open, an object that no code foresaw
            self._put_off(delivery, _trouble(error))
            return None

    def _sent(self, load: _Load, peer: OpenTarget) -> bool:
        """Send a delivery; whether what comes after it in its study may go."""
        try:
            return self._send(load, peer)
        except PeerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            self._put_off(load.delivery, _trouble(error))
            return False

    def _put_off(self, delivery: DeliveryRow, words: str) -> None:
        next_at = self._clock() + self._patience.pause_s(delivery.attempts + 1)
        self._outbox.put_off(delivery.id, next_at, words)
        _log.warning("delivery.put_off", delivery=delivery.id, peer=delivery.peer, reason=words)

    def _load(self, delivery: DeliveryRow) -> _Load | None:
        """What goes of a delivery, and to whom; None where a person has to decide first."""
        try:
            uids = [uid for uids in delivery.objects.values() for uid in uids]
            rows = {uid: self._preparation.instance(delivery.project, uid) for uid in uids}
            study = self._preparation.original_study(next(iter(rows.values())))
        except InstanceNotFound as error:
            self._hold(delivery, Standing(str(error)))
            return None
        if not self._rules.check_identity:
            return _Load(delivery, rows, study, study.patient)
        standing = standing_of(study.patient, self._target.studies(study.study_uid), self._key)
        if standing.words and standing.digest != delivery.accepted_identity:
            self._hold(delivery, standing)
            return None
        patient = study.patient if standing.patient is None else study.patient.updated_by(standing.patient)
        return _Load(delivery, rows, study, patient)

    def _hold(self, delivery: DeliveryRow, standing: Standing) -> None:
        self._outbox.hold(delivery.id, standing.words, standing.digest)
        self._files.erase(delivery.id)
        self._on_ended("held", delivery)
        _log.warning("delivery.held", delivery=delivery.id, peer=delivery.peer, reason=standing.words)

    def _send(self, load: _Load, peer: OpenTarget) -> bool:
        """Send what is left of a delivery in its order; whether what comes after it may go."""
        delivery = load.delivery
        try:
            items = self._begin(load, peer)
            if items is None:
                return True
            for item in items:
                answer = peer.store(self._parcel(load, item))
                if not self._note(load, item, answer, is_last=item is items[-1]):
                    return answer.verdict is Verdict.NEVER
        except (ObjectInvalid, InstanceNotFound) as error:
            self._hold(delivery, Standing(str(error)))
            return False
        if not items:
            self._outbox.finish(delivery.id, DeliveryState.SENT, warning="; ".join(dict.fromkeys(load.warnings)))
        self._end(load)
        return True

    def _begin(self, load: _Load, peer: OpenTarget) -> list[DeliveryItem] | None:
        """The objects that go now, noted as on their way; None where the delivery was taken back meanwhile."""
        known = self._outbox.items(load.delivery.id)
        if not known:
            return self._choose(load, peer)
        left = [item for item in known if item.state is not ItemState.SENT]
        left = [item for item in left if not self._arrived_before(load, item)]
        return left if self._outbox.mark_sending(load.delivery.id, left) else None

    def _choose(self, load: _Load, peer: OpenTarget) -> list[DeliveryItem] | None:
        """Which objects go, by the settings and by what the peer takes; None where somebody ended the delivery."""
        choice = chosen_objects(load.delivery.objects, load.rows, self._rules, peer.takes)
        load.warnings += [choice.words] if choice.words else []
        if not choice.uids:
            load.warnings.append("the result has nothing of what the settings let the peer get")
            return []
        chosen = [(load.rows[uid].sop_class_uid, uid) for uid in choice.uids]
        return self._outbox.set_items(load.delivery.id, chosen, ItemState.SENDING) or None

    def _arrived_before(self, load: _Load, item: DeliveryItem) -> bool:
        """Whether the peer has an object that a kill left on its way."""
        if item.state is not ItemState.SENDING:
            return False
        series_uid = load.rows[item.sop_instance_uid].series_uid
        if not self._target.has(load.study.study_uid, series_uid, item.sop_instance_uid):
            return False
        self._outbox.record(item, ItemState.SENT, 0, "the peer had it when it was asked after a restart")
        return True

    def _parcel(self, load: _Load, item: DeliveryItem) -> Parcel:
        """The object as it leaves: as it was sealed, unless the patient is another one now."""
        delivery = load.delivery
        sealed = self._files.find(delivery.id, item.position)
        row = load.rows[item.sop_instance_uid]
        if sealed is not None and sealed.identity == load.patient.digest(self._key):
            return sealed
        parcel = self._preparation.parcel(row, None if load.patient == load.study.patient else load.patient)
        self._files.keep(delivery.id, item.position, parcel)
        if parcel.note:
            load.warnings.append(parcel.note)
        return parcel

    def _note(self, load: _Load, item: DeliveryItem, answer: Answer, *, is_last: bool) -> bool:
        """Record an answer; whether the next object may go."""
        delivery = load.delivery
        if answer.verdict is Verdict.STORED:
            load.warnings += [answer.warning] if answer.warning else []
            stored = (ItemState.SENT, answer.status, answer.words)
            if is_last:
                warning = "; ".join(dict.fromkeys(load.warnings))
                self._outbox.end_with(item, stored, DeliveryState.SENT, warning=warning)
            else:
                self._outbox.record(item, *stored)
            return True
        if answer.verdict is Verdict.NEVER:
            refused = (ItemState.REFUSED, answer.status, answer.words)
            self._outbox.end_with(item, refused, DeliveryState.FAILED, error=answer.words)
            self._fail(delivery, answer.words)
            return False
        self._outbox.record(item, ItemState.WAITING, answer.status, answer.words)
        self._put_off(delivery, answer.words)
        return False

    def _end(self, load: _Load) -> None:
        delivery = load.delivery
        self._files.erase(delivery.id)
        self._on_ended("sent", delivery)
        _log.info("delivery.sent", delivery=delivery.id, peer=delivery.peer)


def _trouble(error: Exception) -> str:
    """Our own trouble in words; what nobody foresaw may quote a patient, so the place where it arose stands for it."""
    return str(error) if isinstance(error, GatewayError) else fault_place(error)


def _tell_nobody(_action: str, _delivery: DeliveryRow) -> None:
    """Where no trail is kept."""
