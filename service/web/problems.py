"""Every error that leaves over HTTP, as a problem document (RFC 9457) without stack traces or patient data."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.exceptions import HTTPException

from dicom_nodes.errors import GatewayError

if TYPE_CHECKING:
    from flask import Blueprint, Flask

PROBLEM_MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


def problem(
    status: int, detail: str, *, title: str = "", headers: Mapping[str, str] | None = None, **members: object
) -> Response:
    """Answer with one problem document.

    Parameters
    ----------
    detail : the words for this occurrence; never a patient's value, never a query value
    title : defaults to the status phrase, as RFC 9457 4.2.1 asks of ``about:blank``
    members : extension members, such as ``acceptable``
    """
    document = {"type": "about:blank", "title": title or _phrase(status), "status": status, "detail": detail, **members}
    response = Response(json.dumps(document, ensure_ascii=False), status=status, content_type=PROBLEM_MEDIA_TYPE)
    for name, value in (headers or {}).items():
        response.headers[name] = value
    response.headers["Cache-Control"] = "no-store"
    return response


def answer_gateway_error(error: GatewayError) -> Response:
    """One of our own errors: its class states the status, its message is made to be read."""
    status = error.http_status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed: %s: %s at %s", type(error).__name__, error, _where(error))
    return problem(status, str(error) or _phrase(status))


def answer_http_exception(error: HTTPException) -> Response | HTTPException:
    """What Flask itself refuses (no such route, method not allowed), with the headers that belong to it."""
    if error.response is not None or (error.code or 500) < HTTPStatus.BAD_REQUEST:
        return error  # a redirect, or an answer that somebody made on purpose
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    kept = {
        name: value for name, value in error.get_headers() if name.lower() not in ("content-type", "content-length")
    }
    return problem(status, error.description or _phrase(status), headers=kept)


def answer_unexpected(error: Exception) -> Response:
    """A fault of ours: the log gets the class and the place, the caller gets neither.

    The message of a foreign exception is not logged: it may quote a value of the data set.
    """
    _log.error("request failed unexpectedly: %s at %s", type(error).__name__, _where(error))
    return problem(500, "Something went wrong here; the log of the gateway says where.")


def register_problem_handlers(owner: Flask | Blueprint) -> None:
    """Let an application or a blueprint answer each of its errors with a problem document."""
    owner.register_error_handler(GatewayError, answer_gateway_error)
    owner.register_error_handler(HTTPException, answer_http_exception)
    owner.register_error_handler(Exception, answer_unexpected)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _where(error: BaseException) -> str:
    """The call path as file:line pairs, without source lines or values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames)
