"""Labels that no standard has a code for stand under a scheme of one's own, and come back as what they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from tests.dataset_house import DatasetHouse, ct_series

LABELS = """
[[label]]
name = "spiculated-mass"
number = 1
category = { value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }
types = [{ value = "spiculated", scheme = "99CLINIC", meaning = "Spiculated mass" }]
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path)
    house.uids["study"] = house.study(ct_series())
    yield house
    house.close()


def test_own_code_comes_back_with_its_mask(house: DatasetHouse, tmp_path: Path) -> None:
    labels = tmp_path / "labels.toml"
    labels.write_text(LABELS)
    series = house.images(house.uids["study"])[0].series_uid
    house.exported("nifti", "--with-unmarked", "--labels", str(labels), name="blank")
    (image,) = (house.folder / "blank" / "images").iterdir()
    shown = nibabel.load(image)
    voxels = np.zeros(shown.shape, dtype=np.uint8)
    voxels[5:9, 4:8, 2:4] = 1
    mask = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, shown.affine), mask)
    words = ["masks", str(mask), "--series", series, "--labels", str(labels), "--made-by", "us", "--json"]
    answer = house.calls("import", *words)
    assert answer.exit_code == 0, answer.output
    (item,) = json.loads(answer.stdout)["items"]
    assert item["status"] == "imported"
    rows = [row for row in house.results(house.uids["study"]) if row.sop_instance_uid in item["objects"]]
    headers = [dcmread(house.gateway.blobs.open(row.blob.key), stop_before_pixels=True) for row in rows]
    (segmentation,) = [one for one in headers if one.Modality == "SEG"]
    kind = segmentation.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("spiculated", "99CLINIC")
    back = house.exported("nifti", "--labels", str(labels), name="back")
    (file,) = (back / "labels").iterdir()
    np.testing.assert_array_equal(np.asarray(nibabel.load(file).dataobj), voxels)
    (row,) = csv.DictReader((back / "tables" / "findings.csv").open())
    assert (row["label"], row["type_value"], row["type_scheme"]) == ("spiculated-mass", "spiculated", "99CLINIC")
