"""The bytes of a spool segment: a start with its sealed key, then frames; only this module knows their layout.

::

    0       head: magic, version, name, creation time, bytes allocated, nonce, sealed segment key, CRC-32
    4 KiB   the end: a frame that says where the last one ends, written when the writer closes the segment
    60 KiB  the head again, so that a damaged one loses nothing
    64 KiB  frames, each 40 bytes of header (magic, kind, lengths, numbers, MAC), then the AES-GCM payload with its tag

The segment key is random and sealed under the sealing key; overwriting the start destroys every frame. Then the file
may serve as another segment, under another key: its old frames lie there until they are overwritten. They are never
taken for new ones, since a header's MAC is keyed by the segment: a reader walks over frames without decrypting them,
and where the next header is none of this segment's, the written part ends or is damaged.

Each frame is encrypted under the segment key with its own counter as nonce. A counter lives in one writer's memory and
a segment is never opened for writing again, so no nonce ever repeats. The header is authenticated with its payload,
so a frame that is moved, swapped or cut is noticed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader
from service.errors import KeysMissing

START_BYTES: Final = 64 * 1024
"""What stands before the first frame."""
HEAD_PLACES: Final = (0, 60 * 1024)
END_PLACE: Final = 4096
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
LONGEST_PAYLOAD: Final = 16 * 1024 * 1024

FRAME_MAGIC: Final = b"\xa6SpF"
_HEAD_MAGIC: Final = b"ANNOGATE-SPOOL\x00\x02"
_HEAD_FIELDS: Final = struct.Struct("<16s48sdQ")
_HEAD: Final = struct.Struct(f"<{_HEAD_FIELDS.size}s{NONCE_BYTES}s{KEY_BYTES + 16}s")
_FRAME: Final = struct.Struct("<4sB3xIIQQ")
_CRC: Final = struct.Struct("<I")
_MAC_BYTES: Final = 8
FRAME_HEADER_BYTES: Final = _FRAME.size + _MAC_BYTES
HEAD_BYTES: Final = _HEAD.size + _CRC.size
_HEADER_FIELDS: Final = tuple(field.name for field in fields(ObjectHeader))


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
    CLOSE = 5
    """Of the segment: where its frames end."""


_KINDS: Final = frozenset(FrameKind)


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

    def fields(self) -> bytes:
        """The 32 bytes before the MAC."""
        return _FRAME.pack(FRAME_MAGIC, self.kind, self.payload_bytes, self.piece, self.number, self.counter)


@dataclass(frozen=True, slots=True)
class ObjectEnd:
    """What the END frame of an object says."""

    header: ObjectHeader
    pieces: int
    size: int


class SegmentCipher:
    """Seals and opens the frames of one segment."""

    TAG_BYTES: Final = 16

    def __init__(self, segment_key: bytes) -> None:
        self._aead = AESGCM(segment_key)
        self._header_key = hmac.digest(segment_key, b"frame headers", hashlib.sha256)

    def seal(
        self, kind: FrameKind, number: int, counter: int, payload: bytes | bytearray | memoryview, piece: int = 0
    ) -> tuple[bytes, bytes]:
        """Encrypt a payload: its frame's header and the ciphertext."""
        header = self._encoded(FrameHeader(kind, len(payload) + self.TAG_BYTES, piece, number, counter))
        return header, self._aead.encrypt(_nonce(counter), payload, header)

    def seal_into(
        self,
        buffer: memoryview,
        kind: FrameKind,
        number: int,
        counter: int,
        payload: bytes | bytearray | memoryview,
        piece: int = 0,
    ) -> int:
        """Write the frame that ``seal`` makes to the start of a buffer; how many bytes that is."""
        header = self._encoded(FrameHeader(kind, len(payload) + self.TAG_BYTES, piece, number, counter))
        end = sealed_bytes(len(payload))
        buffer[:FRAME_HEADER_BYTES] = header
        self._aead.encrypt_into(_nonce(counter), payload, header, buffer[FRAME_HEADER_BYTES:end])
        return end

    def header(self, data: bytes) -> FrameHeader | None:
        """Read a frame's header; None if the bytes are none, or one of another segment."""
        fields, mac = data[: _FRAME.size], data[_FRAME.size : FRAME_HEADER_BYTES]
        if not fields.startswith(FRAME_MAGIC) or len(mac) < _MAC_BYTES or self._mac(fields) != mac:
            return None
        _, kind, payload_bytes, piece, number, counter = _FRAME.unpack(fields)
        if payload_bytes > LONGEST_PAYLOAD or kind not in _KINDS:
            return None
        return FrameHeader(FrameKind(kind), payload_bytes, piece, number, counter)

    def open(self, header: FrameHeader, ciphertext: bytes) -> bytes:
        """Decrypt a payload.

        Raises
        ------
        InstanceUnreadable : a bit of it is not what was written
        """
        try:
            return self._aead.decrypt(_nonce(header.counter), ciphertext, self._encoded(header))
        except InvalidTag as error:
            raise InstanceUnreadable("a frame of the spool is damaged") from error

    def _encoded(self, header: FrameHeader) -> bytes:
        fields = header.fields()
        return fields + self._mac(fields)

    def _mac(self, fields: bytes) -> bytes:
        return hashlib.blake2b(fields, key=self._header_key, digest_size=_MAC_BYTES).digest()


