"""Files that are unreadable without their key, and for good once erased."""

from __future__ import annotations

import pytest

from service.errors import KeysMissing
from service.ingest.sealed_file import erase_sealed, read_sealed, write_sealed

KEY = bytes(range(32))
CHUNK = 4 << 20


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_content_of_any_size_is_read_back(tmp_path, size):
    content = bytes([size % 251]) * size
    write_sealed(tmp_path / "a", [content[:100], memoryview(content)[100:]], KEY)
    assert read_sealed(tmp_path / "a", KEY)[:] == content


def test_nothing_of_the_content_lies_in_the_file(tmp_path):
    write_sealed(tmp_path / "a", [b"DOE^JANE" * 10], KEY)
    assert b"DOE^JANE" not in (tmp_path / "a").read_bytes()


def test_file_is_readable_by_its_owner_alone(tmp_path):
    write_sealed(tmp_path / "a", [b"x"], KEY)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_another_key_opens_nothing(tmp_path):
    write_sealed(tmp_path / "a", [b"x"], KEY)
    with pytest.raises(KeysMissing):
        read_sealed(tmp_path / "a", bytes(32))


def test_file_under_another_name_is_refused(tmp_path):
    write_sealed(tmp_path / "a", [b"x"], KEY)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(KeysMissing):
        read_sealed(tmp_path / "b", KEY)


@pytest.mark.parametrize("kept", [0, 10, 76, 76 + CHUNK + 16, -1])
def test_file_cut_short_is_refused(tmp_path, kept):
    write_sealed(tmp_path / "a", [bytes(CHUNK + 5)], KEY)
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:kept])
    with pytest.raises(KeysMissing):
        read_sealed(tmp_path / "a", KEY)


def test_erased_file_cannot_be_opened_from_another_link(tmp_path):
    write_sealed(tmp_path / "a", [b"x"], KEY)
    (tmp_path / "link").hardlink_to(tmp_path / "a")
    erase_sealed(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "link").rename(tmp_path / "a")
    with pytest.raises(KeysMissing):
        read_sealed(tmp_path / "a", KEY)


def test_erasing_what_is_gone_does_nothing(tmp_path):
    erase_sealed(tmp_path / "never-there")
    assert list(tmp_path.iterdir()) == []
