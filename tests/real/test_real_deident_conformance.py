"""What is cleaned is as conformant as it came: dciodvfy finds no error that the original did not have."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, deidentify_files
from service.deident.profile import load_profile

pytestmark = [pytest.mark.peer("dicom3tools"), pytest.mark.long]
PROFILES = Path(__file__).parents[2] / "config" / "profiles"
OTHER_PROFILES = sorted(path.stem for path in PROFILES.glob("*.toml") if path.stem != "default")
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
ALIKE = 2
"""Of the objects of a series that have the same elements as many are looked at; they differ by numbers alone."""
NO_IMAGES = {"standard", "LICENSES"}
VALUES = re.compile(r"<[^>]*>|\[[^\]]*\]|value.*|(?<=UID )[0-9.]+")
"""What dciodvfy quotes of a value; UIDs in its sentences among it."""


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def cleaner_of(name: str) -> Deidentifier:
    return Deidentifier(load_profile(PROFILES, name), KEYS)


def errors(file: Path) -> Counter[str]:
    """The errors of dciodvfy, without the values that they quote."""
    run = subprocess.run(["/usr/bin/dciodvfy", str(file)], capture_output=True, check=False, errors="replace")
    lines = (line for line in (run.stderr + run.stdout).splitlines() if line.startswith("Error"))
    return Counter(VALUES.sub("", line) for line in lines)


def distinct(files: Iterable[Path], alike: int) -> Iterator[Path]:
    """Those that differ by more than numbers from so many others of their series."""
    seen: Counter[object] = Counter()
    for file in files:
        try:
            header = dcmread(file, stop_before_pixels=True, force=True)
        except Exception:  # noqa: BLE001 - broken on purpose: there are tests for how these are refused
            continue
        elements = tuple((int(tag), header.get_item(tag).VR) for tag in header.keys())  # noqa: SIM118
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        kind = (str(header.get("SeriesInstanceUID")), syntax, elements)
        seen[kind] += 1
        if seen[kind] <= alike:
            yield file


def readable_by_peer(file: Path, folder: Path) -> Path:
    """The file, or a deflated one inflated: dciodvfy does not inflate."""
    data_set = dcmread(file, force=True)
    if data_set.file_meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    inflated = folder / f"inflated-{file.name}"
    data_set.save_as(inflated)
    return inflated


def made_worse(folder: Path, cleaner: Deidentifier, numbered: tuple[int, Path]) -> list[str] | None:
    """The errors that a file has only once it is cleaned; None where it is refused."""
    number, file = numbered
    own = folder / str(number)
    (result,) = deidentify_files([file], cleaner, own)
    if result.status is not FileStatus.WRITTEN:
        assert result.reason
        return None
    new = errors(readable_by_peer(result.written, own)) - errors(readable_by_peer(file, own))
    result.written.unlink()
    return [f"{file.name}: {error}" for error in new]


def compared(files: list[Path], cleaner: Deidentifier, folder: Path) -> list[list[str]]:
    """What is new in each file that is cleaned."""
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(partial(made_worse, folder, cleaner), enumerate(files))
        return [new for new in results if new is not None]


def flat(results: list[list[str]]) -> list[str]:
    return [error for new in results for error in new]


def images_below(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and not NO_IMAGES & set(file.parts)]


@pytest.mark.real_data
def test_cleaning_breaks_no_real_object(shared_data, tmp_path):
    results = compared(list(distinct(images_below(shared_data), ALIKE)), cleaner_of("default"), tmp_path)
    assert flat(results) == []
    assert len(results) > 200


def test_cleaning_breaks_no_object_of_the_pydicom_wheel(tmp_path):
    folder = Path(pydicom.data.__file__).parent
    files = [file for file in images_below(folder) if file.suffix not in (".py", ".pyc", ".json")]
    results = compared(list(distinct(files, ALIKE)), cleaner_of("default"), tmp_path)
    assert flat(results) == []
    assert len(results) > 50


@pytest.mark.real_data
@pytest.mark.parametrize("profile", OTHER_PROFILES)
def test_no_profile_breaks_an_object(shared_data, tmp_path, profile):
    by_folder: Counter[Path] = Counter()
    files = []
    for file in distinct(images_below(shared_data), 1):
        by_folder[file.parent] += 1
        if by_folder[file.parent] <= ALIKE:
            files.append(file)
    results = compared(files, cleaner_of(profile), tmp_path)
    assert flat(results) == []
    assert len(results) > 50


def test_the_judge_finds_what_is_broken(tmp_path):
    source = Path(pydicom.data.get_testdata_file("CT_small.dcm"))
    broken = dcmread(source)
    del broken.Modality
    broken.save_as(tmp_path / "broken.dcm")
    assert any("Modality" in line or "Type 1" in line for line in errors(tmp_path / "broken.dcm") - errors(source))
