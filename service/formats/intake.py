"""How objects that were made from files come into a project: the same way as those of any sender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.core.records import Outcome, OutcomeKind

TakeIn = Callable[[Sequence[bytes]], list[Outcome]]
"""Takes encoded data sets (Explicit VR Little Endian) in, together; an outcome for each, final, in order.

Raises `GatewayError` where nothing was decided.
"""
_OBJECTS_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 16 << 20
_HELD: Final = frozenset({OutcomeKind.ARCHIVED, OutcomeKind.DUPLICATE, OutcomeKind.REPLACED})
_WORDS: Final = {
    OutcomeKind.KEPT_FIRST: "are held already with other content, which stays (annogate status lists the conflict)",
    OutcomeKind.IN_TRASH: "were deleted here and lie in the trash: annogate trash restores them",
    OutcomeKind.DROPPED: "are of a kind that the project does not want (drop_sop_classes, rules)",
    OutcomeKind.OWN_OBJECT: "are results of this gateway that came back",
}


class ImportStatus(StrEnum):
    """What became of one item."""

    IMPORTED = "imported"
    THERE_ALREADY = "there already"
    """The same was imported before; nothing changed."""
    REFUSED = "refused"
    """Nothing of it was stored, or some of it is in quarantine; the reason says which."""


@dataclass(frozen=True, slots=True)
class ImportedItem:
    """What became of one file, or of the marks on one series.

    ``study_uid`` and ``series_uid`` are those under which it is served; ``objects`` SOP Instance UIDs likewise.
    """

    source: str
    status: ImportStatus
    reason: str = ""
    study_uid: str = ""
    series_uid: str = ""
    objects: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def encoded(data_set: Dataset) -> bytes:
    """A data set in Explicit VR Little Endian, without preamble and file meta."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def batches(data_sets: Iterable[Dataset]) -> Iterator[list[bytes]]:
    """Encoded data sets, as many as are well taken in at once."""
    batch: list[bytes] = []
    size = 0
    for data_set in data_sets:
        content = encoded(data_set)
        if batch and (len(batch) >= _OBJECTS_AT_ONCE or size + len(content) > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(content)
        size += len(content)
    if batch:
        yield batch


def item_of(source: str, outcomes: Sequence[Outcome], notes: Sequence[str] = ()) -> ImportedItem:
    """What became of an item, from the outcomes of its objects."""
    kinds = Counter(one.kind for one in outcomes)
    first = next((one for one in outcomes if one.study_uid), None)
    refused = [one for one in outcomes if one.kind not in _HELD]
    if refused:
        status = ImportStatus.REFUSED
    elif set(kinds) == {OutcomeKind.DUPLICATE}:
        status = ImportStatus.THERE_ALREADY
    else:
        status = ImportStatus.IMPORTED
    return ImportedItem(
        source=source,
        status=status,
        reason=_reason(refused, len(outcomes)),
        study_uid=first.study_uid if first else "",
        series_uid=first.series_uid if first else "",
        objects=tuple(one.sop_instance_uid for one in outcomes if one.kind in _HELD),
        notes=tuple(notes),
    )


def _reason(refused: Sequence[Outcome], count: int) -> str:
    reasons = Counter(
        f"are in quarantine: {one.reason}" if one.kind is OutcomeKind.QUARANTINED else _WORDS.get(one.kind, one.reason)
        for one in refused
    )
    return "; ".join(f"{number} of {count} objects {reason}" for reason, number in reasons.items())
