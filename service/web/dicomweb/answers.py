"""How answers are dressed: media type, caching, warnings, multipart bodies."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from flask import Request, Response, request

from service.errors import NotAcceptable
from service.web.dicomweb.accept_rules import check_accept, from_parameter
from service.web.dicomweb.content_coding import IDENTITY, choose_coding, compress
from service.web.dicomweb.file_stretch import SEND_FILE, FileStretch, SendFile, sent
from service.web.dicomweb.media_types import DICOM_JSON, JSON, MediaRange, parse_accept
from service.web.dicomweb.multipart import OutgoingPart, encoded_length, pieces

SERVICE: Final = "annogate"
_WORTH_COMPRESSING: Final = 1400
_UNHEADED: Final = re.compile(r"[^\x20-\x7e\xa0-\xff]")
"""What a header cannot hold (RFC 9110 5.5); words of callers come back in warnings."""


def accepted(request: Request) -> list[MediaRange]:
    """What the caller accepts; the query parameter ``accept`` takes the header's place (PS3.18 8.3.3.1).

    Raises
    ------
    BadRequest : nothing of it can be read, or DICOM and rendered media types are mixed
    """
    value = from_parameter(request.args.get("accept")) or request.headers.get("Accept")
    ranges = parse_accept(value)
    check_accept(value, ranges)
    return ranges


def json_media_type(request: Request) -> str:
    """The media type in which metadata and results go out.

    Raises
    ------
    NotAcceptable : the caller takes neither form of JSON
    """
    for media_range in accepted(request):
        if media_range.multipart:
            continue
        for offered in (DICOM_JSON, JSON):
            if media_range.covers(offered) and media_range.allows(offered, multipart=False):
                return offered
    raise NotAcceptable(f"This resource is to be had as {DICOM_JSON}")


def answer_json(request: Request, document: Any, *, status: int = 200, warnings: Sequence[str] = ()) -> Response:
    """Answer with DICOM JSON, compressed where the caller takes it and it is worth it."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    response = Response(status=status, content_type=json_media_type(request))
    coding = choose_coding(request.headers.get("Accept-Encoding"))
    if coding != IDENTITY and len(body) > _WORTH_COMPRESSING:
        body = compress(body, coding)
        response.headers["Content-Encoding"] = coding
    response.set_data(body)
    response.headers["Vary"] = "Accept, Accept-Encoding"
    return finish(response, warnings)


def answer_empty(*, warnings: Sequence[str] = ()) -> Response:
    """204: there is nothing to be said."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return finish(response, warnings)


def answer_multipart(parts: Sequence[OutgoingPart], part_type: str, boundary: str) -> Response:
    """Stream parts as multipart/related; with a Content-Length where all of theirs are known."""
    length = encoded_length(parts, boundary)
    response = Response(
        sent(pieces(parts, boundary), file_sender(length)),
        content_type=f'multipart/related; type="{part_type}"; boundary="{boundary}"',
    )
    if length is not None:
        response.headers["Content-Length"] = str(length)
    response.headers["Vary"] = "Accept"
    return finish(response)


def answer_single(
    content_type: str,
    body: bytes | FileStretch | Callable[[], Iterable[bytes]],
    *,
    length: int | None = None,
    location: str = "",
) -> Response:
    """Answer with one representation that needs no parts."""
    if isinstance(body, FileStretch):
        content: bytes | Iterator[bytes] = sent([body], file_sender(length))
    else:
        content = body if isinstance(body, bytes) else _lazily(body)
    response = Response(content, content_type=content_type)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    if location:
        response.headers["Content-Location"] = location
    response.headers["Vary"] = "Accept"
    return finish(response)


def finish(response: Response, warnings: Sequence[str] = ()) -> Response:
    """Add what every answer has: caches of others may not keep it, other origins may not embed it."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    for warning in warnings:
        response.headers.add("Warning", f"299 {SERVICE}: {_UNHEADED.sub('?', warning)}")
    return response


def entity_tag(*pieces: object) -> str:
    """A validator over what makes a representation; weak, since boundaries differ from answer to answer."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(repr(piece).encode("utf-8"))
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def unchanged(request: Request, tag: str, modified: float | None = None) -> Response | None:
    """304 where the caller has this representation already (RFC 9110 13.1.2 and .3); else nothing.

    Parameters
    ----------
    modified : when it came into being, seconds since the epoch; asked about only where no ETag is
    """
    if request.headers.get("If-None-Match"):
        same = request.if_none_match.contains_weak(tag)
    else:
        since = request.if_modified_since
        same = modified is not None and since is not None and int(modified) <= since.timestamp()
    if not same:
        return None
    response = finish(Response(status=304))
    response.headers["Vary"] = "Accept, Accept-Encoding"
    response.set_etag(tag, weak=True)
    return response


def dated(response: Response, modified: float | None) -> Response:
    """The answer with its Last-Modified, where there is one."""
    if modified is not None:
        response.last_modified = datetime.fromtimestamp(int(modified), UTC)
    return response


def file_sender(length: int | None) -> SendFile | None:
    """What lets the server send stretches of files by itself, for an answer to the present request.

    None where it cannot, where the length is not told, and where no body goes out.
    """
    if length is None or request.method != "GET":
        return None
    offered = request.environ.get(SEND_FILE)
    return offered if callable(offered) else None


def _lazily(body: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    yield from body()
