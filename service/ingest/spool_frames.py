"""The bytes of a spool segment: a sealed head, then frames; only this module knows their layout.

::

    head    4,096 bytes: magic, version, creation time, nonce, sealed segment key, CRC-32, zeros
    frame   36 bytes of header (magic, kind, lengths, numbers, CRC-32), then the AES-GCM payload with its tag

The segment key is random and sealed under the sealing key; overwriting the head destroys every frame. Each frame is
encrypted under the segment key with its own counter as nonce. A counter lives in one writer's memory and a segment is
never opened for writing again, so no nonce ever repeats. The header is authenticated with its payload, so a frame
that is moved, swapped or cut is noticed; its CRC-32 lets a reader walk over frames without decrypting them.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader
from service.errors import KeysMissing

HEAD_BYTES: Final = 4096
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
LONGEST_PAYLOAD: Final = 16 * 1024 * 1024

FRAME_MAGIC: Final = b"\xa6SpF"
_HEAD_MAGIC: Final = b"ANNOGATE-SPOOL\x00\x01"
_HEAD: Final = struct.Struct("<16sd12s48s")
_FRAME: Final = struct.Struct("<4sB3xIIQQ")
_CRC: Final = struct.Struct("<I")
FRAME_HEADER_BYTES: Final = _FRAME.size + _CRC.size


class FrameKind(IntEnum):
    """What a frame holds."""

    BEGIN = 1
    """The header of an object."""
    DATA = 2
    """A piece of its data set."""
    END = 3
    """The header again and the number of pieces and bytes: the object is whole."""
    ABANDON = 4
    """The object is not kept."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What stands before a payload, in the clear: numbers and lengths only.

    ``piece`` counts the data frames of one object from 0; ``counter`` is the nonce, unique in the segment.
    """

    kind: FrameKind
    payload_bytes: int
    piece: int
    number: int
    counter: int

    def encode(self) -> bytes:
        """The 36 bytes."""
        fields = _FRAME.pack(FRAME_MAGIC, self.kind, self.payload_bytes, self.piece, self.number, self.counter)
        return fields + _CRC.pack(zlib.crc32(fields))


@dataclass(frozen=True, slots=True)
class ObjectEnd:
    """What the END frame of an object says."""

    header: ObjectHeader
    pieces: int
    size: int


def decode_frame_header(data: bytes) -> FrameHeader | None:
    """Read 36 bytes; None if they are no header."""
    fields, crc = data[: _FRAME.size], data[_FRAME.size : FRAME_HEADER_BYTES]
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(fields):
        return None
    magic, kind, payload_bytes, piece, number, counter = _FRAME.unpack(fields)
    if magic != FRAME_MAGIC or payload_bytes > LONGEST_PAYLOAD or kind not in set(FrameKind):
        return None
    return FrameHeader(FrameKind(kind), payload_bytes, piece, number, counter)


class SegmentCipher:
    """Seals and opens the frames of one segment."""

    TAG_BYTES: Final = 16

    def __init__(self, segment_key: bytes) -> None:
        self._aead = AESGCM(segment_key)

    def seal(self, kind: FrameKind, number: int, counter: int, payload: bytes, piece: int = 0) -> tuple[bytes, bytes]:
        """Encrypt a payload: its frame's header and the ciphertext."""
        header = FrameHeader(kind, len(payload) + self.TAG_BYTES, piece, number, counter).encode()
        return header, self._aead.encrypt(_nonce(counter), payload, header)

    def open(self, header: FrameHeader, ciphertext: bytes) -> bytes:
        """Decrypt a payload.

        Raises
        ------
        InstanceUnreadable : a bit of it is not what was written
        """
        try:
            return self._aead.decrypt(_nonce(header.counter), ciphertext, header.encode())
        except InvalidTag as error:
            raise InstanceUnreadable("a frame of the spool is damaged") from error


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_BYTES, "big")


def encode_head(sealing_key: bytes, segment_key: bytes, nonce: bytes, created_at: float) -> bytes:
    """The head of a new segment, with its key sealed."""
    prefix = _HEAD_MAGIC + struct.pack("<d", created_at)
    sealed = AESGCM(sealing_key).encrypt(nonce, segment_key, prefix)
    fields = _HEAD.pack(_HEAD_MAGIC, created_at, nonce, sealed)
    return (fields + _CRC.pack(zlib.crc32(fields))).ljust(HEAD_BYTES, b"\0")


def is_destroyed(head: bytes) -> bool:
    """Whether the head was overwritten: its key is gone and the file is only waiting to be removed."""
    return len(head) >= _HEAD.size and not any(head)


def open_head(sealing_key: bytes, head: bytes) -> bytes:
    """The segment key in a head.

    Raises
    ------
    InstanceUnreadable : the head is damaged
    KeysMissing : the sealing key is not the one that it was sealed under
    """
    fields = head[: _HEAD.size]
    crc = head[_HEAD.size : _HEAD.size + _CRC.size]
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(fields):
        raise InstanceUnreadable("the head of a spool segment is damaged")
    magic, created_at, nonce, sealed = _HEAD.unpack(fields)
    if magic != _HEAD_MAGIC:
        raise InstanceUnreadable("the spool segment has a form that this version does not read")
    try:
        return AESGCM(sealing_key).decrypt(nonce, sealed, magic + struct.pack("<d", created_at))
    except InvalidTag as error:
        raise KeysMissing("the key file does not fit the spool") from error


def encode_object_header(header: ObjectHeader) -> bytes:
    """An object's header as the payload of its BEGIN frame."""
    return json.dumps(asdict(header)).encode()


def decode_object_header(payload: bytes) -> ObjectHeader:
    """The header in the payload of a BEGIN frame."""
    return ObjectHeader(**json.loads(payload))


def encode_object_end(end: ObjectEnd) -> bytes:
    """The payload of an END frame."""
    return json.dumps({"header": asdict(end.header), "pieces": end.pieces, "size": end.size}).encode()


def decode_object_end(payload: bytes) -> ObjectEnd:
    """The header, pieces and bytes in the payload of an END frame."""
    fields = json.loads(payload)
    return ObjectEnd(ObjectHeader(**fields["header"]), int(fields["pieces"]), int(fields["size"]))
