"""The instances that an object may refer to, as far as the caller has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class KnownInstances:
    """Headers of the source images, and other objects that are referred to; both may be empty, which checks less."""

    sources: dict[str, Dataset]
    referenced: dict[str, Dataset]

    @classmethod
    def of(cls, sources: Sequence[Dataset], referenced: Sequence[Dataset]) -> KnownInstances:
        """By SOP Instance UID."""
        return cls(
            {str(one.SOPInstanceUID): one for one in sources}, {str(one.SOPInstanceUID): one for one in referenced}
        )


def instance_uids_in(sequence: object) -> Iterator[str]:
    """Referenced SOP Instance UIDs of the items of a sequence, in order; none of an absent one."""
    for item in sequence if isinstance(sequence, list | tuple) or hasattr(sequence, "__iter__") else ():
        uid = item.get("ReferencedSOPInstanceUID")
        if uid:
            yield str(uid)
