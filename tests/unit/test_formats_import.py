"""What comes in from files of training code: series and annotations of a project, or a reason and nothing."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from service.archive.audit import AuditQuery
from service.core.archived import InstanceRow
from service.core.findings import Finding
from service.core.records import ObjectKind
from service.core.volume import Volume
from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import OBLIQUE, nodule

DCIODVFY = "/usr/bin/dciodvfy"
RAS = np.array([[0.0, -0.7, 0.3, 12], [-0.8, 0.0, 0.0, 30], [0.0, 0.4, 2.4, -7], [0, 0, 0, 1.0]])


def find(volume: Volume) -> list[Finding]:
    return [nodule(volume)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path_factory.mktemp("house"), find)
    house.uids["study"] = house.study(ct_series(orientation=OBLIQUE, step_mm=(0.96, -1.28, 1.2)))
    house.uids["other"] = house.study(ct_series(2, patient_id="PAT-2"))
    for name in ("nifti", "nrrd", "png", "coco"):
        house.exported(name, "--study", house.uids["study"], name=name)
    yield house
    house.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetHouse]:
    """For images alone, each of which has content of its own."""
    house = DatasetHouse(tmp_path_factory.mktemp("clinic"))
    yield house
    house.close()


def taken(house: DatasetHouse, *words: str, exit_code: int = 0) -> list[dict[str, Any]]:
    answer = house.calls("import", *words, "--json")
    assert answer.exit_code == exit_code, (answer.output, answer.exception)
    return json.loads(answer.stdout)["items"]


def taken_masks(house: DatasetHouse, *words: str, made_by: str, exit_code: int = 0) -> list[dict[str, Any]]:
    return taken(house, "masks", *words, "--made-by", made_by, exit_code=exit_code)


def taken_images(house: DatasetHouse, *words: str, exit_code: int = 0) -> list[dict[str, Any]]:
    """Into the project that looks for no text in pixels: that takes seconds, and is another test's matter."""
    return taken(house, "images", *words, "--project", "clinic", exit_code=exit_code)


def refused(items: list[dict[str, Any]]) -> str:
    (item,) = items
    assert (item["status"], item["objects"]) == ("refused", [])
    return item["reason"]


def series_uid(house: DatasetHouse) -> str:
    return house.images(house.uids["study"])[0].series_uid


def annotations(house: DatasetHouse, study_uid: str) -> int:
    return sum(row.kind is ObjectKind.ANNOTATION for row in house.results(study_uid))


def masks_by(house: DatasetHouse, maker: str, layout: str = "nifti") -> np.ndarray:
    """The image of labels of whoever made it."""
    name = f"again-{maker}-{layout}"
    dataset = house.exported(layout, "--annotator", maker, name=name)
    (file,) = (dataset / "labels").iterdir()
    return np.asarray(nibabel.load(file).dataobj).T


def truth(house: DatasetHouse) -> np.ndarray:
    volume = house.volume(house.uids["study"])
    mask = nodule(volume).mask
    assert mask is not None
    return np.where(mask.into(volume.shape), 3, 0)


@pytest.mark.parametrize(
    ("made_by", "words"),
    [
        ("from-nifti", ["{0}/nifti/labels", "--cases", "{0}/nifti/tables/cases.csv"]),
        ("from-nrrd", ["{0}/nrrd/segmentations", "--cases", "{0}/nrrd/tables/cases.csv"]),
        ("from-png", ["{0}/png/masks", "--pictures", "{0}/png/tables/pictures.csv"]),
    ],
)
def test_masks_come_back_as_they_went(house: DatasetHouse, made_by: str, words: list[str]) -> None:
    (item,) = taken_masks(house, *(word.format(house.folder) for word in words), made_by=made_by)
    assert (item["status"], len(item["objects"]), item["series_uid"]) == ("imported", 2, series_uid(house))
    np.testing.assert_array_equal(masks_by(house, made_by), truth(house))


