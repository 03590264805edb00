"""Several receiver processes behind one listening socket: limits, deaths and the end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.requestor import Requestor
from dicom_nodes.sender import echo, store
from dicom_nodes.storage_classes import VERIFICATION
from tests.gateway_process import eventually
from tests.listening_node import CT, EXPLICIT, IMPLICIT, c_store
from tests.node_process import NodeProcess
from tests.patience import PATIENCE_S
from tests.spooling import spooled_bytes

ECHO = [(VERIFICATION, IMPLICIT)]
STORE = [(CT, EXPLICIT)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess.start(tmp_path, receivers=2, maximum_associations=3) as node:
        yield node


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill(node: NodeProcess, pids: list[int]) -> None:
    """SIGKILL, and wait until the accepting process has noticed."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not set(pids) & set(node.receivers), what="the receivers' end")


def still_answers(association: Requestor) -> bool:
    try:
        return c_store(association, 1)[0] == 0
    except PeerUnavailable:
        return False


def test_objects_reach_the_spool_from_each_receiver(node: NodeProcess, tmp_path: Path):
    data_sets = [os.urandom(300_000) for _ in range(4)]
    with Requestor(node.peer, ECHO):  # keeps one receiver busier than the other
        for number, data_set in enumerate(data_sets):
            (result,) = store(node.peer, [OutgoingObject.from_bytes(CT, f"1.2.{number}", EXPLICIT, data_set)])
            assert result.stored
    assert sorted(spooled_bytes(tmp_path)) == sorted(data_sets)


def test_the_limit_holds_over_all_receivers(node: NodeProcess):
    with ExitStack() as held:
        first = held.enter_context(Requestor(node.peer, ECHO))
        for _ in range(2):
            held.enter_context(Requestor(node.peer, ECHO))
        with pytest.raises(PeerUnavailable, match=r"(?i)local limit exceeded"):
            echo(node.peer)
        first.__exit__(None, None, None)
        eventually(lambda: echoes(node), what="a place that became free")


def test_a_receiver_that_dies_takes_only_its_own_associations_along(node: NodeProcess, tmp_path: Path):
    with ExitStack() as held:
        associations = [held.enter_context(Requestor(node.peer, STORE)) for _ in range(2)]
        assert all(still_answers(association) for association in associations)
        before = node.receivers
        kill(node, before[:1])
        alive = [association for association in associations if still_answers(association)]
        for association in associations:
            if association not in alive:
                association._association.kill()
        eventually(lambda: len(node.receivers) == 2, what="a receiver started again")
        echo(node.peer)
    assert (len(before), len(alive), len(spooled_bytes(tmp_path))) == (2, 1, 3)


def test_places_of_a_dead_receiver_become_free(node: NodeProcess):
    with ExitStack() as held:
        associations = [held.enter_context(Requestor(node.peer, STORE)) for _ in range(3)]
        kill(node, node.receivers)
        for association in associations:
            assert not still_answers(association)
            association._association.kill()
        eventually(lambda: echoes(node), what="receivers started again")
        with ExitStack() as again:
            for _ in range(3):
                again.enter_context(Requestor(node.peer, ECHO))


def test_a_connection_waits_while_no_receiver_lives(node: NodeProcess):
    kill(node, node.receivers)
    echo(node.peer)


def test_the_end_takes_every_receiver_along(node: NodeProcess):
    receivers = node.receivers
    association = Requestor(node.peer, STORE)
    node.end()
    assert not still_answers(association)
    association._association.kill()
    assert (node.process.returncode, [pid for pid in receivers if is_there(pid)]) == (0, [])


def test_receivers_end_with_the_process_that_accepts(node: NodeProcess):
    receivers = node.receivers
    node.end(signal.SIGKILL)
    eventually(lambda: not any(is_there(pid) for pid in receivers), what="the end of the receivers")


def test_a_connection_that_says_nothing_gives_its_place_back(tmp_path: Path):
    with (
        NodeProcess.start(tmp_path, receivers=2, maximum_associations=1, acse_timeout_s=0.3) as node,
        socket.create_connection((node.host, node.port), timeout=PATIENCE_S) as silent,
    ):
        assert silent.recv(1) == b""
        eventually(lambda: echoes(node), what="the place of a silent connection")


def echoes(node: NodeProcess) -> bool:
    try:
        echo(node.peer)
    except PeerUnavailable:
        return False
    return True
