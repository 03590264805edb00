"""Findings get the labels that a file names, and none that nobody named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.core.codes import Code
from service.core.findings import Finding
from service.errors import FormatRefused, SettingsInvalid
from service.formats.label_file import load_labels
from service.formats.labels import LabelMapping

CONFIG = Path(__file__).resolve().parents[2] / "config" / "labels"
LUNG = Code("39607008", "SCT", "Lung")
NODULE = Code("27925004", "SCT", "Nodule")
LEFT, RIGHT = Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")
LIVER = Code("10200004", "SCT", "Liver")

ONE = """
[[label]]
name = "{name}"
number = {number}
category = {{ value = "1", scheme = "SCT", meaning = "Thing" }}
types = [{{ value = "{code}", scheme = "SCT", meaning = "Thing" }}]
{more}
"""


def finding(type_: Code, label: str = "Finding 1", **changes: object) -> Finding:
    found = Finding(label=label, tracking_uid="2.25.1", category=Code("1", "SCT", "Thing"), type=type_)
    return replace(found, **changes)


def read(folder: Path, *entries: str) -> LabelMapping:
    (folder / "own.toml").write_text("".join(entries))
    return load_labels(folder / "own.toml")


def entry(name: str = "lung", number: int = 1, code: str = "39607008", more: str = "") -> str:
    return ONE.format(name=name, number=number, code=code, more=more)


def test_shipped_labels_know_what_the_built_in_annotators_find() -> None:
    labels = load_labels(CONFIG / "default.toml")
    found = [
        finding(LUNG, laterality=LEFT),
        finding(LUNG, laterality=RIGHT),
        finding(NODULE, site=LUNG),
        finding(Code("3138006", "SCT", "Bone")),
        finding(Code("52988006", "SCT", "Lesion")),
    ]
    assert [getattr(labels.of(one), "name", None) for one in found] == [
        "left-lung",
        "right-lung",
        "nodule",
        "bone",
        "lesion",
    ]


def test_finding_that_is_not_mapped_is_named_by_its_codes_alone() -> None:
    labels = load_labels(CONFIG / "default.toml")
    with pytest.raises(FormatRefused) as refused:
        labels.of(finding(LIVER, "Liver of Jane Doe", laterality=LEFT))
    assert str(refused.value) == (
        "(10200004, SCT, Liver), Left is not mapped to a label: add it to default.toml, or to its [ignore]"
    )


def test_ignored_finding_is_left_out(tmp_path: Path) -> None:
    ignore = '[ignore]\ntypes = [{ value = "10200004", scheme = "SCT", meaning = "Liver" }]\n'
    assert read(tmp_path, ignore, entry()).of(finding(LIVER)) is None


def test_label_that_says_more_is_preferred(tmp_path: Path) -> None:
    side = 'laterality = { value = "7771000", scheme = "SCT", meaning = "Left" }'
    labels = read(tmp_path, entry(), entry("left", 2, more=side))
    assert [labels.of(finding(LUNG, laterality=one)).number for one in (None, RIGHT, LEFT)] == [1, 1, 2]  # type: ignore[union-attr]


def test_readers_own_words_decide_where_they_are_given(tmp_path: Path) -> None:
    labels = read(tmp_path, entry(), entry("tumour", 2, "1", more='texts = ["Tumour*", "gtv"]'))
    assert [labels.of(finding(LUNG, text)).name for text in ("GTV", "tumour 3", "lung")] == ["tumour", "tumour", "lung"]  # type: ignore[union-attr]


def test_two_labels_that_fit_alike_are_refused(tmp_path: Path) -> None:
    labels = read(tmp_path, entry(), entry("other", 2))
    with pytest.raises(FormatRefused, match="fits lung and other alike"):
        labels.of(finding(LUNG))


def test_number_and_name_that_there_are_not_are_said_with_those_that_are() -> None:
    labels = load_labels(CONFIG / "default.toml")
    with pytest.raises(FormatRefused, match=r"no number 9 in default\.toml.*3 nodule"):
        labels.numbered(9)
    with pytest.raises(FormatRefused, match="no label 'livr'"):
        labels.only(["livr"])
    assert [label.number for label in labels.only(["nodule", "right-lung"])] == [1, 3]
    assert len(labels.only([])) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no"),
        ("[[label]\n", "Expected"),
        ("[[labels]]\n", "there is no such setting: labels"),
        (entry(name="../x"), "name has 1 to 64 letters"),
        (entry(number=0), "0 is the background"),
        (entry(number=70000), "from 1 to 65535"),
        (entry(more="side = 1"), "label lung: there is no such setting: side"),
        (entry(more="colour = [1, 2, 300]"), "three numbers from 0 to 255"),
        (entry(more='over = ["tree"]'), "over names tree"),
        (entry(more='texts = "a"'), "list of texts"),
        (entry(more='site = { value = "1" }'), "label lung.site: a code has value, scheme and meaning"),
        (entry() + entry(), "two labels are called lung"),
        (entry() + entry("other"), "two labels have the number 1"),
        (entry(more='over = ["b"]') + entry("b", 2, more='over = ["lung"]'), "each lie over the other"),
        ('[[label]]\nname = "a"\nnumber = 1\n', "label a: types names at least one code"),
    ],
)
def test_file_that_is_wrong_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)
    assert "own.toml" in str(refused.value)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="No such file"):
        load_labels(tmp_path / "none.toml")
