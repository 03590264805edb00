from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.archive.bulk_data import read_bulk
from service.core.archived import InstanceRow
from service.core.records import ObjectKind, PixelLocation, StoredBlob
from service.errors import InstanceNotFound
from tests.datasets import as_file, ct_slice

PDF = b"%PDF" * 600


def row(syntax: str = ExplicitVRLittleEndian, pixels: PixelLocation | None = None) -> InstanceRow:
    return InstanceRow(
        id=1,
        project="default",
        study_row_id=1,
        series_row_id=1,
        study_uid="1.1",
        series_uid="1.2",
        sop_instance_uid="1.3",
        sop_class_uid="1.4",
        transfer_syntax_uid=str(syntax),
        kind=ObjectKind.IMAGE,
        annotator="",
        run_id=None,
        visible=True,
        instance_number=1,
        rows=16,
        columns=16,
        bits_allocated=16,
        number_of_frames=None,
        content_digest=b"",
        blob=StoredBlob("key", 1, 2, pixels),
        received_at=0.0,
        indexed_at=0.0,
    )


def document() -> Dataset:
    data_set = ct_slice()
    data_set.EncapsulatedDocument = PDF
    return data_set


def nested() -> Dataset:
    item = Dataset()
    item.add_new(0x00282000, "OB", PDF)
    data_set = ct_slice()
    data_set.OpticalPathSequence = Sequence([Dataset(), item])
    return data_set


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_top_level_value_is_found(syntax: str) -> None:
    file = BytesIO(as_file(document(), syntax))
    value = read_bulk(file, row(syntax), "00420011")
    assert (value.vr, value.length, value.read(file)) == ("OB", len(PDF), PDF)


def test_top_level_value_is_a_range_of_the_file() -> None:
    content = as_file(document())
    value = read_bulk(BytesIO(content), row(), "00420011")
    assert value.data is None
    assert value.offset is not None
    assert content[value.offset : value.offset + value.length] == PDF


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_nested_value_is_found_by_its_item(syntax: str) -> None:
    file = BytesIO(as_file(nested(), syntax))
    assert read_bulk(file, row(syntax), "00480105/1/00282000").read(file) == PDF


def test_located_pixel_data_is_a_range_without_reading() -> None:
    pixels = PixelLocation(0x7FE00010, 4, 8, encapsulated=True)
    file = BytesIO(b"head" + b"items of" + b"rest")
    value = read_bulk(file, row(pixels=pixels), "7FE00010")
    assert (value.vr, value.encapsulated, value.read(file)) == ("OB", True, b"items of")


def test_pixel_data_that_was_not_located_is_found() -> None:
    data_set = ct_slice()
    expected = data_set.PixelData
    file = BytesIO(as_file(data_set, DeflatedExplicitVRLittleEndian))
    assert read_bulk(file, row(DeflatedExplicitVRLittleEndian), "7FE00010").read(file) == expected


def test_big_endian_words_are_turned() -> None:
    data_set = ct_slice()
    del data_set.PixelData
    data_set.add_new(0x00281201, "OW", struct.pack(">3H", 1, 2, 3) * 300)
    file = BytesIO(as_file(data_set, ExplicitVRBigEndian))
    value = read_bulk(file, row(ExplicitVRBigEndian), "00281201")
    assert value.read(file) == struct.pack("<3H", 1, 2, 3) * 300


def test_big_endian_pixel_data_is_turned() -> None:
    data_set = ct_slice()
    data_set.PixelData = struct.pack(">256H", *range(256))
    file = BytesIO(as_file(data_set, ExplicitVRBigEndian))
    located = replace(row(ExplicitVRBigEndian, PixelLocation(0x7FE00010, 0, 512, encapsulated=False)))
    assert read_bulk(file, located, "7FE00010").read(file) == struct.pack("<256H", *range(256))


@pytest.mark.parametrize(
    "path",
    [
        "00420012",
        "00480105/2/00282000",
        "00480105/0/00282000",
        "00080060/0/00282000",
        "00080060",
        "7fe00010",
        "../../etc/passwd",
        "00480105/00282000",
        "",
        "0048010G",
    ],
)
def test_path_to_nothing_is_not_found(path: str) -> None:
    with pytest.raises(InstanceNotFound):
        read_bulk(BytesIO(as_file(nested())), row(), path)
