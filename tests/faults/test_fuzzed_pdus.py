"""Nodes under ten thousand PDUs that are none, or not quite: most on the way that is the default, a share on others."""

from __future__ import annotations

import random
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicom_nodes.command_set import MESSAGE_ID_RESPONDED_TO, decode_command_set
from dicom_nodes.sender import echo
from service.ingest.spool import SpoolReader
from tests.fuzzed_pdus import fuzzed, spoiled_request
from tests.gateway_process import eventually
from tests.node_process import NodeProcess
from tests.raw_peer import P_DATA_TF, RawPeer, associate_rq, c_echo_rq
from tests.spooling import KEY

PEERS = 4  # at once
WARM = 0.1  # the share that is sent before the first look at what the processes hold
MEMORY_KIB = 16 * 1024  # a process
SOUGHT = 0x5A5A  # the Message ID by which the answer to the echo is known
REQUEST = associate_rq()


class FuzzingPeer:
    """Sends PDUs of its own seed, each judged before the next: by the echo behind it, or the association's end."""

    def __init__(self, node: NodeProcess, seed: int) -> None:
        self._node = node
        self._draw = random.Random(seed)
        self.survived = self.ended = self.refused = self.accepted = 0

    def send(self, count: int) -> None:
        left = count
        while left > 0:
            left -= self._request() if self._draw.random() < 0.2 else self._associated(left)

    def _request(self) -> int:
        with RawPeer(self._node.host, self._node.port) as peer:
            peer.send(spoiled_request(self._draw))
            peer.connection.shutdown(socket.SHUT_WR)
            if peer.pdu()[0] == 2:
                self.accepted += 1
            else:
                self.refused += 1
        return 1

    def _associated(self, most: int) -> int:
        """Send until the association is ended; how many."""
        with RawPeer(self._node.host, self._node.port) as peer:
            peer.send(REQUEST)
            assert peer.pdu()[0] == 2
            for sent in range(1, most + 1):
                if not self._survives(peer):
                    self.ended += 1
                    return sent
                self.survived += 1
        return most

    def _survives(self, peer: RawPeer) -> bool:
        spoiled, may_survive = fuzzed(self._draw)
        try:
            peer.send(spoiled + c_echo_rq(SOUGHT))
            if not may_survive:  # it may claim to be longer than all this: the node then waits, rightly, for the rest
                peer.connection.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        while (pdu := peer.pdu())[0] == P_DATA_TF:
            if decode_command_set(pdu[1][6:]).number(MESSAGE_ID_RESPONDED_TO) == SOUGHT:
                return True
        return False


def held_by(pids: list[int]) -> tuple[int, int, int]:
    """Memory in KiB, threads and file descriptors of processes together."""
    memory = threads = descriptors = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        memory += int(fields["VmRSS"].split()[0])
        threads += int(fields["Threads"])
        descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return memory, threads, descriptors


@pytest.mark.long
@pytest.mark.parametrize(
    ("pdus", "first_seed", "settings"),
    [
        (8_000, 0, {}),
        (1_000, 4, {"receive_path": "pynetdicom"}),
        (1_000, 8, {"receivers": 2}),
    ],
    ids=["fast", "pynetdicom", "two-receivers"],
)
def test_ten_thousand_fuzzed_pdus_leave_the_node_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], pdus: int, first_seed: int, settings: dict[str, object]
) -> None:
    with NodeProcess.start(tmp_path / "spool", **settings) as node:
        peers = [FuzzingPeer(node, seed) for seed in range(first_seed, first_seed + PEERS)]
        receivers = node.receivers
        pids = [node.pid, *receivers]
        _, threads_before, descriptors_before = held_by(pids)
        # At their first object processes that receive start three threads: the spool's, the loop that reads for all
        # associations, with a descriptor of its own, and the one that commits what the loop has read.
        receiving = max(1, len(receivers))
        at_rest = (threads_before + 3 * receiving, descriptors_before + receiving)
        warm_pdus = int(pdus * WARM)
        with ThreadPoolExecutor(PEERS) as threads:
            list(threads.map(lambda peer: peer.send(warm_pdus // PEERS), peers))
            warm = held_by(pids)[0]
            list(threads.map(lambda peer: peer.send((pdus - warm_pdus) // PEERS), peers))
        echo(node.peer)
        eventually(lambda: held_by(pids)[1:] <= at_rest, 20, "end of the last association's threads and descriptors")
        assert node.receivers == receivers  # none died and was started again
        assert held_by(pids)[0] - warm < MEMORY_KIB * len(pids)
    survived, ended = sum(peer.survived for peer in peers), sum(peer.ended for peer in peers)
    refused, accepted = sum(peer.refused for peer in peers), sum(peer.accepted for peer in peers)
    assert survived + ended + refused + accepted == pdus
    assert min(survived, ended, refused) > pdus / 20
    assert list(SpoolReader(tmp_path / "spool", KEY).committed()) == []
    assert "Traceback" not in capfd.readouterr().err
