"""The demonstration's search finds what was planted, in whatever encoding it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.demo.identity_search import tokens_left, tokens_of
from tests.ct_series import write_ct_series


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le"])
def test_token_is_found_in_an_answer_and_in_a_file(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "blob").write_bytes(b"\0" * 100 + "Müllersohn".encode(encoding) + b"\0")
    assert tokens_left(["Müllersohn", "Absent"], ["... Served ...".encode(encoding)], tmp_path) == ["Müllersohn"]
    assert tokens_left(["Served", "Absent"], ["... Served ...".encode(encoding)], tmp_path / "none") == ["Served"]


def test_token_within_another_is_told_as_well(tmp_path: Path) -> None:
    assert tokens_left(["1.2.3", "1.2.3.4"], [b"UID 1.2.3.4"], tmp_path) == ["1.2.3", "1.2.3.4"]


def test_tokens_of_a_study_are_its_names_and_original_uids(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path, 2, rows=8, columns=8)
    found = tokens_of(files)
    assert {"Planted", "Identity", "ID-77-PLANTED", "Referrer", "ACC-1"} <= set(found)
    assert sum(token.startswith("1.2.") for token in found) == 5


def test_files_that_go_away_meanwhile_do_not_end_the_search(tmp_path: Path, monkeypatch):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"nothing")
    second.write_bytes(b"Served")
    listed = Path.rglob
    looks = []

    def moved_meanwhile(folder: Path, pattern: str):
        found = sorted(listed(folder, pattern))
        if not looks:
            second.rename(tmp_path / "0")  # to a name that a look has passed
        looks.append(found)
        return found

    monkeypatch.setattr(Path, "rglob", moved_meanwhile)
    assert tokens_left(["Served"], [], tmp_path) == ["Served"]
    assert len(looks) == 2