def test_coco_masks_come_back_as_one_finding(house: DatasetHouse) -> None:
    file = house.folder / "coco" / "annotations" / "instances_train.json"
    (item,) = taken(house, "coco", str(file), "--made-by", "from-coco")
    assert item["status"] == "imported"
    np.testing.assert_array_equal(masks_by(house, "from-coco"), truth(house))
    dataset = house.exported("csv", "--annotator", "from-coco", name="coco-rows")
    (row,) = csv.DictReader((dataset / "tables" / "findings.csv").open())
    assert (row["tracking_uid"], row["confidence"]) == ("2.25.91", "0.875")


def test_same_file_again_changes_nothing(house: DatasetHouse) -> None:
    words = (f"{house.folder}/nifti/labels", "--cases", f"{house.folder}/nifti/tables/cases.csv")
    (first,) = taken_masks(house, *words, made_by="twice")
    before = annotations(house, house.uids["study"])
    house.now += 1000
    (second,) = taken_masks(house, *words, made_by="twice")
    assert (second["status"], sorted(second["objects"])) == ("there already", sorted(first["objects"]))
    assert annotations(house, house.uids["study"]) == before


def test_import_and_export_are_in_the_audit_trail(house: DatasetHouse) -> None:
    taken_masks(house, f"{house.folder}/nifti/labels", "--series", series_uid(house), made_by="audited")
    actions = [row.action for row in house.gateway.audit.search(AuditQuery())]
    assert "annotations.import" in actions
    assert "dataset.export" in actions


def test_objects_say_who_made_them_and_that_it_was_by_hand(house: DatasetHouse) -> None:
    words = ("--by-person", "--title", "Lung nodules", "--maker", "Clinic", "--version", "7")
    (item,) = taken_masks(house, f"{house.folder}/nifti/labels", "--series", series_uid(house), *words, made_by="brush")
    rows = house.gateway.instances.find_all("default", item["objects"])
    stored = [dcmread(house.gateway.blobs.path(row.blob.key)) for row in rows.values()]
    assert {one.SeriesDescription for one in stored} == {"Lung nodules"}
    assert {(one.Manufacturer, one.ManufacturerModelName) for one in stored} == {("Clinic", "brush")}
    (segmentation,) = [one for one in stored if one.Modality == "SEG"]
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


def test_marks_of_a_reader_are_theirs(fresh: DatasetHouse) -> None:
    study_uid = fresh.study(ct_series())
    from service.core.access import Role

    user = fresh.gateway.accounts.add_user("ada", "x", Role.READER, ["*"])
    mask = fresh.folder / "mask.nii.gz"
    volume = fresh.volume(study_uid)
    save(mask, volume, np.ones(volume.shape, dtype=np.uint8))
    words = (str(mask), "--series", volume.series_uid, "--reader", "ada", "--label", "bone")
    taken_masks(fresh, *words, made_by="brush")
    assert {row.author for row in fresh.results(study_uid) if row.kind is ObjectKind.ANNOTATION} == {user.id}
    dataset = fresh.exported("csv", "--reader", "ada", name="ada")
    (row,) = csv.DictReader((dataset / "tables" / "findings.csv").open())
    assert (row["maker"], row["label"]) == (f"reader-{user.id[:8]}", "bone")
    assert fresh.calls("import", "masks", *words[:3], "--reader", "eve", "--made-by", "x").exit_code == 2


def save(file: Path, volume: Volume, voxels: np.ndarray, affine: np.ndarray | None = None) -> None:
    """Voxels in the order of a volume's, as nibabel writes them."""
    ras = np.diag([-1, -1, 1, 1]) @ volume.affine[:, [2, 1, 0, 3]] if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(voxels.T, ras), file)


FLAT = np.diag([1.0, 1.0, 0.0, 1.0])


def save_with_sform(file: Path, voxels: np.ndarray, sform: np.ndarray) -> None:
    """A NIfTI whose only place is its sform, which nibabel writes as it is given."""
    image = nibabel.Nifti1Image(voxels.T, None)
    image.set_qform(None, code=0)
    image.set_sform(sform, code=2)
    nibabel.save(image, file)


