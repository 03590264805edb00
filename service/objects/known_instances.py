"""The instances that an object may refer to, as far as the caller has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.errors import ObjectInvalid
from service.objects.image_plane import ImagePlane, plane_of

FindKnown = Callable[[frozenset[str]], "KnownInstances"]
"""Finds what is known of the instances that an object refers to, by their UIDs."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownInstances:
    """Headers of the source images, and other objects that are referred to; both may be empty, which checks less.

    Parameters
    ----------
    is_complete : what is not among them is not here, so that every reference has to lead to one of them
    covers_series : there are all images of each series of which there is one
    was_searched : an image that is referred to and not among them is not here, even where none of them is
    """

    sources: dict[str, Dataset]
    referenced: dict[str, Dataset]
    is_complete: bool = False
    covers_series: bool = True
    was_searched: bool = False
    _planes: dict[tuple[str, int], ImagePlane | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        sources: Sequence[Dataset],
        referenced: Sequence[Dataset],
        *,
        is_complete: bool = False,
        covers_series: bool = True,
        was_searched: bool = False,
    ) -> KnownInstances:
        """By SOP Instance UID."""
        return cls(
            {str(one.SOPInstanceUID): one for one in sources},
            {str(one.SOPInstanceUID): one for one in referenced},
            is_complete,
            covers_series,
            was_searched,
        )

    def get(self, sop_instance_uid: str) -> Dataset | None:
        """An instance of either kind."""
        return self.sources.get(sop_instance_uid) or self.referenced.get(sop_instance_uid)

    def plane(self, sop_instance_uid: str, frame: int = 1) -> ImagePlane | None:
        """Where a frame of a source lies; None where that is not known."""
        key = sop_instance_uid, frame
        if key not in self._planes:
            self._planes[key] = _plane(self.sources.get(sop_instance_uid), frame)
        return self._planes[key]

    def frames(self) -> Iterator[tuple[Dataset, int]]:
        """Every source with the number of each of its frames."""
        for source in self.sources.values():
            for frame in range(1, number_of_frames(source) + 1):
                yield source, frame


def number_of_frames(data_set: Dataset) -> int:
    """How many frames an image has; 1 where it does not say."""
    try:
        return max(int(data_set.get("NumberOfFrames") or 1), 1)
    except (TypeError, ValueError):
        return 1


def instance_uids_in(sequence: object) -> Iterator[str]:
    """Referenced SOP Instance UIDs of the items of a sequence, in order; none of an absent one."""
    for item in sequence if isinstance(sequence, list | tuple) or hasattr(sequence, "__iter__") else ():
        uid = item.get("ReferencedSOPInstanceUID")
        if uid:
            yield str(uid)


def _plane(source: Dataset | None, frame: int) -> ImagePlane | None:
    if source is None:
        return None
    try:
        plane = plane_of(source, frame)
    except (ObjectInvalid, TypeError, ValueError, IndexError):
        return None
    is_usable = len(plane.orientation) == 6 and all(step > 0 for step in plane.spacing_mm)
    return plane if is_usable else None
