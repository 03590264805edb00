"""Routing rules and signs of completeness through a whole gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from dicom_nodes.command_set import HIGH_PRIORITY, LOW_PRIORITY, MEDIUM_PRIORITY
from dicom_nodes.commitment import Reference, decode_data_set
from dicom_nodes.instance_availability import (
    INSTANCE_AVAILABILITY,
    AvailabilityNotice,
    AvailableInstance,
    encode_notice,
    notify,
)
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import Requestor
from service.archive.rows import StudyRow
from service.archive.study_routes import SignKind, StudyRoute
from tests.commitment_house import CommitmentHouse, commitment_house
from tests.commitment_peer import ask, asked_for, asking
from tests.datasets import ct_slice, encode
from tests.listening_node import CT, EXPLICIT, IMPLICIT, c_store
from tests.patience import PATIENCE_S

TOKEN = "SECRETSTATION"


def localizer(number: int) -> Dataset:
    data_set = ct_slice(number)
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    data_set.StationName = TOKEN
    return data_set


def project(**settings: Any) -> dict[str, Any]:
    return {"deidentify": "basic", "annotators": [], "ae_titles": ["ANNOGATE"], **settings}


def count(house: CommitmentHouse, name: str) -> int:
    return house.gateway.instances.count(name)


def test_what_a_rule_leaves_out_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = [{"name": "scouts", "tags": {"StationName": [TOKEN]}, "image_type": ["LOCALIZER"], "discard": True}]
    with commitment_house(tmp_path, projects={"default": project(rules=rules)}) as house:
        assert house.send([localizer(1), ct_slice(2)]) == [0, 0]
        house.ingest()
        assert count(house, "default") == 1
        assert house.gateway.counters.get("default", "left out by rule scouts") == 1
        with house.gateway.database.read() as connection:
            rows = "\n".join(connection.connection.iterdump())
    assert TOKEN not in rows + "".join(capsys.readouterr())


def test_a_rule_takes_objects_to_another_project(tmp_path: Path) -> None:
    rules = [{"name": "scouts", "image_type": ["LOCALIZER"], "project": "scouts"}]
    projects = {"default": project(rules=rules), "scouts": project(ae_titles=["SCOUTS"])}
    with commitment_house(tmp_path, projects=projects) as house:
        house.send([localizer(1), ct_slice(2)])
        house.ingest()
        assert (count(house, "default"), count(house, "scouts")) == (1, 1)


def test_what_was_taken_to_another_project_is_committed(tmp_path: Path) -> None:
    rules = [{"name": "scouts", "image_type": ["LOCALIZER"], "project": "scouts"}]
    projects = {"default": project(rules=rules), "scouts": project(ae_titles=["SCOUTS"])}
    sent = localizer(1)
    with commitment_house(tmp_path, projects=projects, commitment={"linger_s": 20.0}) as house:
        house.send([sent])
        house.ingest()
        with asking(*house.address) as peer:
            ask(peer, asked_for("1.2.3.9", [(str(sent.SOPClassUID), str(sent.SOPInstanceUID))]))
            assert peer.heard.get(timeout=PATIENCE_S).committed == {str(sent.SOPInstanceUID)}


def test_priority_and_annotators_of_a_rule_are_kept_for_the_study(tmp_path: Path) -> None:
    rules = [{"name": "now", "calling": ["*"], "priority": "stat", "annotators": ["lungs"]}]
    with commitment_house(tmp_path, projects={"default": project(rules=rules)}) as house:
        house.send([ct_slice(1), ct_slice(2)])
        house.ingest()
        study = only_study(house)
        assert house.gateway.study_routes.of("default", study.study_uid) == StudyRoute(2, ("lungs",))


def only_study(house: CommitmentHouse) -> StudyRow:
    (summary,) = house.gateway.instances.studies("default")
    return summary.study


def complete(house: CommitmentHouse) -> bool:
    house.gateway.study_watch.complete_due()
    return only_study(house).state == "complete"


def test_a_request_for_commitment_completes_a_study(tmp_path: Path) -> None:
    sent = ct_slice(1)
    settings = project(complete_when=["quiet", "commitment"])
    with commitment_house(tmp_path, projects={"default": settings}, commitment={"linger_s": 20.0}) as house:
        house.send([sent])
        house.ingest()
        assert not complete(house)
        with asking(*house.address) as peer:
            ask(peer, asked_for("1.2.3.9", [(str(sent.SOPClassUID), str(sent.SOPInstanceUID))]))
            peer.heard.get(timeout=PATIENCE_S)
        assert complete(house)


def test_a_sign_from_before_the_last_image_is_none(tmp_path: Path) -> None:
    with commitment_house(tmp_path, projects={"default": project(complete_when=["commitment"])}) as house:
        house.send([ct_slice(1)])
        house.ingest()
        study = only_study(house)
        house.gateway.study_routes.give_sign("default", study.study_uid, SignKind.COMMITMENT, house.clock.now)
        house.clock.now += 1
        house.send([ct_slice(2)])
        house.ingest()
        assert not complete(house)


def test_a_notification_holds_once_all_that_it_names_is_there(tmp_path: Path) -> None:
    with commitment_house(tmp_path, projects={"default": project(complete_when=["notification"])}) as house:
        house.send([ct_slice(1)])
        house.ingest()
        study = only_study(house)
        sign = ("default", study.study_uid, SignKind.NOTIFICATION, house.clock.now + 1)
        house.gateway.study_routes.give_sign(*sign, images=2)
        assert not complete(house)
        house.send([ct_slice(2)])
        house.ingest()
        assert complete(house)


@pytest.mark.parametrize(("wanted", "expected"), [([["CT"]], True), ([["CT", "MR"]], False), ([["MR"], ["C?"]], True)])
def test_a_list_of_series_completes_a_study(tmp_path: Path, wanted: list[list[str]], expected: bool) -> None:
    settings = project(complete_when=["series"], complete_series=wanted)
    with commitment_house(tmp_path, projects={"default": settings}) as house:
        house.send([ct_slice(1)])
        house.ingest()
        assert not complete(house)
        house.clock.now += 6
        assert complete(house) is expected


def test_whatever_is_awaited_quiet_ends_the_wait(tmp_path: Path) -> None:
    settings = project(complete_when=["commitment"], study_wait_s=600.0)
    with commitment_house(tmp_path, projects={"default": settings}) as house:
        house.send([ct_slice(1)])
        house.ingest()
        house.clock.now += 599
        assert not complete(house)
        house.clock.now += 2
        assert complete(house)


# What peers tell


def test_a_notice_completes_a_study_once_all_is_there(tmp_path: Path) -> None:
    sent = [ct_slice(1), ct_slice(2)]
    named = tuple(
        AvailableInstance(Reference(str(one.SOPClassUID), str(one.SOPInstanceUID)), "ONLINE", "PACS") for one in sent
    )
    notice = AvailabilityNotice(str(sent[0].StudyInstanceUID), ((str(sent[0].SeriesInstanceUID), named),))
    with commitment_house(tmp_path, projects={"default": project(complete_when=["notification"])}) as house:
        notify(PeerAddress("ANNOGATE", *house.address), notice, "1.2.3.99")
        house.send(sent[:1])
        house.ingest()
        assert not complete(house)
        house.send(sent[1:])
        house.ingest()
        assert complete(house)


def test_pynetdicom_tells_what_is_available(tmp_path: Path) -> None:
    notice = AvailabilityNotice("1.2.3", (("1.2.3.4", (AvailableInstance(Reference(CT, "1.2.3.5"), "ONLINE", "A"),)),))
    ae = AE("PACS")
    ae.add_requested_context(INSTANCE_AVAILABILITY)
    with commitment_house(tmp_path, projects={"default": project(complete_when=["notification"])}) as house:
        association = ae.associate(*house.address, ae_title="ANNOGATE")
        whole = decode_data_set(encode_notice(notice, IMPLICIT), IMPLICIT)
        lacking = Dataset()
        lacking.update(whole)
        del lacking.StudyInstanceUID
        answers = [association.send_n_create(one, INSTANCE_AVAILABILITY, "1.2.3.99")[0] for one in (whole, lacking)]
        statuses = [int(answer.Status) for answer in answers]
        association.release()
    assert statuses == [0, 0x0115]


def test_where_nobody_goes_by_notices_none_is_taken(tmp_path: Path) -> None:
    notice = AvailabilityNotice("1.2.3", (("1.2.3.4", ()),))
    with (
        commitment_house(tmp_path, projects={"default": project()}) as house,
        pytest.raises(PeerUnavailable, match="no presentation context"),
    ):
        notify(PeerAddress("ANNOGATE", *house.address), notice, "1.2.3.99")


@pytest.mark.parametrize(("count", "expected"), [(2, True), (3, False), (None, False)])
def test_the_peers_own_count_completes_a_study(tmp_path: Path, count: int | None, expected: bool) -> None:
    asked = []

    def answer(event: Any) -> Any:
        asked.append(str(event.identifier.StudyInstanceUID))
        found = Dataset()
        found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", event.identifier.StudyInstanceUID
        if count is not None:
            found.NumberOfStudyRelatedInstances = count
        yield 0xFF00, found

    ae = AE("PACS")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answer)])
    peers = {"pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": server.server_address[1]}}
    settings = project(complete_when=["count"], count_peer="pacs")
    sent = [ct_slice(1), ct_slice(2)]
    try:
        with commitment_house(tmp_path, projects={"default": settings}, peers=peers) as house:
            house.send(sent)
            house.ingest()
            assert not complete(house)
            assert not asked
            house.clock.now += 6
            assert complete(house) is expected
    finally:
        server.shutdown()
    assert asked == [str(sent[0].StudyInstanceUID)]


def test_a_peer_that_is_away_counts_nothing(tmp_path: Path) -> None:
    peers = {"pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": 1}}
    settings = project(complete_when=["count"], count_peer="pacs")
    with commitment_house(tmp_path, projects={"default": settings}, peers=peers) as house:
        house.send([ct_slice(1)])
        house.ingest()
        house.clock.now += 6
        assert not complete(house)


# What we tell


def test_peers_are_told_of_a_complete_study(tmp_path: Path) -> None:
    told: list[tuple[str, set[str], set[str]]] = []
    answers = [0x0110, 0x0000]

    def take(event: Any) -> tuple[int, Dataset]:
        notice = event.attribute_list
        instances = [one for item in notice.ReferencedSeriesSequence for one in item.ReferencedSOPSequence]
        uids = {str(one.ReferencedSOPInstanceUID) for one in instances}
        told.append((str(notice.StudyInstanceUID), uids, {str(one.RetrieveAETitle) for one in instances}))
        return answers.pop(0), Dataset()

    ae = AE("RIS")
    ae.add_supported_context(INSTANCE_AVAILABILITY)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_CREATE, take)])
    peers = {"ris": {"ae_title": "RIS", "host": "127.0.0.1", "port": server.server_address[1]}}
    try:
        with commitment_house(
            tmp_path, projects={"default": project(tell_availability_to=["ris"])}, peers=peers
        ) as house:
            house.send([ct_slice(1), ct_slice(2)])
            house.ingest()
            assert not house.gateway.notice_rounds.work()
            house.clock.now += 61
            assert complete(house)
            assert house.gateway.notice_rounds.work()
            assert not house.gateway.notice_rounds.work()
            house.clock.now += 31
            assert house.gateway.notice_rounds.work()
            house.clock.now += 86400
            assert not house.gateway.notice_rounds.work()
            study_uid = only_study(house).study_uid
            served = {one.sop_instance_uid for one in house.gateway.instances.instances_of("default", study_uid)}
    finally:
        server.shutdown()
    assert told == [(study_uid, served, {"ANNOGATE"})] * 2


def test_a_peer_that_cannot_be_told_is_given_up_after_days(tmp_path: Path) -> None:
    peers = {"ris": {"ae_title": "RIS", "host": "127.0.0.1", "port": 1}}
    with commitment_house(tmp_path, projects={"default": project(tell_availability_to=["ris"])}, peers=peers) as house:
        house.send([ct_slice(1)])
        house.ingest()
        house.clock.now += 61
        assert complete(house)
        assert house.gateway.notice_rounds.work()
        house.clock.now += 8 * 86400
        assert house.gateway.notice_rounds.work()
        house.clock.now += 86400
        assert not house.gateway.notice_rounds.work()


# Urgent first


def test_what_is_urgent_by_its_title_is_worked_off_first(tmp_path: Path) -> None:
    rules = [{"name": "now", "called": ["STAT"], "priority": "stat"}]
    settings = project(ae_titles=["ANNOGATE", "STAT"], rules=rules)
    with commitment_house(tmp_path, projects={"default": settings}) as house:
        for number in (1, 2):
            house.send([ct_slice(number)])
        urgent = ct_slice(3)
        house.send([urgent], "STAT")
        house.ingest()
        (study,) = house.gateway.instances.studies("default")
        held = house.gateway.instances.instances_of("default", study.study.study_uid)
        first = min(held, key=lambda one: one.id)
    assert first.instance_number == urgent.InstanceNumber


def test_what_its_sender_calls_urgent_is_worked_off_first(tmp_path: Path) -> None:
    sent = [ct_slice(1), ct_slice(2), ct_slice(3)]
    with commitment_house(tmp_path, projects={"default": project()}) as house:
        with Requestor(PeerAddress("ANNOGATE", *house.address), [(CT, EXPLICIT)]) as association:
            for one, priority in zip(sent, (MEDIUM_PRIORITY, LOW_PRIORITY, HIGH_PRIORITY), strict=True):
                uid = str(one.SOPInstanceUID)
                status, _ = c_store(association, 1, sop_instance_uid=uid, data_set=encode(one), priority=priority)
                assert status == 0
        house.ingest()
        study_uid = only_study(house).study_uid
        held = house.gateway.instances.instances_of("default", study_uid)
        order = [one.instance_number for one in sorted(held, key=lambda one: one.id)]
    assert order == [sent[2].InstanceNumber, sent[0].InstanceNumber, sent[1].InstanceNumber]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], 2),
        ([{"name": "night", "calling": ["*"], "priority": "routine"}], 0),
        ([{"name": "urgent", "sent_priority": ["high"], "priority": "high"}], 1),
        ([{"name": "other", "sent_priority": ["low", "medium"], "priority": "routine"}], 2),
    ],
)
def test_a_study_is_as_urgent_as_its_sender_says(tmp_path: Path, rules: list[dict[str, Any]], expected: int) -> None:
    sent = ct_slice(1)
    with commitment_house(tmp_path, projects={"default": project(rules=rules)}) as house:
        with Requestor(PeerAddress("ANNOGATE", *house.address), [(CT, EXPLICIT)]) as association:
            uid = str(sent.SOPInstanceUID)
            c_store(association, 1, sop_instance_uid=uid, data_set=encode(sent), priority=HIGH_PRIORITY)
        house.ingest()
        study = only_study(house)
        assert house.gateway.study_routes.of("default", study.study_uid).priority == expected
