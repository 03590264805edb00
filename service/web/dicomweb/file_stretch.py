"""A stretch of a stored file within an answer, so that the kernel can send it where the server lets it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from dicom_nodes.errors import GatewayError

SEND_FILE: Final = "annogate.send_file"
"""The key of the WSGI environment under which a server offers a `SendFile`; absent where it cannot."""

SendFile = Callable[[BinaryIO, int, int], int]
"""Sends bytes of a file, from an offset and so many, behind what was written to the connection; how many went."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileStretch:
    """Bytes of a stored file as they lie there.

    Parameters
    ----------
    open : opens the file; it is closed again when the stretch has gone
    """

    open: Callable[[], BinaryIO] = field(repr=False)
    offset: int
    length: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB.

        Raises
        ------
        GatewayError : the file is shorter
        """
        with closing(self.open()) as stream:
            stream.seek(self.offset)
            left = self.length
            while left > 0:
                chunk = stream.read(min(left, _CHUNK))
                if not chunk:
                    raise GatewayError("A stored object is shorter than the index says")
                left -= len(chunk)
                yield chunk

    def send(self, send: SendFile) -> Iterator[bytes]:
        """Let the server send the bytes; what is yielded is empty and makes it write what stands before them.

        Raises
        ------
        GatewayError : the file is shorter; the connection cannot be used any more
        """
        with closing(self.open()) as stream:
            yield b""
            if send(stream, self.offset, self.length) != self.length:
                raise GatewayError("A stored object is shorter than the index says")


Piece = bytes | FileStretch


def sent(pieces: Iterable[Piece], send: SendFile | None) -> Iterator[bytes]:
    """The body of an answer as a server iterates over it.

    Parameters
    ----------
    send : sends stretches past the iteration, so that only the server itself may iterate, and only over an answer
        whose Content-Length is told: nothing then stands around the pieces on the connection. None: read them here
    """
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif send is None:
            yield from piece.chunks()
        else:
            yield from piece.send(send)
