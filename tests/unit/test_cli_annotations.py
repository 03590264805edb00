"""Versions of annotations from the command line, over a gateway's own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.records import Incoming, OutcomeKind
from service.settings import load_settings
from tests.datasets import STUDY_UID, encode
from tests.marked_studies import finding, images, saved

CONFIG = """
[projects.default]
deidentify = "none"
"""
ANNA = "a" * 32


class OnCall:
    """Somebody at the command line of a gateway that holds a study which a reader has marked twice."""

    def __init__(self, folder: Path) -> None:
        (folder / "annogate.toml").write_text(CONFIG)
        self.options = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data")]
        self.settings = load_settings(folder / "annogate.toml", overrides={"storage": {"data_dir": folder / "data"}})
        first = saved(finding(1))
        with Gateway(self.settings) as gateway:
            gateway.prepare()
            for objects in (images(), first, saved(finding(1, at=6, length=8.0), after=first[1])):
                outcomes = gateway.pipeline.process_batch([_incoming(one) for one in objects])
                assert {one.kind for one in outcomes} == {OutcomeKind.ARCHIVED}

    def calls(self, *words: str) -> Result:
        return CliRunner().invoke(annogate, ["annotations", *words, *self.options])

    def told(self, *words: str) -> Any:
        answer = self.calls(*words, "--json")
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)


def _incoming(one: Dataset) -> Incoming:
    syntax = str(one.file_meta.TransferSyntaxUID) if "file_meta" in one.__dict__ else "1.2.840.10008.1.2.1"
    return Incoming("default", "", "", syntax, encode(one, syntax), "stow", "", "", 1.0, author=ANNA, stored_by=ANNA)


@pytest.fixture
def on_call(tmp_path: Path) -> OnCall:
    return OnCall(tmp_path)


def test_versions_are_listed_fetched_and_restored(on_call: OnCall, tmp_path: Path) -> None:
    newest, first = on_call.told("list", STUDY_UID)
    assert [(one["number"], one["newest"]) for one in (newest, first)] == [(2, True), (1, False)]
    fetched = on_call.told("fetch", str(first["id"]), "--out", str(tmp_path / "out"))
    assert [dcmread(path).Modality for path in fetched["files"]] == ["SEG", "SR"]
    restored = on_call.told("restore", str(first["id"]), "--reason", "the first was right")
    assert (restored["number"], restored["restored"], restored["stored_by"]) == (3, first["id"], "local")
    again = on_call.calls("restore", str(restored["id"]))
    assert again.exit_code == 1
    assert "the newest of its line already" in str(again.exception)


def test_a_version_is_fetched_as_other_kinds_of_objects(on_call: OnCall, tmp_path: Path) -> None:
    version = str(on_call.told("list", STUDY_UID)[0]["id"])
    out = str(tmp_path / "out")
    told = on_call.told("fetch", version, "--out", out, "--as", "gsps", "--as", "rtstruct", "--as", "bulk-annotations")
    assert [dcmread(path).Modality for path in told["files"]] == ["PR", "RTSTRUCT"]
    assert "a mask is no bulk annotation" in told["left_out"][0]
    nothing = on_call.calls("fetch", version, "--out", out, "--as", "bulk-annotations")
    assert nothing.exit_code == 1
    assert "left out: bulk-annotations" in nothing.output


def test_a_comparison_is_told_and_drawn(on_call: OnCall, tmp_path: Path) -> None:
    newest = on_call.told("list", STUDY_UID)[0]
    told = on_call.told("compare", str(newest["id"]), "--pictures", str(tmp_path / "pictures"))
    assert told["counts"]["changed"] == 1
    (picture,) = told["pictures"].values()
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"
    table = on_call.calls("compare", str(newest["id"]))
    assert "Long Axis: 6 mm → 8 mm" in table.output


def test_a_version_that_is_not_there_is_named(on_call: OnCall) -> None:
    answer = on_call.calls("compare", "99")
    assert answer.exit_code == 1
    assert "there is no such version" in str(answer.exception)
