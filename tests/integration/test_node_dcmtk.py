"""dcmtk's storescu and echoscu as senders, as hospitals have them."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from service.ingest.spool import SpoolReader
from tests.ct_series import write_ct_series
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import listening
from tests.patience import PATIENCE_S
from tests.spooling import KEY, spool_at
from tests.storescu import send

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.usefixtures("receive_path")]


def test_echoscu_is_answered():
    with listening(InMemoryObjectSink()) as node:
        host, port = node.node.address
        subprocess.run(["/usr/bin/echoscu", "-aec", "ANNOGATE", host, str(port)], check=True)


@pytest.mark.parametrize("nodelay", [True, False], ids=["nodelay", "nagle"])
def test_storescu_gets_success_for_every_object(tmp_path: Path, nodelay: bool):
    files = write_ct_series(tmp_path / "ct", 20)
    with closing(spool_at(tmp_path / "spool")) as spool, listening(spool) as node:
        sent = send(*node.node.address, files, nodelay=nodelay)
    spooled = {found.header.sop_instance_uid for found in SpoolReader(tmp_path / "spool", KEY).committed()}
    expected = {dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files}
    assert (sent.status, sent.acknowledged, spooled) == (0, files, expected)


def test_an_object_keeps_the_transfer_syntax_that_was_negotiated(tmp_path: Path):
    files = write_ct_series(tmp_path, 1, rows=16, columns=16)
    sink = InMemoryObjectSink()
    with listening(sink) as node:
        send(*node.node.address, files, "-xi")
    assert [header.transfer_syntax_uid for header, _ in sink.stored] == [ImplicitVRLittleEndian]


def test_storescu_is_told_of_a_full_spool(tmp_path: Path):
    files = write_ct_series(tmp_path / "ct", 3)
    with closing(spool_at(tmp_path / "spool", limit_bytes=800_000)) as spool, listening(spool) as node:
        sent = send(*node.node.address, files, "--no-halt")
    assert [response.partition(":")[0] for _, response in sent.responses] == [
        "Success",
        "Refused",
        "Refused",
    ]


def test_four_senders_at_once_lose_nothing(tmp_path: Path):
    folders = [write_ct_series(tmp_path / str(number), 8, rows=128, columns=128) for number in range(4)]
    with closing(spool_at(tmp_path / "spool")) as spool, listening(spool) as node:
        host, port = node.node.address
        senders = [
            subprocess.Popen(["/usr/bin/storescu", "-aec", "ANNOGATE", host, str(port), *map(str, files)])
            for files in folders
        ]
        assert [sender.wait(PATIENCE_S) for sender in senders] == [0, 0, 0, 0]
    assert len(list(SpoolReader(tmp_path / "spool", KEY).committed())) == 32
