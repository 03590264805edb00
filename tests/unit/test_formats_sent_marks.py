"""What came with the images, contours of a planning system or segmentations, becomes the labels of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, PersonObserver
from service.core.annotator import AnnotatorResult
from service.core.findings import Finding, Mask
from service.core.geometry import PatientPlace, Shape, ShapeKind
from service.core.records import OutcomeKind
from service.core.volume_slices import open_volumes
from service.objects.source_images import SourceImages
from service.objects.structure_set import write_structure_set
from service.objects.writer import write_results
from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import ABNORMAL, ALGORITHM, NODULE
from tests.written_results import context


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path)
    house.uids["study"] = house.study(ct_series())
    yield house
    house.close()


def sources() -> SourceImages:
    (volume,) = open_volumes(ct_series(), lambda _: np.zeros((16, 20))).volumes
    return SourceImages.of_volume(volume.without_voxels())


def region() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Some voxels of slices 2 and 3, with a hole."""
    inside = np.zeros((6, 16, 20), dtype=bool)
    inside[2:4, 4:10, 5:12] = True
    inside[2, 6, 7] = False
    return inside


def drawn() -> Finding:
    return Finding("Nodule", "2.25.71", ABNORMAL, NODULE, mask=Mask.cut_from(region()))


def planned(*findings: Finding) -> Dataset:
    said = AnnotationSet(PersonObserver("Planner^First"), findings)
    return write_structure_set(said, "Plan", sources(), context()).data_set


def labels_of(house: DatasetHouse) -> list[Path]:
    folder = house.exported("nifti", "--study", house.uids["study"], name="nifti")
    return sorted((folder / "labels").glob("*")) if (folder / "labels").exists() else []


def test_regions_are_exported_voxel_for_voxel(house: DatasetHouse) -> None:
    (outcome,) = house.receive([planned(drawn())])
    assert outcome.kind is OutcomeKind.ARCHIVED, outcome.reason
    house.complete()
    (file,) = labels_of(house)
    voxels = np.asarray(nibabel.load(file).dataobj).transpose(2, 1, 0)
    assert np.array_equal(voxels > 0, region())
    assert set(np.unique(voxels)) == {0, 3}  # nodule in config/labels/default.toml


def test_a_segmentation_that_came_with_its_images_counts(house: DatasetHouse) -> None:
    volume = sources().volume
    assert volume is not None
    written = write_results(AnnotatorResult((drawn(),), ALGORITHM, "1 nodule"), "Nodules", volume, context())
    assert written.segmentation is not None
    outcomes = house.receive([written.segmentation, written.report])
    assert {one.kind for one in outcomes} == {OutcomeKind.ARCHIVED}
    house.complete()
    (file,) = labels_of(house)
    assert np.array_equal(np.asarray(nibabel.load(file).dataobj).transpose(2, 1, 0) > 0, region())


def test_points_do_not_keep_the_series_out(house: DatasetHouse) -> None:
    centre = Shape(ShapeKind.POINT, ((-35.0, -35.0, -35.0),), PatientPlace(sources().frame_of_reference_uid))
    marker = Finding("ISO", "2.25.72", ABNORMAL, NODULE, shapes=(centre,))
    house.receive([planned(drawn(), marker)])
    house.complete()
    (file,) = labels_of(house)
    assert np.count_nonzero(np.asarray(nibabel.load(file).dataobj)) == np.count_nonzero(region())


def test_a_contour_off_the_slices_keeps_the_series_out_and_says_so(house: DatasetHouse) -> None:
    askew = planned(drawn())
    contour = askew.ROIContourSequence[0].ContourSequence[0]
    points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
    points[0, 2] += 40
    contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
    house.receive([askew])
    house.complete()
    told = house.export("nifti", "--study", house.uids["study"], exit_code=1)
    assert "structure set" in str(told)
