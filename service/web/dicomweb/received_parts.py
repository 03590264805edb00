"""multipart/related as it comes in (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2): read as a stream, part by part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from dicom_nodes.errors import GatewayError
from service.core.encoded_bytes import EncodedBytes
from service.errors import BadRequest

HEADER_LIMIT: Final = 16 << 10
PREAMBLE_LIMIT: Final = 64 << 10
_READ_BYTES: Final = 512 << 10
_PADDING_LIMIT: Final = 256
# RFC 2046 has 70 characters at most, Orthanc sends 73.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,199}[0-9A-Za-z'()+_,./:=?-]")
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FOLDED: Final = re.compile(rb"\r\n[ \t]+")


class BodyBroken(BadRequest):
    """The body cannot be read any further: cut short, or not made as its Content-Type says."""

    dimse_status = 0xC001


class BodyTruncated(BodyBroken):
    """The body ends before its closing boundary."""


class _StreamEnded(BodyTruncated):
    """The stream itself has nothing more; broken chunks are something else."""


class PartTooLarge(GatewayError):
    """More than this gateway takes in one request."""

    http_status = 413
    dimse_status = 0xA700


class Readable(Protocol):
    """A body as it comes in."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; nothing at the end."""
        ...


KeepPart = Callable[[Mapping[str, str], Iterable[bytes]], EncodedBytes]
"""Keeps the body of a part; told its headers, with names in lower case."""


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """One part of a request; header names are in lower case."""

    headers: Mapping[str, str]
    body: EncodedBytes = field(repr=False)


def is_boundary(value: str) -> bool:
    """Whether this may be a boundary (RFC 2046 5.1.1), its length apart."""
    return _BOUNDARY.fullmatch(value) is not None


class MultipartReader:
    """Reads the parts of a body one after the other; each goes into keeping as it comes.

    Parameters
    ----------
    stream : the body
    boundary : as the Content-Type says, unquoted
    part_limit_bytes : a larger part ends the reading
    keep : keeps the body of a part; has to take all of it
    most_parts : one part more ends the reading

    Notes
    -----
    A preamble before the first boundary is skipped, and an epilogue is left unread (RFC 2046 5.1.1). OHIF's body begins
    with CRLF before the first boundary, others begin with the boundary itself.
    """

    def __init__(
        self,
        stream: Readable,
        boundary: str,
        part_limit_bytes: int,
        keep: KeepPart = lambda _, parts: b"".join(parts),
        most_parts: int = 1_000_000,
    ) -> None:
        self._stream = stream
        self._keep = keep
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._limit = part_limit_bytes
        self._most_parts = most_parts
        self._buffer = bytearray(b"\r\n")  # so that a boundary at the very start has its CRLF

    def __iter__(self) -> Iterator[ReceivedPart]:
        """Yield each part.

        Raises
        ------
        BodyTruncated : the stream ends inside a part
        BodyBroken : the boundary does not come, or a part's headers cannot be read
        PartTooLarge : a part is over the limit, or there are too many
        """
        self._skip_preamble()
        number = 0
        while not self._at_close():
            number += 1
            if number > self._most_parts:
                raise PartTooLarge(f"A request has at most {self._most_parts} parts; send the rest in another one")
            headers = self._read_headers()
            yield ReceivedPart(headers, self._keep(headers, self._until_delimiter(self._limit)))

    def _skip_preamble(self) -> None:
        try:
            for _ in self._until_delimiter(PREAMBLE_LIMIT):
                pass
        except (_StreamEnded, PartTooLarge):
            words = "The boundary that the Content-Type names does not come in the body (RFC 2046 5.1.1)"
            raise BodyBroken(words) from None

    def _fill(self) -> None:
        chunk = self._stream.read(_READ_BYTES)
        if not chunk:
            raise _StreamEnded("The body ends before its closing boundary (RFC 2046 5.1.1)")
        self._buffer += chunk

    def _until_delimiter(self, limit: int) -> Iterator[bytes]:
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
            if size > limit:
                raise PartTooLarge(f"A part is larger than {limit} bytes")
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
            tail = bytes(self._buffer[end : end + _PADDING_LIMIT])
            stripped = tail.lstrip(b" \t")
            if stripped.startswith((b"\r\n", b"--")):
                return True
            if len(stripped) >= 2 or len(tail) >= _PADDING_LIMIT or stripped not in (b"", b"\r", b"-"):
                return False
            self._fill()

    def _at_close(self) -> bool:
        while len(self._buffer) < 2:
            self._fill()
        return self._buffer.startswith(b"--")

    def _read_headers(self) -> dict[str, str]:
        """Take the rest of the delimiter's line and the header block off the buffer."""
        searched = 0
        while True:
            line_end = self._buffer.find(b"\r\n")
            # A part without headers has an empty line at once; otherwise the block ends with one.
            if line_end >= 0 and self._buffer[line_end + 2 : line_end + 4] == b"\r\n":
                block_end = line_end
            else:
                block_end = self._buffer.find(b"\r\n\r\n", searched)
            if line_end >= 0 and block_end >= 0:
                break
            if len(self._buffer) > HEADER_LIMIT:
                raise BodyBroken(f"The headers of a part are longer than {HEADER_LIMIT} bytes")
            searched = max(0, len(self._buffer) - 3)
            self._fill()
        if block_end > HEADER_LIMIT:
            raise BodyBroken(f"The headers of a part are longer than {HEADER_LIMIT} bytes")
        block = bytes(self._buffer[line_end + 2 : max(block_end, line_end + 2)])
        del self._buffer[: block_end + 4]
        return _parse_headers(block)


def _parse_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _FOLDED.sub(b" ", block).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not line:
            continue
        if not colon or not _FIELD_NAME.fullmatch(name.rstrip(b" \t")):
            raise BodyBroken("A part has a header that is none (RFC 2046 5.1): a name, a colon and a value are due")
        headers[name.strip().lower().decode("ascii")] = value.strip().decode("latin-1")
    return headers
