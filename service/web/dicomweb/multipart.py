"""multipart/related in both directions (RFC 2387, PS3.18 8.6.1.2): encoded as a stream, parsed as a stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from dicom_nodes.errors import GatewayError
from service.core.encoded_bytes import EncodedBytes, Keep
from service.errors import BadRequest

_HEADER_LIMIT: Final = 16 * 1024
_READ_BYTES: Final = 256 * 1024
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


class BodyTruncated(BadRequest):
    """The body ends before its closing boundary."""


class PartTooLarge(GatewayError):
    """One part is larger than this gateway takes in one request."""

    http_status = 413
    dimse_status = 0xA700


class Readable(Protocol):
    """A body as it comes in."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; nothing at the end."""
        ...


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """One part of an answer, whose bytes are made when its turn comes.

    Parameters
    ----------
    length : of the body in bytes, None where it is known only afterwards
    location : Content-Location, absolute
    """

    content_type: str
    body: Callable[[], Iterable[bytes]] = field(repr=False)
    length: int | None = None
    location: str = ""

    def head(self, boundary: str) -> bytes:
        """Delimiter and headers; Content-Type stands first (PS3.18 8.6.1.2.1) and is spelt as viewers look for it."""
        lines = [f"\r\n--{boundary}", f"Content-Type: {self.content_type}"]
        if self.length is not None:
            lines.append(f"Content-Length: {self.length}")
        if self.location:
            lines.append(f"Content-Location: {self.location}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def encode(parts: Iterable[OutgoingPart], boundary: str) -> Iterator[bytes]:
    """Yield the body; nothing of a part is made before the part in front of it has gone."""
    for part in parts:
        yield part.head(boundary)
        yield from part.body()
    yield _closing(boundary)


def encoded_length(parts: Sequence[OutgoingPart], boundary: str) -> int | None:
    """The length of the whole body in bytes, None where a part's is not known beforehand."""
    total = len(_closing(boundary))
    for part in parts:
        if part.length is None:
            return None
        total += len(part.head(boundary)) + part.length
    return total


def is_boundary(value: str) -> bool:
    """Whether this may be a boundary (RFC 2046 5.1.1)."""
    return _BOUNDARY.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """One part of a request; header names are in lower case."""

    headers: dict[str, str]
    body: EncodedBytes = field(repr=False)


class MultipartReader:
    """Reads the parts of a body one after the other; each goes into keeping as it comes.

    Parameters
    ----------
    stream : the body
    boundary : as the Content-Type says, unquoted
    part_limit_bytes : a larger part ends the reading
    keep : keeps the body of a part

    Notes
    -----
    A preamble before the first boundary is skipped, and an epilogue is left unread (RFC 2046 5.1.1). OHIF's body begins
    with CRLF before the first boundary, others begin with the boundary itself.
    """

    def __init__(self, stream: Readable, boundary: str, part_limit_bytes: int, keep: Keep = b"".join) -> None:
        self._stream = stream
        self._keep = keep
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._limit = part_limit_bytes
        self._buffer = bytearray(b"\r\n")  # so that a boundary at the very start has its CRLF
        self._ended = False

    def __iter__(self) -> Iterator[ReceivedPart]:
        """Yield each part.

        Raises
        ------
        BodyTruncated : the stream ends inside a part, or without any boundary
        PartTooLarge : a part is over the limit
        BadRequest : a part's headers cannot be read
        """
        for _ in self._until_delimiter():
            pass  # the preamble
        while not self._at_close():
            headers = self._read_headers()
            yield ReceivedPart(headers, self._keep(self._until_delimiter()))

    def _fill(self) -> None:
        chunk = self._stream.read(_READ_BYTES)
        if not chunk:
            raise BodyTruncated("The body ends before its closing boundary")
        self._buffer += chunk

    def _until_delimiter(self) -> Iterator[bytes]:
        """Yield everything up to the next delimiter, and take it and the delimiter itself off the buffer."""
        size = 0
        search_from = 0
        while True:
            index = self._buffer.find(self._delimiter, search_from)
            if index >= 0 and not self._is_delimiter(index + len(self._delimiter)):
                search_from = index + 1
                continue
            settled = index if index >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
            size += settled
            if size > self._limit:
                raise PartTooLarge(f"A part is larger than {self._limit} bytes")
            taken = bytes(memoryview(self._buffer)[:settled])
            del self._buffer[: settled + (len(self._delimiter) if index >= 0 else 0)]
            if taken:
                yield taken
            if index >= 0:
                return
            search_from = 0
            self._fill()

    def _is_delimiter(self, end: int) -> bool:
        """Whether the delimiter that ends at this offset is one: only ``--``, white space or CRLF may follow it."""
        while True:
            tail = bytes(self._buffer[end : end + 256])
            stripped = tail.lstrip(b" \t")
            if stripped.startswith((b"\r\n", b"--")):
                return True
            if len(stripped) >= 2 or len(tail) >= 256 or stripped not in (b"", b"\r", b"-"):
                return False
            self._fill()

    def _at_close(self) -> bool:
        while len(self._buffer) < 2:
            self._fill()
        return self._buffer.startswith(b"--")

    def _read_headers(self) -> dict[str, str]:
        """Take the rest of the delimiter's line and the header block off the buffer."""
        while True:
            line_end = self._buffer.find(b"\r\n")
            # A part without headers has an empty line at once; otherwise the block ends with one.
            if line_end >= 0 and self._buffer[line_end + 2 : line_end + 4] == b"\r\n":
                block_end = line_end
            else:
                block_end = self._buffer.find(b"\r\n\r\n")
            if line_end >= 0 and block_end >= 0:
                break
            if len(self._buffer) > _HEADER_LIMIT:
                raise BadRequest("The headers of a part are too long")
            self._fill()
        block = bytes(self._buffer[line_end + 2 : max(block_end, line_end + 2)])
        del self._buffer[: block_end + 4]
        return _parse_headers(block)


def _parse_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", block).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not line:
            continue
        if not colon:
            raise BadRequest("A header of a part cannot be read")
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    return headers


def _closing(boundary: str) -> bytes:
    return f"\r\n--{boundary}--".encode("ascii")
