"""How answers are dressed: media type, caching, warnings, multipart bodies."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from flask import Request, Response

from service.errors import NotAcceptable
from service.web.dicomweb.media_types import DICOM_JSON, JSON, MediaRange, parse_accept
from service.web.dicomweb.multipart import OutgoingPart, encode, encoded_length

SERVICE: Final = "annogate"
_WORTH_COMPRESSING: Final = 1400


def accepted(request: Request) -> list[MediaRange]:
    """What the caller accepts; the query parameter ``accept`` takes the header's place (PS3.18 8.3.3.1)."""
    return parse_accept(request.args.get("accept") or request.headers.get("Accept"))


def takes_gzip(request: Request) -> bool:
    """Whether the caller takes a gzipped answer."""
    return bool(request.accept_encodings["gzip"] > 0)


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
            if media_range.covers(offered):
                return offered
    raise NotAcceptable(f"This resource is to be had as {DICOM_JSON}")


def answer_json(request: Request, document: Any, *, status: int = 200, warnings: Sequence[str] = ()) -> Response:
    """Answer with DICOM JSON, gzipped where the caller takes it and it is worth it."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    response = Response(status=status, content_type=json_media_type(request))
    if len(body) > _WORTH_COMPRESSING and takes_gzip(request):
        body = gzip.compress(body, compresslevel=4, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
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
    response = Response(
        encode(parts, boundary), content_type=f'multipart/related; type="{part_type}"; boundary="{boundary}"'
    )
    length = encoded_length(parts, boundary)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    response.headers["Vary"] = "Accept"
    return finish(response)


def answer_single(
    content_type: str, body: bytes | Callable[[], Iterable[bytes]], *, length: int | None = None, location: str = ""
) -> Response:
    """Answer with one representation that needs no parts."""
    response = Response(body if isinstance(body, bytes) else _lazily(body), content_type=content_type)
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
        response.headers.add("Warning", f"299 {SERVICE}: {warning}")
    return response


def entity_tag(*pieces: object) -> str:
    """A validator over what makes a representation; weak, since boundaries differ from answer to answer."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(repr(piece).encode("utf-8"))
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def unchanged(request: Request, tag: str) -> Response | None:
    """304 where the caller has this representation already (RFC 9110 13.1.2); else nothing."""
    if not request.if_none_match.contains_weak(tag):
        return None
    response = finish(Response(status=304))
    response.set_etag(tag, weak=True)
    return response


def _lazily(body: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    yield from body()
