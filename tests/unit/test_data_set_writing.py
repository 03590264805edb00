"""Objects that are made here, encoded: what frames share once, compressed frames as their own syntax asks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import RLELossless

from service.core.data_set_writing import encode_explicit
from service.core.frame_streams import DEFLATED_FRAMES, inflate_frame
from service.core.result_file import result_file
from service.objects.segmentation_form import SegmentationForm, SegmentationKind
from tests.segmentation_sources import SOURCES
from tests.segmented import drawn_masks, file_of, written
from tests.volumes import enhanced_volume


def as_pydicom_writes(data_set: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, data_set)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["axial", "enhanced", "slide, TILED_SPARSE", "moving heart"])
def test_shared_elements_are_encoded_like_any_other(name: str) -> None:
    source = SOURCES[name]()
    segmentation = written(source, drawn_masks(source))
    segmentation.PatientName = "Müller^Zoë"
    assert encode_explicit(segmentation) == as_pydicom_writes(segmentation)


def test_header_that_was_read_is_encoded_as_it_was() -> None:
    header = enhanced_volume().sources[0]
    header.SpecificCharacterSet, header.PatientName = "ISO_IR 100", "Müller^Zoë"
    again = dcmread(io.BytesIO(bytes(128) + b"DICM" + encode_explicit(header)), force=True)
    assert encode_explicit(again) == as_pydicom_writes(header)


def test_what_was_encoded_is_left_as_it_was() -> None:
    source = SOURCES["axial"]()
    segmentation = written(source, drawn_masks(source))
    before = str(segmentation)
    encode_explicit(segmentation)
    assert str(segmentation) == before


@pytest.mark.parametrize("syntax", [str(RLELossless), DEFLATED_FRAMES])
def test_compressed_frames_lie_where_the_file_says(syntax: str) -> None:
    source = SOURCES["axial"]()
    form = SegmentationForm(SegmentationKind.LABELMAP, syntax)
    segmentation = written(source, drawn_masks(source), form)
    file = result_file(segmentation, "key", "0.1.0")
    content = b"".join(file.parts)
    place = file.blob.pixels
    assert place is not None
    assert place.encapsulated
    assert (file.transfer_syntax_uid, file.blob.size) == (syntax, len(content))
    assert content[place.offset : place.offset + place.length] == segmentation.PixelData
    assert content[place.offset + place.length :] == b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert dcmread(io.BytesIO(content)).PixelData == segmentation.PixelData


def test_deflated_frames_hold_the_native_ones() -> None:
    source = SOURCES["odd size"]()
    masks = drawn_masks(source)
    native = dcmread(io.BytesIO(file_of(written(source, masks)))).pixel_array
    deflated = written(source, masks, SegmentationForm(SegmentationKind.BINARY, DEFLATED_FRAMES))
    size = deflated.Rows * deflated.Columns
    for frame, stream in zip(native, frames_in(deflated), strict=True):
        bits = np.unpackbits(np.frombuffer(inflate_frame(stream, (size + 7) // 8), np.uint8), bitorder="little")
        np.testing.assert_array_equal(bits[:size].reshape(frame.shape), frame)


def frames_in(data_set: Dataset) -> list[bytes]:
    from pydicom.encaps import generate_frames

    return list(generate_frames(data_set.PixelData, number_of_frames=data_set.NumberOfFrames))
