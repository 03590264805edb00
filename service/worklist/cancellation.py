"""What a work item says that was cancelled: its Procedure Step Progress Information (PS3.4 CC.2.5)."""

from __future__ import annotations

from typing import Final

from service.core import workitem as tags
from service.core.search import Attributes
from service.core.workitem import code, has_value

UNSPECIFIED: Final = code("110513", "DCM", "Discontinued for unspecified reason")


def cancelled(attributes: Attributes, at: str, details: Attributes) -> Attributes:
    """The attributes with when and why the work item was cancelled."""
    note: Attributes = {
        tags.CANCELLED_AT: {"vr": "DT", "Value": [at]},
        tags.DISCONTINUATION_REASON: {"vr": "SQ", "Value": [UNSPECIFIED]},
        **{tag: element for tag, element in details.items() if has_value(details, tag)},
    }
    earlier = tags.items(attributes, tags.PROGRESS)
    merged = dict(sorted(((earlier[0] if earlier else {}) | note).items()))
    return attributes | {tags.PROGRESS: {"vr": "SQ", "Value": [merged, *earlier[1:]]}}
