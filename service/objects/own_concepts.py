"""Concepts that PS3.16 has no code for, under a scheme of our own (PS3.3 8.2: private designators begin with 99)."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from service.core.codes import Code

SCHEME: Final = "99ANNOGATE"


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


SHAPE_KINDS: Final = _own("shape-kinds", "Kinds of shapes, in the order of the group's coordinates")
KEYPOINT_NAMES: Final = _own("keypoint-names", "Names of keypoints")
SKELETON: Final = _own("skeleton", "Keypoints that are joined")
BOX_CORNERS: Final = _own("box-corners", "Lowest and highest corner of a box")
WHOLE_IMAGE: Final = _own("whole-image", "Image or frames as a whole")
FINDING_COMMENT: Final = _own("comment", "Comment on the finding")
READING_COMMENT: Final = _own("reading-comment", "Comment on the reading")
OUTCOME: Final = _own("outcome", "Outcome of the reading")
PROTOCOL: Final = _own("protocol", "Reading protocol")
PROTOCOL_VERSION: Final = _own("protocol-version", "Version of the reading protocol")
TIME_SPENT: Final = _own("time-spent", "Time spent on the reading")
ANSWERED_SERIES: Final = _own("answered-series", "Series that the answer is about")

OUTCOMES: Final = {
    "findings": _own("findings", "With findings"),
    "no-finding": _own("no-finding", "No finding"),
    "not-assessable": _own("not-assessable", "Not assessable"),
}


def describe_scheme(data_set: Dataset) -> None:
    """Say what the scheme is where an object uses it: Coding Scheme Identification (PS3.3 C.12.1.1.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "Annogate"
    item.CodingSchemeResponsibleOrganization = "Annogate"
    data_set.CodingSchemeIdentificationSequence = [item]
