"""The outbox directory: parcels that are ready to leave, sealed; nowhere else does identity lie on the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from dicom_nodes.errors import GatewayError
from service.delivery.parcel import Parcel

SUFFIX: Final = ".sealed"


class SealedFiles(Protocol):
    """Writes, reads and erases encrypted files."""

    def write(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        """Write a file, durable when it returns."""

    def read(self, path: Path) -> bytes:
        """Its content.

        Raises
        ------
        FileNotFoundError : there is none
        KeysMissing : it does not open
        """

    def erase(self, path: Path) -> None:
        """Make it unreadable for good; nothing happens when there is none."""


class OutboxFiles:
    """Parcels by delivery and position; another host makes its own from the archive and the vault.

    Parameters
    ----------
    is_finished : whether a delivery, by its number, needs its files no more
    """

    def __init__(self, directory: Path, files: SealedFiles, is_finished: Callable[[int], bool]) -> None:
        self._directory = directory
        self._files = files
        self._is_finished = is_finished
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, delivery_id: int, position: int, parcel: Parcel) -> None:
        """Seal a parcel."""
        self._files.write(self._path(delivery_id, position), parcel.parts())

    def find(self, delivery_id: int, position: int) -> Parcel | None:
        """A parcel that was sealed; None where there is none, or it does not open: it is made anew then."""
        try:
            return Parcel.of_parts(self._files.read(self._path(delivery_id, position)))
        except (FileNotFoundError, GatewayError):
            return None

    def erase(self, delivery_id: int) -> None:
        """Forget the parcels of a delivery."""
        for path in self._directory.glob(f"{delivery_id}.*{SUFFIX}"):
            self._files.erase(path)

    def tidy(self) -> int:
        """Erase what a kill left behind: parcels of deliveries that have ended; how many."""
        erased = 0
        for path in sorted(self._directory.iterdir()):
            number = path.name.partition(".")[0]
            if not number.isdecimal() or self._is_finished(int(number)):
                self._files.erase(path)
                erased += 1
        return erased

    def _path(self, delivery_id: int, position: int) -> Path:
        return self._directory / f"{delivery_id}.{position}{SUFFIX}"
