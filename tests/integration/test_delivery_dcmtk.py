"""Results come to dcmtk's archives: storescp, which answers no queries, and dcmqrscp, which does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_nodes.errors import GatewayError
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import echo, store
from service.core.deliveries import DeliveryState
from service.delivery.peer_rules import PeerRules
from tests.datasets import STUDY_UID, as_file
from tests.delivery_house import DeliveryHouse, delivering, dimse, original_slices
from tests.orthanc_process import free_port
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.peer("dcmtk")

TITLE = "DCMTK"
ASKING = PeerRules("pacs")
CONFIGURATION = """NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{title} {storage} RW (200, 1024mb) ANY
AETable END
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path) as house:
        yield house


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                echo(PeerAddress(TITLE, "127.0.0.1", port), RequestorSettings(calling_ae_title="ANNOGATE"))
                break
            except GatewayError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    folder.mkdir()
    port = free_port()
    with running(["/usr/bin/storescp", "--output-directory", str(folder), "-aet", TITLE, str(port)], port):
        yield port


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[int]:
    storage, port = folder / "storage", free_port()
    storage.mkdir(parents=True)
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(CONFIGURATION.format(port=port, title=TITLE, storage=storage))
    with running(["/usr/bin/dcmqrscp", "--config", str(configuration)], port):
        yield port


def test_peer_that_answers_no_queries_holds_a_result_unless_it_is_not_asked(
    house: DeliveryHouse, tmp_path: Path
) -> None:
    house.make_results()
    house.release_all()
    with storescp(tmp_path / "received") as port:
        house.courier(dimse("127.0.0.1", port, TITLE), rules=ASKING).turn()
        (delivery,) = house.deliveries()
        assert delivery.state is DeliveryState.HELD
        assert "answers no query" in delivery.last_error
        house.outbox.retry(delivery.id)
        house.courier(dimse("127.0.0.1", port, TITLE)).turn()
    assert house.deliveries()[0].state is DeliveryState.SENT
    received = [dcmread(path, stop_before_pixels=True) for path in (tmp_path / "received").iterdir()]
    assert sorted(one.Modality for one in received) == ["SEG", "SR"]
    assert {(one.StudyInstanceUID, one.PatientID) for one in received} == {(STUDY_UID, "PAT-4711")}


def test_archive_that_knows_the_patient_gets_the_result_and_is_asked_after_a_kill(
    house: DeliveryHouse, tmp_path: Path
) -> None:
    house.make_results()
    house.release_all()
    with dcmqrscp(tmp_path / "archive") as port:
        peer = PeerAddress(TITLE, "127.0.0.1", port)
        images = []
        for image in original_slices():
            as_file(image)
            images.append(OutgoingObject.from_data_set(image))
        assert all(result.stored for result in store(peer, images))
        courier = house.courier(dimse("127.0.0.1", port, TITLE), rules=ASKING)
        courier.turn()
        (delivery,) = house.deliveries()
        assert (delivery.state, delivery.last_error) == (DeliveryState.SENT, "")
        house.reopen(delivery.id)
        courier.turn()
    words = {item.words for item in house.outbox.items(delivery.id)}
    assert words == {"the peer had it when it was asked after a restart"}
