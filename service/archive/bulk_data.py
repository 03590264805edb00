"""Finds the value behind a BulkDataURI in a stored file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from service.archive.dicom_json import BINARY_VRS, little_endian, pixel_vr
from service.core.archived import InstanceRow
from service.errors import InstanceNotFound

_PATH = re.compile(r"(?:[0-9A-F]{8}/[0-9]{1,9}/)*[0-9A-F]{8}", re.ASCII).fullmatch
_DEFER_BYTES = 1024
_PIXEL_GROUP = 0x7FE0


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value as it is served: its bytes in little-endian order, or the range of the file where they lie.

    ``encapsulated`` pixel data is the sequence of items from the basic offset table to, and without, the sequence
    delimiter; frames are cut out of it by their own resource.
    """

    tag: int
    vr: str
    length: int
    data: bytes | None = field(default=None, repr=False)
    offset: int | None = None
    encapsulated: bool = False

    def read(self, blob: BinaryIO) -> bytes:
        """The bytes."""
        if self.data is not None:
            return self.data
        blob.seek(self.offset or 0)
        return blob.read(self.length)


def read_bulk(blob: BinaryIO, instance: InstanceRow, path: str) -> BulkValue:
    """One value; see `BulkReader.value`."""
    return BulkReader(blob, instance).value(path)


class BulkReader:
    """Finds values of one instance, which is read once however many they are.

    Parameters
    ----------
    blob : the instance's file; it stays open as long as it is read from
    """

    def __init__(self, blob: BinaryIO, instance: InstanceRow) -> None:
        self._blob = blob
        self._instance = instance
        self._headers: dict[bool, Dataset] = {}

    def value(self, path: str) -> BulkValue:
        """The value at a path: a tag, behind ``tag/item/`` for each sequence on the way, items counted from 0.

        Raises
        ------
        InstanceNotFound : the instance has no such value
        """
        if not _PATH(path):
            raise InstanceNotFound("no bulk data has such an address")
        *steps, last = path.split("/")
        tag = int(last, 16)
        syntax = self._instance.transfer_syntax_uid
        in_order = syntax != ExplicitVRBigEndian
        pixels = self._instance.blob.pixels
        if not steps and pixels is not None and pixels.tag == tag and in_order:
            vr = pixel_vr(tag, encapsulated=pixels.encapsulated, bits_allocated=self._instance.bits_allocated)
            return BulkValue(tag, vr, pixels.length, offset=pixels.offset, encapsulated=pixels.encapsulated)
        item = _item(self._read(to_pixels=tag >> 16 != _PIXEL_GROUP), steps)
        element = item.get_item(tag, keep_deferred=True) if tag in item else None
        if element is None:
            raise InstanceNotFound("the instance has no such bulk data")
        in_file = syntax != DeflatedExplicitVRLittleEndian
        if isinstance(element, RawDataElement) and element.value is None and in_file and in_order:
            vr = element.VR if element.VR in BINARY_VRS else None
            if vr is not None:
                return BulkValue(tag, vr, element.length, offset=element.value_tell)
        return _inline(item, tag)

    def _read(self, *, to_pixels: bool) -> Dataset:
        """The data set, or what stands before its pixels; long values stay in the file."""
        if to_pixels not in self._headers:
            self._blob.seek(0)
            self._headers[to_pixels] = dcmread(
                self._blob, stop_before_pixels=to_pixels, defer_size=_DEFER_BYTES, force=True
            )
        return self._headers[to_pixels]


def _item(data_set: Dataset, steps: list[str]) -> Dataset:
    for tag, index in zip(steps[::2], steps[1::2], strict=True):
        element = data_set.get(int(tag, 16))
        if element is None or element.VR != "SQ" or int(index) >= len(element.value):
            raise InstanceNotFound("the instance has no such bulk data")
        data_set = element.value[int(index)]
    return data_set


def _inline(item: Dataset, tag: int) -> BulkValue:
    held = item.get_item(tag, keep_deferred=True)
    is_little_endian = held.is_little_endian if isinstance(held, RawDataElement) else True
    try:
        element = item[tag]
    except Exception as error:  # pydicom raises anything over a broken value
        raise InstanceNotFound("the element cannot be read") from error
    if not isinstance(element.value, bytes):
        raise InstanceNotFound("the element is not bulk data")
    vr = str(element.VR)
    vr = vr if vr in BINARY_VRS else "OW" if "OW" in vr else "UN"
    value = little_endian(element.value, vr, is_little_endian)
    return BulkValue(tag, vr, len(value), value)
