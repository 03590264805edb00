"""What the row of an instance knows of it, as attributes; everything else of it costs a look into its metadata."""

from __future__ import annotations

from typing import Any, Final

from service.archive.rows import AnyRow
from service.core.search import Attributes

AVAILABLE_TRANSFER_SYNTAX: Final = "00083002"
INDEXED: Final = frozenset(
    {"00080016", "00080018", "00200013", "00280008", "00280010", "00280011", "00280100", AVAILABLE_TRANSFER_SYNTAX}
)
"""Their tags."""
INSTANCE_COLUMNS: Final = (
    *("sop_instance_uid", "sop_class_uid", "transfer_syntax_uid", "instance_number"),
    *("number_of_frames", "rows", "columns", "bits_allocated"),
)


def instance_attributes(row: AnyRow) -> Attributes:
    """The attributes of a row that has ``INSTANCE_COLUMNS``."""
    attributes = {
        "00080016": element("UI", row.sop_class_uid),
        "00080018": element("UI", row.sop_instance_uid),
        AVAILABLE_TRANSFER_SYNTAX: element("UI", row.transfer_syntax_uid),
        "00200013": element("IS", *(() if row.instance_number is None else (row.instance_number,))),
    }
    numbers = (("00280008", "IS", row.number_of_frames), ("00280010", "US", row.rows), ("00280011", "US", row.columns))
    for tag, vr, value in (*numbers, ("00280100", "US", row.bits_allocated)):
        if value is not None:
            attributes[tag] = element(vr, value)
    return attributes


def element(vr: str, *values: Any) -> dict[str, Any]:
    """An attribute in the form of PS3.18 F.2."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
