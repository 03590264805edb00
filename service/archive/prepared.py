"""An instance with everything that the index keeps of it, worked out before any transaction begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from pydicom.dataset import Dataset

from dicom_nodes.errors import InstanceUnreadable
from service.archive.metadata_cache import encode
from service.archive.served_attributes import Attributes, ServedAttributes
from service.core.blob_key import is_uid
from service.core.raw_text import ascii_at
from service.core.records import NewInstance


@dataclass(frozen=True, slots=True, eq=False)
class PreparedInstance:
    """A `NewInstance` whose header was read; make it with `of`, in any thread or process."""

    new: NewInstance = field(repr=False)
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    study: Attributes = field(repr=False)
    series: Attributes = field(repr=False)
    columns: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, new: NewInstance) -> Self:
        """Work out columns and cached metadata.

        Raises
        ------
        InstanceUnreadable : a UID is missing or is none, or the header cannot be written as DICOM JSON
        """
        header = new.header
        study_uid = _uid(header, 0x0020000D, "Study Instance UID (0020,000D)")
        series_uid = _uid(header, 0x0020000E, "Series Instance UID (0020,000E)")
        sop_instance_uid = _uid(header, 0x00080018, "SOP Instance UID (0008,0018)")
        sop_class_uid = _uid(header, 0x00080016, "SOP Class UID (0008,0016)")
        try:
            served = ServedAttributes.of(header)
            metadata = encode(header, pixels=new.blob.pixels, aside=new.aside)
        except Exception as error:
            # Not the error's own text: it may quote a value.
            raise InstanceUnreadable(f"the header has no DICOM JSON form ({type(error).__name__})") from error
        pixels = new.blob.pixels
        columns = {
            "project": new.project,
            "sop_instance_uid": sop_instance_uid,
            "sop_class_uid": sop_class_uid,
            "transfer_syntax_uid": new.transfer_syntax_uid,
            "kind": str(new.kind),
            "annotator": new.annotator,
            "author": new.author,
            "stored_by": new.stored_by,
            "run_id": new.run_id,
            **served.numbers,
            "content_digest": new.content_digest,
            "blob_key": new.blob.key,
            "blob_size": new.blob.size,
            "data_set_offset": new.blob.data_set_offset,
            "pixel_tag": pixels.tag if pixels else None,
            "pixel_offset": pixels.offset if pixels else None,
            "pixel_length": pixels.length if pixels else None,
            "pixel_encapsulated": pixels.encapsulated if pixels else None,
            "metadata": metadata,
            "received_at": new.received_at,
        }
        return cls(new, study_uid, series_uid, sop_instance_uid, served.study, served.series, columns)


def _uid(header: Dataset, tag: int, name: str) -> str:
    value = ascii_at(header, tag)
    if not is_uid(value):
        raise InstanceUnreadable(f"{name} is missing or is not a UID")
    return value