BAD_MASKS: dict[str, tuple[Callable[[Volume, Path], None], str]] = {
    "not a number": (
        lambda volume, file: save(file, volume, np.full(volume.shape, np.nan, dtype=np.float32)),
        "1920 of its voxels are not a number (NaN)",
    ),
    "no whole numbers": (
        lambda volume, file: save(file, volume, np.full(volume.shape, 0.5, dtype=np.float32)),
        "nearest neighbour",
    ),
    "below 0": (lambda volume, file: save(file, volume, np.full(volume.shape, -1, dtype=np.int16)), "below 0"),
    "number without a label": (
        lambda volume, file: save(file, volume, np.where(np.indices(volume.shape)[0] > 2, 9, 77).astype(np.uint8)),
        "there is no number 9 in default.toml (there are: 1 right-lung, 2 left-lung, 3 nodule, 4 bone, 5 lesion); "
        "there is no number 77",
    ),
    "other grid": (
        lambda volume, file: save(file, volume, np.ones(volume.shape, dtype=np.uint8), np.diag([-1.0, -1, 2, 1])),
        "its voxels are not those of the series: voxels of 2.000 × 1.000 × 1.000 mm, the series' are 2.5",
    ),
    "singular affine": (
        lambda volume, file: save_with_sform(file, np.ones(volume.shape, dtype=np.uint8), FLAT),
        "its affine is singular",
    ),
    "beyond the images": (
        lambda volume, file: save(
            file,
            volume,
            np.ones(np.add(volume.shape, (1, 0, 0)), dtype=np.uint8),
        ),
        "320 voxels of right-lung lie beyond the images",
    ),
    "four dimensions": (
        lambda volume, file: nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2, 2), dtype=np.uint8), np.eye(4)), file),
        "2 × 2 × 2 × 2 voxels in 4 dimensions",
    ),
    "no file of its kind": (lambda volume, file: file.write_bytes(b"rubbish") and None, "cannot be read as NIfTI"),
}


@pytest.mark.parametrize("what", BAD_MASKS)
def test_bad_mask_is_refused_with_what_is_wrong_and_the_next_goes_on(
    house: DatasetHouse, tmp_path: Path, what: str
) -> None:
    make, words = BAD_MASKS[what]
    study_uid = house.uids["other"]
    volume = house.volume(study_uid)
    make(volume, tmp_path / "bad.nii.gz")
    before = annotations(house, study_uid)
    save(tmp_path / "good.nii.gz", volume, np.zeros(volume.shape, dtype=np.uint8))
    bad, good = taken_masks(
        house,
        str(tmp_path / "bad.nii.gz"),
        str(tmp_path / "good.nii.gz"),
        *("--series", volume.series_uid),
        made_by=what,
        exit_code=1,
    )
    assert words in refused([bad])
    assert good["status"] == "imported"
    assert annotations(house, study_uid) == before + 1  # nothing found is a report without a segmentation


def test_part_of_a_grid_is_laid_where_it_was_cut(house: DatasetHouse, tmp_path: Path) -> None:
    study_uid = house.uids["other"]
    volume = house.volume(study_uid)
    affine = np.diag([-1, -1, 1, 1]) @ volume.affine[:, [2, 1, 0, 3]]
    affine[:3, 3] += affine[:3, :3] @ [3, 2, 1]
    save(tmp_path / "part.nii.gz", volume, np.full((2, 3, 4), 4, dtype=np.uint8), affine)
    taken_masks(house, str(tmp_path / "part.nii.gz"), "--series", volume.series_uid, made_by="part")
    expected = np.zeros(volume.shape)
    expected[1:3, 2:5, 3:7] = 4
    np.testing.assert_array_equal(masks_by(house, "part"), expected)


def test_series_that_is_not_there_is_refused(house: DatasetHouse) -> None:
    items = taken_masks(house, f"{house.folder}/nifti/labels", "--series", "1.2.3", made_by="x", exit_code=1)
    assert "there are no images of series 1.2.3" in refused(items)


def test_case_that_is_not_in_the_list_is_refused(house: DatasetHouse, tmp_path: Path) -> None:
    (file,) = (house.folder / "nifti" / "labels").iterdir()
    shutil.copy(file, tmp_path / "other.nii.gz")
    words = (str(tmp_path / "other.nii.gz"), "--cases", f"{house.folder}/nifti/tables/cases.csv")
    assert "no case of the list is called other" in refused(taken_masks(house, *words, made_by="x", exit_code=1))


