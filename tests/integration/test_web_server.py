"""What the web server answers, and writes down, of requests that never reach the application."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess
from tests.patience import PATIENCE_S

QUERY = b"GET /dicom-web/studies?PatientName="
CHUNKED = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("web-server")
    with GatewayProcess(folder, {"log": {"level": "debug"}}) as gateway:
        yield gateway


def answered(gateway: GatewayProcess, request: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to bytes that were sent as they are."""
    with socket.create_connection(
        ("127.0.0.1", int(gateway.http.rpartition(":")[2])), timeout=PATIENCE_S
    ) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    types = [line for line in head.decode().splitlines() if line.lower().startswith("content-type:")]
    return int(head.split()[1]), types[0].partition(": ")[2], body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (QUERY + b"Doe Janina HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (QUERY + b"Janina" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"Janina^Doe / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nNot a Header Janina: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"Janina" * 2000 + b"\r\n\r\n", 431),
        (CHUNKED + b"Transfer-Encoding: chunked\r\n\r\nJanina\r\nDoe", 400),
    ],
)
def test_no_http_is_answered_and_logged_without_its_words(
    gateway: GatewayProcess, request_bytes: bytes, status: int
) -> None:
    answered_status, media_type, body = answered(gateway, request_bytes)
    assert (answered_status, media_type) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status
    assert b"Janina" not in body
    assert "Janina" not in gateway.log.read_text()
