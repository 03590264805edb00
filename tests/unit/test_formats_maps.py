"""A file with a number for each voxel becomes a Parametric Map, to the bit, and only where it fits."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.volume import Volume
from service.errors import BadRequest
from service.formats.grids import ras_of
from service.formats.map_import import MapMeaning
from service.formats.nrrd_file import write_nrrd
from service.objects.parametric_map_reader import parameter_maps_of
from tests.dataset_house import DatasetHouse, ct_series

MEANT = ("--quantity", "113041:DCM:Apparent Diffusion Coefficient", "--unit", "mm2/s", "--label", "ADC")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path)
    house.uids["study"] = house.study(ct_series())
    yield house
    house.close()


def volume_in(house: DatasetHouse) -> Volume:
    return house.volume(house.uids["study"])


def numbers(volume: Volume) -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=volume.shape).astype(np.float32)


def nifti(house: DatasetHouse, values: npt.NDArray[Any], affine: npt.NDArray[np.float64], name: str = "adc") -> Path:
    file = house.folder / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), ras_of(affine)), file)
    return file


def singular(house: DatasetHouse, file: Path) -> Path:
    image = nibabel.load(file)
    image.set_qform(None, code=0)
    image.set_sform(np.diag([0.7, 0.8, 0.0, 1.0]), code=1)
    nibabel.save(image, house.folder / "singular.nii.gz")
    return house.folder / "singular.nii.gz"


def taken(house: DatasetHouse, *files: Path, exit_code: int = 0, words: tuple[str, ...] = MEANT) -> list[Any]:
    series = house.images(house.uids["study"])[0].series_uid
    names = [str(file) for file in files]
    answer = house.calls("import", "map", *names, "--series", series, "--made-by", "fit", "--json", *words)
    assert answer.exit_code == exit_code, (answer.output, answer.exception)
    items: list[Any] = json.loads(answer.stdout)["items"]
    return items


def held(house: DatasetHouse, uid: str) -> Dataset:
    row = house.gateway.instances.find("default", uid)
    assert row is not None
    with house.gateway.blobs.open(row.blob.key) as stream:
        return dcmread(io.BytesIO(stream.read()))


def test_numbers_come_back_to_the_bit(house: DatasetHouse) -> None:
    volume = volume_in(house)
    values = numbers(volume)
    values[0, 0, 0] = np.nan
    (item,) = taken(house, nifti(house, values, volume.affine))
    assert item["status"] == "imported", item
    (map_back,) = parameter_maps_of(held(house, item["objects"][0]), volume)
    assert map_back.values.tobytes() == values.tobytes()
    assert (map_back.label, map_back.unit.value) == ("ADC", "mm2/s")
    assert (map_back.quantity.value, map_back.quantity.scheme) == ("113041", "DCM")


def test_an_nrrd_with_its_axes_turned_lies_where_it_lay(house: DatasetHouse) -> None:
    volume = volume_in(house)
    values = numbers(volume)
    turned = values[::-1]
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (volume.shape[0] - 1)
    affine[:3, 0] *= -1
    file = house.folder / "adc.nrrd"
    with file.open("wb") as sink:
        write_nrrd(sink, affine, turned.shape, np.float32, iter(turned))
    (item,) = taken(house, file)
    (map_back,) = parameter_maps_of(held(house, item["objects"][0]), volume)
    assert np.array_equal(map_back.values, values)


def test_the_same_file_again_changes_nothing_and_another_meaning_is_another_map(house: DatasetHouse) -> None:
    volume = volume_in(house)
    file = nifti(house, numbers(volume), volume.affine)
    (first,), (again,) = taken(house, file), taken(house, file)
    assert (again["status"], again["objects"]) == ("there already", first["objects"])
    (other,) = taken(house, file, words=(*MEANT[:-1], "ADC, second fit"))
    assert other["status"] == "imported"
    assert other["objects"] != first["objects"]


def test_a_part_of_the_images_has_no_numbers_elsewhere(house: DatasetHouse) -> None:
    volume = volume_in(house)
    values = numbers(volume)[2:4]
    affine = volume.affine.copy()
    affine[:3, 3] += 2 * affine[:3, 0]
    (item,) = taken(house, nifti(house, values, affine))
    (map_back,) = parameter_maps_of(held(house, item["objects"][0]), volume)
    assert np.array_equal(map_back.values[2:4], values)
    assert np.isnan(map_back.values[[0, 1, 4, 5]]).all()


def test_what_does_not_fit_is_refused_and_the_next_goes_on(house: DatasetHouse) -> None:
    volume = volume_in(house)
    values = numbers(volume)
    endless, nothing = values.copy(), np.full_like(values, np.nan)
    endless[1, 2, 3] = np.inf
    moved, beyond = volume.affine.copy(), volume.affine.copy()
    moved[:3, 3] += 0.3
    beyond[:3, 3] += 2 * beyond[:3, 0]
    files = [
        nifti(house, endless, volume.affine, "endless"),
        nifti(house, nothing, volume.affine, "nothing"),
        nifti(house, values, moved, "moved"),
        nifti(house, values, beyond, "beyond"),
        singular(house, nifti(house, values, volume.affine, "flat")),
        nifti(house, values, volume.affine, "good"),
    ]
    items = taken(house, *files, exit_code=1)
    assert [one["status"] for one in items] == ["refused"] * 5 + ["imported"]
    said = "1 of its voxels are infinite", "none of its voxels", "voxels are not those", "beyond", "affine"
    for item, words in zip(items, said, strict=False):
        assert words in item["reason"]
    assert len([row for row in house.results(house.uids["study"]) if row.sop_class_uid.endswith(".30")]) == 1


def test_doubles_are_rounded_and_that_is_said(house: DatasetHouse) -> None:
    volume = volume_in(house)
    values = numbers(volume).astype(np.float64) + 1e-12
    (item,) = taken(house, nifti(house, values, volume.affine))
    assert "rounded" in item["notes"][0]


@pytest.mark.parametrize(
    ("quantity", "unit", "words"),
    [
        ("113041", "mm2/s", "a code without its scheme means nothing"),
        ("113041::ADC", "mm2/s", "a code without its scheme means nothing"),
        ("113041:DCM:ADC", "square mm", "no unit of UCUM"),
        ("113041:DCM:ADC", "", "no unit of UCUM"),
    ],
)
def test_codes_that_say_nothing_are_refused(quantity: str, unit: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        MapMeaning.read("ADC", quantity, unit)
