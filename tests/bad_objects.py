"""Data sets that break the standard, each in one way, and each with identity in it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.planted_identity import FAMILY, GIVEN, IDENTIFIER, Encoder

EXPLICIT = Encoder()
BASIC_TEXT_SR = b"1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = b"1.2.840.10008.5.1.4.1.1.104.1"
SECRET = b"Tk00001q"
"""A text that stands nowhere else, where the standard wants none."""
NESTING = 0x00081115
"""Referenced Series Sequence."""
HEAD: dict[int, tuple[str, bytes]] = {
    0x00080016: ("UI", BASIC_TEXT_SR),
    0x00080018: ("UI", b"1.2.826.0.1.3680043.77.6.3"),
    0x00080060: ("CS", b"SR"),
    0x00080080: ("LO", SECRET),
    0x00100010: ("PN", f"{FAMILY}^{GIVEN}".encode()),
    0x00100020: ("LO", IDENTIFIER.encode()),
    0x0020000D: ("UI", b"1.2.826.0.1.3680043.77.6.1"),
    0x0020000E: ("UI", b"1.2.826.0.1.3680043.77.6.2"),
}


def elements(**more: tuple[str, bytes]) -> dict[int, bytes]:
    """A small object's elements by tag, with others, ``t00080020=("DA", b"...")``, beside them or in their place."""
    values = HEAD | {int(name[1:], 16): value for name, value in more.items()}
    return {tag: EXPLICIT.element(tag, vr, value) for tag, (vr, value) in values.items()}


def data_set(**more: tuple[str, bytes]) -> bytes:
    """A small object, encoded."""
    return EXPLICIT.data_set(elements(**more))


def with_raw(tag: int, encoded: bytes) -> bytes:
    """A small object with an element that was encoded by hand."""
    return EXPLICIT.data_set(elements() | {tag: encoded})


def odd_length() -> bytes:
    value = f"{FAMILY} at 12 o'clock!".encode()
    value += b"" if len(value) % 2 else b"?"
    return with_raw(0x00081030, struct.pack("<HH2sH", 0x0008, 0x1030, b"LO", len(value)) + value)


