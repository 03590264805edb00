"""Stretches of files within answers: sent by the kernel where the server offers it, read where it does not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dicom_nodes.errors import GatewayError
from service.runtime.web_worker import with_checked_bodies
from service.web.dicomweb.file_stretch import SEND_FILE, FileStretch, sent
from service.web.dicomweb.multipart import OutgoingPart, encode, encoded_length, pieces

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def stretch(tmp_path: Path) -> FileStretch:
    file = tmp_path / "object"
    file.write_bytes(CONTENT)
    return FileStretch(lambda: file.open("rb"), 100, 5000)


def part(stretch: FileStretch) -> OutgoingPart:
    return OutgoingPart("application/dicom", stretch.chunks, stretch.length, "http://h/1", stretch)


def test_stretch_is_read_where_nothing_else_is_offered(stretch: FileStretch) -> None:
    assert b"".join(sent([b"head", stretch, b"tail"], None)) == b"head" + CONTENT[100:5100] + b"tail"


def test_parts_are_the_same_bytes_with_a_stretch_and_without(stretch: FileStretch) -> None:
    read = OutgoingPart("application/dicom", stretch.chunks, stretch.length, "http://h/1")
    assert b"".join(encode([part(stretch)], "b")) == b"".join(encode([read], "b"))


def test_what_stands_before_a_stretch_is_written_before_it_is_sent(stretch: FileStretch) -> None:
    wire = bytearray()

    def send(file: BinaryIO, offset: int, length: int) -> int:
        file.seek(offset)
        wire.extend(file.read(length))
        return length

    parts = [part(stretch), part(stretch)]
    for piece in sent(pieces(parts, "b"), send):
        wire.extend(piece)
    assert bytes(wire) == b"".join(encode(parts, "b"))
    assert len(wire) == encoded_length(parts, "b")


@pytest.mark.parametrize("send", [None, lambda file, offset, length: length - 1])
def test_file_that_is_too_short_ends_the_answer(send: Any) -> None:
    short = FileStretch(lambda: BytesIO(CONTENT[:200]), 100, 5000)
    with pytest.raises(GatewayError, match="shorter"):
        list(sent([short], send))


def offered(connection: object, protocol: str = "HTTP/1.1") -> object:
    """What the application finds in its environment."""
    found: list[object] = []

    def application(environ: dict[str, Any], _: object) -> list[bytes]:
        found.append(environ.get(SEND_FILE))
        return []

    environ = {"wsgi.input": BytesIO(), "gunicorn.socket": connection, "SERVER_PROTOCOL": protocol}
    with_checked_bodies(application)(environ, lambda *_: lambda _: None)  # type: ignore[arg-type]
    return found[0]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_file_goes_through_the_connection(ends: tuple[socket.socket, socket.socket], stretch: FileStretch) -> None:
    ours, theirs = ends
    received = bytearray()
    reader = threading.Thread(target=lambda: received.extend(b"".join(iter(lambda: theirs.recv(4096), b""))))
    reader.start()
    send = offered(ours)
    assert callable(send)
    for piece in sent([b"head", stretch, b"tail"], send):
        ours.sendall(piece)
    ours.shutdown(socket.SHUT_WR)
    reader.join()
    assert bytes(received) == b"head" + CONTENT[100:5100] + b"tail"


@pytest.mark.parametrize("protocol", ["HTTP/2.0", "", "HTTP/1"])
def test_nothing_is_offered_where_bytes_are_framed(ends: tuple[socket.socket, socket.socket], protocol: str) -> None:
    assert offered(ends[0], protocol) is None


def test_nothing_is_offered_on_a_secured_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(ends[0].dup(), do_handshake_on_connect=False) as secured:
        assert offered(secured) is None


def test_nothing_is_offered_by_another_server() -> None:
    assert offered(None) is None
