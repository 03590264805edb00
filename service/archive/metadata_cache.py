"""The cached metadata of an instance: DICOM JSON kept so that an answer is joined, not made.

The text is split where the base URL of a BulkDataURI goes. Each piece is raw deflate (RFC 1951) ended by a full flush:
pieces that were compressed apart form one valid stream when they stand one after the other, with the base URL between
them as a stored block. A gzip trailer needs the CRC-32 of the whole text; it follows from the pieces' own CRCs, their
lengths being kept as the operator x^(8·length) mod P.

The stored form is, big-endian: a version byte, the number of pieces (u16), for each piece its length, CRC-32,
operator and compressed length (u32 each), then the compressed pieces.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from service.archive.dicom_json import BASE, JsonWriter, pixel_vr
from service.core.raw_text import ascii_at
from service.core.records import PixelLocation
from service.core.set_aside import NOTHING_ASIDE, SetAside

BULK_THRESHOLD = 1024
"""Bytes above which a binary value is served by its own address rather than inline."""

_VERSION = 1
_HEAD = struct.Struct(">BH")
_PIECE = struct.Struct(">IIII")
_POLYNOMIAL = 0xEDB88320  # of CRC-32, reflected (RFC 1952, 8)
_ONE = 1 << 31
_LEVEL = 4  # half the work of 6 for a twentieth more
_COMPACT_LEVEL = 4  # from here on the matches of a whole header before are found
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_ZLIB_HEADER = b"\x78\x01"  # RFC 1950 2.2: deflate with a window of 32 KiB
_END_OF_STREAM = b"\x03\x00"  # an empty final block
_STORED_LIMIT = 0xFFFF
_LONGEST_URI = 4096
_BITS_ALLOCATED = 0x00280100
_NIBBLES = range(4, 32, 4)


def encode(
    header: Dataset,
    *,
    pixels: PixelLocation | None = None,
    bulk_threshold: int = BULK_THRESHOLD,
    aside: SetAside = NOTHING_ASIDE,
) -> bytes:
    """The metadata of one instance, ready to be kept.

    Parameters
    ----------
    header : the data set as it is served; where it lacks pixel data, ``pixels`` says that there is some
    aside : what stands for long values in the header; they are served by their own address
    """
    study, series, instance = (ascii_at(header, tag) for tag in (0x0020000D, 0x0020000E, 0x00080018))
    path = f"/studies/{study}/series/{series}/instances/{instance}"
    bulk = {pixels.tag: _pixel_vr(header, pixels)} if pixels is not None else None
    return encode_text(JsonWriter(path, bulk_threshold, aside).data_set(header, bulk=bulk))


def encode_text(text: str) -> bytes:
    """JSON text, with `BASE` where the base URL goes, in the stored form."""
    heads, bodies = [], []
    for piece in text.split(BASE):
        raw = piece.encode("utf-8", "replace")
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = compressor.compress(raw) + compressor.flush(zlib.Z_FULL_FLUSH)
        heads.append(_PIECE.pack(len(raw), zlib.crc32(raw), _shift_operator(len(raw)), len(body)))
        bodies.append(body)
    return b"".join((_HEAD.pack(_VERSION, len(bodies)), *heads, *bodies))


def assemble(blobs: Iterable[bytes], base_url: str, *, gzip: bool, compact: bool = False) -> bytes:
    """The metadata of many instances as one JSON array, gzipped (RFC 1952) or plain.

    Parameters
    ----------
    compact : compress the whole anew: three times the work of joining, a sixteenth of the size for a CT series, whose
        headers are all but the same. Worth it for whoever is not on the same host
    """
    return b"".join(stream(blobs, base_url, gzip=gzip, compact=compact))


def stream(blobs: Iterable[bytes], base_url: str, *, gzip: bool, compact: bool = False) -> Iterator[bytes]:
    """The same as `assemble`, in parts."""
    if not gzip:
        return _identity(blobs, base_url)
    return _recompressed(_identity(blobs, base_url)) if compact else _joined(blobs, base_url)


def deflated(blobs: Iterable[bytes], base_url: str) -> Iterator[bytes]:
    """The same as `stream`, in the coding that HTTP calls deflate (RFC 1950), joined as well.

    Its trailer is an Adler-32, which no piece has; it is taken from the pieces inflated again.
    """
    base = _escaped(base_url)
    stored_base, stored_comma = _stored(base), _stored(b",")
    yield _ZLIB_HEADER + _stored(b"[")
    adler = zlib.adler32(b"[")
    for index, blob in enumerate(blobs):
        out = []
        if index:
            out.append(stored_comma)
            adler = zlib.adler32(b",", adler)
        for number, (*_, body) in enumerate(_pieces(blob)):
            if number:
                out.append(stored_base)
                adler = zlib.adler32(base, adler)
            out.append(body)
            adler = zlib.adler32(_inflated(body), adler)
        yield b"".join(out)
    yield _stored(b"]") + _END_OF_STREAM + struct.pack(">I", zlib.adler32(b"]", adler))


def text_of(blob: bytes, base_url: str) -> str:
    """The JSON object of one instance."""
    return assemble((blob,), base_url, gzip=False).decode()[1:-1]


def fingerprint(blobs: Iterable[bytes]) -> str:
    """What is the same as long as these blobs, in this order, are."""
    digest = hashlib.blake2b(digest_size=16)
    for blob in blobs:
        digest.update(len(blob).to_bytes(4, "big"))
        digest.update(blob)
    return digest.hexdigest()


def bulk_addresses(blob: bytes) -> list[tuple[str, str]]:
    """SOP Instance UID and path (``tag[/item/tag …]``) of each value that is served by an address of its own."""
    found = []
    for *_, body in list(_pieces(blob))[1:]:
        address = _inflated(body, _LONGEST_URI).partition(b'"')[0].decode()
        instance, _, path = address.partition("/bulkdata/")
        found.append((instance.rpartition("/")[2], path))
    return found


def _joined(blobs: Iterable[bytes], base_url: str) -> Iterator[bytes]:
    base = _escaped(base_url)
    stored_base, stored_comma = _stored(base), _stored(b",")
    yield _GZIP_HEADER + _stored(b"[")
    crc, length = zlib.crc32(b"["), 1
    for index, blob in enumerate(blobs):
        out = []
        if index:
            out.append(stored_comma)
            crc, length = zlib.crc32(b",", crc), length + 1
        for number, (piece_length, piece_crc, operator, body) in enumerate(_pieces(blob)):
            if number:
                out.append(stored_base)
                crc, length = zlib.crc32(base, crc), length + len(base)
            out.append(body)
            crc, length = _shifted(crc, _multiples(operator)) ^ piece_crc, length + piece_length
        yield b"".join(out)
    crc, length = zlib.crc32(b"]", crc), length + 1
    yield _stored(b"]") + _END_OF_STREAM + struct.pack("<II", crc, length & 0xFFFFFFFF)


def _identity(blobs: Iterable[bytes], base_url: str) -> Iterator[bytes]:
    base = _escaped(base_url)
    separator = b"["
    for blob in blobs:
        yield separator + base.join([_inflated(body) for *_, body in _pieces(blob)])
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def _recompressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_COMPACT_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for part in parts:
        if compressed := compressor.compress(part):
            yield compressed
    yield compressor.flush()


def _pieces(blob: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Length, CRC-32, operator and compressed bytes of each piece."""
    version, count = _HEAD.unpack_from(blob)
    if version != _VERSION:
        raise ValueError(f"metadata cached in form {version} is unknown")
    position = _HEAD.size + count * _PIECE.size
    for length, crc, operator, size in _PIECE.iter_unpack(blob[_HEAD.size : position]):
        yield length, crc, operator, blob[position : position + size]
        position += size


