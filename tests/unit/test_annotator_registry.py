"""Annotators set up from their files, and files that are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from service.annotators.registry import load_annotators
from service.core.annotator import SeriesSummary
from service.errors import SettingsInvalid
from tests.phantoms import ANNOTATORS, annotator

SHIPPED = ["bones", "hotspots", "lungs", "nodules"]
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
MR = "1.2.840.10008.5.1.4.1.1.4"
AXIAL = frozenset({"ORIGINAL", "PRIMARY", "AXIAL"})


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (ANNOTATORS / f"{name}.toml").read_text()
    assert old in text
    (tmp_path / f"{name}.toml").write_text(text.replace(old, new, 1))
    return tmp_path


def test_every_shipped_file_sets_up_its_annotator() -> None:
    assert sorted(path.stem for path in ANNOTATORS.glob("*.toml")) == SHIPPED
    assert sorted(load_annotators(ANNOTATORS, SHIPPED)) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_annotator_says_that_it_is_a_demonstrator(name: str) -> None:
    algorithm = annotator(name).algorithm
    assert algorithm.demonstrator
    assert "demonstrator" in algorithm.name


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_numbers_are_the_defaults_of_the_code(name: str, tmp_path: Path) -> None:
    """A file that leaves its numbers out sets up the same annotator."""
    lines = (ANNOTATORS / f"{name}.toml").read_text().split("\n[", maxsplit=1)[0]
    (tmp_path / f"{name}.toml").write_text(lines)
    assert load_annotators(tmp_path, [name])[name].algorithm == annotator(name).algorithm


def test_device_uid_changes_with_a_parameter(tmp_path: Path) -> None:
    folder = changed(tmp_path, "nodules", "contrast_hu = 250.0", "contrast_hu = 260.0")
    assert (
        load_annotators(folder, ["nodules"])["nodules"].algorithm.device_uid
        != annotator("nodules").algorithm.device_uid
    )


def test_parameters_stand_in_the_algorithm_identification() -> None:
    assert "2.5" in annotator("hotspots").algorithm.parameters["threshold"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dense_hu =", "dens_hu =", "annotators/nodules.toml: search.dens_hu: unknown key"),
        (
            "roundness = 0.78",
            "roundness = 1.78",
            "annotators/nodules.toml: search.roundness: input should be less than",
        ),
        ('kind = "nodules"', 'kind = "tumours"', "'tumours' is none of bones, hotspots, lungs, nodules"),
        ('title = "Lung nodules"', "", "annotators/nodules.toml: title: missing"),
        ("[search]", "[search", "annotators/nodules.toml: "),
        (
            "colours = [[255, 176, 0]",
            "colours = [[256, 176, 0]",
            "colours.0.0: input should be less than or equal to 255",
        ),
    ],
)
def test_faulty_file_is_refused_in_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_annotators(changed(tmp_path, "nodules", old, new), ["nodules"])
    assert words in str(refused.value)


def test_unknown_annotator_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SettingsInvalid, match=r"there is no tumours.toml \(there are: bones, hotspots, lungs, nodules\)"
    ):
        load_annotators(ANNOTATORS, ["tumours"])


@pytest.mark.parametrize("name", ["../nodules", "", "a/b", "Nodules"])
def test_name_that_is_a_path_is_refused(name: str) -> None:
    with pytest.raises(SettingsInvalid, match="is not the name of an annotator"):
        load_annotators(ANNOTATORS, [name])


def test_every_fault_of_every_file_is_named(tmp_path: Path) -> None:
    changed(tmp_path, "lungs", "air_hu =", "aire_hu =")
    changed(tmp_path, "bones", "most = 12", "most = 0")
    with pytest.raises(SettingsInvalid) as refused:
        load_annotators(tmp_path, ["lungs", "bones"])
    assert "field.aire_hu: unknown key" in str(refused.value)
    assert "bones.toml: most: " in str(refused.value)


def test_setting_up_loads_no_heavy_library() -> None:
    """Web and ingest processes list the annotators without paying for what only runs need."""
    program = (
        "import sys; from pathlib import Path; from service.annotators.registry import load_annotators; "
        f"load_annotators(Path({str(ANNOTATORS)!r}), {SHIPPED!r}); "
        "print(sorted({'scipy', 'skimage', 'SimpleITK', 'highdicom'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("modality", "sop_class", "image_types", "instances", "expected"),
    [
        ("CT", CT, AXIAL, 60, ["bones", "lungs", "nodules"]),
        ("CT", CT, AXIAL, 1, ["bones", "lungs", "nodules"]),
        ("CT", ENHANCED_CT, AXIAL, 1, ["bones", "lungs", "nodules"]),
        ("CT", CT, frozenset({"ORIGINAL", "PRIMARY", "LOCALIZER"}), 60, []),
        ("CT", CT, frozenset({"ORIGINAL\\PRIMARY\\LOCALIZER"}), 60, []),
        ("PT", PET, frozenset({"ORIGINAL", "PRIMARY"}), 60, ["hotspots"]),
        ("MR", MR, AXIAL, 60, []),
    ],
)
def test_annotators_match_the_series_that_they_can_mark(modality, sop_class, image_types, instances, expected) -> None:
    series = SeriesSummary(modality, frozenset({sop_class}), image_types, instances)
    assert [name for name in SHIPPED if annotator(name).matches(series)] == expected