def sealed_bytes(payload_bytes: int) -> int:
    """How long a frame is that seals so many bytes."""
    return FRAME_HEADER_BYTES + payload_bytes + SegmentCipher.TAG_BYTES


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_BYTES, "big")


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What the head of a segment says.

    Parameters
    ----------
    name : the segment's; a file that was made another segment meanwhile is known by it
    allocated : bytes that the file had already; it never has fewer
    """

    name: str
    created_at: float
    allocated: int


def encode_start(head: SegmentHead, sealing_key: bytes, segment_key: bytes, nonce: bytes) -> bytes:
    """The start of a new segment, with its key sealed, twice."""
    fields = _HEAD_FIELDS.pack(_HEAD_MAGIC, head.name.encode("ascii"), head.created_at, head.allocated)
    encoded = fields + nonce + AESGCM(sealing_key).encrypt(nonce, segment_key, fields)
    encoded += _CRC.pack(zlib.crc32(encoded))
    start = bytearray(START_BYTES)
    for place in HEAD_PLACES:
        start[place : place + len(encoded)] = encoded
    return bytes(start)


def is_destroyed(heads: Sequence[bytes]) -> bool:
    """Whether the start was overwritten: the key is gone and the file is only waiting to be removed."""
    return all(len(head) == HEAD_BYTES and not any(head) for head in heads)


def open_head(sealing_key: bytes, heads: Sequence[bytes]) -> tuple[SegmentHead, bytes]:
    """What the first head that is whole says, and the segment key in it.

    Raises
    ------
    InstanceUnreadable : each of them is damaged
    KeysMissing : the sealing key is not the one that it was sealed under
    """
    whole = next((head for head in heads if _is_whole(head)), None)
    if whole is None:
        raise InstanceUnreadable("the head of a spool segment is damaged")
    fields, nonce, sealed = _HEAD.unpack(whole[: _HEAD.size])
    magic, name, created_at, allocated = _HEAD_FIELDS.unpack(fields)
    if magic != _HEAD_MAGIC:
        raise InstanceUnreadable("the spool segment has a form that this version does not read")
    try:
        segment_key = AESGCM(sealing_key).decrypt(nonce, sealed, fields)
    except InvalidTag as error:
        raise KeysMissing("the key file does not fit the spool") from error
    return SegmentHead(name.rstrip(b"\0").decode("ascii"), created_at, allocated), segment_key


def _is_whole(head: bytes) -> bool:
    fields, crc = head[: _HEAD.size], head[_HEAD.size : HEAD_BYTES]
    return len(crc) == _CRC.size and _CRC.unpack(crc)[0] == zlib.crc32(fields)


def encode_object_header(header: ObjectHeader) -> bytes:
    """An object's header as the payload of its BEGIN frame."""
    return json.dumps(_fields_of(header)).encode()


def _fields_of(header: ObjectHeader) -> dict[str, str | float]:
    return {name: getattr(header, name) for name in _HEADER_FIELDS}  # asdict copies deeply: a tenth of an object's cost


def decode_object_header(payload: bytes) -> ObjectHeader:
    """The header in the payload of a BEGIN frame."""
    return ObjectHeader(**json.loads(payload))


def encode_object_end(end: ObjectEnd) -> bytes:
    """The payload of an END frame."""
    return json.dumps({"header": _fields_of(end.header), "pieces": end.pieces, "size": end.size}).encode()


def decode_object_end(payload: bytes) -> ObjectEnd:
    """The header, pieces and bytes in the payload of an END frame."""
    fields = json.loads(payload)
    return ObjectEnd(ObjectHeader(**fields["header"]), int(fields["pieces"]), int(fields["size"]))


def encode_segment_end(end: int) -> bytes:
    """The payload of a CLOSE frame."""
    return struct.pack("<Q", end)


def decode_segment_end(payload: bytes) -> int:
    """Where the frames of a segment end."""
    return int(struct.unpack("<Q", payload)[0])
