"""The outbox in the index: what is due in which order, who holds a peer, and what a decision changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.database import Database
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.archive.releases import ReleaseTable
from service.core.deliveries import (
    ANY_FORM,
    CommitmentStanding,
    DeliveryState,
    ItemState,
    PeerBacklog,
    ReleaseState,
)
from tests.archived import SetClock


class Tables:
    def __init__(self, database: Database) -> None:
        self.clock = SetClock()
        self.releases = ReleaseTable(database, self.clock)
        self.outbox = OutboxTable(database, self.clock)
        self.peers = OutboxPeers(database, self.clock)

    def release(self, study_uid: str = "1.2", version: int = 1, run_id: int | None = None) -> int:
        self.releases.open(
            project="p",
            study_uid=study_uid,
            annotator="nodules",
            series_uid="1.2.1",
            objects={ANY_FORM: ["1.9", "1.8"]},
            run_id=run_id,
            version=version,
        )
        return self.releases.page("p")[0].id

    def deliver(self, study_uid: str = "1.2", peer: str = "pacs") -> int:
        release_id = self.release(study_uid)
        return self.outbox.add(
            project="p", release_id=release_id, study_uid=study_uid, peer=peer, objects={ANY_FORM: ["1.9"]}
        )


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield Tables(database)


def test_newer_version_takes_the_place_of_one_that_waits(tables: Tables) -> None:
    first, second = tables.release(run_id=1), tables.release(version=2, run_id=2)
    assert [tables.releases.get(one).state for one in (first, second)] == [
        ReleaseState.SUPERSEDED,
        ReleaseState.WAITING,
    ]


def test_run_is_noted_once(tables: Tables) -> None:
    assert tables.release(run_id=1) == tables.release(run_id=1)


def test_release_is_decided_on_once(tables: Tables) -> None:
    one = tables.release()
    assert tables.releases.decide(one, ReleaseState.RELEASED, "lead")
    assert not tables.releases.decide(one, ReleaseState.REJECTED, "other")
    assert tables.releases.get(one).decided_by == "lead"


def test_waiting_ones_are_found_by_project_and_annotator(tables: Tables) -> None:
    one = tables.release()
    assert [row.id for row in tables.releases.waiting_of([("p", ["nodules"])])] == [one]
    assert tables.releases.waiting_of([("p", ["lungs"]), ("other", ["nodules"])]) == []
    assert tables.releases.waiting_of([]) == []


def test_due_deliveries_keep_the_order_of_their_study(tables: Tables) -> None:
    first, second, other = tables.deliver(), tables.deliver(), tables.deliver("3.4")
    assert [row.id for row in tables.outbox.due("pacs", 10)] == [first, second, other]
    tables.outbox.put_off(first, tables.clock.now + 60, "refused")
    assert [row.id for row in tables.outbox.due("pacs", 10)] == [other]
    tables.outbox.finish(first, DeliveryState.FAILED, error="given up")
    assert [row.id for row in tables.outbox.due("pacs", 10)] == [second, other]


def test_held_delivery_keeps_its_study_back_at_its_peer_alone(tables: Tables) -> None:
    first, _, elsewhere = tables.deliver(), tables.deliver(), tables.deliver(peer="archive")
    tables.outbox.hold(first, "another patient", "digest")
    assert tables.outbox.due("pacs", 10) == []
    assert [row.id for row in tables.outbox.due("archive", 10)] == [elsewhere]


def test_accepted_delivery_is_due_again_with_what_was_accepted(tables: Tables) -> None:
    one = tables.deliver()
    assert not tables.outbox.accept(one, "lead")
    tables.outbox.hold(one, "another patient", "digest")
    assert tables.outbox.accept(one, "lead")
    (row,) = tables.outbox.due("pacs", 10)
    assert (row.accepted_identity, row.found_identity, row.decided_by) == ("digest", "", "lead")


def test_items_are_said_once_and_keep_what_became_of_them(tables: Tables) -> None:
    one = tables.deliver()
    items = tables.outbox.set_items(one, [("1.1", "1.9"), ("1.1", "1.8")])
    assert tables.outbox.mark_sending(one, items)
    tables.outbox.record(items[0], ItemState.SENT, 0, "")
    tables.outbox.record(items[1], ItemState.REFUSED, 0xC000, "refused")
    again = tables.outbox.set_items(one, [("1.1", "1.7")])
    assert [(item.sop_instance_uid, item.state) for item in again] == [
        ("1.9", ItemState.SENT),
        ("1.8", ItemState.REFUSED),
    ]


def test_delivery_that_was_ended_meanwhile_does_not_begin(tables: Tables) -> None:
    one, other = tables.deliver(), tables.deliver()
    items = tables.outbox.set_items(one, [("1.1", "1.9")])
    for number in (one, other):
        tables.outbox.finish(number, DeliveryState.DISCARDED)
    assert not tables.outbox.mark_sending(one, items)
    assert tables.outbox.set_items(other, [("1.1", "1.9")]) == []


def test_retry_sends_only_what_was_not_taken(tables: Tables) -> None:
    one = tables.deliver()
    items = tables.outbox.set_items(one, [("1.1", "1.9"), ("1.1", "1.8")])
    tables.outbox.record(items[0], ItemState.SENT, 0, "")
    tables.outbox.record(items[1], ItemState.REFUSED, 0xC000, "refused")
    tables.outbox.finish(one, DeliveryState.FAILED, error="given up")
    assert tables.outbox.retry(one)
    assert [item.state for item in tables.outbox.items(one)] == [ItemState.SENT, ItemState.WAITING]
    assert tables.outbox.next_due_at("pacs") == tables.clock.now


def test_what_was_sent_is_not_tried_again(tables: Tables) -> None:
    one = tables.deliver()
    tables.outbox.finish(one, DeliveryState.SENT)
    assert not tables.outbox.retry(one)
    assert tables.outbox.withdraw(tables.outbox.get(one).release_id, "recalled", "lead") == 0


def test_peer_is_somebody_elses_until_the_lease_ends(tables: Tables) -> None:
    assert tables.peers.take("pacs", "one", 60)
    assert not tables.peers.take("pacs", "two", 60)
    tables.clock.now += 61
    assert tables.peers.take("pacs", "two", 60)
    assert not tables.peers.renew("pacs", "one", 60)
    tables.peers.give_back("pacs", "one")
    assert not tables.peers.take("pacs", "three", 60)


def test_peer_that_was_away_is_left_alone_for_growing_pauses(tables: Tables) -> None:
    pauses = []
    for _ in range(3):
        assert tables.peers.take("pacs", "one", 60)
        before = tables.clock.now
        next_at = tables.peers.away("pacs", "one", "cannot be reached", lambda failures: 10.0 * failures)
        assert not tables.peers.take("pacs", "one", 60)
        pauses.append(next_at - before)
        tables.clock.now = next_at
    assert pauses == [10, 20, 30]
    assert tables.peers.of("pacs").last_error == "cannot be reached"
    assert tables.peers.take("pacs", "one", 60)
    tables.peers.give_back("pacs", "one")
    assert (tables.peers.of("pacs").failures, tables.peers.of("pacs").last_error) == (0, "")


def test_backlogs_tell_what_waits_for_whom(tables: Tables) -> None:
    sent, held, failed, _, waiting = (tables.deliver(f"1.{number}") for number in range(5))
    tables.deliver(peer="archive")
    tables.outbox.hold(held, "Patient ID")
    tables.outbox.finish(failed, DeliveryState.FAILED)
    tables.outbox.finish(sent, DeliveryState.SENT)
    tables.clock.now += 60
    tables.outbox.retry(waiting)
    assert tables.peers.backlogs() == [
        PeerBacklog("archive", waiting=1, oldest_at=tables.clock.now - 60),
        PeerBacklog("pacs", waiting=2, held=1, failed=1, oldest_at=tables.clock.now - 60, sent=1),
    ]


def test_what_was_sent_twice_counts_twice(tables: Tables) -> None:
    delivery = tables.deliver()
    for _ in range(2):
        tables.outbox.finish(delivery, DeliveryState.SENT)
        tables.outbox.finish(delivery, DeliveryState.SENT)
        tables.outbox.note_commitment(delivery, CommitmentStanding.FAILED)
        assert tables.outbox.send_again(delivery)
    assert tables.peers.backlogs()[0].sent == 2
