"""gunicorn's edges by the house's rules: problem documents for what is no HTTP, no word of a caller in a log."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from service.core.fault_place import fault_place
from service.web.dicomweb.file_stretch import SEND_FILE
from service.web.dicomweb.received_parts import BodyTruncated
from service.web.problems import problem

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_STATUS = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
}
_WORDS = {
    HTTPStatus.BAD_REQUEST: "This is no HTTP request; a space in an address has to be written %20",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The header fields are too large",
    HTTPStatus.NOT_IMPLEMENTED: "This transfer coding is not taken",
    HTTPStatus.FORBIDDEN: "This may not be asked through a proxy",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here; the log of the gateway says where.",
}

_log = logging.getLogger(__name__)


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker, whose threads no caller can hold for as long as it likes.

    It also answers what never reaches the application: gunicorn itself would quote the request, in answer and log.
    """

    def handle(self, conn: Any) -> Any:
        """Answer one request; who neither sends nor reads for a while is given up.

        A connection that ends here is closed here: gunicorn would wait in its main thread, and keep all others
        waiting, until the caller has closed its side.
        """
        if not conn.initialized:
            _limit_waits(conn.sock, self.app.stall_s)
        goes_on = super().handle(conn)
        if not goes_on:
            conn.close(graceful=True)
        return goes_on

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Wait for the next request of a connection, or count one less that has been closed."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self.nr_conns -= 1

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ARG002 (gunicorn's)
        """Tell of a request that broke off or was none."""
        status = _status(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request failed unexpectedly: %s", fault_place(exc))
        else:
            _log.warning("a request that is no HTTP: %s", type(exc).__name__)
        document = problem(status, _WORDS[status]).get_data()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(document)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode("ascii") + document)
        except OSError:
            _log.debug("the caller of a request that is no HTTP went away")


class WebLog(Logger):  # type: ignore[misc]
    """gunicorn's own log without traces: the text of an exception may quote a value."""

    def exception(self, msg: str, *_args: object, **_options: object) -> None:
        """Tell the kind and place of the exception at hand."""
        error = sys.exc_info()[1]
        self.error("%s: %s", msg.partition("%")[0].strip(), fault_place(error) if error else "unknown")


class CheckedBody:
    """A request's body; broken chunks are the caller's fault, not one of the application."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, *size: int) -> bytes:
        """As of a file.

        Raises
        ------
        BodyTruncated : the chunks are broken, or end early; or nothing more comes
        """
        return self._checked(self._body.read, *size)

    def readline(self, *size: int) -> bytes:
        """As of a file.

        Raises
        ------
        BodyTruncated : the chunks are broken, or end early; or nothing more comes
        """
        return self._checked(self._body.readline, *size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @staticmethod
    def _checked(read: Callable[..., bytes], *size: int) -> bytes:
        try:
            return read(*size)
        except (errors.ParseException, errors.NoMoreData):
            raise BodyTruncated("The chunks of the body are broken") from None
        except OSError:
            raise BodyTruncated("The rest of the body did not come") from None


def with_checked_bodies(application: WSGIApplication) -> WSGIApplication:
    """The application, which reads bodies as ``CheckedBody`` and may have files sent by the kernel."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        offered = {"wsgi.input": CheckedBody(environ["wsgi.input"])} | _file_sender(environ)
        return application({**environ, **offered}, start_response)

    return answer


def _file_sender(environ: WSGIEnvironment) -> dict[str, object]:
    """What sends a stretch of a file past gunicorn, right behind what it wrote (``sendfile``).

    gunicorn itself does so for the tail of a single file alone, and the parts of a multipart answer are stretches. Only
    on a plain HTTP/1 connection do the bytes on the wire equal those of the body; elsewhere nothing is offered.
    """
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):
        return {}
    if not str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1."):
        return {}
    return {SEND_FILE: partial(_send_file, connection)}


def _send_file(connection: socket.socket, file: BinaryIO, offset: int, length: int) -> int:
    # Not by the socket's own sendfile: where the kernel gives a wait up, that waits again, without an end.
    sent = 0
    while sent < length:
        count = os.sendfile(connection.fileno(), file.fileno(), offset + sent, length - sent)
        if not count:
            break
        sent += count
    return sent


def _limit_waits(connection: socket.socket, stall_s: float) -> None:
    """Have the kernel end a wait on a blocking connection that brings nothing; Python sees BlockingIOError."""
    limit = struct.pack("ll", int(stall_s), int(stall_s % 1 * 1_000_000))
    for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, direction, limit)


def _status(error: Exception) -> HTTPStatus:
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    no_http = isinstance(error, errors.ParseException)
    return HTTPStatus.BAD_REQUEST if no_http else HTTPStatus.INTERNAL_SERVER_ERROR
