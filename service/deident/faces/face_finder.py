"""Finds the faces of whole series in a process of its own: a volume of a head takes hundreds of megabytes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import structlog
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.fault_place import fault_place
from service.deident.pixels.frame_reader import FrameReader
from service.deident.pixels.pixel_outcome import Region
from service.deident.pixels.pixel_source import PixelSource
from service.errors import IdentityNotRemovable

_FAILED: Final = "faces cannot be removed: looking for them"
_NICENESS: Final = 10

_log = structlog.get_logger("annogate.pixels")


@dataclass(frozen=True, slots=True, eq=False)
class SeriesImage:
    """One instance of a series: its header as it came, and where its pixels are read."""

    header: Dataset
    pixels: PixelSource
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """How long one series may take, and how much memory, in bytes of address space."""

    seconds: float = 900.0
    memory_bytes: int = 8 << 30


class FaceFinder:
    """Finds faces, one series at a time; each in a fresh process that ends with it.

    Parameters
    ----------
    limits : what goes beyond them is left to a person
    """

    def __init__(self, limits: FaceLimits | None = None) -> None:
        self._limits = limits or FaceLimits()

    def find(self, series: Sequence[SeriesImage]) -> list[tuple[Region, ...]]:
        """Return for each instance the rectangles in which its series' face lies.

        Raises
        ------
        IdentityNotRemovable : the face cannot be found, or what is left would still be known; says why
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        limits = (self._limits.memory_bytes, os.getpid())
        process = context.Process(target=work, args=(theirs, *limits), daemon=True)
        process.start()
        theirs.close()
        try:
            return self._asked(ours, series)
        finally:
            process.kill()
            process.join()
            ours.close()

    def _asked(self, connection: Connection, series: Sequence[SeriesImage]) -> list[tuple[Region, ...]]:
        """Hand out headers and pixels as they are asked for, until the answer comes."""
        try:
            connection.send([(one.header, one.pixels.length, one.transfer_syntax_uid) for one in series])
            while connection.poll(self._limits.seconds):
                message = connection.recv()
                if isinstance(message, str):
                    raise IdentityNotRemovable(message)
                if isinstance(message, list):
                    return message
                place, offset, size = message
                connection.send(series[place].pixels.read(offset, size))
        except (EOFError, OSError) as error:
            raise IdentityNotRemovable(f"{_FAILED} ended the process that did it") from error
        raise IdentityNotRemovable(f"{_FAILED} took longer than {self._limits.seconds:g} s")


class _AskedPixels:
    """The pixels of one instance, read from whoever asked for its face."""

    def __init__(self, connection: Connection, place: int, length: int) -> None:
        self._connection = connection
        self._place = place
        self.length = length

    def read(self, offset: int, size: int) -> bytes:
        self._connection.send((self._place, offset, max(0, min(size, self.length - offset))))
        answer: bytes = self._connection.recv()
        return answer


def work(connection: Connection, memory_bytes: int, parent: int) -> None:
    """Find the face of one series; what is sent back is a list of regions, or why there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us decides
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what is in this memory is a patient's
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if os.getppid() != parent:
        return
    with suppress(EOFError, OSError):  # whoever asked is gone
        try:
            connection.send(_found(connection, connection.recv()))
        except (EOFError, OSError):
            raise
        except GatewayError as error:
            connection.send(str(error))
        except Exception as error:  # noqa: BLE001 - decoders meet arbitrary bytes; their words may quote values
            _log.error("faces.failed", fault=fault_place(error))
            connection.send(f"{_FAILED} failed ({type(error).__name__})")


def _found(connection: Connection, images: list[tuple[Dataset, int, str]]) -> list[tuple[Region, ...]]:
    # Whoever asks stays without what this takes.
    from service.deident.faces.face_regions import regions_of_mask
    from service.deident.faces.face_series import face_masks

    headers = [header for header, _, _ in images]

    def stored(place: int) -> npt.NDArray[Any]:
        header, length, transfer_syntax_uid = images[place]
        frames = FrameReader(header, _AskedPixels(connection, place, length), transfer_syntax_uid)
        return np.stack([frames.stored(index)[0] for index in range(frames.count)])

    return [regions_of_mask(mask) for mask in face_masks(headers, stored)]
