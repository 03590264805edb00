"""Answers with one representation, whole or in ranges (RFC 9110 14; PS3.18 8.5 has 206 for these alone)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from flask import Request, Response

from service.web.dicomweb.answers import accepted, answer_multipart, answer_single, dated, file_sender, finish
from service.web.dicomweb.byte_ranges import ByteRange, RangeNotSatisfiable, parse_ranges, stretch
from service.web.dicomweb.file_stretch import FileStretch, Piece, sent
from service.web.dicomweb.frame_negotiation import PixelForm
from service.web.dicomweb.multipart import OutgoingPart
from service.web.dicomweb.stored_object import StoredObject
from service.web.problems import problem


def wants_range(request: Request) -> bool:
    """Whether a part of a representation is asked for, so that it had better not come as multipart."""
    return request.method == "GET" and request.headers.get("Range", "").strip().lower().startswith("bytes")


def answer_from(
    stored: StoredObject,
    request: Request,
    make_parts: Callable[[], tuple[Sequence[OutgoingPart], PixelForm]],
    *,
    tag: str,
    boundary: str,
) -> Response:
    """Answer with parts that are read from a stored object, which is closed when all of them were sent.

    Parameters
    ----------
    make_parts : gives the parts and their form; what it raises closes the object
    tag : what is the same as long as the bytes of the parts are
    """
    try:
        parts, form = make_parts()
        response = answer_parts(
            request,
            parts,
            form.media_type,
            multipart=form.multipart,
            tag=tag,
            modified=stored.row.indexed_at,
            boundary=boundary,
        )
    except BaseException:
        stored.close()
        raise
    response.call_on_close(stored.close)
    return response


def answer_parts(
    request: Request,
    parts: Sequence[OutgoingPart],
    media_type: str,
    *,
    multipart: bool,
    tag: str,
    modified: float | None,
    boundary: str,
) -> Response:
    """Answer with parts; one alone without multipart where the caller wants that, or a range of it and takes it so.

    Parameters
    ----------
    tag : what is the same as long as the bytes of the parts are; the validator of an answer in multipart is weak,
        since its boundary differs from answer to answer
    """
    if multipart and not (len(parts) == 1 and wants_range(request) and _takes_single(request, media_type)):
        response = answer_multipart(parts, media_type, boundary)
        response.set_etag(tag, weak=True)
        return dated(response, modified)
    return answer_representation(request, parts[0], tag=tag, modified=modified, boundary=boundary)


def answer_representation(
    request: Request, part: OutgoingPart, *, tag: str, modified: float | None, boundary: str
) -> Response:
    """Answer with one part without multipart, or with the ranges of it that are asked for.

    Parameters
    ----------
    tag : what is the same as long as the bytes are; the validator is strong
    modified : when the representation came into being, seconds since the epoch
    boundary : for an answer of several ranges
    """
    if part.length is None:
        response = answer_single(part.content_type, part.body, location=part.location)
        response.headers["Accept-Ranges"] = "none"
    else:
        response = _whole_or_ranges(request, part, part.length, tag, modified, boundary)
        response.headers["Accept-Ranges"] = "bytes"
    response.set_etag(tag)
    return dated(response, modified)


def _takes_single(request: Request, media_type: str) -> bool:
    return any(
        item.multipart is not True and item.covers(media_type) and item.allows(media_type, multipart=False)
        for item in accepted(request)
    )


def _whole_or_ranges(
    request: Request, part: OutgoingPart, length: int, tag: str, modified: float | None, boundary: str
) -> Response:
    ranges: list[ByteRange] = []
    if wants_range(request) and _is_current(request, tag, modified):
        try:
            ranges = parse_ranges(request.headers["Range"], length)
        except RangeNotSatisfiable as error:
            return problem(error.http_status, str(error), headers={"Content-Range": f"bytes */{length}"})
    if not ranges:
        return answer_single(part.content_type, part.stretch or part.body, length=length, location=part.location)
    if len(ranges) == 1:
        return _one_range(part, ranges[0], length)
    return _several_ranges(part, ranges, length, boundary)


def _is_current(request: Request, tag: str, modified: float | None) -> bool:
    """Whether an If-Range, where there is one, names this very representation (RFC 9110 13.1.5)."""
    condition = request.if_range
    if condition is None or (condition.etag is None and condition.date is None):
        return not request.headers.get("If-Range")
    if condition.etag is not None:
        return request.headers["If-Range"].strip() == f'"{tag}"'
    return modified is not None and condition.date is not None and condition.date.timestamp() == int(modified)


def _one_range(part: OutgoingPart, byte_range: ByteRange, whole: int) -> Response:
    body = sent(_pieces(part, byte_range), file_sender(byte_range.length))
    response = Response(body, status=206, content_type=part.content_type)
    response.headers["Content-Length"] = str(byte_range.length)
    response.headers["Content-Range"] = byte_range.content_range(whole)
    if part.location:
        response.headers["Content-Location"] = part.location
    response.headers["Vary"] = "Accept"
    return finish(response)


def _several_ranges(part: OutgoingPart, ranges: list[ByteRange], whole: int, boundary: str) -> Response:
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {part.content_type}\r\n"
        f"Content-Range: {byte_range.content_range(whole)}\r\n\r\n".encode("ascii")
        for byte_range in ranges
    ]
    closing = f"\r\n--{boundary}--".encode("ascii")

    def pieces() -> Iterator[Piece]:
        for head, byte_range in zip(heads, ranges, strict=True):
            yield head
            yield from _pieces(part, byte_range)
        yield closing

    length = sum(map(len, heads)) + sum(byte_range.length for byte_range in ranges) + len(closing)
    response = Response(
        sent(pieces(), file_sender(length)), status=206, content_type=f'multipart/byteranges; boundary="{boundary}"'
    )
    response.headers["Content-Length"] = str(length)
    response.headers["Vary"] = "Accept"
    return finish(response)


def _pieces(part: OutgoingPart, byte_range: ByteRange) -> Iterator[Piece]:
    """A range of a part: straight from its file, or cut out of the bytes as they are made."""
    if part.stretch is not None:
        yield FileStretch(part.stretch.open, part.stretch.offset + byte_range.start, byte_range.length)
    else:
        yield from stretch(part.body, byte_range)