def _inflated(body: bytes, limit: int = 0) -> bytes:
    """The text of a piece, which no other piece is needed for; its first bytes where there is a limit."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, limit)


def _escaped(base_url: str) -> bytes:
    return encode_basestring(base_url)[1:-1].encode()


def _stored(data: bytes) -> bytes:
    """Data as uncompressed deflate blocks (RFC 1951 3.2.4), which begin and end on a byte."""
    blocks = []
    for start in range(0, len(data), _STORED_LIMIT):
        block = data[start : start + _STORED_LIMIT]
        blocks.append(struct.pack("<BHH", 0, len(block), len(block) ^ _STORED_LIMIT) + block)
    return b"".join(blocks)


def _pixel_vr(header: Dataset, pixels: PixelLocation) -> str:
    held = header.get_item(pixels.tag) if pixels.tag in header else None
    if held is not None and held.VR in {"OB", "OW"}:
        return str(held.VR)
    return pixel_vr(pixels.tag, encapsulated=pixels.encapsulated, bits_allocated=_bits_allocated(header))


def _bits_allocated(header: Dataset) -> int | None:
    element = header.get_item(_BITS_ALLOCATED)
    value = None if element is None else element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        return int.from_bytes(value, "little" if element.is_little_endian else "big") if len(value) == 2 else None
    return value if isinstance(value, int) else None


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials over GF(2) modulo P, bit-reflected as CRC-32 has them."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


_FOUR_BITS = tuple(_multiply(1 << 27, low) for low in range(16))  # what the four bits that leave bring back


@lru_cache(maxsize=1024)
def _multiples(operator: int) -> tuple[int, ...]:
    """The operator times each polynomial of four bits, by those bits; the highest is that of x^0."""
    powers = [operator]
    while len(powers) < 4:
        powers.append(powers[-1] >> 1 ^ _POLYNOMIAL * (powers[-1] & 1))  # times x
    products = [0]
    for power in reversed(powers):
        products += [power ^ product for product in products]
    return tuple(products)


def _shifted(crc: int, multiples: tuple[int, ...]) -> int:
    """The product of a CRC and an operator, four bits at a time, the highest power first."""
    product = multiples[crc & 15]
    for shift in _NIBBLES:
        product = product >> 4 ^ _FOUR_BITS[product & 15] ^ multiples[crc >> shift & 15]
    return product


def _squares() -> tuple[int, ...]:
    """x^(8·2^n) mod P for n from 0."""
    powers = [1 << 23]  # x^8
    while len(powers) < 32:
        powers.append(_multiply(powers[-1], powers[-1]))
    return tuple(powers)


_SQUARES = _squares()


@lru_cache(maxsize=4096)
def _shift_operator(length: int) -> int:
    """x^(8·length) mod P."""
    result = _ONE
    for bit, power in enumerate(_SQUARES):
        if length >> bit & 1:
            result = _multiply(power, result)
    return result
