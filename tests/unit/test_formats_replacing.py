"""A corrected file takes the place of what was imported before it, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from service.core.findings import Finding
from service.core.versions import VersionRow
from service.core.volume import Volume
from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import nodule


def find(volume: Volume) -> list[Finding]:
    return [nodule(volume)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path, find)
    house.uids["study"] = house.study(ct_series())
    house.uids["other"] = house.study(ct_series(2, patient_id="PAT-2"))
    house.exported("nifti", "--study", house.uids["study"], name="nifti")
    yield house
    house.close()


def first_mask(house: DatasetHouse) -> Path:
    return next((house.folder / "nifti" / "labels").iterdir())


def corrected(house: DatasetHouse, number: int = 1) -> Path:
    """The mask with more voxels marked."""
    image = nibabel.load(first_mask(house))
    voxels = np.array(image.dataobj)
    voxels[:number, 0, 0] = voxels.max()
    file = house.folder / f"corrected-{number}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine, image.header), file)
    return file


def taken(house: DatasetHouse, *files: Path, exit_code: int = 0, words: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    series = house.images(house.uids["study"])[0].series_uid
    names = [str(file) for file in files]
    answer = house.calls("import", "masks", *names, "--series", series, "--made-by", "brush", "--json", *words)
    assert answer.exit_code == exit_code, (answer.output, answer.exception)
    items: list[dict[str, Any]] = json.loads(answer.stdout)["items"]
    return items


def imported(house: DatasetHouse) -> list[VersionRow]:
    """Versions of what was imported, the newest first."""
    rows = house.gateway.version_desk.of_study("default", house.uids["study"])
    return [row for row in rows if row.origin.stored_by]


@pytest.mark.parametrize("which", ["segmentation", "report", "latest"])
def test_correction_is_the_next_version_of_what_it_replaces(house: DatasetHouse, which: str) -> None:
    (before,) = taken(house, first_mask(house))
    (old,) = imported(house)
    uid = next((one.sop_instance_uid for one in old.objects if one.family == which), which)
    (item,) = taken(house, corrected(house), words=("--replace", uid, "--reason", "edge was cut off"))
    assert item["status"] == "imported", item
    new, old = imported(house)
    assert (new.line, new.number, new.parent, new.reason) == (old.line, 2, old.id, "edge was cut off")
    assert {one.sop_instance_uid for one in new.objects} == set(item["objects"])
    assert [one.is_shown for one in (*new.objects, *old.objects)] == [True, True, False, False]
    for one in old.objects:
        assert one.sop_instance_uid in before["objects"]
        assert house.gateway.version_desk.file_of("default", old.id, one.sop_instance_uid)[1]
    report = next(one for one in new.objects if one.family == "report")
    row = house.gateway.instances.find("default", report.sop_instance_uid)
    assert row is not None
    with house.gateway.blobs.open(row.blob.key) as stream:
        (study,) = dcmread(stream).PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == next(one.sop_instance_uid for one in old.objects if one.family == "report")


def test_without_it_both_stand_beside_each_other(house: DatasetHouse) -> None:
    taken(house, first_mask(house))
    taken(house, corrected(house))
    assert len({row.line for row in imported(house)}) == 2
    assert all(one.is_shown for row in imported(house) for one in row.objects)


def test_what_cannot_be_replaced_is_refused_before_anything_is_written(house: DatasetHouse) -> None:
    of_model = next(row.sop_instance_uid for row in house.results(house.uids["study"]))
    of_other = next(row.sop_instance_uid for row in house.results(house.uids["other"]))
    image = house.images(house.uids["study"])[0].sop_instance_uid
    for uid, words in (
        ("2.25.404", "no annotation 2.25.404 is held"),
        (image, "no annotation"),
        (of_other, "is about another series"),
        (of_model, "is somebody else's"),
        ("latest", "nothing of the same maker"),
    ):
        (item,) = taken(house, first_mask(house), exit_code=1, words=("--replace", uid))
        assert (item["status"], item["objects"]) == ("refused", [])
        assert words in item["reason"]
    assert imported(house) == []


def test_two_files_of_one_import_do_not_replace_each_other(house: DatasetHouse) -> None:
    taken(house, first_mask(house))
    files = corrected(house), corrected(house, 2)
    first, second = taken(house, *files, exit_code=1, words=("--replace", "latest"))
    assert (first["status"], second["status"]) == ("imported", "refused")
    assert "another file of this import" in second["reason"]
