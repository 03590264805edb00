"""What the web server answers, and writes down, of requests that never reach the application."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from service.runtime.web_worker import WebWorker
from tests.datasets import as_file, ct_slice
from tests.gateway_process import GatewayProcess
from tests.integration.test_at_rest import processes_below
from tests.patience import PATIENCE_S

THREADS = 4
STALL_S = 4.0
MOST_ROUNDS = 8
QUERY = b"GET /dicom-web/studies?PatientName="
CHUNKED = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("web-server")
    projects = {"default": {"ae_titles": ["ANNOGATE"], "deidentify": "none", "annotators": []}}
    settings = {"log": {"level": "debug"}, "projects": projects, "http": {"threads": THREADS, "stall_s": STALL_S}}
    with GatewayProcess(folder, settings) as gateway:
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


@pytest.fixture(scope="module")
def image(gateway: GatewayProcess) -> tuple[str, np.ndarray]:
    """The path of a stored image of half a megabyte, and its pixels."""
    pixels = np.arange(512 * 512, dtype="u4").astype("i2").reshape(512, 512)
    slice_ = ct_slice(rows=512, columns=512, pixels=pixels)
    answer = requests.post(
        f"{gateway.http}/dicom-web/studies",
        data=as_file(slice_),
        headers={"Content-Type": "application/dicom"},
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 200
    uids = slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.SOPInstanceUID
    return "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids), pixels


def test_files_that_the_kernel_sends_leave_the_connection_in_order(
    gateway: GatewayProcess, image: tuple[str, np.ndarray]
) -> None:
    path, pixels = image
    connection = http.client.HTTPConnection(gateway.http.removeprefix("http://"), timeout=PATIENCE_S)
    multipart = 'multipart/related; type="{}"; transfer-syntax=*'

    def ask(where: str, accept: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path + where, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer, answer.read()

    connection.connect()
    same = connection.sock
    for _ in range(2):
        whole, body = ask("", multipart.format("application/dicom"))
        assert whole.getheader("Content-Length") == str(len(body))
        boundary = str(whole.getheader("Content-Type")).partition('boundary="')[2].rstrip('"').encode()
        _, part, end = body.split(b"--" + boundary)
        assert end == b"--"
        file = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        assert (file[128:132], file[-pixels.nbytes :]) == (b"DICM", pixels.tobytes())
        assert ask("", "application/dicom; transfer-syntax=*")[1] == file
        assert ask("/frames/1", "application/octet-stream")[1] == pixels.tobytes()
        head, nothing = ask("", multipart.format("application/dicom"), "HEAD")
        assert (head.getheader("Content-Length"), nothing) == (str(len(body)), b"")
    assert connection.sock is same
    connection.close()


def held_by_web(gateway: GatewayProcess) -> tuple[int, int]:
    """Descriptors and threads of the process that serves the web."""
    assert gateway.process is not None
    found = []
    for pid in processes_below(gateway.process.pid):
        process = Path(f"/proc/{pid}")
        if (process / "comm").read_text().strip() == "annogate-web":
            found.append((len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))))
    return max(found)


def least_held(gateway: GatewayProcess, while_s: float) -> tuple[int, int]:
    until = time.monotonic() + while_s
    held = [held_by_web(gateway)]
    while time.monotonic() < until:
        time.sleep(0.1)
        held.append(held_by_web(gateway))
    return min(descriptors for descriptors, _ in held), min(threads for _, threads in held)


def test_callers_who_go_away_or_stop_leave_nothing_behind(
    gateway: GatewayProcess, image: tuple[str, np.ndarray]
) -> None:
    path, pixels = image
    ask = b"GET %b HTTP/1.1\r\nHost: localhost\r\nAccept: application/dicom; transfer-syntax=*\r\n\r\n" % path.encode()
    whole = ["application/dicom; transfer-syntax=*"] * 4 * THREADS
    address = ("127.0.0.1", int(gateway.http.rpartition(":")[2]))

    def downloads() -> set[int]:
        with ThreadPoolExecutor(2 * THREADS) as pool:
            get = partial(requests.get, gateway.http + path, timeout=PATIENCE_S)
            return {len(answer.content) for answer in pool.map(lambda accept: get(headers={"Accept": accept}), whole)}

    def downloads_among_such_callers() -> set[int]:
        with ExitStack() as stack:
            for number in range(3 * THREADS):
                connection = stack.enter_context(socket.create_connection(address, timeout=PATIENCE_S))
                if number % 3 == 0:  # goes away in the midst of a body
                    connection.sendall(ask)
                    connection.recv(1000)
                    connection.close()
                elif number % 3 == 1:  # asks for more than connections hold, and reads nothing of it
                    connection.sendall(ask * 40)
                else:  # says that something comes
                    connection.sendall(CHUNKED + b"Content-Length: 1000\r\n\r\n")
            return downloads()

    (size,) = downloads()
    assert size > pixels.nbytes
    held: list[tuple[int, int]] = []
    # What threads open once and keep, they open in any round; what callers leave behind grows with every one.
    while not (held[1:] and all(now <= before for now, before in zip(held[-1], held[-2], strict=True))):
        assert len(held) < MOST_ROUNDS, f"descriptors and threads after each round: {held}"
        assert downloads_among_such_callers() == {size}
        held.append(least_held(gateway, 2 * STALL_S))


def test_ended_connection_is_not_waited_for_in_the_thread_of_all() -> None:
    """gunicorn waits there up to 2 s for the caller to close its side, and dispatches nothing meanwhile."""
    worker = object.__new__(WebWorker)
    worker.nr_conns = 2
    ended: Future[bool] = Future()
    ended.set_result(False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.finish_request(TConn(Config(), ours, "", ""), ended)
        assert (worker.nr_conns, ours.fileno() >= 0) == (1, True)  # closed by the thread that answered


def test_refusal_reaches_who_is_still_sending(gateway: GatewayProcess) -> None:
    """gunicorn closes a connection with much unread on it, and the peer's system then drops the answer."""
    head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    size = 16 << 20
    status, media_type, _ = answered(gateway, head + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
    assert (status, media_type) == (415, "application/problem+json")


def test_who_asks_before_sending_is_told_to_go_on(gateway: GatewayProcess) -> None:
    file = as_file(ct_slice())
    head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
    with socket.create_connection(
        ("127.0.0.1", int(gateway.http.rpartition(":")[2])), timeout=PATIENCE_S
    ) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(file))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(file)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_chunked_and_compressed_body_is_stored(gateway: GatewayProcess) -> None:
    packed = gzip.compress(as_file(ct_slice(2)))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (packed[:7], packed[7:])) + b"0\r\n\r\n"
    coded = CHUNKED + b"Content-Encoding: gzip\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, media_type, _ = answered(gateway, coded + chunks)
    assert (status, media_type) == (200, "application/dicom+json")
