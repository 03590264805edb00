"""What training code reads of a dataset is what the project holds, judged by the readers of each format."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pyarrow.parquet
import pytest
import SimpleITK
from PIL import Image
from pycocotools.coco import COCO

from service.core.findings import Finding, Mask
from service.core.volume import Volume
from service.formats.patient_split import PatientSplit
from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import LEFT, OBLIQUE, ball, nodule, organ

SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "feet first": {"step_mm": (0.0, 0.0, -2.5)},
    "oblique": {"orientation": OBLIQUE, "step_mm": (0.96, -1.28, 1.2)},
    "sagittal": {"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "step_mm": (2.0, 0.0, 0.0)},
}
TILTED = {"step_mm": (0.0, 0.9, 2.5)}
WITH_HOLE = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


def ring(volume: Volume) -> Finding:
    """A mask with a hole on one slice."""
    return replace(nodule(volume, 2), mask=Mask(WITH_HOLE[np.newaxis], (1, 10, 12)), measurements=(), confidence=None)


def lung(volume: Volume) -> Finding:
    """A lung round the first nodule: the two overlap."""
    return replace(organ(volume), mask=ball(volume, (3, 7, 8), 4), laterality=LEFT)


def find(volume: Volume) -> list[Finding]:
    return [lung(volume), nodule(volume), ring(volume)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetHouse]:
    """A study for each way in which slices may lie, one of a tilted gantry, and a patient who comes twice."""
    house = DatasetHouse(tmp_path_factory.mktemp("house"), find)
    for number, (name, how) in enumerate(SERIES.items(), start=1):
        house.uids[name] = house.study(ct_series(number, patient_id=f"PAT-{number}", **how))
    house.uids["tilted"] = house.study(ct_series(20, patient_id="PAT-1", **TILTED))
    yield house
    house.close()


@pytest.fixture(scope="module")
def datasets(house: DatasetHouse) -> dict[str, Path]:
    """The project in each format."""
    names = ("nifti", "nrrd", "monai", "coco", "yolo", "yolo-seg", "png", "csv", "parquet")
    split = ("--split", ",".join(f"{part}={share}" for part, share in SHARES.items()), "--seed", str(full_seed(house)))
    found = {name: house.exported(name, "--licence", "CC-BY-4.0", *split, name=name) for name in names}
    found["nnunet"] = house.exported("nnunet", "--label", "nodule", *split, name="Dataset007_Nodules")
    return found


SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}


def full_seed(house: DatasetHouse) -> int:
    """A seed that leaves none of the parts empty; the pseudonyms of so few patients are other ones each time."""
    studies = [house.gateway.instances.study("default", uid) for uid in house.uids.values()]
    patients = {study.patient_id for study in studies if study is not None}
    parts = ({PatientSplit(SHARES, seed).part_of(patient) for patient in patients} for seed in count())
    return next(seed for seed, found in enumerate(parts) if len(found) == len(SHARES))


def rows(dataset: Path, table: str) -> list[dict[str, str]]:
    with (dataset / "tables" / f"{table}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def case_of(dataset: Path, study_uid: str) -> dict[str, str]:
    (found,) = [row for row in rows(dataset, "cases") if row["study_uid"] == study_uid]
    return found


def by_itk(house: DatasetHouse, study_uid: str, folder: Path) -> SimpleITK.Image:
    """The study's one series as SimpleITK reads it from the stored files."""
    folder.mkdir()
    for row in house.images(study_uid):
        shutil.copy(house.gateway.blobs.path(row.blob.key), folder / f"{row.id}.dcm")
    return SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def truth(house: DatasetHouse, study_uid: str, number: int) -> np.ndarray:
    """Which voxels the first, second or third finding marks."""
    volume = house.volume(study_uid)
    mask = find(volume)[number].mask
    assert mask is not None
    return mask.into(volume.shape)


def expected_labels(house: DatasetHouse, study_uid: str) -> np.ndarray:
    """Numbers of config/labels/default.toml: a nodule lies over a lung."""
    left_lung, first, second = (truth(house, study_uid, number) for number in range(3))
    return np.where(first | second, 3, np.where(left_lung, 2, 0))


