"""What an annotation says of itself that bears on its place among the versions: parent, things marked, protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.core.codes import Code
from service.core.versions import REPORT, SEGMENTATION, VersionMarks, family_of
from service.objects import concepts, own_concepts
from service.objects.content_tree import children, descendants, name_of, text_child

_UNKNOWN: Final = Code("", "", "")
_EVIDENCE: Final = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def marks_of(header: Dataset) -> VersionMarks:
    """Read what there is; an object that says nothing of it has none, and nothing here is refused.

    Predecessor Documents Sequence is one of documents (PS3.3 C.17.2), which viewers write into segmentations as well.
    """
    if family_of(str(header.get("SOPClassUID", ""))) != REPORT:
        return VersionMarks(
            predecessors=tuple(_instances(header, "PredecessorDocumentsSequence")),
            tracking_uids=frozenset(_of_segments(header)),
        )
    rows = [row for container in children(header, concepts.QUALITATIVE_EVALUATIONS) for row in children(container)]
    body = Dataset()
    body.ContentSequence = Sequence(rows)
    return VersionMarks(
        predecessors=tuple(_instances(header, "PredecessorDocumentsSequence")),
        tracking_uids=frozenset(_of_groups(header)),
        refers_to=tuple(uid for keyword in _EVIDENCE for uid in _instances(header, keyword, family=SEGMENTATION)),
        protocol=text_child(body, own_concepts.PROTOCOL),
        protocol_version=text_child(body, own_concepts.PROTOCOL_VERSION),
    )


def _of_segments(header: Dataset) -> Iterator[str]:
    for segment in _items(header, "SegmentSequence"):
        if uid := segment.get("TrackingUID"):
            yield str(uid)


def _of_groups(header: Dataset) -> Iterator[str]:
    for _, item in descendants(header):
        is_tracking = concepts.same(name_of(item) or _UNKNOWN, concepts.TRACKING_UID)
        if is_tracking and (uid := item.get("UID")):
            yield str(uid)


def _instances(header: Dataset, keyword: str, family: str | None = None) -> Iterator[str]:
    """SOP Instance UIDs below a sequence of the SOP Instance Reference Macro (PS3.3 C.17.2.1)."""
    for study in _items(header, keyword):
        for series in _items(study, "ReferencedSeriesSequence"):
            for one in _items(series, "ReferencedSOPSequence"):
                uid, of_class = one.get("ReferencedSOPInstanceUID"), str(one.get("ReferencedSOPClassUID", ""))
                if uid and (family is None or family_of(of_class) == family):
                    yield str(uid)


def _items(data_set: Dataset, keyword: str) -> list[Dataset]:
    value = data_set.get(keyword)
    return list(value) if isinstance(value, Sequence) else []
