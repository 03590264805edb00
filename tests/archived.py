"""Builders for what goes into the archive."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from service.core.blob_key import blob_key
from service.core.records import NewInstance, ObjectKind, PixelLocation, StoredBlob
from tests.datasets import ct_slice

NOW = 1_750_000_000.0


def new_instance(
    data_set: Dataset | None = None, *, version: int = 0, content: str = "", **changes: Any
) -> NewInstance:
    """An image of the project "default", received at `NOW`; other ``content`` is another digest."""
    header = ct_slice() if data_set is None else data_set
    if "PixelData" in header:
        del header.PixelData
    uid = str(header.SOPInstanceUID)
    values: dict[str, Any] = {
        "project": "default",
        "kind": ObjectKind.IMAGE,
        "header": header,
        "transfer_syntax_uid": str(ExplicitVRLittleEndian),
        "content_digest": sha256(f"{uid}{content}".encode()).digest(),
        "received_at": NOW,
        "patient_digest": b"patient",
    }
    values |= changes
    key = blob_key(values["project"], uid, version)
    values.setdefault("blob", StoredBlob(key, 1000, 400, PixelLocation(0x7FE00010, 488, 512, encapsulated=False)))
    return NewInstance(**values)


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