def test_numbers_of_a_prediction_are_those_of_its_dataset(house: DatasetHouse, tmp_path: Path) -> None:
    dataset = house.exported(
        "nnunet",
        "--label",
        "nodule",
        "--annotator",
        "nodules",
        "--study",
        house.uids["study"],
        name="Dataset001_Nodules",
    )
    words = (str(dataset / "labelsTr"), "--cases", str(dataset / "tables" / "cases.csv"))
    taken_masks(house, *words, "--numbers", str(dataset / "dataset.json"), made_by="nnunet")
    np.testing.assert_array_equal(masks_by(house, "nnunet"), truth(house))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: Image.new("L", (20, 16), 99).save(file), "there is no number 99"),
        (lambda file: Image.new("L", (40, 32)).save(file), "it has 40 × 32 pixels, its image 20 × 16"),
        (lambda file: Image.new("RGB", (20, 16)).save(file), "its pixels are colours (RGB)"),
        (lambda file: file.write_bytes(b"rubbish"), "cannot be read as a picture"),
    ],
)
def test_bad_picture_keeps_its_series_out(house: DatasetHouse, tmp_path: Path, spoil, words: str) -> None:
    shutil.copytree(house.folder / "png" / "masks", tmp_path / "masks")
    spoil(sorted((tmp_path / "masks").rglob("*.png"))[0])
    before = annotations(house, house.uids["study"])
    listed = f"{house.folder}/png/tables/pictures.csv"
    items = taken_masks(house, str(tmp_path / "masks"), "--pictures", listed, made_by=words, exit_code=1)
    assert words in refused(items)
    assert annotations(house, house.uids["study"]) == before


def spoilt(house: DatasetHouse, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads((house.folder / "coco" / "annotations" / "instances_train.json").read_text())
    change(document)
    (tmp_path / "spoilt.json").write_text(json.dumps(document))
    return tmp_path / "spoilt.json"


def shape(document: dict[str, Any], **changes: Any) -> None:
    """Make the first annotation a shape without tracking UID."""
    document["annotations"][0] |= {"segmentation": [], "annogate": {}} | changes


BAD_REGIONS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "box outside": (
        lambda told: shape(told, bbox=[15, 2, 8, 3]),
        "annotation 1: it reaches 3 pixels beyond its image of 20 × 16",
    ),
    "box without size": (lambda told: shape(told, bbox=[1, 2, 0, 3]), "the last two above 0"),
    "box of words": (lambda told: shape(told, bbox=["a", 2, 1, 3]), "bbox is not a list of numbers"),
    "polygon outside": (lambda told: shape(told, segmentation=[[1, 1, 5, 1, 5, 17.5]]), "it reaches 1.5 pixels beyond"),
    "polygon of two points": (lambda told: shape(told, segmentation=[[1, 1, 5, 1]]), "not three points"),
    "not a number": (lambda told: shape(told, bbox=[1, float("nan"), 1, 1]), "not a list of numbers"),
    "mask of another size": (
        lambda told: shape(told, segmentation={"size": [4, 4], "counts": "o"}),
        "a mask is for an image of [4, 4]",
    ),
    "mask that is cut": (lambda told: shape(told, segmentation={"size": [16, 20], "counts": [3]}), "come to 3 pixels"),
    "mask without a pixel": (lambda told: shape(told, segmentation={"size": [16, 20], "counts": [320]}), "no pixel"),
    "unknown category": (lambda told: shape(told, category_id=99), "refers to category 99"),
    "category that is no label": (lambda told: told["categories"][2].update(name="ship"), "there is no label 'ship'"),
    "score": (lambda told: shape(told, score=7), "score is not a number from 0 to 1"),
    "key points of another number": (
        lambda told: (shape(told, keypoints=[1, 2, 2]), told["categories"][2].update(keypoints=["a", "b"])),
        "three numbers for each of the 2",
    ),
    "key points that are joined to none": (
        lambda told: (
            shape(told, keypoints=[1, 2, 2]),
            told["categories"][2].update(keypoints=["a"], skeleton=[[1, 2]]),
        ),
        "joins keypoints that are not there",
    ),
    "key point named twice": (
        lambda told: (shape(told, keypoints=[1, 2, 2] * 2), told["categories"][2].update(keypoints=["a", "a"])),
        "names a keypoint twice",
    ),
    "picture that was scaled": (
        lambda told: [image.update(width=40) for image in told["images"]],
        "40 × 16 pixels, the image 20 × 16",
    ),
}