@pytest.mark.parametrize("name", SERIES)
def test_nifti_image_is_what_simpleitk_reads_of_the_dicom_series(
    house: DatasetHouse, datasets: dict[str, Path], name: str, tmp_path: Path
) -> None:
    study_uid = house.uids[name]
    file = datasets["nifti"] / case_of(datasets["nifti"], study_uid)["image"]
    dicom = by_itk(house, study_uid, tmp_path / "dicom")
    for nifti in (
        SimpleITK.ReadImage(str(file)),
        SimpleITK.ReadImage(str(datasets["nrrd"] / f"images/{file.name.split('.')[0]}.nrrd")),
    ):
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(nifti), SimpleITK.GetArrayFromImage(dicom))
        np.testing.assert_allclose(nifti.GetOrigin(), dicom.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(nifti.GetSpacing(), dicom.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(nifti.GetDirection(), dicom.GetDirection(), atol=1e-5)
    image = nibabel.load(file)
    matrix = np.array(dicom.GetDirection()).reshape(3, 3) * dicom.GetSpacing()
    for place in (image.get_sform(), image.get_qform()):
        np.testing.assert_allclose(np.diag([-1, -1, 1]) @ place[:3, :3], matrix, atol=1e-5)
        np.testing.assert_allclose(place[:3, 3] * [-1, -1, 1], dicom.GetOrigin(), atol=1e-4)
    assert image.get_data_dtype() == np.int16


@pytest.mark.parametrize("name", [*SERIES, "tilted"])
def test_label_image_is_exact_and_lies_on_its_image(house: DatasetHouse, datasets: dict[str, Path], name: str) -> None:
    study_uid = house.uids[name]
    case = case_of(datasets["nifti"], study_uid)
    labels, image = (nibabel.load(datasets["nifti"] / case[key]) for key in ("labels", "image"))
    np.testing.assert_array_equal(np.asarray(labels.dataobj).T, expected_labels(house, study_uid))
    np.testing.assert_array_equal(labels.affine, image.affine)
    assert labels.get_data_dtype() == np.uint8


def test_tilted_gantry_keeps_its_shear(house: DatasetHouse, datasets: dict[str, Path]) -> None:
    study_uid = house.uids["tilted"]
    image = nibabel.load(datasets["nifti"] / case_of(datasets["nifti"], study_uid)["image"])
    volume = house.volume(study_uid)
    np.testing.assert_allclose(image.affine @ [3, 4, 5, 1] * [-1, -1, 1, 1], volume.affine @ [5, 4, 3, 1], atol=1e-4)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)


def test_mask_of_each_finding_is_its_own(house: DatasetHouse) -> None:
    dataset = house.exported("nifti", "--each-finding", name="each")
    study_uid = house.uids["oblique"]
    case = case_of(dataset, study_uid)
    files = sorted((dataset / "masks" / case["case"]).iterdir())
    assert [file.name for file in files] == ["001-left-lung.nii.gz", "002-nodule.nii.gz", "003-nodule.nii.gz"]
    for number, file in enumerate(files):
        np.testing.assert_array_equal(np.asarray(nibabel.load(file).dataobj).T, truth(house, study_uid, number))


def test_segments_of_nrrd_keep_name_colour_codes_and_overlap(house: DatasetHouse, datasets: dict[str, Path]) -> None:
    study_uid = house.uids["axial"]
    name = case_of(datasets["nrrd"], study_uid)["labels"]
    segmentation = SimpleITK.ReadImage(str(datasets["nrrd"] / name))
    assert name.endswith(".seg.nrrd")
    layers = SimpleITK.GetArrayFromImage(segmentation)
    assert layers.shape[-1] == 2
    told = {key: segmentation.GetMetaData(key) for key in segmentation.GetMetaDataKeys()}
    for number in range(3):
        layer, value = int(told[f"Segment{number}_Layer"]), int(told[f"Segment{number}_LabelValue"])
        inside = layers[..., layer] == value
        np.testing.assert_array_equal(inside, truth(house, study_uid, number))
        ends = [(int(axis.min()), int(axis.max())) for axis in reversed(np.nonzero(inside))]
        assert told[f"Segment{number}_Extent"] == " ".join(str(end) for pair in ends for end in pair)
    assert told["Segment1_Name"] == "Nodule 1"
    assert [round(float(part) * 255) for part in told["Segment1_Color"].split()] == [230, 30, 60]
    assert (
        "SCT^27925004^Nodule~^^~Anatomic codes - DICOM master list~SCT^39607008^Lung~SCT^7771000^Left|"
        in told["Segment1_Tags"]
    )


def test_nnunet_finds_what_its_rules_ask_for(datasets: dict[str, Path]) -> None:
    dataset = datasets["nnunet"]
    told = json.loads((dataset / "dataset.json").read_text())
    assert told["labels"] == {"background": 0, "nodule": 1}
    assert (told["channel_names"], told["file_ending"]) == ({"0": "CT"}, ".nii.gz")
    images = sorted(path.name for path in (dataset / "imagesTr").iterdir())
    assert told["numTraining"] == len(images) > 0
    assert [name.replace("_0000.nii.gz", ".nii.gz") for name in images] == sorted(
        path.name for path in (dataset / "labelsTr").iterdir()
    )
    (split,) = json.loads((dataset / "splits_final.json").read_text())
    assert sorted(split["train"] + split["val"]) == [name.removesuffix("_0000.nii.gz") for name in images]
    values = {int(value) for path in dataset.glob("labels*/*") for value in np.unique(nibabel.load(path).dataobj)}
    assert values == {0, 1}


def test_monai_list_names_every_case_once_by_part(datasets: dict[str, Path]) -> None:
    dataset = datasets["monai"]
    told = json.loads((dataset / "dataset.json").read_text())
    keys = {"train": "training", "validation": "validation", "test": "test"}
    for part, key in keys.items():
        cases = [row for row in rows(dataset, "cases") if row["part"] == part]
        assert [entry["image"] for entry in told[key]] == [f"./{row['image']}" for row in cases]
        assert [entry["label"] for entry in told[key]] == [f"./{row['labels']}" for row in cases]
        assert all((dataset / entry[what]).is_file() for entry in told[key] for what in ("image", "label"))
    assert told["labels"]["3"] == "nodule"
    assert told["numTraining"] == len(told["training"])


def test_no_patient_is_in_two_parts(datasets: dict[str, Path]) -> None:
    found = rows(datasets["csv"], "cases")
    parts: dict[str, set[str]] = {}
    for row in found:
        parts.setdefault(row["patient"], set()).add(row["part"])
    assert {len(one) for one in parts.values()} == {1}
    assert (len(found), len(parts)) == (5, 4)
    assert {row["part"] for row in found} == {"train", "validation", "test"}


def test_every_format_splits_alike(datasets: dict[str, Path]) -> None:
    csvs = [dataset for name, dataset in datasets.items() if name != "parquet"]
    splits = [[(row["patient"], row["part"]) for row in rows(dataset, "cases")] for dataset in csvs]
    assert all(one == other for one, other in pairwise(splits))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_masks_are_those_of_pycocotools(
    house: DatasetHouse, datasets: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = 0
    volumes = {uid: [truth(house, uid, number) for number in range(3)] for uid in house.uids.values()}
    studies = {row["case"]: row["study_uid"] for row in rows(datasets["coco"], "cases")}
    for file in sorted((datasets["coco"] / "annotations").iterdir()):
        coco = COCO(file)
        for image in coco.loadImgs(coco.getImgIds()):
            masks = volumes[studies[image["annogate"]["case"]]]
            annotations = coco.loadAnns(coco.getAnnIds(image["id"]))
            for annotation in annotations:
                number = 2 if annotation["annogate"]["finding"] == "Nodule 2" else int(annotation["category_id"] == 3)
                expected = masks[number][image["annogate"]["slice"]]
                np.testing.assert_array_equal(coco.annToMask(annotation), expected)
                held = np.nonzero(expected)
                box = [held[1].min(), held[0].min(), np.ptp(held[1]) + 1, np.ptp(held[0]) + 1]
                assert (annotation["bbox"], annotation["area"]) == ([float(one) for one in box], expected.sum())
                seen += 1
            with Image.open(datasets["coco"] / "images" / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"])
    assert seen == sum(int(mask.any(axis=(1, 2)).sum()) for masks in volumes.values() for mask in masks)


def test_yolo_boxes_and_outlines_lie_where_the_masks_do(house: DatasetHouse, datasets: dict[str, Path]) -> None:
    study_uid = house.uids["axial"]
    case = case_of(datasets["yolo"], study_uid)
    place = Path("labels") / case["part"] / case["case"] / "0002.txt"  # the slice of the ring
    ring_mask, lung_mask = truth(house, study_uid, 2)[1], truth(house, study_uid, 0)[1]
    boxes = [line.split() for line in (datasets["yolo"] / place).read_text().splitlines()]
    found = {line[0]: [float(part) for part in line[1:]] for line in boxes if line[0] == "1" or float(line[3]) > 0.12}
    for number, mask in (("1", lung_mask), ("2", ring_mask)):
        down, along = np.nonzero(mask)
        ends = np.array([along.min(), down.min(), along.max() + 1, down.max() + 1]) / [20, 16, 20, 16]
        middle, size = (ends[:2] + ends[2:]) / 2, ends[2:] - ends[:2]
        np.testing.assert_allclose(found[number], [*middle, *size], atol=1e-6)
    outlines = [line.split() for line in (datasets["yolo-seg"] / place).read_text().splitlines()]
    corners = [np.array(line[1:], dtype=float).reshape(-1, 2) * [20, 16] for line in outlines if line[0] == "2"]
    assert any({tuple(point) for point in np.rint(one)} == {(12, 10), (15, 10), (15, 13), (12, 13)} for one in corners)
    told = (datasets["yolo"] / "data.yaml").read_text()
    assert "  2: nodule\n" in told
    assert "train: images/train\n" in told


def test_png_masks_are_numbers_with_the_labels_colours(house: DatasetHouse, datasets: dict[str, Path]) -> None:
    study_uid = house.uids["sagittal"]
    case = case_of(datasets["png"], study_uid)
    expected = expected_labels(house, study_uid)
    files = sorted((datasets["png"] / "masks" / case["case"]).iterdir())
    assert len(files) == int(expected.any(axis=(1, 2)).sum())
    for file in files:
        with Image.open(file) as mask:
            np.testing.assert_array_equal(np.asarray(mask), expected[int(file.stem) - 1])
            assert mask.getpalette()[9:12] == [255, 176, 0]  # type: ignore[index]
    labels = json.loads((datasets["png"] / "labels.json").read_text())["labels"]
    assert {"number": 3, "name": "nodule", "colour": [255, 176, 0]} in labels


def test_pictures_show_the_window(house: DatasetHouse) -> None:
    dataset = house.exported("png", "--window", "100,401", "--all-slices", name="window")
    study_uid = house.uids["axial"]
    volume = house.volume(study_uid)
    files = sorted((dataset / "images" / case_of(dataset, study_uid)["case"]).iterdir())
    assert len(files) == len(volume.array)
    with Image.open(files[3]) as picture:
        grey = np.asarray(picture)
    values = volume.array[3]
    np.testing.assert_array_equal(grey, np.rint(np.clip((values - 99.5) / 400 + 0.5, 0, 1) * 255))
    listed = [row for row in rows(dataset, "pictures") if row["file"].endswith(files[3].name)]
    assert volume.sources[3].SOPInstanceUID in {row["sop_instance_uid"] for row in listed}


def test_parquet_holds_what_csv_holds(datasets: dict[str, Path]) -> None:
    for name in ("cases", "findings", "measurements", "evaluations"):
        table = pyarrow.parquet.read_table(datasets["parquet"] / "tables" / f"{name}.parquet")
        as_text = [
            {
                key: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                for key, value in row.items()
            }
            for row in table.to_pylist()
        ]
        assert as_text == rows(datasets["csv"], name)


def test_tables_tell_findings_measurements_and_answers(house: DatasetHouse, datasets: dict[str, Path]) -> None:
    study_uid = house.uids["oblique"]
    case = case_of(datasets["csv"], study_uid)["case"]
    finding = next(
        row for row in rows(datasets["csv"], "findings") if row["case"] == case and row["finding"] == "Nodule 1"
    )
    assert (finding["label"], finding["maker"], finding["number"]) == ("nodule", "nodules", "3")
    assert (finding["type_value"], finding["site_meaning"], finding["laterality_value"]) == (
        "27925004",
        "Lung",
        "7771000",
    )
    assert (finding["confidence"], finding["voxels"]) == ("0.875", "33")
    assert float(finding["volume_mm3"]) == pytest.approx(33 * house.volume(study_uid).voxel_mm3)
    measured = [row for row in rows(datasets["csv"], "measurements") if row["case"] == case]
    volume = house.volume(study_uid)
    drawn = nodule(volume).measurements[0]
    assert drawn.shape is not None
    first = (
        measured[0] if measured[0]["label"] == "nodule" else next(row for row in measured if row["label"] == "nodule")
    )
    assert (first["name_meaning"], float(first["value"]), first["unit"]) == (
        "Long Axis",
        pytest.approx(drawn.value),
        "mm",
    )
    np.testing.assert_allclose([float(first[f"end_{axis}_mm"]) for axis in "xyz"], drawn.shape.points[1], atol=1e-3)
    answers = [row for row in rows(datasets["csv"], "evaluations") if row["case"] == case]
    assert answers[0]["text"] == "smooth"


@pytest.mark.parametrize(
    "name", ["nifti", "nrrd", "monai", "coco", "yolo", "yolo-seg", "png", "csv", "parquet", "nnunet"]
)
def test_manifest_names_every_file_with_its_checksum(datasets: dict[str, Path], name: str) -> None:
    dataset = datasets[name]
    told = json.loads((dataset / "manifest.json").read_text())["files"]
    listed = {file["path"]: (file["size"], file["sha256"]) for file in told}
    there = [path for path in dataset.rglob("*") if path.is_file() and ".annogate-export" not in path.parts]
    assert listed == {
        str(path.relative_to(dataset)): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in there
        if path.name != "manifest.json"
    }


@pytest.mark.parametrize("name", ["nifti", "coco", "parquet", "nnunet"])
def test_croissant_names_files_sets_and_columns(datasets: dict[str, Path], name: str) -> None:
    dataset = datasets[name]
    told = json.loads((dataset / "croissant.json").read_text())
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    objects = {one["@id"]: one for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    assert {path: one["sha256"] for path, one in objects.items()} == {
        path: hashlib.sha256((dataset / path).read_bytes()).hexdigest() for path in objects
    }
    sets = [one for one in told["distribution"] if one["@type"] == "cr:FileSet"]
    matched = {path for one in sets for path in dataset.glob(one["includes"])}
    of_cases = (
        {row[key] for row in rows(dataset, "cases") for key in ("image", "labels")} if name != "parquet" else set()
    )
    assert {dataset / path for path in of_cases if path} <= matched
    fields = {field["source"]["extract"]["column"] for field in told["recordSet"][0]["field"]}
    assert {"case", "patient", "part"} <= fields


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the library is built on
def test_croissant_is_what_its_own_library_reads(datasets: dict[str, Path]) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant from PyPI, which is no dependency")
    dataset = mlcroissant.Dataset(datasets["csv"] / "croissant.json")
    assert not dataset.metadata.issues.errors
    found = [record["cases/case"].decode() for record in dataset.records("cases")]
    assert found == [row["case"] for row in rows(datasets["csv"], "cases")]


def test_data_card_counts(datasets: dict[str, Path]) -> None:
    card = json.loads((datasets["nifti"] / "datacard.json").read_text())
    assert card["licence"] == "CC-BY-4.0"
    assert card["counts"] == {"patients": 4, "studies": 5, "cases": 5, "cases_marked": 5}
    assert sum(part["cases"] for part in card["parts"].values()) == 5
    assert card["findings_by_maker"] == {"nodules": 15}
    nodules = next(label for label in card["labels"] if label["name"] == "nodule")
    assert (nodules["cases"], nodules["findings"], nodules["voxels"]) == (5, 10, 5 * (33 + 8))
    assert card["source"] == {"project": "default", "deidentification": "default"}


def test_files_tell_nobody_who_the_patient_is(datasets: dict[str, Path]) -> None:
    planted = (b"Doe", b"Jane", b"PAT-", b"19610502", b"ACC-99", b"Gregory", b"1.2.826.0.1.3680043.8.498")
    for dataset in datasets.values():
        for path in dataset.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            unpacked = gzip.decompress(content) if path.suffix == ".gz" else b""
            told = str(path.relative_to(dataset)).encode() + content + unpacked
            assert [word for word in planted if word in told] == []
