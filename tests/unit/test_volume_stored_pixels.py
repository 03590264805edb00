"""Decoding stored pixels, and saying why they cannot be decoded."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLossless, RLELossless

from service.core.stored_pixels import decode_pixels
from service.errors import TransferSyntaxNotSupported, VolumeRefused
from tests.datasets import ct_slice


def with_meta(transfer_syntax_uid: str):
    one = ct_slice(3, rows=4, columns=3)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = transfer_syntax_uid
    return one


def test_native_pixels_come_as_stored() -> None:
    pixels = decode_pixels(with_meta(ExplicitVRLittleEndian))
    assert pixels.dtype == np.int16
    assert pixels.tolist() == [[3] * 3] * 4


def test_float_pixels_come_as_float() -> None:
    one = with_meta(ExplicitVRLittleEndian)
    del one.PixelData, one.HighBit, one.BitsStored, one.PixelRepresentation
    one.BitsAllocated = 32
    one.FloatPixelData = np.full((4, 3), 0.5, "<f4").tobytes()
    assert decode_pixels(one).tolist() == [[0.5] * 3] * 4


def test_compressed_pixels_are_decoded() -> None:
    one = with_meta(ExplicitVRLittleEndian)
    one.compress(RLELossless, generate_instance_uid=False)
    assert decode_pixels(one).tolist() == [[3] * 3] * 4


def test_transfer_syntax_without_a_codec_is_named() -> None:
    mpeg2 = "1.2.840.10008.1.2.4.100"
    with pytest.raises(TransferSyntaxNotSupported, match=mpeg2):
        decode_pixels(with_meta(mpeg2))


def test_missing_pixel_data_are_refused() -> None:
    one = with_meta(ExplicitVRLittleEndian)
    del one.PixelData
    with pytest.raises(VolumeRefused, match="no pixel data"):
        decode_pixels(one)


def test_broken_code_stream_is_refused() -> None:
    one = with_meta(JPEGLossless)
    one.PixelData = (
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00junk\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    )
    one["PixelData"].VR = "OB"
    one["PixelData"].is_undefined_length = True
    with pytest.raises(VolumeRefused, match="cannot be decoded"):
        decode_pixels(one)
