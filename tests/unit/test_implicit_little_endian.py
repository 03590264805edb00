"""Explicit VR Little Endian, cut anywhere, written anew in Implicit VR Little Endian."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicom_nodes.errors import InstanceUnreadable
from service.core.implicit_little_endian import to_implicit_little_endian
from tests.datasets import ct_slice, encode


def nested() -> Dataset:
    image = ct_slice(rows=4, columns=4)
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "inner"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = [inner]
    outer.ReferencedSOPInstanceUID = "1.2.3"
    image.ReferencedImageSequence = [outer, Dataset()]
    return image


@settings(max_examples=30)
@given(size=st.integers(1, 700))
def test_values_stay_and_vrs_go(size: int) -> None:
    explicit = encode(nested())
    pieces = [explicit[start : start + size] for start in range(0, len(explicit), size)]
    written = b"".join(to_implicit_little_endian(pieces))
    assert written == encode(nested(), ImplicitVRLittleEndian)
    read = read_dataset(BytesIO(written), is_implicit_VR=True, is_little_endian=True)
    assert read.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeMeaning == "inner"


def test_data_set_that_is_cut_is_refused() -> None:
    with pytest.raises(InstanceUnreadable):
        b"".join(to_implicit_little_endian([encode(ct_slice())[:-3]]))
