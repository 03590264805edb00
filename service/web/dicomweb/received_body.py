"""The body of a request as a stream of bytes: its Content-Encoding undone within bounds, its faults in our words."""

from __future__ import annotations

import zlib
from typing import Final

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from service.errors import BadRequest, UnsupportedMediaType
from service.web.dicomweb.received_parts import BodyBroken, BodyTruncated, PartTooLarge, Readable

_CHUNK: Final = 512 << 10
_DRAINED_AT_MOST: Final = 1 << 30
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOWS: Final = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}
"""Of each coding; RFC 9110 8.4.1.2 has zlib's form for deflate, and tells that some senders leave its wrapper out."""


class ReceivedBody:
    """What a request carries; read once, from start to end.

    Parameters
    ----------
    inflated_limit_bytes : what a compressed body may come to
    """

    def __init__(self, stream: Readable, coding: str = "", *, inflated_limit_bytes: int = 4 << 30) -> None:
        self._source = _Source(stream)
        name = coding.strip().lower()
        if name in ("", "identity"):
            self._stream: Readable = self._source
        elif name in _WINDOWS:
            self._stream = _Inflated(self._source, _WINDOWS[name], inflated_limit_bytes)
        else:
            raise UnsupportedMediaType("Of Content-Encoding, gzip and deflate are taken here, one alone (RFC 9110 8.4)")

    @classmethod
    def of(cls, request: Request, *, inflated_limit_bytes: int) -> ReceivedBody:
        """The body of a request.

        Raises
        ------
        UnsupportedMediaType : it is in a Content-Encoding that is not taken
        """
        coding = request.headers.get("Content-Encoding", "")
        return cls(request.stream, coding, inflated_limit_bytes=inflated_limit_bytes)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; nothing at the end.

        Raises
        ------
        BodyBroken : it breaks off, or is not in its Content-Encoding
        PartTooLarge : it inflates to too much
        """
        return self._stream.read(size)

    def drain(self) -> None:
        """Read what is left and forget it, within bounds: who is still sending would not see the answer otherwise."""
        left = _DRAINED_AT_MOST
        try:
            while left > 0 and (chunk := self._source.read(_CHUNK)):
                left -= len(chunk)
        except BodyBroken:
            return


class _Source:
    """The bytes on the wire."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except BadRequest as error:  # chunks that are none
            raise BodyTruncated(str(error)) from error
        except (ClientDisconnected, OSError):
            raise BodyTruncated("The body is shorter than its Content-Length says") from None


class _Inflated:
    """A compressed body; gzip may come in several members one after the other (RFC 1952 2.2)."""

    def __init__(self, source: Readable, windows: tuple[int, ...], limit: int) -> None:
        self._source = source
        self._windows = list(windows)
        self._left = limit
        self._limit = limit
        self._inflater = zlib.decompressobj(self._windows.pop(0))
        self._waiting = b""
        self._given = False
        self._begun = False
        self._may_hold_more = False

    def read(self, size: int, /) -> bytes:
        while True:
            if not self._waiting and not self._may_hold_more and not self._refill():
                return b""
            piece = self._inflate(size)
            self._left -= len(piece)
            if self._left < 0:
                raise PartTooLarge(
                    f"The body inflates to more than {self._limit >> 20} MiB; send it in several requests, or as it is"
                )
            if piece:
                return piece

    def _refill(self) -> bool:
        """Have something to inflate; False at the end."""
        self._waiting = self._source.read(_CHUNK)
        if self._waiting:
            self._begun = True
            return True
        if self._begun and not self._inflater.eof:
            raise BodyTruncated("The compressed body breaks off")
        return False

    def _inflate(self, size: int) -> bytes:
        if self._inflater.eof and self._waiting:  # another member
            self._inflater = zlib.decompressobj(_GZIP)
        try:
            piece = self._inflater.decompress(self._waiting, size)
        except zlib.error:
            if self._given or not self._windows:
                raise BodyBroken("The body is not in the Content-Encoding that its header names") from None
            self._inflater = zlib.decompressobj(self._windows.pop(0))
            return self._inflate(size)
        self._given = True
        self._may_hold_more = len(piece) == size
        self._waiting = self._inflater.unconsumed_tail or self._inflater.unused_data
        return piece
