"""An export that was broken off goes on, one that changed is brought up to date, and memory does not grow with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.core.findings import Finding
from service.core.volume import Volume
from tests import peak_memory
from tests.dataset_house import CONFIGURATION, DatasetHouse, ct_series
from tests.patience import PATIENCE_S
from tests.volumes import nodule

STUDIES = 8
ROWS = 256
SLICES = 24


def find(volume: Volume) -> list[Finding]:
    return [nodule(volume)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetHouse]:
    """Studies whose images are larger than all that an export holds beside one of them."""
    house = DatasetHouse(tmp_path_factory.mktemp("house"), find)
    for number in range(1, STUDIES + 1):
        series = ct_series(number, patient_id=f"PAT-{number}", slices=SLICES, rows=ROWS, columns=ROWS)
        house.uids[str(number)] = house.receive(series)[0].study_uid
    house.complete()
    (house.folder / "annogate.toml").write_text(CONFIGURATION)
    yield house
    house.close()


def command(house: DatasetHouse, out: Path, *words: str) -> list[str]:
    options = ["--config", str(house.folder / "annogate.toml"), "--data-dir", str(house.folder / "data"), "--json"]
    return ["export", "dataset", "--format", "nifti", "--out", str(out), *options, *words]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset, without the export's own notes of how far it came."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if ".annogate-export" not in path.parts}


def killed_after(house: DatasetHouse, out: Path, images: int) -> None:
    """Begin an export and kill it when so many images are there."""
    exporting = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *command(house, out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + PATIENCE_S
    while len(list(out.glob("images/*.nii.gz"))) < images:
        assert exporting.poll() is None, "it was over before it was killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    exporting.send_signal(signal.SIGKILL)
    assert exporting.wait() == -signal.SIGKILL


def test_export_that_was_killed_goes_on_to_the_same_bytes(house: DatasetHouse, tmp_path: Path) -> None:
    whole = house.export("nifti", name="whole")
    for images in (1, 4):
        killed_after(house, tmp_path / "out", images)
        assert not (tmp_path / "out" / "manifest.json").exists()
    ended = house.calls(*command(house, tmp_path / "out"))
    told = json.loads(ended.stdout)
    assert tree(tmp_path / "out") == tree(house.folder / "whole")
    assert (told["studies"], told["cases"]) == (whole["studies"], STUDIES)
    assert told["kept"] >= 3
    assert list((tmp_path / "out").rglob("*.annogate-part")) == []


def test_nothing_is_written_again_that_did_not_change(house: DatasetHouse) -> None:
    first = house.export("nifti", name="twice")
    before = {path: path.stat().st_ino for path in (house.folder / "twice" / "images").iterdir()}
    second = house.export("nifti", name="twice")
    assert (first["written"], second["written"], second["kept"]) == (STUDIES, 0, STUDIES)
    assert {path: path.stat().st_ino for path in (house.folder / "twice" / "images").iterdir()} == before
    assert second["files"] == first["files"]


def test_file_that_was_lost_is_written_again(house: DatasetHouse) -> None:
    house.export("nifti", name="lost")
    before = tree(house.folder / "lost")
    next((house.folder / "lost" / "labels").iterdir()).unlink()
    again = house.export("nifti", name="lost")
    assert (again["written"], again["kept"]) == (1, STUDIES - 1)
    assert tree(house.folder / "lost") == before


def test_other_options_have_everything_written_anew_and_nothing_left_over(house: DatasetHouse) -> None:
    house.export("nifti", "--split", "test=1", name="options")
    told = house.export("monai", "--study", house.uids["1"], "--study", house.uids["2"], name="options")
    assert (told["written"], told["cases"]) == (2, 2)
    folders = sorted(path.name for path in (house.folder / "options").iterdir() if path.is_dir())
    assert folders == [".annogate-export", "imagesTr", "labelsTr", "tables"]
    files = json.loads((house.folder / "options" / "manifest.json").read_text())["files"]
    assert {file["path"] for file in files} | {"manifest.json"} == set(tree(house.folder / "options"))


def test_study_that_got_marks_is_brought_up_to_date(tmp_path: Path) -> None:
    house = DatasetHouse(tmp_path, find)
    house.uids["one"] = house.study(ct_series(1))
    house.uids["two"] = house.study(ct_series(2, patient_id="PAT-2"))
    house.export("nifti", "--label", "nodule", "--annotator", "nodules")
    mask = next((tmp_path / "out" / "labels").iterdir())
    words = ("--cases", str(tmp_path / "out" / "tables" / "cases.csv"), "--made-by", "other")
    assert house.calls("import", "masks", str(mask), *words).exit_code == 0
    told = house.export("nifti", "--label", "nodule", "--annotator", "nodules")
    assert (told["written"], told["kept"]) == (1, 1)
    house.close()


def test_folder_that_holds_something_else_is_left_alone(house: DatasetHouse, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("words")
    answer = house.calls(*command(house, tmp_path))
    assert "holds something else already" in str(answer.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_two_exports_do_not_write_into_one_folder(house: DatasetHouse, tmp_path: Path) -> None:
    killed_after(house, tmp_path / "out", 1)
    lock = os.open(tmp_path / "out" / ".annogate-export" / "lock", os.O_RDWR)
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX)
    answer = house.calls(*command(house, tmp_path / "out"))
    os.close(lock)
    assert "another export is writing" in str(answer.exception)


def test_memory_does_not_grow_with_the_dataset(house: DatasetHouse, tmp_path: Path) -> None:
    few = [word for number in (1, 2) for word in ("--study", house.uids[str(number)])]
    ended, of_few = peak_memory.run("service.cli", *command(house, tmp_path / "few", *few))
    assert ended.returncode == 0, ended.stderr
    ended, of_all = peak_memory.run("service.cli", *command(house, tmp_path / "all"))
    assert ended.returncode == 0, ended.stderr
    more = (STUDIES - 2) * SLICES * ROWS * ROWS * np.dtype(np.int16).itemsize
    assert json.loads(ended.stdout)["cases"] == STUDIES
    assert of_all - of_few < more / 4