@pytest.mark.parametrize("what", BAD_REGIONS)
def test_bad_region_keeps_its_series_out(house: DatasetHouse, tmp_path: Path, what: str) -> None:
    change, words = BAD_REGIONS[what]
    before = annotations(house, house.uids["study"])
    items = taken(house, "coco", str(spoilt(house, tmp_path, change)), "--made-by", what, exit_code=1)
    assert words in refused(items)
    assert annotations(house, house.uids["study"]) == before


def test_region_on_an_image_that_is_not_in_the_file_is_refused_by_itself(house: DatasetHouse, tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["annotations"].append({"id": 50, "image_id": 1234, "category_id": 3, "bbox": [1, 1, 2, 2]})

    bad, good = taken(house, "coco", str(spoilt(house, tmp_path, change)), "--made-by", "missing", exit_code=1)
    assert "annotation 50: it refers to image 1234, which is not in the file" in refused([bad])
    assert good["status"] == "imported"


def test_picture_of_an_image_that_is_gone_is_refused(house: DatasetHouse, tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["images"][0]["annogate"]["sop_instance_uid"] = "1.2.3"

    items = taken(house, "coco", str(spoilt(house, tmp_path, change)), "--made-by", "gone", exit_code=1)
    assert "its image is not in the series any more" in refused(items)


def test_coco_of_others_finds_its_images_by_the_list_of_pictures(house: DatasetHouse, tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for item in (*document["images"], *document["annotations"]):
            del item["annogate"]

    file = spoilt(house, tmp_path, change)
    items = taken(house, "coco", str(file), "--made-by", "others", exit_code=1)
    assert "does not say which image of the archive it is" in items[0]["reason"]
    listed = ("--pictures", f"{house.folder}/coco/tables/pictures.csv")
    (item,) = taken(house, "coco", str(file), *listed, "--made-by", "others")
    assert item["status"] == "imported"
    np.testing.assert_array_equal(masks_by(house, "others"), truth(house))


HEART = ["apex", "left base", "right base"]


def test_key_points_come_back_under_their_names(fresh: DatasetHouse) -> None:
    study_uid = fresh.study(ct_series())
    (image, other) = fresh.images(study_uid)[1:3]
    document = {
        "images": [
            {"id": number, "width": 20, "height": 16, "file_name": f"{number}.png", "annogate": place_of(row)}
            for number, row in enumerate((image, other))
        ],
        "categories": [
            {"id": 1, "name": "lesion", "keypoints": HEART, "skeleton": [[1, 2], [3, 1]]},
            {"id": 2, "name": "nodule"},
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "keypoints": [2.5, 3, 2, 5, 6.25, 1, 8, 9, 2], "bbox": [0] * 4},
            {"id": 2, "image_id": 1, "category_id": 1, "keypoints": [0, 0, 0, 4, 4, 2, 7.5, 8, 2]},
            {"id": 3, "image_id": 1, "category_id": 2, "keypoints": [1, 2, 2]},
        ],
    }
    (fresh.folder / "points.json").write_text(json.dumps(document))
    taken(fresh, "coco", str(fresh.folder / "points.json"), "--made-by", "landmarks")
    dataset = fresh.exported("coco", "--annotator", "landmarks")
    written = dataset / "annotations" / "instances_train.json"
    told = json.loads(written.read_text())
    names = {one["name"]: one.get("keypoints") for one in told["categories"]}
    assert (names["lesion"], names["nodule"], names["bone"]) == (HEART, ["point"], None)
    (lesion,) = [one for one in told["categories"] if one["name"] == "lesion"]
    assert lesion["skeleton"] == [[1, 2], [3, 1]]
    found = [(one["keypoints"], one["num_keypoints"]) for one in told["annotations"]]
    assert found == [([2.5, 3, 2, 5, 6.25, 2, 8, 9, 2], 3), ([0, 0, 0, 4, 4, 2, 7.5, 8, 2], 2), ([1, 2, 2], 1)]
    # And once more: what comes out goes in again as the same.
    taken(fresh, "coco", str(written), "--made-by", "again")
    again = fresh.exported("coco", "--annotator", "again", name="again") / "annotations" / "instances_train.json"
    points = [one["keypoints"] for one in json.loads(again.read_text())["annotations"]]
    assert points == [one["keypoints"] for one in told["annotations"]]


def test_key_points_whose_names_were_cleaned_are_told_apart(fresh: DatasetHouse) -> None:
    study_uid = fresh.study(ct_series())
    image = fresh.images(study_uid)[0]
    document = {
        "images": [{"id": 1, "width": 20, "height": 16, "annogate": place_of(image)}],
        "categories": [{"id": 1, "name": "lesion", "keypoints": ["Xyzzy", "base", "Plugh"], "skeleton": [[1, 3]]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": [2, 3, 2, 5, 6, 2, 8, 9, 2]}],
    }
    (fresh.folder / "points.json").write_text(json.dumps(document))
    taken(fresh, "coco", str(fresh.folder / "points.json"), "--made-by", "landmarks")
    dataset = fresh.exported("coco", "--annotator", "landmarks")
    text = (dataset / "annotations" / "instances_train.json").read_text()
    told = json.loads(text)
    (lesion,) = [one for one in told["categories"] if one["name"] == "lesion"]
    assert (len(set(lesion["keypoints"])), lesion["skeleton"]) == (3, [[1, 3]])
    assert told["annotations"][0]["keypoints"] == [2, 3, 2, 5, 6, 2, 8, 9, 2]
    assert "Xyzzy" not in text


def place_of(row: InstanceRow) -> dict[str, Any]:
    return {"series_uid": row.series_uid, "sop_instance_uid": row.sop_instance_uid}


def test_boxes_and_polygons_become_regions_of_a_report(house: DatasetHouse, tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        image = document["annotations"][0]["image_id"]
        document["annotations"] = [
            {"id": 1, "image_id": image, "category_id": 3, "bbox": [2, 3, 4, 5]},
            {"id": 2, "image_id": image, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5.5, 6.25]], "score": 0.5},
            {"id": 3, "image_id": image, "category_id": 3, "keypoints": [7.5, 8.5, 2, 0, 0, 0]},
        ]

    (item,) = taken(house, "coco", str(spoilt(house, tmp_path, change)), "--made-by", "regions")
    rows = house.gateway.instances.find_all("default", item["objects"])
    (report,) = [dcmread(house.gateway.blobs.path(row.blob.key)) for row in rows.values()]
    drawn = [
        (str(element.GraphicType), np.round(list(element.GraphicData), 3).tolist())
        for element in _items(report)
        if element.get("ValueType") == "SCOORD"
    ]
    corners = [2.0, 3.0, 6.0, 3.0, 6.0, 8.0, 2.0, 8.0, 2.0, 3.0]
    assert drawn == [
        ("POLYLINE", corners),
        ("POLYLINE", [1.0, 1.0, 5.0, 1.0, 5.5, 6.25, 1.0, 1.0]),
        ("POINT", [7.5, 8.5]),
    ]


def _items(data_set: Any) -> Iterator[Any]:
    for item in data_set.get("ContentSequence") or ():
        yield item
        yield from _items(item)


@pytest.mark.parametrize("content", ["[]", "{}", '{"images": [], "annotations": {}, "categories": []}', "nothing"])
def test_file_that_is_no_coco_is_refused_whole(house: DatasetHouse, tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    answer = house.calls("import", "coco", str(tmp_path / "a.json"), "--made-by", "x")
    assert "is not a COCO file" in str(answer.exception) or "are lists" in str(answer.exception)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("kind", ["i2", "u2", "u1", "f4"])
def test_nifti_becomes_a_series_with_its_values_and_its_place(clinic: DatasetHouse, modality: str, kind: str) -> None:
    voxels = np.random.default_rng(4).integers(0, 200, (5, 7, 4)).astype(kind)
    voxels = voxels - np.array(100, dtype=kind) if kind == "i2" else voxels
    nibabel.save(nibabel.Nifti1Image(voxels, RAS), clinic.folder / "a.nii.gz")
    words = (str(clinic.folder / "a.nii.gz"), "--patient-id", f"sub-{modality}", "--modality", modality)
    (item,) = taken_images(clinic, *words)
    assert (item["status"], len(item["objects"])) == ("imported", 1 if modality == "PT" else 4)
    volume = clinic.volume(item["study_uid"], "clinic")
    ends = volume.to_index(np.array([[-1, -1, 1]]) * (RAS @ np.array([[0, 0, 0, 1], [4, 6, 3, 1]]).T)[:3].T)
    slices, rows, columns = volume.shape
    assert (slices, rows, columns) == (4, 7, 5)
    is_turned = ends[0][0] > 1  # slices are ordered along their normal, whichever way the file had them
    np.testing.assert_allclose(ends, [[3, 0, 0], [0, 6, 4]] if is_turned else [[0, 0, 0], [3, 6, 4]], atol=1e-3)
    np.testing.assert_array_equal(volume.array[::-1] if is_turned else volume.array, voxels.T)
    assert volume.modality == modality


def test_same_nifti_keeps_its_uids_however_it_is_packed(clinic: DatasetHouse) -> None:
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), RAS)
    for name in ("a.nii.gz", "b.nii"):
        nibabel.save(image, clinic.folder / name)
    (clinic.folder / "c.nii.gz").write_bytes(gzip.compress((clinic.folder / "b.nii").read_bytes(), 1))
    words = ("--patient-id", "sub-01", "--modality", "MR")
    found = [taken_images(clinic, str(clinic.folder / name), *words)[0] for name in ("a.nii.gz", "b.nii", "c.nii.gz")]
    assert [one["status"] for one in found] == ["imported", "there already", "there already"]
    assert len({tuple(one["objects"]) for one in found}) == 1


def test_list_puts_series_of_a_patient_into_one_study(clinic: DatasetHouse) -> None:
    for number, name in enumerate(("t1", "t2", "other")):
        nibabel.save(
            nibabel.Nifti1Image(np.full((2, 3, 4), number, dtype=np.int16), RAS), clinic.folder / f"{name}.nii"
        )
    (clinic.folder / "list.csv").write_text(
        "file,patient_id,study,description\nt1.nii,sub-1,first,T1w\nt2.nii,sub-1,first,\nother.nii,sub-2,first,T1w\n"
    )
    found = taken_images(clinic, "--list", str(clinic.folder / "list.csv"), "--modality", "MR")
    assert found[0]["study_uid"] == found[1]["study_uid"] != found[2]["study_uid"]
    assert len({one["series_uid"] for one in found}) == 3


def test_values_that_16_bits_do_not_hold_are_rounded_and_said(clinic: DatasetHouse) -> None:
    voxels = np.random.default_rng(5).normal(0, 1000, (4, 4, 4))
    nibabel.save(nibabel.Nifti1Image(voxels, RAS), clinic.folder / "a.nii.gz")
    (item,) = taken_images(clinic, str(clinic.folder / "a.nii.gz"), "--patient-id", "p", "--modality", "MR")
    volume = clinic.volume(item["study_uid"], "clinic")
    off = np.abs(np.sort(volume.array.ravel()) - np.sort(voxels.ravel())).max()
    step = np.ptp(voxels) / 65535
    assert item["notes"] == [f"its values were rounded to 65536 levels and are up to {off_by(item):.3g} off"]
    assert off <= step * 0.51


def off_by(item: dict[str, Any]) -> float:
    return float(item["notes"][0].split("up to ")[1].split()[0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda file: nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), np.nan), RAS), file),
            "8 of its voxels are not a number",
        ),
        (lambda file: save_with_sform(file, np.zeros((2, 2, 2), dtype=np.int16), FLAT), "its affine is singular"),
        (
            lambda file: nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), dtype=np.int16), RAS), file),
            "4 dimensions",
        ),
        (
            lambda file: nibabel.save(
                nibabel.Nifti1Image(
                    np.zeros((2, 2, 2), dtype=np.int16),
                    RAS @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
                ),
                file,
            ),
            "its rows and columns meet at",
        ),
    ],
)
def test_bad_image_is_refused_and_the_next_goes_on(clinic: DatasetHouse, make, words: str) -> None:
    make(clinic.folder / "bad.nii.gz")
    good = np.full((2, 3, 4), len(words), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(good, RAS), clinic.folder / "good.nii.gz")
    files = [str(clinic.folder / name) for name in ("bad.nii.gz", "good.nii.gz")]
    bad, good = taken_images(clinic, *files, "--patient-id", "p", "--modality", "CT", exit_code=1)
    assert words in refused([bad])
    assert good["status"] == "imported"


