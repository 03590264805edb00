"""The faces in a set of files: found series by series before the first file is cleaned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from dicom_nodes.errors import GatewayError
from service.deident.dicom_file import OpenFile, read_dicom, with_new_pixels
from service.deident.faces.face_finder import FaceFinder, SeriesImage
from service.deident.faces.face_policy import FacePolicy
from service.deident.pixel_bytes import PixelBytes
from service.deident.pixels.pixel_cleaner import PixelCleaning
from service.deident.pixels.pixel_outcome import OutcomeKind, Region
from service.deident.seen_header import header_copy
from service.errors import IdentityNotRemovable

HELD_BYTES = 16 << 20


class FilePixels:
    """The pixel value of a file, opened for each read: a series has more files than a process may hold open.

    Parameters
    ----------
    held : the value of the file that was read last, shared by all: frames are read in many small pieces
    """

    def __init__(self, path: Path, length: int, held: dict[Path, bytes]) -> None:
        self._path = path
        self._length = length
        self._held = held

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return self._length

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on."""
        if self._path in self._held:
            return self._held[self._path][offset : offset + size]
        with self._path.open("rb") as stream:
            value = PixelBytes(read_dicom(stream).pixel_value)
            self._held.clear()
            if self._length > HELD_BYTES:
                return value.read(offset, size)
            self._held[self._path] = value.read(0, self._length)
        return self._held[self._path][offset : offset + size]


class OfflineFaces:
    """What is known of the faces in files.

    Parameters
    ----------
    policy : which images may show a face
    """

    def __init__(self, policy: FacePolicy, finder: FaceFinder) -> None:
        self._policy = policy
        self._finder = finder
        self._found: dict[Path, tuple[Region, ...]] = {}
        self._reasons: dict[Path, str] = {}

    def look(self, paths: Iterable[Path]) -> None:
        """Find the faces of every series among the files; what cannot be read is left to whoever cleans it."""
        for series in self._series(paths).values():
            try:
                regions = self._finder.find(list(series.values()))
            except GatewayError as error:
                self._reasons |= dict.fromkeys(series, str(error))
                continue
            self._found |= dict(zip(series, regions, strict=True))

    def without_face(self, path: Path, source: OpenFile, pixels: PixelCleaning) -> tuple[OpenFile, bool]:
        """Return the file as it may be kept, and whether a face was removed from its series.

        Raises
        ------
        IdentityNotRemovable : it may show a face, which cannot be removed; says why
        """
        if path in self._reasons:
            raise IdentityNotRemovable(self._reasons[path])
        if path not in self._found:
            return source, False
        regions = self._found[path]
        if not regions:
            return source, True
        value = PixelBytes(source.pixel_value)
        outcome = pixels.apply(header_copy(source.header), value, str(source.transfer_syntax_uid), regions)
        if outcome.kind is not OutcomeKind.BLACKENED or outcome.blackened is None:
            raise IdentityNotRemovable(f"faces cannot be removed: {outcome.reason}")
        return with_new_pixels(source, outcome.blackened), True

    def _series(self, paths: Iterable[Path]) -> dict[str, dict[Path, SeriesImage]]:
        series: dict[str, dict[Path, SeriesImage]] = defaultdict(dict)
        held: dict[Path, bytes] = {}
        for path in paths:
            try:
                with path.open("rb") as stream:
                    source = read_dicom(stream)
                    length = len(source.pixel_value)
            except (GatewayError, OSError):
                continue
            if source.pixels is not None and self._policy.may_show_face(source.header):
                image = SeriesImage(source.header, FilePixels(path, length, held), str(source.transfer_syntax_uid))
                series[str(source.header.get("SeriesInstanceUID", ""))][path] = image
        return series
