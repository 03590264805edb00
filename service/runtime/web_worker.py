"""gunicorn's edges by the house's rules: problem documents for what is no HTTP, no word of a caller in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from service.core.fault_place import fault_place
from service.web.dicomweb.multipart import BodyTruncated
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
    """Answers what never reaches the application: gunicorn itself would quote the request, in answer and log."""

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
        BodyTruncated : the chunks are broken, or end early
        """
        return self._checked(self._body.read, *size)

    def readline(self, *size: int) -> bytes:
        """As of a file.

        Raises
        ------
        BodyTruncated : the chunks are broken, or end early
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


def with_checked_bodies(application: WSGIApplication) -> WSGIApplication:
    """The application, which reads bodies as ``CheckedBody``."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return application({**environ, "wsgi.input": CheckedBody(environ["wsgi.input"])}, start_response)

    return answer


def _status(error: Exception) -> HTTPStatus:
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    no_http = isinstance(error, errors.ParseException)
    return HTTPStatus.BAD_REQUEST if no_http else HTTPStatus.INTERNAL_SERVER_ERROR
