"""What is known of a dataset beside its files: what it says of itself, and what was written of each case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.formats.labels import Label
from service.formats.patient_split import PARTS
from service.formats.staged_file import WrittenFile

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """What a dataset says of itself.

    Parameters
    ----------
    labels : those that it may hold, by number
    created : the day on which it was begun, ISO 8601
    shares, seed : how patients were divided
    source : what it was made from, in words for people: project, de-identification
    """

    name: str
    description: str
    licence: str
    labels: tuple[Label, ...]
    created: str
    shares: Mapping[str, float]
    seed: int
    source: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """What was written of one case; as JSON it is all that the files of the whole dataset are made from.

    Parameters
    ----------
    files : with what each is to the case: "image", "labels", "mask", "segmentation" or "label text"
    counts : for each label how many findings and, where they have masks, how many voxels
    rows : by table
    own : what the format wants to know of it
    """

    case: str
    patient: str
    part: str
    study_uid: str
    series_uid: str
    volume_number: int
    modality: str
    is_marked: bool
    shape: tuple[int, int, int]
    spacing_mm: tuple[float | None, float | None, float | None]
    files: tuple[tuple[str, WrittenFile], ...]
    counts: Mapping[str, Mapping[str, int]]
    rows: Mapping[str, list[list[Any]]]
    own: Any = None

    def path_of(self, role: str) -> str | None:
        """The first file of a role."""
        return next((file.path for one, file in self.files if one == role), None)


Records = Callable[[], Iterator[CaseRecord]]
"""Every case of the dataset in its order, as often as asked."""


def parts_of(records: Records) -> list[str]:
    """The parts that a dataset has, in their order."""
    found = {record.part for record in records()}
    return [part for part in PARTS if part in found]
