"""``annogate validate``: what it says of files and folders, and with what it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom.dataset import Dataset

from service.cli.root import annogate
from service.errors import ObjectInvalid
from service.objects.rule_catalogue import shipped_catalogue
from tests.broken_objects import broken
from tests.datasets import as_file
from tests.good_objects import GoodObject, good
from tests.sent_objects import image_of

RULES = shipped_catalogue().rules


def validated(*words: str | Path) -> Result:
    return CliRunner().invoke(annogate, ["validate", *map(str, words)])


def written(folder: Path, *objects: Dataset) -> Path:
    folder.mkdir()
    for number, one in enumerate(objects):
        (folder / f"{number}.dcm").write_bytes(as_file(one))
    return folder


def sources_of(folder: Path, one: GoodObject) -> Path:
    return written(folder, *map(image_of, one.sources), *one.referenced)


def test_good_object_has_no_problem(tmp_path: Path) -> None:
    one = good("segmentation")
    images, marks = sources_of(tmp_path / "images", one), written(tmp_path / "marks", one.data_set)
    told = validated(marks, "--sources", images)
    assert (told.exit_code, told.stdout) == (0, f"{marks / '0.dcm'}: no problem\n")


def test_breach_is_told_with_rule_clause_and_remedy(tmp_path: Path) -> None:
    file = written(tmp_path / "marks", broken("SEG-LABELS").data_set) / "0.dcm"
    told = validated(file)
    assert isinstance(told.exception, ObjectInvalid)
    rule = RULES["SEG-LABELS"]
    assert all(words in told.stdout for words in ("1 errors, 0 warnings", "SEG-LABELS", rule.clause, rule.remedy))


def test_programs_are_told_the_same(tmp_path: Path) -> None:
    file = written(tmp_path / "marks", broken("SEG-LABELS").data_set) / "0.dcm"
    (told,) = json.loads(validated(file, "--json").stdout)
    (problem,) = told["problems"]
    rule = RULES["SEG-LABELS"]
    assert (told["file"], told["errors"]) == (str(file), 1)
    assert (problem["severity"], problem["rule"]) == ("ERROR", "SEG-LABELS")
    assert (problem["clause"], problem["remedy"]) == (rule.clause, rule.remedy)


@pytest.mark.parametrize("rule", ["GEO-SOURCE", "GEO-INSIDE", "VIEW-SEG-FRAME-OF-REFERENCE", "VIEW-SEG-SIZE"])
def test_geometry_is_judged_where_the_images_are_named(tmp_path: Path, rule: str) -> None:
    one = broken(rule)
    images, marks = sources_of(tmp_path / "images", one), written(tmp_path / "marks", one.data_set)
    assert validated(marks).exit_code == 0
    told = validated(marks, "--sources", images)
    assert isinstance(told.exception, ObjectInvalid)
    assert rule in told.stdout


def test_reference_to_an_image_that_is_not_among_the_sources_is_told(tmp_path: Path) -> None:
    one, other = good("segmentation"), good("bulk annotations")
    marks = written(tmp_path / "marks", one.data_set)
    assert "REF-KNOWN" in validated(marks, "--sources", sources_of(tmp_path / "others", other)).stdout


def test_of_a_folder_what_marks_images_is_judged_among_all_of_it(tmp_path: Path) -> None:
    one = broken("GEO-SOURCE")
    folder = written(tmp_path / "study", one.data_set, *map(image_of, one.sources))
    told = validated(folder, "--json")
    assert [(Path(each["file"]).name, each["errors"]) for each in json.loads(told.stdout)] == [("0.dcm", 1)]


def test_folder_without_a_mark_is_a_wrong_use(tmp_path: Path) -> None:
    folder = written(tmp_path / "images", *map(image_of, good("segmentation").sources))
    assert validated(folder).exit_code == 2


def test_file_that_is_no_dicom_is_told_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("no DICOM")
    told = validated(tmp_path / "words.txt", "--json")
    assert isinstance(told.exception, ObjectInvalid)
    assert json.loads(told.stdout)[0]["problems"][0]["rule"] == "file"
