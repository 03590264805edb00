"""Which marks and series are in a dataset, and what is said of those that are not."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from service.core.codes import Code
from service.core.findings import Finding, Mask
from service.core.volume import Volume
from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import LEFT, ball, nodule, organ

LIVER = Code("10200004", "SCT", "Liver")
LABELS = """
[[label]]
name = "lung"
number = 7
category = { value = "1", scheme = "SCT", meaning = "Thing" }
types = [{ value = "39607008", scheme = "SCT", meaning = "Lung" }]
[[label]]
name = "nodule"
number = 3
category = { value = "1", scheme = "SCT", meaning = "Thing" }
types = [{ value = "27925004", scheme = "SCT", meaning = "Nodule" }]
"""
IGNORING = '[ignore]\ntypes = [{ value = "10200004", scheme = "SCT", meaning = "Liver" }]\n'


def liver(volume: Volume) -> Finding:
    return replace(organ(volume, 3), measurements=(), type=LIVER, label="Liver", mask=ball(volume, (1, 3, 3), 1))


def lung(volume: Volume) -> Finding:
    return replace(organ(volume), mask=ball(volume, (3, 7, 8), 4), laterality=LEFT)


def find(volume: Volume) -> Sequence[Finding]:
    """By the study's description: nothing, a nodule, a nodule in a lung, or a liver beside a nodule."""
    rows = volume.shape[1]
    found = {16: [nodule(volume)], 17: [], 18: [lung(volume), nodule(volume)], 19: [liver(volume), nodule(volume)]}
    return found[rows]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path_factory.mktemp("house"), find)
    for number, (name, rows) in enumerate({"nodule": 16, "nothing": 17, "overlap": 18, "liver": 19}.items(), start=1):
        house.uids[name] = house.receive(ct_series(number, patient_id=f"PAT-{number}", rows=rows))[0].study_uid
    localizer = ct_series(5, patient_id="PAT-5", slices=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    house.uids["localizer"] = house.receive(localizer)[0].study_uid
    mr = ct_series(6, patient_id="PAT-6", Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    house.uids["unmarked"] = house.receive(mr)[0].study_uid
    house.complete()
    house.uids["receiving"] = house.receive(ct_series(7, patient_id="PAT-7"))[0].study_uid
    (house.folder / "own.toml").write_text(LABELS)
    (house.folder / "ignoring.toml").write_text(LABELS + IGNORING)
    yield house
    house.close()


def of(house: DatasetHouse, *names: str) -> list[str]:
    return [word for name in names for word in ("--study", house.uids[name])]


def cases(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "tables" / "cases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def reasons(told: dict[str, Any]) -> list[str]:
    return [one["reason"] for one in told["refused"]]


def test_series_with_a_finding_without_a_label_is_refused_and_the_rest_is_there(
    house: DatasetHouse, tmp_path: Path
) -> None:
    told = house.export("nifti", name=str(tmp_path / "out"), exit_code=1)
    assert reasons(told) == [
        "(10200004, SCT, Liver), Left is not mapped to a label: add it to default.toml, or to its [ignore]"
    ]
    assert {row["study_uid"] for row in cases(tmp_path / "out")} == {
        house.uids[name] for name in ("nodule", "nothing", "overlap")
    }
    assert sorted(told["left_out"].values()) == [1, 2]
    assert told["left_out"]["its images are still coming in"] == 1


def test_ignored_finding_is_left_out_and_its_series_is_not(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--labels", str(house.folder / "ignoring.toml"))
    house.export("nifti", *of(house, "liver"), *words, name=str(tmp_path / "out"))
    (labels,) = (tmp_path / "out" / "labels").iterdir()
    assert set(np.unique(nibabel.load(labels).dataobj)) == {0, 3}


def test_labels_that_overlap_unsaid_are_refused_with_how_much(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--labels", str(house.folder / "own.toml"), *of(house, "overlap", "nodule"))
    told = house.export("nifti", *words, name=str(tmp_path / "out"), exit_code=1)
    (reason,) = reasons(told)
    shared = nodule(house.volume(house.uids["overlap"])).mask
    assert shared is not None
    assert reason.startswith(f"labels nodule and lung share {int(shared.voxels.sum())} voxels")
    assert told["cases"] == 1
    assert len(list((tmp_path / "out" / "images").iterdir())) == 1  # nothing of the refused case was left


def test_formats_that_hold_overlap_take_it(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--labels", str(house.folder / "own.toml"), *of(house, "overlap"))
    for layout in ("nrrd", "coco", "yolo", "csv"):
        assert house.export(layout, *words, name=str(tmp_path / layout))["cases"] == 1
    assert house.export("nifti", "--each-finding", *words, name=str(tmp_path / "each"))["cases"] == 1


def test_single_label_is_taken_alone(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--labels", str(house.folder / "own.toml"), "--label", "nodule", *of(house, "overlap"))
    house.export("nifti", *words, name=str(tmp_path / "out"))
    (labels,) = (tmp_path / "out" / "labels").iterdir()
    mask = nodule(house.volume(house.uids["overlap"])).mask
    assert mask is not None
    expected = np.where(mask.into(house.volume(house.uids["overlap"]).shape), 3, 0)
    np.testing.assert_array_equal(np.asarray(nibabel.load(labels).dataobj).T, expected)


def test_series_in_which_nothing_was_found_is_empty_and_there(house: DatasetHouse, tmp_path: Path) -> None:
    house.export("nifti", *of(house, "nothing"), name=str(tmp_path / "out"))
    (labels,) = (tmp_path / "out" / "labels").iterdir()
    assert not np.any(nibabel.load(labels).dataobj)
    assert cases(tmp_path / "out")[0]["marked"] == "true"


def test_images_that_nobody_looked_at_come_only_when_asked(house: DatasetHouse, tmp_path: Path) -> None:
    words = of(house, "unmarked", "localizer")
    told = house.export("monai", *words, name=str(tmp_path / "without"))
    assert (told["cases"], told["refused"]) == (0, [])
    told = house.export("monai", *words, "--with-unmarked", name=str(tmp_path / "with"))
    assert (told["cases"], told["refused"]) == (1, [])
    assert any("localizer" in reason for reason in told["left_out"])
    listed = json.loads((tmp_path / "with" / "dataset.json").read_text())
    assert (listed["training"], [sorted(entry) for entry in listed["test"]]) == ([], [["image"]])
    assert not (tmp_path / "with" / "labelsTs").exists()


def test_modality_chooses(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--with-unmarked", "--labels", str(house.folder / "ignoring.toml"), "--annotator", "nobody")
    told = house.export("nifti", *words, "--modality", "MR", name=str(tmp_path / "mr"))
    assert told["cases"] == 1
    assert cases(tmp_path / "mr")[0]["modality"] == "MR"


def test_channels_of_two_modalities_are_refused_and_the_dataset_is_not_called_complete(
    house: DatasetHouse, tmp_path: Path
) -> None:
    out = str(tmp_path / "Dataset001_Both")
    words = ("--with-unmarked", "--annotator", "nobody")
    answer = house.calls("export", "dataset", "--format", "nnunet", "--out", out, *words)
    assert "the cases are of CT and MR" in str(answer.exception)
    assert not (tmp_path / "Dataset001_Both" / "manifest.json").exists()


def test_marks_of_two_makers_are_told_apart(house: DatasetHouse, tmp_path: Path) -> None:
    study_uid = house.uids["nodule"]
    volume = house.volume(study_uid)
    ras = np.diag([-1, -1, 1, 1]) @ volume.affine[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(np.full(volume.shape, 3, dtype=np.uint8).T, ras), tmp_path / "all.nii")
    words = (str(tmp_path / "all.nii"), "--series", volume.series_uid, "--made-by", "unet")
    assert house.calls("import", "masks", *words).exit_code == 0
    told = house.export("nifti", *of(house, "nodule"), name=str(tmp_path / "both"), exit_code=1)
    assert reasons(told) == ["label nodule was marked by nodules and by unet: choose one with --annotator or --reader"]
    house.export("nifti", *of(house, "nodule"), "--annotator", "unet", name=str(tmp_path / "one"))
    (labels,) = (tmp_path / "one" / "labels").iterdir()
    assert np.all(np.asarray(nibabel.load(labels).dataobj) == 3)
    assert house.export("coco", *of(house, "nodule"), name=str(tmp_path / "coco"))["cases"] == 1


def test_list_of_studies_is_taken(house: DatasetHouse, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"\ufeff{house.uids['nodule']}\n\n{house.uids['nothing']}\n")
    told = house.export("csv", "--studies", str(tmp_path / "list.txt"), name=str(tmp_path / "out"))
    assert (told["studies"], told["cases"]) == (2, 2)


def test_study_that_is_not_there_is_refused(house: DatasetHouse, tmp_path: Path) -> None:
    words = ("--study", "1.2.3", *of(house, "nothing"))
    told = house.export("csv", *words, name=str(tmp_path / "out"), exit_code=1)
    assert reasons(told) == ["there is no such study in the project: annogate study list"]
    assert told["cases"] == 1


def test_project_that_keeps_identity_is_exported_only_on_purpose(house: DatasetHouse, tmp_path: Path) -> None:
    study_uid = house.study(ct_series(9, rows=16), "clinic")
    out = ("--format", "csv", "--out", str(tmp_path / "out"), "--project", "clinic")
    assert house.calls("export", "dataset", *out).exit_code == 2
    told = house.export("csv", "--project", "clinic", "--with-identifiers", name=str(tmp_path / "out"))
    (row,) = cases(tmp_path / "out")
    assert (told["cases"], row["study_uid"]) == (1, study_uid)
    assert "PAT-4711" not in row["case"] + row["patient"]
    content = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(word in one for one in content for word in (b"PAT-4711", b"Doe", b"19610502"))


def test_segmentation_without_a_report_is_taken(house: DatasetHouse, tmp_path: Path) -> None:
    from pydicom import dcmread

    study_uid = house.uids["nothing"]
    volume = house.volume(study_uid)
    voxels = np.zeros(volume.shape, dtype=bool)
    voxels[2:4, 5:8, 6:9] = True
    drawn = replace(nodule(volume), mask=Mask.cut_from(voxels), tracking_uid="2.25.77")
    from tests.written_results import write

    segmentation = write(volume, drawn).segmentation
    assert segmentation is not None
    segmentation.ManufacturerModelName = "viewer"
    segmentation.SOPInstanceUID = "2.25.4711"
    (outcome,) = house.receive([segmentation])
    assert outcome.kind == "archived"
    house.export("nifti", *of(house, "nothing"), "--annotator", "viewer", name=str(tmp_path / "out"))
    (labels,) = (tmp_path / "out" / "labels").iterdir()
    np.testing.assert_array_equal(np.asarray(nibabel.load(labels).dataobj).T == 3, voxels)
    stored = dcmread(house.gateway.blobs.path(house.gateway.instances.find("default", "2.25.4711").blob.key))  # type: ignore[union-attr]
    assert stored.SegmentSequence[0].TrackingUID == "2.25.77"


def test_segmentation_of_another_size_keeps_its_series_out(house: DatasetHouse, tmp_path: Path) -> None:
    volume = house.volume(house.uids["overlap"])
    from tests.written_results import write

    segmentation = write(volume, nodule(volume)).segmentation
    assert segmentation is not None
    segmentation.ManufacturerModelName, segmentation.SOPInstanceUID = "scaled", "2.25.4712"
    segmentation.Rows = volume.shape[1] // 2
    bits = segmentation.Rows * segmentation.Columns * segmentation.NumberOfFrames
    segmentation.PixelData = segmentation.PixelData[: (bits + 15) // 16 * 2]
    house.receive([segmentation])
    told = house.export(
        "nifti", *of(house, "overlap"), "--annotator", "scaled", name=str(tmp_path / "out"), exit_code=1
    )
    assert reasons(told) == ["its segmentation has 9 × 20 pixels a frame, the images have 18 × 20"]


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "nifti"],
        ["--out", "x", "--format", "tiff"],
        ["--out", "x", "--format", "nifti", "--split", "train=0.5"],
        ["--out", "x", "--format", "nifti", "--split", "learn=1"],
        ["--out", "x", "--format", "nifti", "--split", "half"],
        ["--out", "x", "--format", "nifti", "--window", "1,2"],
        ["--out", "x", "--format", "png", "--window", "1"],
        ["--out", "x", "--format", "png", "--window", "1,0"],
        ["--out", "x", "--format", "csv", "--each-finding"],
        ["--out", "x", "--format", "nnunet"],
        ["--out", "x", "--format", "csv", "--reader", "nobody"],
        ["--out", "x", "--format", "csv", "--label", "ship"],
    ],
)
def test_wrong_usage_ends_with_2(house: DatasetHouse, words: list[str]) -> None:
    assert house.calls("export", "dataset", *words).exit_code == 2


@pytest.mark.parametrize(
    ("layout", "library"),
    [("parquet", "pyarrow.parquet"), ("nifti", "nibabel"), ("nnunet", "nibabel"), ("monai", "nibabel")],
)
def test_format_without_its_library_names_the_extra(
    house: DatasetHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    out = tmp_path / "Dataset001_Out"
    answer = house.calls("export", "dataset", "--format", layout, "--out", str(out))
    assert "pip install 'annogate[formats]'" in str(answer.exception)
    assert not out.exists()


def test_import_without_the_library_names_the_extra(
    house: DatasetHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    (tmp_path / "a.nii").write_bytes(b"")
    answer = house.calls("import", "images", str(tmp_path / "a.nii"), "--patient-id", "p")
    assert "pip install 'annogate[formats]'" in str(answer.exception)
