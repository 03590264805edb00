"""A DICOM file in an HTTP answer → an object in the spool, while it streams (PS3.18 8.7.3, PS3.10 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from io import BytesIO
from itertools import chain
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader, ObjectSink
from dicom_nodes.outgoing_object import read_file_meta

_LONGEST_HEAD: Final = 1 << 20
_PREAMBLE: Final = 132


@dataclass(frozen=True, slots=True)
class Arriving:
    """As what an object counts that no association brings."""

    calling_ae_title: str
    called_ae_title: str
    peer_address: str


def take_part10(
    sink: ObjectSink, arriving: Arriving, content_type: str, pieces: Iterable[bytes], received_at: float
) -> None:
    """Put the one file of an answer into a sink.

    Raises
    ------
    InstanceUnreadable : it is no DICOM file
    GatewayError : the sink does not take it
    """
    file = _only_part(content_type, iter(pieces))
    head = b""
    for piece in file:
        head += piece
        if (size := _head_size(head)) and len(head) >= size:
            break
        if len(head) > _LONGEST_HEAD:
            raise InstanceUnreadable("the file meta information does not end")
    meta, offset = read_file_meta(BytesIO(head))
    try:
        header = ObjectHeader(
            calling_ae_title=arriving.calling_ae_title,
            called_ae_title=arriving.called_ae_title,
            peer_address=arriving.peer_address,
            sop_class_uid=meta[0x0002],
            sop_instance_uid=meta[0x0003],
            transfer_syntax_uid=meta[0x0010],
            received_at=received_at,
        )
    except KeyError as error:
        raise InstanceUnreadable(f"the file meta information lacks (0002,{error.args[0]:04X})") from None
    writer = sink.begin(header)
    try:
        for piece in chain([head[offset:]], file):
            if piece:
                writer.write(piece)
        writer.commit()
    except BaseException:
        writer.abandon()
        raise


def _head_size(head: bytes) -> int:
    """How long preamble and file meta are, by File Meta Information Group Length (0002,0000); 0 when not yet known."""
    if len(head) < _PREAMBLE + 12:
        return 0
    if head[128:132] != b"DICM" or head[132:138] != b"\2\0\0\0UL":
        raise InstanceUnreadable("not a DICOM file")
    # And the header of the element behind them, by which their end is seen.
    return _PREAMBLE + 12 + int.from_bytes(head[140:144], "little") + 8


def _only_part(content_type: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The content of an answer that is a file, or of its first part where it is multipart (RFC 2046)."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_maintype() != "multipart":
        yield from pieces
        return
    boundary = b"--" + str(message.get_param("boundary", "")).encode("latin-1")
    held = b""
    while b"\r\n\r\n" not in held:
        piece = next(pieces, b"")
        if not piece or len(held) > _LONGEST_HEAD:
            raise InstanceUnreadable("the answer has no part")
        held += piece
    held = held.partition(b"\r\n\r\n")[2]
    end = b"\r\n" + boundary
    while (at := held.find(end)) < 0:
        keep = len(end) - 1
        if len(held) > keep:
            yield held[:-keep]
            held = held[-keep:]
        piece = next(pieces, b"")
        if not piece:
            raise InstanceUnreadable("the answer ends before its part does")
        held += piece
    yield held[:at]
