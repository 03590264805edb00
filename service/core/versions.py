"""Versions of annotations: nothing that somebody said is ever overwritten, and each version knows its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEGMENTATION: Final = "segmentation"
REPORT: Final = "report"
_FAMILIES: Final = {
    "1.2.840.10008.5.1.4.1.1.66.4": SEGMENTATION,
    "1.2.840.10008.5.1.4.1.1.66.7": SEGMENTATION,  # Label Map
    "1.2.840.10008.5.1.4.1.1.88.11": REPORT,  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22": REPORT,  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33": REPORT,  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34": REPORT,  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.35": REPORT,  # Extensible SR
}
LONGEST_REASON: Final = 500


def family_of(sop_class_uid: str) -> str:
    """What a later version has another object of: the same masks may come as one SOP class and then as another."""
    return _FAMILIES.get(sop_class_uid, sop_class_uid)


@dataclass(frozen=True, slots=True)
class VersionOrigin:
    """Who made a version.

    Parameters
    ----------
    author : account of a reader; "" for others
    stored_by : who stored it over the web or from files, whatever their role; "" where it came by C-STORE
    sender : AE title of the node that sent it
    annotator : name of the model whose run made it, with ``run_id`` and the series that it looked at
    """

    author: str = ""
    stored_by: str = ""
    sender: str = ""
    annotator: str = ""
    run_id: int | None = None
    series_uid: str = ""

    @property
    def is_reader(self) -> bool:
        """Whether a reader made it: what comes from nobody in particular is joined only where it says so itself."""
        return bool(self.author)

    def continues(self, other: VersionOrigin) -> bool:
        """Whether both are the same author's, so that one version may follow the other in a line.

        A reader's line stays theirs also where somebody else restored a version of it.
        """
        if self.author or other.author:
            return self.author == other.author
        mine = (self.stored_by, self.sender, self.annotator, self.series_uid)
        return mine == (other.stored_by, other.sender, other.annotator, other.series_uid)


@dataclass(frozen=True, slots=True)
class VersionMarks:
    """What an object says of itself that bears on its place among the versions.

    Parameters
    ----------
    predecessors : SOP Instance UIDs of what it was made from (Predecessor Documents Sequence)
    tracking_uids : of all that it marks
    refers_to : SOP Instance UIDs of the segmentations that it rests on
    protocol, protocol_version : the reading protocol that was followed
    """

    predecessors: tuple[str, ...] = ()
    tracking_uids: frozenset[str] = frozenset()
    refers_to: tuple[str, ...] = ()
    protocol: str = ""
    protocol_version: str = ""


@dataclass(frozen=True, slots=True)
class VersionObject:
    """One object of a version that is still held."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    modality: str
    family: str
    is_shown: bool
    refers_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version.

    Parameters
    ----------
    line : id of the first version of its line
    number : in its line, from 1
    is_newest : in its line
    objects : those of its own, the segmentation before the report; what it leaves as it was stands in earlier versions
    """

    id: int
    project: str
    study_uid: str
    line: int
    number: int
    parent: int | None
    restored: int | None
    origin: VersionOrigin
    reason: str
    protocol: str
    protocol_version: str
    created_at: float
    is_newest: bool
    objects: tuple[VersionObject, ...]
