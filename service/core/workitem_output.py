"""What a work item says that came of it: Output Information within the Performed Procedure Sequence (PS3.4 CC.2.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from service.core import workitem as tags
from service.core.search import Attributes
from service.core.workitem import first, items

_REFERENCED_INSTANCES: Final = "00081199"
_SOP_CLASS_UID: Final = "00081150"
_SOP_INSTANCE_UID: Final = "00081155"
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """An instance as it is named (PS3.3 Table 10-3b); "" stands for a UID that is not given."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def output_of(attributes: Attributes) -> list[NamedInstance]:
    """The instances that a work item names as its output, each once for each way in which it is named.

    What is no DICOM instance (a document of HL7, say) is named without a reference, and left out.
    """
    return list(dict.fromkeys(_named(attributes)))


def in_order_of_leaving(named: list[NamedInstance]) -> list[NamedInstance]:
    """The same, what a report may refer to before it, and reports before what selects among them."""
    return sorted(named, key=lambda one: _rank(one.sop_class_uid))


def _named(attributes: Attributes) -> Iterator[NamedInstance]:
    for performed in items(attributes, tags.PERFORMED):
        for output in items(performed, tags.OUTPUT_INFORMATION):
            place = first(output, tags.STUDY_INSTANCE_UID), first(output, tags.SERIES_INSTANCE_UID)
            for reference in items(output, _REFERENCED_INSTANCES):
                yield NamedInstance(*place, first(reference, _SOP_CLASS_UID), first(reference, _SOP_INSTANCE_UID))


def _rank(sop_class_uid: str) -> int:
    if not sop_class_uid.startswith(_REPORTS):
        return 0
    return 2 if sop_class_uid == _KEY_OBJECTS else 1
