"""Files of a dataset are whole or not there."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from service.errors import StorageExhausted
from service.formats.staged_file import PART, DatasetFolder, Sink, WrittenFile


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_file_is_there_with_its_size_and_digest(tmp_path: Path) -> None:
    written = DatasetFolder(tmp_path).write_bytes("images/a.txt", b"words")
    assert written == WrittenFile("images/a.txt", 5, hashlib.sha256(b"words").hexdigest())
    assert (tmp_path / "images" / "a.txt").read_bytes() == b"words"


def test_compressed_file_is_the_same_every_time(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    first = folder.write("a.gz", lambda sink: sink.write(b"words" * 999), compressed=True)
    second = folder.write("b.gz", lambda sink: sink.write(b"words" * 999), compressed=True)
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "a.gz").read_bytes()).hexdigest()
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == b"words" * 999


def test_file_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    folder.write_bytes("a", b"old")

    def break_off(sink: Sink) -> None:
        sink.write(b"ne")
        raise RuntimeError

    for compressed in (False, True):
        with pytest.raises(RuntimeError):
            folder.write("a", break_off, compressed=compressed)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_disk_that_is_full_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"in the way of the folder")
    with pytest.raises(StorageExhausted, match="cannot be written"):
        DatasetFolder(tmp_path).write_bytes("images/a", b"words")


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("images/a" + PART, "b.part", "images/c"):
        (tmp_path / name).write_bytes(b"")
    DatasetFolder(tmp_path).remove_parts()
    assert names(tmp_path) == ["b.part", "c"]


def test_removed_file_takes_its_empty_folders_along(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    folder.write_bytes("a/b/one", b"1")
    folder.write_bytes("a/two", b"2")
    folder.remove("a/b/one")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["two"]
    folder.remove("a/b/one")
    folder.remove("a/two")
    assert list(tmp_path.iterdir()) == []


def test_file_of_another_size_is_not_held(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    written = folder.write_bytes("a", b"words")
    assert folder.holds(written)
    (tmp_path / "a").write_bytes(b"word")
    assert not folder.holds(written)
    (tmp_path / "a").unlink()
    assert not folder.holds(written)
