"""The real files beside the project and in the pydicom wheel: which there are, and what in them names a patient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydicom import config, dcmread
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from dicom_nodes.outgoing_object import OutgoingObject
from service.core.pydicom_reading import read_leniently

# Broken on purpose, under UIDs of good files: they come last, so that what is served under these is known.
BROKEN = ("bad-input", "private-tags")
NO_IMAGES = {"standard", "LICENSES", "__pycache__"}
SHORTEST = 5
# What stands for a name in published files and in the standard's own terms alike.
ORDINARY_WORDS = {"anonymous", "orientation", "removed", "sphere", "phantom", "patient", "perfusion"}
UID_RUN = re.compile(rb"[0-9]+(?:\.[0-9]+){4,}")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass
class Folder:
    """The files of one folder: those that a node can be sent as they are, and the names of those that cannot."""

    name: str
    sendable: list[OutgoingObject] = field(default_factory=list)
    not_sendable: list[str] = field(default_factory=list)


def folders(root: Path) -> list[Folder]:
    """The folders of two levels below ``root`` by name, the broken ones last; files in deeper ones count to these."""
    found: dict[str, Folder] = {}
    for path in files(root):
        name = "/".join(path.relative_to(root).parts[:-1][:2])
        folder = found.setdefault(name, Folder(name))
        try:
            folder.sendable.append(OutgoingObject.from_file(path))
        except GatewayError:
            folder.not_sendable.append(path.name)
    return [found[name] for name in sorted(found, key=lambda name: (name in BROKEN, name))]


def files(root: Path) -> Iterator[Path]:
    """Every file that is no table, licence or program, sorted."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not NO_IMAGES & set(parts[:-1]) and len(parts) > 1:
            yield path


@dataclass
class Identity:
    """What must not be found in what is served: words of one patient, and every UID that came in."""

    words: set[bytes] = field(default_factory=set)
    uids: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, headers: Iterable[Dataset]) -> Identity:
        """Parts of the names, and Patient IDs, from five characters on, unless they are words of every day."""
        identity = cls()
        for header in headers:
            words = {*re.split(r"[\^= ,]", str(header.get("PatientName", ""))), str(header.get("PatientID", ""))}
            identity.words |= {
                word.strip().lower().encode()
                for word in words
                if len(word.strip()) >= SHORTEST and word.strip().lower() not in ORDINARY_WORDS
            }
            identity.uids |= {str(header.get(keyword)).encode() for keyword in UIDS if header.get(keyword)}
        return identity

    def left_in(self, content: bytes) -> set[bytes]:
        """Those that stand in the bytes, as text in any case."""
        small = content.lower()
        words = {word for word in self.words if word in small and _stands_alone(word, small)}
        return words | (self.uids & set(UID_RUN.findall(content)))


def _stands_alone(word: bytes, content: bytes) -> bool:
    """Whether a number is one of its own: 99000 is also a part of many a UID or measurement."""
    return not word.isdigit() or re.search(rb"(?<![0-9.])" + word + rb"(?![0-9.])", content) is not None


def studies_of(root: Path, modalities: Iterable[str]) -> dict[str, list[Path]]:
    """Every file of the studies that hold an image of one of the modalities, by original Study Instance UID.

    What is broken on purpose is left out; it has tests of its own.
    """
    wanted, found = set(modalities), {}
    with_images = set()
    for path in files(root):
        if path.relative_to(root).parts[0] in BROKEN:
            continue
        header = header_of(path)
        if header is None or not header.get("StudyInstanceUID"):
            continue
        study_uid = str(header.StudyInstanceUID)
        found.setdefault(study_uid, []).append(path)
        if header.get("Modality") in wanted:
            with_images.add(study_uid)
    return {study_uid: paths for study_uid, paths in found.items() if study_uid in with_images}


@cache
def header_of(path: Path) -> Dataset | None:
    """The header of a file that says what it is, else None."""
    try:
        header = dcmread(path, stop_before_pixels=True)
    except Exception:  # noqa: BLE001  broken files are among them
        return None
    return header if "SOPInstanceUID" in header else None


@contextmanager
def reading_leniently() -> Iterator[None]:
    """As the gateway reads; put back afterwards, since it is pydicom's one setting for the process."""
    before = config.settings.reading_validation_mode
    read_leniently()
    yield
    config.settings.reading_validation_mode = before
