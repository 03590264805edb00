"""A model works from the worklist of a real gateway: told over a WebSocket, it claims, delivers and completes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from tests.gateway_process import GatewayProcess
from tests.patience import PATIENCE_S
from tests.worklist_house import element, new_workitem, performed, value

GLOBAL = "1.2.840.10008.5.1.4.34.5"
JSON = "application/dicom+json"
THREADS = 2


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {"http": {"threads": THREADS}, "projects": {"default": {"deidentify": "none", "annotators": []}}}
    with GatewayProcess(tmp_path_factory.mktemp("worklist"), settings) as gateway:
        yield gateway


def ask(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> requests.Response:
    headers = {} if body is None else {"Content-Type": JSON}
    data = None if body is None else json.dumps([body])
    url = f"{gateway.http}/dicom-web{path}"
    return requests.request(method, url, data=data, headers=headers, timeout=PATIENCE_S)


def subscribe(gateway: GatewayProcess, ae_title: str) -> str:
    """The address of the channel."""
    answer = ask(gateway, "POST", f"/workitems/{GLOBAL}/subscribers/{ae_title}")
    assert answer.status_code == 201
    return answer.headers["Location"]


def listen(address: str) -> websocket.WebSocket:
    return websocket.create_connection(address, timeout=PATIENCE_S)


def heard(channel: websocket.WebSocket) -> tuple[str, str]:
    """UID and state of the next event."""
    event = json.loads(channel.recv())
    return value(event, "00001000"), value(event, "00741000")


def test_model_works_from_the_worklist(gateway: GatewayProcess) -> None:
    address = subscribe(gateway, "MODEL")
    assert address.startswith("ws://127.0.0.1:")
    channel = listen(address)
    try:
        assert ask(gateway, "POST", "/workitems?2.25.1", new_workitem()).status_code == 201
        assert heard(channel) == ("2.25.1", "SCHEDULED")
        claim = {"00741000": element("CS", "IN PROGRESS"), "00081195": element("UI", "1.9")}
        assert ask(gateway, "PUT", "/workitems/2.25.1/state", claim).status_code == 200
        assert heard(channel) == ("2.25.1", "IN PROGRESS")
        assert ask(gateway, "POST", "/workitems/2.25.1?1.9", performed()).status_code == 200
        done = claim | {"00741000": element("CS", "COMPLETED")}
        assert ask(gateway, "PUT", "/workitems/2.25.1/state", done).status_code == 200
        assert heard(channel) == ("2.25.1", "COMPLETED")
    finally:
        channel.close()


def test_who_comes_back_misses_nothing(gateway: GatewayProcess) -> None:
    address = subscribe(gateway, "COMES.BACK")
    first = listen(address)
    # Cut off without a word, and with an event on its way or not: it was not confirmed.
    first.shutdown()
    for number in (21, 22):
        ask(gateway, "POST", f"/workitems?2.25.{number}", new_workitem())
    second = listen(address)
    try:
        told: list[tuple[str, str]] = []
        while ("2.25.22", "SCHEDULED") not in told:
            told.append(heard(second))
        assert ("2.25.21", "SCHEDULED") in told
    finally:
        second.close()


def test_channels_take_no_threads_from_requests(gateway: GatewayProcess) -> None:
    channels = [listen(subscribe(gateway, f"IDLE{number}")) for number in range(2 * THREADS + 1)]
    try:
        assert ask(gateway, "GET", "/workitems").status_code in (200, 204)
        ask(gateway, "POST", "/workitems?2.25.31", new_workitem())
        for channel in channels:
            while heard(channel)[0] != "2.25.31":
                pass
    finally:
        for channel in channels:
            channel.close()


def test_gateway_ends_although_channels_are_open(gateway: GatewayProcess) -> None:
    channel = listen(subscribe(gateway, "LAST"))
    assert gateway.stop() == 0
    last = b"".join(iter(lambda: channel.sock.recv(65536), b""))
    channel.sock.close()
    assert b"\x03\xe9the gateway ends" in last  # Close with 1001, going away (RFC 6455 7.4.1)
