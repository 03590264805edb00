"""Results come to a peer by STOW-RS, and what it answers decides as a C-STORE status does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from service.core.deliveries import DeliveryState, ItemState
from service.delivery.answers import Verdict
from service.delivery.peer_rules import PeerRules
from service.delivery.stow_target import StowTarget, answer_of
from tests.datasets import STUDY_UID, as_file
from tests.delivery_house import DeliveryHouse, delivering, original_slices
from tests.fakes.ready_results import ReadyResults
from tests.orthanc_process import OrthancProcess, free_port
from tests.outbox_house import OutboxHouse
from tests.patience import PATIENCE_S

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    folder, settings = tmp_path_factory.mktemp("orthanc"), {"Plugins": [PLUGIN]}
    with OrthancProcess(folder, "ANNOGATE", "127.0.0.1", 11112, settings) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path) as house:
        yield house


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_result_arrives_by_stow_after_qido_told_who_the_patient_is(
    house: DeliveryHouse, orthanc: OrthancProcess
) -> None:
    for image in original_slices():
        requests.post(f"{orthanc.http}/instances", data=as_file(image), timeout=PATIENCE_S).raise_for_status()
    house.make_results()
    house.release_all()
    target = StowTarget("pacs", f"{orthanc.http}/dicom-web")
    courier = house.courier(target, rules=PeerRules("pacs"))
    courier.turn()
    (delivery,) = house.deliveries()
    assert (delivery.state, delivery.last_error) == (DeliveryState.SENT, "")
    found = requests.get(f"{orthanc.http}/dicom-web/studies/{STUDY_UID}/series", timeout=PATIENCE_S).json()
    assert sorted(one["00080060"]["Value"][0] for one in found) == ["CT", "SEG", "SR"]
    house.reopen(delivery.id)
    courier.turn()
    words = {item.words for item in house.outbox.items(delivery.id)}
    assert words == {"the peer had it when it was asked after a restart"}


class Scripted:
    """A DICOMweb service that answers what the test says, and keeps the heads of requests."""

    def __init__(self, status: int, document: object = None) -> None:
        heads = self.heads = []
        body = b"" if document is None else json.dumps(document).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                heads.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Scripted:
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/dicom-web/"


def response(tag: str, reason_tag: str, reason: int, uid: str = "2.25.11") -> dict[str, object]:
    item = {
        "00081155": {"vr": "UI", "Value": [uid]},
        reason_tag: {"vr": "US", "Value": [reason]},
    }
    return {tag: {"vr": "SQ", "Value": [item]}}


@pytest.mark.parametrize(
    ("status", "document", "verdict", "words"),
    [
        (200, None, Verdict.STORED, ""),
        (202, response("00081199", "00081196", 0xB000), Verdict.STORED, "(status B000)"),
        (409, response("00081198", "00081197", 0xA700), Verdict.LATER, "(status A700)"),
        (409, response("00081198", "00081197", 0x0122), Verdict.NEVER, "(status 0122)"),
        (409, response("00081198", "00081197", 0xC000), Verdict.NEVER, "(status C000)"),
        (409, None, Verdict.LATER, "(HTTP status 409)"),
        (401, None, Verdict.LATER, "does not authorise us (HTTP status 401)"),
        (415, None, Verdict.NEVER, "(HTTP status 415)"),
        (503, None, Verdict.LATER, "(HTTP status 503)"),
        (200, {"00081198": 17}, Verdict.STORED, ""),
    ],
)
def test_answer_of_the_peer_decides(status: int, document: object, verdict: Verdict, words: str) -> None:
    answer = answer_of(status, b"" if document is None else json.dumps(document).encode(), "2.25.11")
    assert (answer.verdict, answer.words.endswith(words)) == (verdict, True)


def test_authorization_is_read_from_its_file_and_sent(tmp_path: Path) -> None:
    secret = tmp_path / "auth"
    secret.write_text("Bearer of-nobody\n")
    house = OutboxHouse(tmp_path)
    house.put(1)
    with Scripted(200) as peer:
        house.courier(StowTarget("pacs", peer.url.rstrip("/"), secret)).turn()
    assert house.row().state is DeliveryState.SENT
    assert {head["Authorization"] for head in peer.heads} == {"Bearer of-nobody"}
    assert all(head["Content-Type"].startswith('multipart/related; type="application/dicom"') for head in peer.heads)
    house.close()


def test_refusal_names_the_object_and_the_report_does_not_go_alone(tmp_path: Path) -> None:
    house = OutboxHouse(tmp_path)
    house.put(1)
    with Scripted(409, response("00081198", "00081197", 0xA900)) as peer:
        house.courier(StowTarget("pacs", peer.url.rstrip("/"))).turn()
    assert house.row().state is DeliveryState.FAILED
    assert [item.state for item in house.outbox.items(1)] == [ItemState.REFUSED, ItemState.SENDING]
    assert house.outbox.items(1)[0].sop_class_uid == ReadyResults.SEG
    house.close()


def test_peer_that_is_away_is_tried_again_later(tmp_path: Path) -> None:
    house = OutboxHouse(tmp_path)
    house.put(1)
    house.courier(StowTarget("pacs", f"http://127.0.0.1:{free_port()}/dicom-web")).turn()
    assert house.row().state is DeliveryState.WAITING
    assert house.peers.of("pacs").last_error == "pacs cannot be reached, or broke off"
    house.close()