def endless_sequence() -> bytes:
    """A sequence of undefined length, and an item in it, that nothing ends (PS3.5 7.5.2)."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + EXPLICIT.element(0x00080080, "LO", SECRET)
    return data_set() + struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + item


def too_long(*, nested: bool) -> bytes:
    """A value that says that it is longer than all that is left of its item, or of the data set."""
    element = struct.pack("<HH2sH", 0x0008, 0x0070, b"LO", 0xFFF0) + SECRET
    if not nested:
        return data_set() + struct.pack("<HH2sH", 0x0040, 0x0555, b"LO", 0xFFF0) + SECRET
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(element)) + element
    head = struct.pack("<HH2sHI", NESTING >> 16, NESTING & 0xFFFF, b"SQ", 0, len(item))
    return with_raw(NESTING, head + item)


def nested_levels(depth: int, *, undefined: bool) -> bytes:
    """Sequences within sequences, a secret in the innermost."""
    if undefined:
        start = struct.pack("<HH2sHI", NESTING >> 16, NESTING & 0xFFFF, b"SQ", 0, 0xFFFFFFFF)
        opened = start + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
        closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
        return with_raw(NESTING, opened * depth + EXPLICIT.element(0x00080080, "LO", SECRET) + closed * depth)
    heads = []
    length = len(EXPLICIT.element(0x00080080, "LO", SECRET))
    for _ in range(depth):
        heads.append(
            struct.pack("<HH2sHI", NESTING >> 16, NESTING & 0xFFFF, b"SQ", 0, length + 8)
            + b"\xfe\xff\x00\xe0"
            + struct.pack("<I", length)
        )
        length += 20
    return with_raw(NESTING, b"".join(reversed(heads)) + EXPLICIT.element(0x00080080, "LO", SECRET))


def unfinished_unknown() -> bytes:
    """A UN of undefined length that is no sequence."""
    return data_set() + struct.pack("<HH2sHI", 0x0040, 0xA730, b"UN", 0, 0xFFFFFFFF) + SECRET * 3


def encapsulated(kind: bytes, document: bytes) -> bytes:
    return data_set(t00080016=("UI", ENCAPSULATED_PDF), t00420011=("OB", document), t00420012=("LO", kind))


def deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def bomb(size: int) -> bytes:
    """A deflated data set with a text of so many bytes in it: one stretch, over and over (RFC 1951 3.2)."""
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = stream.compress(data_set() + struct.pack("<HH2sHI", 0x0040, 0xA160, b"UT", 0, size))
    head += stream.flush(zlib.Z_FULL_FLUSH)
    stretch = stream.compress(b" " * (1 << 24)) + stream.flush(zlib.Z_FULL_FLUSH)
    return head + stretch * (size >> 24) + stream.flush()


def write_huge(path: Path, lead: bytes, tag: int, vr: str, size: int) -> None:
    """Write an object whose last element is huge; the file is sparse, so that the disk holds next to nothing."""
    with path.open("wb") as file:
        file.write(lead + data_set())
        file.write(struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, size))
        file.seek(size - 8, 1)
        file.write(SECRET)


def file_lead(transfer_syntax_uid: bytes) -> bytes:
    """Preamble and file meta (PS3.10 7.1)."""
    meta = EXPLICIT.element(0x00020010, "UI", transfer_syntax_uid)
    return bytes(128) + b"DICM" + EXPLICIT.element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta


CLEANED: dict[str, Callable[[], bytes]] = {
    "text where a number belongs": lambda: data_set(t00280010=("LO", SECRET)),
    "a name encoded as bytes": lambda: data_set(t00081050=("OB", f"{FAMILY}^{GIVEN}".encode())),
    "bytes where a sequence belongs": lambda: data_set(t00081115=("OB", SECRET)),
    "a number where a name belongs": lambda: data_set(t00100010=("US", b"\1\0")),
    "dates that are none": lambda: data_set(
        t00080020=("DA", b"99999999"), t00080021=("DA", SECRET), t00080022=("DA", b"20241345")
    ),
    "dates before the calendar": lambda: data_set(t00080020=("DA", b"00010101"), t0008002A=("DT", b"0001")),
    "times that are none": lambda: data_set(t00080030=("TM", SECRET), t00080031=("TM", b"99:99:99")),
    "UIDs that are none, inside": lambda: data_set(t00081155=("UI", SECRET), t00200052=("UI", b"1.2..3.a" + SECRET)),
    "a UID too long, inside": lambda: data_set(t00081155=("UI", b"1." * 60 + b"7")),
    "an odd length": odd_length,
    "an unknown character set": lambda: data_set(
        t00080005=("CS", b"ISO_IR 999"), t00081030=("LO", FAMILY.encode()), t00080070=("LO", b"\xe4\xf6 " + SECRET[:2])
    ),
    "text that its character set does not have": lambda: data_set(
        t00080005=("CS", b"ISO_IR 192"), t00081030=("LO", b"\xff\xfe" + FAMILY.encode())
    ),
    "an item longer than its sequence": lambda: too_long(nested=True),
    "an encapsulated PDF": lambda: encapsulated(b"application/pdf", b"%PDF-1.4 " + SECRET + FAMILY.encode()),
    "an age that is none": lambda: data_set(t00101010=("AS", SECRET)),
    "many values in one name": lambda: data_set(t00100010=("PN", b"\\".join([f"{FAMILY}^{GIVEN}".encode()] * 500))),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a SOP Instance UID that is none": (lambda: data_set(t00080018=("UI", SECRET)), "SOP Instance UID"),
    "a Series UID too long": (lambda: data_set(t0020000E=("UI", b"1." * 60 + b"7")), "Series Instance UID"),
    "no Study UID": (lambda: data_set(t0020000D=("UI", b"")), "Study Instance UID"),
    "a sequence that does not end": (endless_sequence, "(?i)cut short|not readable|can be read"),
    "a value longer than all that is left": (lambda: too_long(nested=False), "(?i)cut short"),
    "a UN that does not end": (unfinished_unknown, "(?i)cut short|not readable|can be read"),
    "100 nested levels": (lambda: nested_levels(100, undefined=False), "nested"),
    "10,000 nested levels": (lambda: nested_levels(10_000, undefined=False), "(?i)nested|read"),
    "10,000 levels of undefined length": (lambda: nested_levels(10_000, undefined=True), "(?i)nested|read"),
    "a document of another kind": (lambda: encapsulated(b"text/xml", b"<name>" + SECRET), "document"),
    "a VR that does not exist": (
        lambda: with_raw(0x00091001, struct.pack("<HH2sH", 0x0009, 0x1001, b"ZZ", 8) + SECRET),
        "(?i)VR|read",
    ),
}
