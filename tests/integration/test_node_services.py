"""Services plugged into a node, asked by pynetdicom's own SCU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation, SOPClassExtendedNegotiation

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_FIND_RQ,
    C_STORE_RQ,
    COMMAND_FIELD,
    N_ACTION_RQ,
    PRIORITY,
    STATUS,
)
from dicom_nodes.errors import StorageExhausted
from dicom_nodes.service_port import Exchange, ServiceRequest
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.fakes.scripted_service import ScriptedService
from tests.listening_node import CT, EXPLICIT, IMPLICIT, MR, Listening, listening
from tests.patience import PATIENCE_S

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT = "1.2.840.10008.1.20.1"
STUDY_UID = b"\x20\x00\x0d\x00UI\x06\x001.2.3\x00"


@contextlib.contextmanager
def association(node: Listening, *classes: str, **options: Any) -> Iterator[Any]:
    ae = AE("ASKER")
    for uid in classes:
        ae.add_requested_context(uid, [EXPLICIT, IMPLICIT])
    host, port = node.node.address
    opened = ae.associate(host, port, ae_title="ANNOGATE", **options)
    assert opened.is_established
    yield opened
    opened.release()


def identifier() -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = ""
    return asked


def succeed(_request: ServiceRequest, exchange: Exchange) -> None:
    exchange.respond(0)


def test_every_response_of_a_service_reaches_the_caller() -> None:
    def two_matches(_request: ServiceRequest, exchange: Exchange) -> None:
        exchange.respond(0xFF00, data_set=STUDY_UID)
        exchange.respond(0xFF00, data_set=STUDY_UID)
        exchange.respond(0)

    service = ScriptedService(frozenset({FIND}), two_matches)
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND) as peer:
        answers = [(status.Status, found) for status, found in peer.send_c_find(identifier(), FIND)]
    assert [status for status, _ in answers] == [0xFF00, 0xFF00, 0]
    assert answers[0][1].StudyInstanceUID == "1.2.3"
    (request,) = service.requests
    assert request.command == C_FIND_RQ
    assert request.caller.calling_ae_title == "ASKER"
    assert request.data_set


def test_action_is_answered_with_its_type_and_instance() -> None:
    service = ScriptedService(frozenset({COMMITMENT}), succeed)
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, COMMITMENT) as peer:
        status, _ = peer.send_n_action(identifier(), 1, COMMITMENT, f"{COMMITMENT}.1")
    assert status.Status == 0
    (request,) = service.requests
    assert (request.command, request.type_id) == (N_ACTION_RQ, 1)
    assert request.sop_instance_uid == f"{COMMITMENT}.1"


@pytest.mark.parametrize(("error", "status"), [(StorageExhausted("full"), 0xA700), (ValueError("Doe^John"), 0x0110)])
def test_failing_service_answers_with_a_status(error: Exception, status: int) -> None:
    def fail(_request: ServiceRequest, _exchange: Exchange) -> None:
        raise error

    service = ScriptedService(frozenset({FIND}), fail)
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND) as peer:
        ((answer, _),) = peer.send_c_find(identifier(), FIND)
        assert answer.Status == status
        assert "Doe" not in answer.get("ErrorComment", "")
        assert peer.is_established


def test_service_without_a_final_response_is_answered_for() -> None:
    service = ScriptedService(frozenset({FIND}), lambda *_: None)
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND) as peer:
        assert [status.Status for status, _ in peer.send_c_find(identifier(), FIND)] == [0x0110]


def test_service_is_not_offered_to_callers_it_does_not_admit() -> None:
    service = ScriptedService(frozenset({FIND}), succeed, admitted=frozenset({"PACS"}))
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND, CT) as peer:
        assert [str(context.abstract_syntax) for context in peer.rejected_contexts] == [FIND]


def test_two_services_of_one_class_are_refused() -> None:
    with pytest.raises(ValueError, match=FIND):
        listening(InMemoryObjectSink(), services=[ScriptedService(frozenset({FIND}), succeed)] * 2).__enter__()


def test_extended_negotiation_is_answered_and_told_to_the_service() -> None:
    service = ScriptedService(frozenset({FIND}), succeed, information=b"\x01\x00")
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = FIND
    item.service_class_application_information = b"\x01\x01\x01"
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND, ext_neg=[item]) as peer:
        assert peer.acceptor.sop_class_extended == {FIND: b"\x01\x00"}
        list(peer.send_c_find(identifier(), FIND))
    assert service.requests[0].application_information == b"\x01\x00"


def test_objects_go_back_on_the_callers_association() -> None:
    taken: list[str] = []

    def give(_request: ServiceRequest, exchange: Exchange) -> None:
        (context,) = [context for context in exchange.contexts if context.abstract_syntax == CT]
        assert context.as_scu
        elements: dict[int, int | str] = {
            COMMAND_FIELD: C_STORE_RQ,
            AFFECTED_SOP_CLASS_UID: CT,
            AFFECTED_SOP_INSTANCE_UID: "1.2.3.4",
            PRIORITY: 0,
        }
        # In pieces that fit no PDU, so that they have to be cut anew.
        pieces = [
            b"\x08\x00\x18\x00UI\x08\x001.2",
            b".3.4\x00",
            b"\xe0\x7f\x10\x00OW\x00\x00\x00\x00\x04\x00",
            bytes(0x40000),
        ]
        response = exchange.request(context.context_id, elements, iter(pieces))
        exchange.respond(response.number(STATUS))

    def keep(event: Any) -> int:
        taken.append(f"{event.dataset.SOPInstanceUID} {len(event.dataset.PixelData)}")
        return 0xB007

    service = ScriptedService(frozenset({GET}), give, scu_of=frozenset({CT}))
    roles = [build_role(CT, scp_role=True), build_role(MR, scp_role=True)]
    options = {"ext_neg": roles, "evt_handlers": [(evt.EVT_C_STORE, keep)]}
    with (
        listening(InMemoryObjectSink(), services=[service]) as node,
        association(node, GET, CT, MR, **options) as peer,
    ):
        # Answered where the role can be ours, and left out where it cannot.
        assert [str(uid) for uid in peer.acceptor.role_selection] == [CT]
        assert [status.Status for status, _ in peer.send_c_get(identifier(), GET)] == [0xB007]
    assert taken == [f"1.2.3.4 {0x40000}"]


def test_cancel_is_seen_while_the_service_works() -> None:
    def until_cancelled(_request: ServiceRequest, exchange: Exchange) -> None:
        while not exchange.cancelled:
            exchange.respond(0xFF00, data_set=STUDY_UID)
        exchange.respond(0xFE00)

    service = ScriptedService(frozenset({FIND}), until_cancelled)
    with listening(InMemoryObjectSink(), services=[service]) as node, association(node, FIND) as peer:
        answers = peer.send_c_find(identifier(), FIND, msg_id=7)
        next(answers)
        peer.send_c_cancel(7, query_model=FIND)
        assert [status.Status for status, _ in answers][-1] == 0xFE00


def test_association_without_services_takes_no_query() -> None:
    with listening(InMemoryObjectSink()) as node, association(node, FIND, CT) as peer:
        assert [str(context.abstract_syntax) for context in peer.accepted_contexts] == [CT]


PRIVATE_CT = "1.2.826.0.1.3680043.8.498.77"


def specialised(service_class: str, *general: str) -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = PRIVATE_CT
    item.service_class_uid = service_class
    item.related_general_sop_class_identification = list(general)
    return item


def test_class_of_a_site_is_stored_like_the_class_that_it_specialises() -> None:
    sink = InMemoryObjectSink()
    image = identifier()
    image.SOPClassUID, image.SOPInstanceUID = PRIVATE_CT, "1.2.3.4"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = EXPLICIT
    storage = "1.2.840.10008.4.2"
    with listening(sink) as node, association(node, PRIVATE_CT, ext_neg=[specialised(storage, CT)]) as peer:
        assert peer.send_c_store(image).Status == 0
    assert [header.sop_class_uid for header, _ in sink.stored] == [PRIVATE_CT]


@pytest.mark.parametrize(("service_class", "general"), [("1.2.840.10008.4.2", "1.2.3"), ("1.2.3.4", CT)])
def test_class_that_specialises_nothing_we_store_is_rejected(service_class: str, general: str) -> None:
    negotiated = [specialised(service_class, general)]
    with listening(InMemoryObjectSink()) as node, association(node, PRIVATE_CT, CT, ext_neg=negotiated) as peer:
        assert [str(context.abstract_syntax) for context in peer.rejected_contexts] == [PRIVATE_CT]


def test_identifier_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_nodes.dimse_stream._LONGEST_MESSAGE", 100_000)
    service = ScriptedService(frozenset({FIND}), succeed)
    asked = identifier()
    asked.TextValue = "x" * 200_000  # nothing that a query has, but long
    with listening(InMemoryObjectSink(), services=[service]) as node:
        ae = AE("ASKER")
        ae.add_requested_context(FIND, IMPLICIT)
        peer = ae.associate(*node.node.address, ae_title="ANNOGATE")
        list(peer.send_c_find(asked, FIND))
        peer.join(PATIENCE_S)
        assert peer.is_aborted
    assert service.requests == []
