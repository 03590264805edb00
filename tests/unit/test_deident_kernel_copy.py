"""Copies between files that the kernel makes: the same bytes, holes kept, an end that is missing noticed."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_nodes.errors import InstanceUnreadable
from service.deident import kernel_copy
from service.deident.kernel_copy import copy_stretch

CONTENT = bytes(range(256)) * 1000
SIZE = len(CONTENT)


def copied(tmp_path, content: bytes, offset: int, length: int, before: bytes = b"head") -> bytes:
    (tmp_path / "source").write_bytes(content)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("wb") as target:
        target.write(before)
        target.flush()
        copy_stretch(source.fileno(), offset, length, target.fileno())
        target.write(b"tail")
    return (tmp_path / "target").read_bytes()


@settings(max_examples=40, deadline=None)
@given(ends=st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)))
def test_stretch_is_appended_and_nothing_else(tmp_path_factory, ends):
    start, stop = sorted(ends)
    found = copied(tmp_path_factory.mktemp("copy"), CONTENT, start, stop - start)
    assert found == b"head" + CONTENT[start:stop] + b"tail"


def refusing(error: int):
    def call(*_: object, **__: object) -> int:
        raise OSError(error, "not between these files")

    return call


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("refused", [["copy_file_range"], ["copy_file_range", "sendfile"]])
def test_kernel_that_cannot_copy_is_helped_out(tmp_path, monkeypatch, refused, error):
    for name in refused:
        monkeypatch.setattr(os, name, refusing(error))
    assert copied(tmp_path, CONTENT, 3, SIZE - 3) == b"head" + CONTENT[3:] + b"tail"


def test_kernel_that_says_nothing_was_there_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", lambda *_, **__: 0)
    assert copied(tmp_path, CONTENT, 0, SIZE) == b"head" + CONTENT + b"tail"


def test_file_system_that_knows_no_holes_is_copied_whole(tmp_path, monkeypatch):
    seek = os.lseek

    def lseek(descriptor: int, position: int, whence: int) -> int:
        if whence in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(errno.EINVAL, "no holes here")
        return seek(descriptor, position, whence)

    monkeypatch.setattr(kernel_copy.os, "lseek", lseek)
    assert copied(tmp_path, CONTENT, 0, SIZE) == b"head" + CONTENT + b"tail"


def test_disk_that_fails_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="not between"):
        copied(tmp_path, CONTENT, 0, SIZE)


@pytest.mark.parametrize("offset", [0, SIZE - 5, SIZE, SIZE + 10])
def test_source_that_ends_before_is_noticed(tmp_path, offset):
    with pytest.raises(InstanceUnreadable, match="cut short"):
        copied(tmp_path, CONTENT, offset, SIZE + 1)


@pytest.mark.parametrize("written", [[], [5 << 20], [0, 9 << 20]])
def test_holes_stay_holes(tmp_path, written):
    size = 10 << 20
    with (tmp_path / "source").open("wb") as source:
        source.truncate(size)
        for position in written:
            source.seek(position)
            source.write(b"data")
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("wb") as target:
        copy_stretch(source.fileno(), 0, size, target.fileno())
    found = tmp_path / "target"
    assert found.read_bytes() == (tmp_path / "source").read_bytes()
    assert found.stat().st_blocks * 512 < 1 << 20
