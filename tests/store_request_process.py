"""One store request of many bytes or many parts, made as it is read: CASE FOLDER. Writes its status."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Final

from pydicom.uid import EnhancedCTImageStorage, RLELossless
from werkzeug.test import create_environ, run_wsgi_app

from service.ingest.scratch import Scratch
from service.web.dicomweb.store_body import Keeping, StoreLimits
from tests.datasets import as_file, ct_slice
from tests.dicomweb_gateway import DicomWebGateway
from tests.large_objects import native_data_set

FRAMES: Final = 9  # 302 MB
SMALL_PARTS: Final = 100_000
RLE_FRAMES: Final = 3000  # 192 MB
RLE_FRAME: Final = b"\1\0\0\0\x40\0\0\0" + bytes(56) + bytes(64 << 10)
INFLATED_LIMIT: Final = 256 << 20
_DICOM: Final = b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n"
_END: Final = b"\r\n--part--"


class Made:
    """A body that is made piece by piece."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def large_part() -> Iterator[bytes]:
    """One instance of 302 MB."""
    yield _DICOM + _file_meta()
    yield from native_data_set(FRAMES)
    yield _END


def large_bulk() -> Iterator[bytes]:
    """The same as metadata and bulk data."""
    yield _metadata(FRAMES, 4096)
    yield b"\r\n--part\r\nContent-Type: application/octet-stream\r\nContent-Location: pixels\r\n\r\n"
    yield from repeat(bytes(1 << 20), FRAMES * 32)
    yield _END


def many_frames() -> Iterator[bytes]:
    """Compressed frames, each in a part of its own."""
    yield _metadata(RLE_FRAMES, 256)
    head = b"\r\n--part\r\nContent-Type: image/dicom-rle; transfer-syntax=%b\r\nContent-Location: pixels\r\n\r\n"
    yield from repeat(head % RLELossless.encode() + RLE_FRAME, RLE_FRAMES)
    yield _END


def small_parts() -> Iterator[bytes]:
    """A hundred thousand parts that are nothing."""
    yield from repeat(_DICOM + b"x", SMALL_PARTS)
    yield _END


def bomb() -> Iterator[bytes]:
    """A body of some hundred kilobytes that inflates to 300 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield packer.compress(_DICOM)
    yield from filter(None, map(packer.compress, repeat(bytes(1 << 20), 300)))
    yield packer.flush()


def brackets() -> Iterator[bytes]:
    """More objects than metadata may have, then one instance with many items."""
    head = b"\r\n--part\r\nContent-Type: application/dicom+json\r\n\r\n"
    yield head + b"[" + b"[]," * 1_500_000 + b"[]]"
    yield head + b'{"00081140":{"vr":"SQ","Value":[' + b"{}," * 400_000 + b"{}]}}" + _END


def instances() -> Iterator[bytes]:
    """A hundred thousand instances in one part of metadata."""
    head = b"\r\n--part\r\nContent-Type: application/dicom+json\r\n\r\n"
    yield head + b"[" + b"{}," * SMALL_PARTS + b"{}]" + _END


CASES: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    case.__name__: case for case in (large_part, large_bulk, many_frames, small_parts, instances, bomb, brackets)
}


def _file_meta() -> bytes:
    """Preamble and file meta of the large instance."""
    header = ct_slice()
    header.SOPClassUID = EnhancedCTImageStorage
    content = as_file(header)
    return content[: 144 + int.from_bytes(content[140:144], "little")]


def _metadata(frames: int, side: int) -> bytes:
    header = ct_slice()
    header.SOPClassUID = EnhancedCTImageStorage
    header.NumberOfFrames, header.Rows, header.Columns = frames, side, side
    del header.PixelData
    document = header.to_json_dict() | {"7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}}
    head = b"\r\n--part\r\nContent-Type: application/dicom+json\r\n\r\n"
    return head + json.dumps([document]).encode()


def main(case: str, folder: Path) -> None:
    scratch = Scratch(folder)
    gateway = DicomWebGateway(
        folder,
        keeping=Keeping(scratch.keep, scratch.shelf),
        store_limits=StoreLimits(inflated_bytes=INFLATED_LIMIT),
    )
    environ = create_environ(
        "/dicom-web/studies",
        method="POST",
        content_type="multipart/related; boundary=part",
        headers={"Content-Encoding": "gzip" if case == "bomb" else "identity"},
    )
    environ |= {"wsgi.input": Made(CASES[case]()), "wsgi.input_terminated": True}
    environ.pop("CONTENT_LENGTH", None)
    _, status, headers = run_wsgi_app(gateway.app, environ, buffered=True)
    sys.stdout.write(f"{status.split()[0]} {headers['Content-Type']}\n")
    gateway.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
