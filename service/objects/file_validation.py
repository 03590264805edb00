"""Files and folders judged, each among those that it refers to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicom_nodes.errors import InstanceUnreadable
from service.objects.known_instances import KnownInstances
from service.objects.rule_catalogue import Problem
from service.objects.validation import judge

_MARKS: Final = (
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    "1.2.840.10008.5.1.4.1.1.66.",  # segmentations, registrations
    "1.2.840.10008.5.1.4.1.1.88.",  # structured reports
    "1.2.840.10008.5.1.4.1.1.91.",  # bulk annotations
    "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
)
_LARGE: Final = 1 << 20
"""Bytes of a value that stays in its file until a rule asks for it."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A DICOM file among those that were named, as far as its head says what it is."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str

    @property
    def is_marked_on(self) -> bool:
        """Whether it is an image, or anything else that others are about."""
        return not self.sop_class_uid.startswith(_MARKS)


@dataclass(frozen=True)
class ObjectFiles:
    """What is judged, and what it may refer to.

    Parameters
    ----------
    named : files, and folders of which only what marks images is judged
    sources : folders and files in which it is looked for images; without any, what was named may refer to itself
    """

    named: Sequence[Path]
    sources: Sequence[Path] = ()
    _headers: dict[Path, Dataset] = field(default_factory=dict, repr=False)

    def paths(self) -> list[Path]:
        """The files that are judged, in order."""
        within = [file for place in self.named if place.is_dir() for file in files_below(place)]
        marks = {found.path for found in self._described(within) if not found.is_marked_on}
        return [
            file
            for place in self.named
            for file in ([one for one in files_below(place) if one in marks] if place.is_dir() else [place])
        ]

    def problems(self, path: Path) -> list[Problem]:
        """What is wrong with the object in a file.

        Raises
        ------
        InstanceUnreadable : there is no DICOM file at ``path``
        """
        return judge(read_object(path), self._known)

    def _known(self, uids: frozenset[str]) -> KnownInstances:
        """Of images the whole series, so that what lies beside all of them is seen."""
        meant = [found for found in self._around if found.sop_instance_uid in uids]
        series = {found.series_uid for found in meant if found.is_marked_on}
        images = [found for found in self._around if found.is_marked_on and found.series_uid in series]
        others = [found for found in meant if not found.is_marked_on]
        return KnownInstances.of(
            [self._header(found.path) for found in images],
            [self._header(found.path) for found in others],
            was_searched=bool(self.sources),
        )

    @cached_property
    def _around(self) -> list[FoundFile]:
        places = (*self.named, *self.sources)
        files = [file for place in places for file in (files_below(place) if place.is_dir() else [place])]
        return list(self._described(dict.fromkeys(files)))

    def _header(self, path: Path) -> Dataset:
        if path not in self._headers:
            self._headers[path] = read_object(path)
        return self._headers[path]

    @staticmethod
    def _described(files: Iterable[Path]) -> Iterator[FoundFile]:
        for file in files:
            try:
                head = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"])
                uids = [str(head.get(name, "")) for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")]
            except Exception:  # noqa: BLE001, S112  # a folder may hold anything; only what is DICOM counts
                continue
            if uids[0] and uids[1]:
                yield FoundFile(file, *uids)


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, by name."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def read_object(path: Path) -> Dataset:
    """The data set of a file; large values stay there until they are asked for.

    Raises
    ------
    InstanceUnreadable : there is no DICOM file at ``path``
    """
    try:
        return dcmread(path, defer_size=_LARGE)
    except (InvalidDicomError, OSError, EOFError) as err:
        raise InstanceUnreadable(f"{Path(path).name} is no DICOM file that can be read") from err
    except Exception as err:  # pydicom meets arbitrary bytes here with whatever error they provoke
        raise InstanceUnreadable(f"{Path(path).name} cannot be read ({type(err).__name__})") from err