def test_imported_patient_gets_a_pseudonym(fresh: DatasetHouse) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), dtype=np.int16), RAS), fresh.folder / "a.nii.gz")
    (item,) = taken(fresh, "images", str(fresh.folder / "a.nii.gz"), "--patient-id", "Doe-1961", "--modality", "CT")
    study = fresh.gateway.instances.study("default", item["study_uid"])
    assert study is not None
    assert study.patient_id.startswith("ANON-")


def test_image_that_was_imported_can_be_marked_and_exported_again(fresh: DatasetHouse) -> None:
    voxels = np.random.default_rng(6).integers(-500, 500, (5, 6, 7)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, RAS), fresh.folder / "image.nii.gz")
    words = (str(fresh.folder / "image.nii.gz"), "--patient-id", "p", "--modality", "PT")
    (image,) = taken_images(fresh, *words)
    fresh.complete()
    marked = (voxels > 300).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(marked, RAS), fresh.folder / "mask.nii.gz")
    words = (str(fresh.folder / "mask.nii.gz"), "--series", image["series_uid"], "--label", "lesion")
    taken_masks(fresh, *words, "--project", "clinic", made_by="threshold")
    dataset = fresh.exported("nifti", "--project", "clinic", "--with-identifiers", name="again")
    (file,) = (dataset / "labels").iterdir()
    again = nibabel.load(file).as_reoriented(nibabel.io_orientation(np.linalg.inv(RAS) @ nibabel.load(file).affine))
    np.testing.assert_allclose(again.affine, RAS, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(again.dataobj), marked * 5)


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("modality", ["CT", "MR", "OT"])
def test_dciodvfy_finds_no_error_in_what_nifti_becomes(tmp_path: Path, modality: str) -> None:
    from service.formats.image_series import ImportedVolume, series_of
    from service.formats.stored_values import stored_values
    from tests.datasets import as_file

    values = stored_values(np.random.default_rng(7).normal(0, 100, (3, 8, 8)), 1, 0)
    affine = np.array([[0, 0, 0.7, 1], [0, 0.8, 0, 2], [2.5, 0, 0, 3], [0, 0, 0, 1.0]])
    volume = ImportedVolume("p", "s", modality, "words", "ab" * 32, affine, values)
    for number, one in enumerate(series_of(volume)):
        (tmp_path / f"{number}.dcm").write_bytes(as_file(one))
        said = subprocess.run(
            [DCIODVFY, "-new", str(tmp_path / f"{number}.dcm")], capture_output=True, text=True, check=False
        )
        assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize(
    "words",
    [
        ["images"],
        ["images", "{0}"],
        ["images", "{0}", "--patient-id", "p", "--list", "{0}"],
        ["masks", "{0}", "--made-by", "x"],
        ["masks", "{0}", "--series", "1.2"],
        ["masks", "{0}", "--series", "1.2", "--label", "ship", "--made-by", "x"],
        ["masks", "{0}", "--cases", "{0}", "--made-by", "x"],
        ["masks", "{0}", "--series", "1.2", "--numbers", "{0}", "--made-by", "x"],
        ["coco", "{0}", "--pictures", "{0}", "--made-by", "x"],
        ["coco", "{0}"],
    ],
)
def test_wrong_usage_ends_with_2(fresh: DatasetHouse, words: list[str]) -> None:
    (fresh.folder / "a.json").write_text("{}")
    assert fresh.calls("import", *(word.format(fresh.folder / "a.json") for word in words)).exit_code == 2
