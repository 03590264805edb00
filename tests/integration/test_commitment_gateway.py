"""Storage commitment through a whole gateway: the truth from the archive, told on whichever association there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from service.archive.commitments import CommitmentRole, CommitmentState
from service.core.commitment import CommitmentProgress
from tests.commitment_house import CommitmentHouse, commitment_house
from tests.commitment_peer import CommitmentPeer, Heard, ask, asked_for, asking, commitment_peer
from tests.datasets import ct_slice
from tests.listening_node import CT, MR
from tests.patience import PATIENCE_S

SR = "1.2.840.10008.5.1.4.1.1.88.11"
NO_SUCH_INSTANCE, CONFLICT, NO_SUCH_CLASS, PROCESSING, DUPLICATE = 0x0112, 0x0119, 0x0122, 0x0110, 0x0131
PLAIN = {"deidentify": "none", "annotators": []}
CLEANED = {"deidentify": "basic", "annotators": []}


def named(*objects: Dataset) -> list[tuple[str, str]]:
    return [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in objects]


def ask_and_leave(house: CommitmentHouse, instances: list[tuple[str, str]], transaction: str = "1.2.3.9") -> None:
    with asking(*house.address) as association:
        assert ask(association, asked_for(transaction, instances)) == 0


@pytest.mark.parametrize("project", [PLAIN, CLEANED], ids=["as it came", "de-identified"])
def test_what_is_archived_is_committed_under_its_original_uid(tmp_path: Path, project: dict[str, object]) -> None:
    sent = [ct_slice(number) for number in (1, 2)]
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": project}, peers={"pacs": peer.settings}) as house,
    ):
        assert house.send(sent) == [0, 0]
        house.ingest()
        ask_and_leave(house, named(*sent))
        assert house.round()
        heard = peer.heard.get(timeout=PATIENCE_S)
    assert heard.committed == {uid for _, uid in named(*sent)}
    assert not heard.failed


def test_what_is_not_archived_fails_with_its_reason(tmp_path: Path) -> None:
    kept, unknown = ct_slice(1), ct_slice(2)
    cut = ct_slice(3)
    del cut.SeriesInstanceUID  # goes to quarantine
    dropped = {**CLEANED, "drop_sop_classes": [SR]}
    asked = [*named(kept, unknown, cut), (MR, "1.2.3.4"), (SR, "1.2.3.5")]
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": dropped}, peers={"pacs": peer.settings}) as house,
    ):
        house.send([kept, cut])
        house.ingest()
        ask_and_leave(house, [(MR, str(kept.SOPInstanceUID)), *asked[1:]])
        house.round()
        heard = peer.heard.get(timeout=PATIENCE_S)
    assert heard.event_type == 2
    assert heard.failed == {
        str(kept.SOPInstanceUID): CONFLICT,
        str(unknown.SOPInstanceUID): NO_SUCH_INSTANCE,
        str(cut.SOPInstanceUID): NO_SUCH_INSTANCE,
        "1.2.3.4": NO_SUCH_INSTANCE,
        "1.2.3.5": NO_SUCH_CLASS,
    }


def test_what_is_still_on_its_way_holds_the_answer(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": CLEANED}, peers={"pacs": peer.settings}) as house,
    ):
        house.send([sent])
        ask_and_leave(house, named(sent))
        assert house.round()
        assert not house.round()
        assert peer.heard.empty()
        house.ingest()
        house.clock.now += 10
        house.round()
        assert peer.heard.get(timeout=PATIENCE_S).committed == {str(sent.SOPInstanceUID)}


def test_it_does_not_hold_the_answer_for_ever(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with (
        commitment_peer() as peer,
        commitment_house(
            tmp_path, projects={"default": CLEANED}, peers={"pacs": peer.settings}, commitment={"wait_s": 60.0}
        ) as house,
    ):
        house.send([sent])
        ask_and_leave(house, named(sent))
        house.clock.now += 61
        house.round()
        assert peer.heard.get(timeout=PATIENCE_S).failed == {str(sent.SOPInstanceUID): PROCESSING}


def test_an_instance_whose_file_is_gone_is_not_committed(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": PLAIN}, peers={"pacs": peer.settings}) as house,
    ):
        house.send([sent])
        house.ingest()
        held = house.gateway.instances.find("default", str(sent.SOPInstanceUID))
        assert held is not None
        house.gateway.blobs.path(held.blob.key).unlink()
        ask_and_leave(house, named(sent))
        house.round()
        assert peer.heard.get(timeout=PATIENCE_S).failed == {str(sent.SOPInstanceUID): PROCESSING}


def test_a_peer_that_is_away_is_told_later(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": CLEANED}, peers={"pacs": peer.settings}) as house,
    ):
        peer.statuses += [0x0110, 0x0213]
        house.send([sent])
        house.ingest()
        ask_and_leave(house, named(sent))
        pauses = []
        for _ in range(2):
            assert house.round()
            due = house.gateway.commitments.next_due_at(CommitmentRole.SCP)
            assert due is not None
            pauses.append(due - house.clock.now)
            house.clock.now = due
        assert house.round()
        assert house.gateway.commitments.counts(CommitmentRole.SCP)[CommitmentState.DONE] == 1
    assert pauses == [30.0, 60.0]


def test_a_peer_that_never_comes_back_is_given_up_after_days(tmp_path: Path) -> None:
    with commitment_house(tmp_path, projects={"default": CLEANED}) as house:
        ask_and_leave(house, [(CT, "1.2.3.4")])
        house.round()
        house.clock.now += 8 * 86400
        house.round()
        counts = house.gateway.commitments.counts(CommitmentRole.SCP)
        assert any("could not be answered in 7 days" in notice for notice in house.gateway.notices())
        assert (counts[CommitmentState.FAILED], house.gateway.commitments.next_due_at(CommitmentRole.SCP)) == (1, None)


def test_a_transaction_uid_in_use_is_a_failure_of_its_own(tmp_path: Path) -> None:
    sent = [ct_slice(1), ct_slice(2)]
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": CLEANED}, peers={"pacs": peer.settings}) as house,
    ):
        house.send(sent)
        house.ingest()
        for one in sent:
            ask_and_leave(house, named(one))
        judged = house.gateway.commitments
        first, second = (judged.lease(CommitmentRole.SCP, "test", 60.0) for _ in range(2))
        assert first is not None
        assert second is not None
        judged.postpone(second.id, "test", house.clock.now, failed_attempt=False)
        house.round()
        assert peer.heard.get(timeout=PATIENCE_S).failed == {str(sent[1].SOPInstanceUID): DUPLICATE}


def test_no_original_uid_stands_in_the_index(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with commitment_house(tmp_path, projects={"default": CLEANED}) as house:
        ask_and_leave(house, named(sent), "1.2.3.123456789")
        house.gateway.commitment_requests.request_commitment  # noqa: B018 -- made, so that both roles have been
        with house.gateway.database.read() as connection:
            dump = "\n".join(connection.connection.iterdump())
    assert not [uid for uid in (str(sent.SOPInstanceUID), "1.2.3.123456789") if uid in dump]


# Who asks.

ELSEWHERE = "127.0.0.2"


def told(house: CommitmentHouse, instances: list[tuple[str, str]], title: str, address: str) -> Heard:
    with asking(*house.address, title=title, address=address) as association:
        assert ask(association, asked_for("1.2.3.9", instances)) == 0
        return association.heard.get(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("title", "address", "commits_for", "is_told"),
    [
        ("CT1", ELSEWHERE, [], True),  # the sender, wherever it calls from
        ("PACS", "127.0.0.1", [], True),  # by another title, from where it was sent
        ("PACS", ELSEWHERE, [], False),
        ("PACS", ELSEWHERE, ["CT1"], True),
        ("PACS", ELSEWHERE, ["CT2"], False),
        ("PACS", ELSEWHERE, ["*"], True),
        ("CT2", ELSEWHERE, ["*"], False),  # it is the PACS that was named
    ],
)
@pytest.mark.parametrize("project", [PLAIN, CLEANED], ids=["as it came", "de-identified"])
def test_who_has_not_sent_an_instance_cannot_find_out_about_it(
    tmp_path: Path, project: dict[str, object], title: str, address: str, commits_for: list[str], *, is_told: bool
) -> None:
    sent = ct_slice(1)
    pacs = {"ae_title": "PACS", "host": "127.0.0.1", "port": 1, "commits_for": commits_for}
    settings = {"projects": {"default": project}, "peers": {"pacs": pacs}, "commitment": {"linger_s": 20.0}}
    with commitment_house(tmp_path, **settings) as house:
        house.send([sent], calling="CT1")
        house.ingest()
        heard = told(house, named(sent), title, address)
    uid = str(sent.SOPInstanceUID)
    assert (heard.committed, heard.failed) == ((frozenset({uid}), {}) if is_told else (frozenset(), {uid: 0x0112}))


def test_who_sent_what_was_here_already_is_told_as_well(tmp_path: Path) -> None:
    kept, changed = ct_slice(1), ct_slice(2)
    with commitment_house(tmp_path, projects={"default": PLAIN}, commitment={"linger_s": 20.0}) as house:
        house.send([kept, changed], calling="CT1")
        house.ingest()
        changed.InstanceNumber = 99  # under the UID of another that stays
        house.send([kept, changed], calling="CT2")
        house.ingest()
        heard = told(house, named(kept, changed), "CT2", ELSEWHERE)
        assert (heard.committed, heard.failed) == (
            {str(kept.SOPInstanceUID)},
            {str(changed.SOPInstanceUID): NO_SUCH_INSTANCE},
        )


def test_who_sent_what_was_replaced_is_told_that_it_is_gone(tmp_path: Path) -> None:
    sent = ct_slice(1)
    replacing = {**PLAIN, "on_conflict": "replace"}
    with commitment_house(tmp_path, projects={"default": replacing}, commitment={"linger_s": 20.0}) as house:
        house.send([sent], calling="CT1")
        house.ingest()
        sent.InstanceNumber = 99
        house.send([sent], calling="CT2")
        house.ingest()
        assert told(house, named(sent), "CT1", ELSEWHERE).failed == {str(sent.SOPInstanceUID): NO_SUCH_INSTANCE}
        assert told(house, named(sent), "CT2", ELSEWHERE).committed == {str(sent.SOPInstanceUID)}


def test_an_answer_on_our_association_goes_by_where_it_was_asked(tmp_path: Path) -> None:
    sent = ct_slice(1)
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, projects={"default": PLAIN}, peers={"pacs": peer.settings}) as house,
    ):
        house.send([sent], calling="CT1")
        house.ingest()
        for address in ("127.0.0.1", ELSEWHERE):
            with asking(*house.address, address=address) as association:
                assert ask(association, asked_for(f"1.2.3.{address}", named(sent))) == 0
        house.round()
        house.round()
        heard = {
            one.transaction_uid: one.failed
            for one in (peer.heard.get(timeout=PATIENCE_S), peer.heard.get(timeout=PATIENCE_S))
        }
    assert heard == {"1.2.3.127.0.0.1": {}, "1.2.3.127.0.0.2": {str(sent.SOPInstanceUID): NO_SUCH_INSTANCE}}


# We ask.


def requested(house: CommitmentHouse) -> str:
    return house.gateway.commitment_requests.request_commitment("default", "pacs", [(SR, "1.2.3.5"), (SR, "1.2.3.6")])


@pytest.mark.parametrize("refuse", [{}, {"1.2.3.6": 0x0213}], ids=["all", "some"])
def test_an_answer_on_our_association_is_taken(tmp_path: Path, refuse: dict[str, int]) -> None:
    with (
        commitment_peer() as peer,
        commitment_house(tmp_path, peers={"pacs": peer.settings}, commitment={"linger_s": 20.0}) as house,
    ):
        peer.answer_on_same, peer.refuse = True, refuse
        transaction = requested(house)
        house.round()
        outcome = house.gateway.commitment_requests.outcome(transaction)
        assert peer.asked.get(timeout=PATIENCE_S) == (transaction, [(SR, "1.2.3.5"), (SR, "1.2.3.6")])
    assert outcome is not None
    assert (outcome.progress, outcome.failed, outcome.is_safe) == (CommitmentProgress.ANSWERED, refuse, not refuse)
    assert outcome.committed == {"1.2.3.5", "1.2.3.6"} - refuse.keys()


def test_an_answer_days_later_comes_to_our_node(tmp_path: Path) -> None:
    with commitment_peer() as peer, commitment_house(tmp_path, peers={"pacs": peer.settings}) as house:
        transaction = requested(house)
        house.round()
        waiting = house.gateway.commitment_requests.outcome(transaction)
        _, instances = peer.asked.get(timeout=PATIENCE_S)
        house.clock.now += 5 * 86400
        assert not house.round()
        answer = peer.answer(transaction, instances[:1])
        statuses = [peer.report_to(*house.address, answer) for _ in range(2)]
        outcome = house.gateway.commitment_requests.outcome(transaction)
    assert waiting is not None
    assert outcome is not None
    assert (waiting.progress, statuses) == (CommitmentProgress.WAITING, [0, 0])
    assert outcome.committed == {"1.2.3.5"}
    assert outcome.failed == {"1.2.3.6": PROCESSING}


@pytest.mark.parametrize("title", ["PACS", "STRANGER"])
def test_an_answer_that_nobody_asked_for_is_refused(tmp_path: Path, title: str) -> None:
    with commitment_peer() as peer, commitment_house(tmp_path, peers={"pacs": peer.settings}) as house:
        transaction = requested(house)
        house.round()
        uid = "1.2.3.99" if title == "PACS" else transaction
        stranger = CommitmentPeer("127.0.0.1", 0, title)
        assert stranger.report_to(*house.address, stranger.answer(uid, [(SR, "1.2.3.5")])) == 0x0115
        outcome = house.gateway.commitment_requests.outcome(transaction)
    assert outcome is not None
    assert outcome.progress is CommitmentProgress.WAITING


def test_a_peer_that_cannot_be_asked_is_asked_again(tmp_path: Path) -> None:
    away = {"ae_title": "PACS", "host": "127.0.0.1", "port": 1}
    with commitment_house(tmp_path, peers={"pacs": away}) as house:
        transaction = requested(house)
        house.round()
        outcome = house.gateway.commitment_requests.outcome(transaction)
        assert outcome is not None
        assert "cannot be reached" in outcome.reason
        house.clock.now += 8 * 86400
        house.round()
        given_up = house.gateway.commitment_requests.outcome(transaction)
    assert given_up is not None
    assert given_up.progress is CommitmentProgress.FAILED


def test_a_transaction_that_never_was_has_no_outcome(tmp_path: Path) -> None:
    with commitment_house(tmp_path) as house:
        assert house.gateway.commitment_requests.outcome("1.2.3.4") is None
