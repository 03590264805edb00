"""The commands of docs/formats.md run as they stand there, one after the other."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.dataset_house import DatasetHouse, ct_series
from tests.volumes import nodule


def commands(page: Path) -> list[list[str]]:
    """The words of each command of a page's first example."""
    (example, *_) = re.findall(r"^```\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in example.splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path, lambda volume: [nodule(volume)])
    for number in range(1, 4):
        house.study(ct_series(number, patient_id=f"PAT-{number}"))
    yield house
    house.close()


def test_examples_run(house: DatasetHouse, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4)), "t1.nii.gz")
    Path("images.csv").write_text("file,patient_id,description\nt1.nii.gz,sub-01,T1w\n")
    for words in commands(repository / "docs" / "formats.md"):
        if "predictions/" in words:
            Path("predictions").mkdir()
            for file in Path("Dataset001_Nodules").glob("labelsT*/*"):
                shutil.copy(file, "predictions")
        if "instances.json" in words:
            shutil.copy(next(Path("coco/annotations").iterdir()), "instances.json")
        answer = house.calls(*words)
        assert answer.exit_code == 0, (words, answer.output, answer.exception)
    rows = list(csv.DictReader(Path("by_the_model/tables/findings.csv").read_text().splitlines()))
    assert [row["maker"] for row in rows] == ["nnunet"] * 3
