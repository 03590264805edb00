"""``annogate deid --what-if`` explains each element, with values for whoever may see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom.dataset import Dataset

from service.cli.root import annogate
from service.core.pydicom_reading import read_leniently
from service.deident.decision_values import with_values
from service.deident.offline import offline_deidentifier
from service.deident.rules import Decision
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
IDENTITY = ("Doe^Jane", "PAT-4711", "19610502", "20240317", "House^Gregory", "ACC-99", "1.2.826.0.1.3680043")


def observation(value_type: str, code: str, **value: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "HAS OBS CONTEXT", value_type
    item.ConceptNameCodeSequence = [Dataset()]
    item.ConceptNameCodeSequence[0].CodeValue = code
    item.ConceptNameCodeSequence[0].CodingSchemeDesignator = "DCM"
    item.ConceptNameCodeSequence[0].CodeMeaning = "Something"
    for keyword, text in value.items():
        setattr(item, keyword, text)
    return item


def report() -> Dataset:
    made = ct_slice()
    del made.PixelData
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    # The first item goes whole: who observed, and for which institution.
    made.ContentSequence = [
        observation("TEXT", "121009", TextValue="Hospital of Doe"),
        observation("UIDREF", "121012", UID="1.2.826.0.1.3680043.5"),
    ]
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.dcm"
    path.write_bytes(as_file(ct_slice()))
    return path


def what_if(file: Path, *options: str) -> Result:
    return CliRunner().invoke(annogate, ["deid", "--what-if", "--profile", "basic", *options, str(file)])


def test_table_shows_before_and_after(file: Path) -> None:
    lines = what_if(file).stdout.splitlines()
    assert lines[0].split("\t")[-2:] == ["before", "after"]
    (name,) = [line.split("\t") for line in lines if line.startswith("(0010,0010)")]
    assert name[-2] == "Doe^Jane"
    assert name[-1].startswith("ANON-")


def test_table_without_values_shows_what_would_be_served_alone(file: Path) -> None:
    shown = what_if(file, "--no-values").stdout
    assert shown.splitlines()[0].split("\t")[-1] == "after"
    assert [value for value in IDENTITY if value in shown] == []


def test_json_leaves_identity_out_unless_it_is_asked_for(file: Path) -> None:
    answer = what_if(file, "--json").stdout
    assert [value for value in IDENTITY if value in answer] == []
    (name,) = [one for one in json.loads(answer)["files"][0]["decisions"] if one["keyword"] == "PatientName"]
    assert set(name) == {"path", "keyword", "action", "rule", "reason", "after"}
    asked = json.loads(what_if(file, "--json", "--values").stdout)
    (name,) = [one for one in asked["files"][0]["decisions"] if one["keyword"] == "PatientName"]
    assert name["before"] == "Doe^Jane"


def test_every_decision_finds_its_values_at_every_depth() -> None:
    read_leniently()
    header = report()
    cleaned = offline_deidentifier(PROFILES, "default").clean(header, explain=True)
    listed = {one.path: one for one in with_values(cleaned.decisions, header, cleaned.data_set)}
    assert len(cleaned.data_set.ContentSequence) == 1
    gone = listed["(0040,A730)[0]"]
    assert (gone.action, gone.before, gone.after) == ("removed", "item of 2", "")
    uid = listed["(0040,A730)[1].(0040,A124)"]
    assert uid.before == "1.2.826.0.1.3680043.5"
    assert uid.after == cleaned.data_set.ContentSequence[0].UID
    for path, one in listed.items():
        if one.action == "kept":
            assert one.before == one.after or "items" in str(one.before), path
        if one.action == "removed":
            assert one.after == "", path


@pytest.mark.parametrize(
    ("value", "shown"), [("x" * 100, "x" * 79 + "…"), ("two\nlines", "two lines"), ("", ""), ("A\\B", "['A', 'B']")]
)
def test_values_are_shown_on_one_line(value: str, shown: str) -> None:
    header = Dataset()
    header.ImageComments = value
    header.ImageType = value[:16]
    path = "(0008,0008)" if "\\" in value else "(0020,4000)"
    (one,) = with_values([Decision(path, "", "kept", "", "")], header, None)
    assert (one.before, one.after) == (shown, None)


def test_bytes_are_counted_not_shown() -> None:
    header = Dataset()
    header.add_new(0x00091001, "UN", b"Doe^Jane")
    (one,) = with_values([Decision("(0009,1001)", "", "removed", "", "")], header, Dataset())
    assert (one.before, one.after) == ("8 bytes", "")
