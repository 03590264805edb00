"""multipart/related as it goes out (RFC 2387, PS3.18 8.6.1.2), encoded as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from service.web.dicomweb.file_stretch import FileStretch, Piece, sent


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """One part of an answer, whose bytes are made when its turn comes.

    Parameters
    ----------
    length : of the body in bytes, None where it is known only afterwards
    location : Content-Location, absolute
    stretch : where the same bytes lie in a file, if they do
    """

    content_type: str
    body: Callable[[], Iterable[bytes]] = field(repr=False)
    length: int | None = None
    location: str = ""
    stretch: FileStretch | None = None

    def head(self, boundary: str) -> bytes:
        """Delimiter and headers; Content-Type stands first (PS3.18 8.6.1.2.1) and is spelt as viewers look for it."""
        lines = [f"\r\n--{boundary}", f"Content-Type: {self.content_type}"]
        if self.length is not None:
            lines.append(f"Content-Length: {self.length}")
        if self.location:
            lines.append(f"Content-Location: {self.location}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def pieces(parts: Iterable[OutgoingPart], boundary: str) -> Iterator[Piece]:
    """Yield the body; nothing of a part is made before the part in front of it has gone."""
    for part in parts:
        yield part.head(boundary)
        if part.stretch is not None:
            yield part.stretch
        else:
            yield from part.body()
    yield _closing(boundary)


def encode(parts: Iterable[OutgoingPart], boundary: str) -> Iterator[bytes]:
    """Yield the body as bytes."""
    return sent(pieces(parts, boundary), None)


def encoded_length(parts: Sequence[OutgoingPart], boundary: str) -> int | None:
    """The length of the whole body in bytes, None where a part's is not known beforehand."""
    total = len(_closing(boundary))
    for part in parts:
        if part.length is None:
            return None
        total += len(part.head(boundary)) + part.length
    return total


def _closing(boundary: str) -> bytes:
    return f"\r\n--{boundary}--".encode("ascii")
