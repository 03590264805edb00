from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.errors import GatewayError, InstanceUnreadable, StorageExhausted
from service.archive.blobs import FilesystemBlobStore
from service.archive.file_system_sync import FileSystemSync, syncfs_reports_failures
from service.core.blob_key import blob_key, is_blob_key, next_blob_key
from service.core.ports import BlobStore
from service.errors import InstanceNotFound, SettingsInvalid
from tests.fakes.in_memory_blob_store import InMemoryBlobStore

KEY = blob_key("default", "1.2.3")
OTHER = blob_key("default", "1.2.4")


@pytest.fixture(params=["files", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return FilesystemBlobStore(tmp_path / "blobs") if request.param == "files" else InMemoryBlobStore()


def content(blobs: BlobStore, key: str) -> bytes:
    with blobs.open(key) as stream:
        return stream.read()


# the contract, which adapter and fake keep


def test_blob_reads_back_as_its_parts_joined(blobs: BlobStore) -> None:
    blobs.put(KEY, [b"DI", b"", memoryview(b"CM")])
    assert content(blobs, KEY) == b"DICM"


def test_put_returns_the_size(blobs: BlobStore) -> None:
    assert blobs.put(KEY, iter([b"abc", b"de"])) == 5


def test_put_replaces_what_was_there(blobs: BlobStore) -> None:
    blobs.put(KEY, [b"first and longer"])
    blobs.put(KEY, [b"second"])
    assert content(blobs, KEY) == b"second"


def test_put_many_stores_each_under_its_key(blobs: BlobStore) -> None:
    assert blobs.put_many([(KEY, [b"a"]), (OTHER, [b"bc"])]) == [1, 2]
    assert (content(blobs, KEY), content(blobs, OTHER)) == (b"a", b"bc")


def test_put_many_of_nothing_stores_nothing(blobs: BlobStore) -> None:
    assert blobs.put_many([]) == []


def test_missing_blob_is_not_found(blobs: BlobStore) -> None:
    with pytest.raises(InstanceNotFound):
        blobs.open(KEY)


def test_deleted_blob_is_not_found(blobs: BlobStore) -> None:
    blobs.put(KEY, [b"x"])
    blobs.delete(KEY)
    with pytest.raises(InstanceNotFound):
        blobs.open(KEY)


def test_deleting_what_is_not_there_does_nothing(blobs: BlobStore) -> None:
    blobs.delete(KEY)
    assert list(blobs.keys()) == []


def test_keys_names_every_blob_once(blobs: BlobStore) -> None:
    version = next_blob_key(KEY)
    blobs.put_many([(KEY, [b"a"]), (OTHER, [b"b"]), (version, [b"c"])])
    assert sorted(blobs.keys()) == sorted([KEY, OTHER, version])


@pytest.mark.parametrize(
    "key",
    ["../../etc/passwd", "default/00/1.2.3.dcm", f"{KEY}/..", f"/{KEY}", KEY.upper(), "", "default/ab/../x.dcm"],
)
def test_foreign_key_is_refused(blobs: BlobStore, key: str) -> None:
    with pytest.raises(ValueError):
        blobs.put(key, [b"x"])


def test_failing_part_leaves_the_blob_as_it_was(blobs: BlobStore) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the source broke")

    blobs.put(KEY, [b"whole"])
    with pytest.raises(RuntimeError):
        blobs.put_many([(OTHER, [b"other"]), (KEY, parts())])
    assert (content(blobs, KEY), list(blobs.keys())) == (b"whole", [KEY])


# keys


@given(st.text(max_size=80))
def test_no_text_makes_a_key_that_leaves_its_place(text: str) -> None:
    try:
        key = blob_key("default", text)
    except InstanceUnreadable:
        return
    assert is_blob_key(key)
    assert Path("/root", key).resolve().is_relative_to("/root/default")


@given(st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,6}){1,7}", fullmatch=True), st.integers(0, 99))
def test_every_uid_makes_a_key(uid: str, version: int) -> None:
    assert is_blob_key(blob_key("project-1", uid, version))


@pytest.mark.parametrize("uid", ["", "1.2.", ".1", "1..2", "1.2.3\n", "1.2/3", "١.٢", "1." + "2" * 63])
def test_text_that_is_no_uid_makes_no_key(uid: str) -> None:
    with pytest.raises(InstanceUnreadable):
        blob_key("default", uid)


@pytest.mark.parametrize("project", ["", "..", ".", "a/b", "A", "-x", "x" * 65])
def test_project_that_is_no_name_makes_no_key(project: str) -> None:
    with pytest.raises(SettingsInvalid):
        blob_key(project, "1.2.3")


def test_replacement_gets_a_key_of_its_own() -> None:
    assert next_blob_key(next_blob_key(KEY)) == blob_key("default", "1.2.3", 2)


# files


def test_files_and_directories_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        blobs = FilesystemBlobStore(tmp_path / "blobs")
        blobs.put(KEY, [b"x"])
    finally:
        os.umask(before)
    path = blobs.path(KEY)
    modes = [place.stat().st_mode & 0o777 for place in (path, path.parent, path.parent.parent, tmp_path / "blobs")]
    assert modes == [0o600, 0o700, 0o700, 0o700]


def test_keys_of_a_store_never_used_are_none(tmp_path: Path) -> None:
    assert list(FilesystemBlobStore(tmp_path / "nowhere").keys()) == []


def test_unfinished_file_is_no_blob_and_is_removed(tmp_path: Path) -> None:
    blobs = FilesystemBlobStore(tmp_path)
    blobs.put(KEY, [b"x"])
    leftover = blobs.path(KEY).parent / ".abc.part"
    leftover.write_bytes(b"half")
    assert list(blobs.keys()) == [KEY]
    assert blobs.remove_unfinished(before=leftover.stat().st_mtime) == 0
    assert blobs.remove_unfinished(before=leftover.stat().st_mtime + 1) == 1
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageExhausted), (errno.EDQUOT, StorageExhausted), (errno.EIO, GatewayError)],
)
def test_failing_disk_becomes_an_error_of_ours(tmp_path: Path, number: int, error: type[GatewayError]) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise OSError(number, os.strerror(number))

    blobs = FilesystemBlobStore(tmp_path)
    with pytest.raises(error) as caught:
        blobs.put(KEY, parts())
    assert caught.type is error
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_place_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "default").write_bytes(b"")
    with pytest.raises(GatewayError):
        FilesystemBlobStore(tmp_path).put(KEY, [b"x"])


MANY = [(blob_key("default", f"1.2.{number}"), [b"%d" % number]) for number in range(20)]


def test_a_large_batch_is_stored_each_under_its_key(blobs: BlobStore) -> None:
    assert blobs.put_many(MANY) == [len(parts[0]) for _, parts in MANY]
    assert [content(blobs, key) for key, _ in MANY] == [parts[0] for _, parts in MANY]


@pytest.mark.peer("strace")
def test_a_large_batch_is_durable_by_one_sync_after_its_last_name(tmp_path: Path) -> None:
    traced = """
import sys
from pathlib import Path
from service.archive.blobs import FilesystemBlobStore
from service.core.blob_key import blob_key
FilesystemBlobStore(Path(sys.argv[1])).put_many([(blob_key("default", f"1.2.{n}"), [b"x"]) for n in range(20)])
"""
    log = tmp_path / "calls"
    calls = "trace=rename,syncfs,fsync,fdatasync,mkdir"
    command = ["strace", "-f", "-e", calls, "-o", str(log), sys.executable, "-c", traced, str(tmp_path / "blobs")]
    subprocess.run(command, check=True)
    names = [line.split(" ", 1)[1].lstrip().split("(")[0] for line in log.read_text().splitlines() if "(" in line]
    last = len(names) - 1 - names[::-1].index("rename")
    assert (names.count("rename"), names[last + 1], names.count("fdatasync")) == (20, "syncfs", 0)


class FailingSync(FileSystemSync):
    """A file system that loses what was written to it, once."""

    failures = 1

    def sync(self) -> None:
        if FailingSync.failures:
            FailingSync.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_batch_whose_sync_fails_is_an_error_and_the_next_one_is_kept(tmp_path: Path) -> None:
    blobs = FilesystemBlobStore(tmp_path / "blobs", FailingSync)
    with pytest.raises(GatewayError):
        blobs.put_many(MANY)
    assert blobs.put_many(MANY) == [len(parts[0]) for _, parts in MANY]


@pytest.mark.parametrize(
    ("release", "trusted"), [("4.18.0-553.el8", False), ("5.7.1", False), ("5.8.0", True), ("6.1.0-18-amd64", True)]
)
def test_only_a_kernel_that_reports_failures_is_trusted(release: str, trusted: bool) -> None:
    assert syncfs_reports_failures(release) is trusted
