"""The key file: written once, refused when others may read it, and never silently replaced."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from service.deident.keys import KeyFile
from service.errors import KeysMissing


def counting_bytes():
    """A random source that is not random: each call gives other bytes."""
    calls = iter(range(1, 256))
    return lambda length: bytes([next(calls)]) * length


def test_a_new_key_file_is_for_its_owner_only(tmp_path):
    old = os.umask(0)
    try:
        KeyFile.create(tmp_path / "keys.json")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_keys_read_back_derive_the_same(tmp_path):
    created = KeyFile.create(tmp_path / "keys.json")
    loaded = KeyFile.load(tmp_path / "keys.json")
    assert loaded.project_keys("a") == created.project_keys("a")
    assert loaded.sealing_key("spool") == created.sealing_key("spool")


def test_an_existing_key_file_is_not_overwritten(tmp_path):
    created = KeyFile.create(tmp_path / "keys.json")
    with pytest.raises(FileExistsError):
        KeyFile.create(tmp_path / "keys.json")
    assert KeyFile.load(tmp_path / "keys.json").project_keys("a") == created.project_keys("a")


def test_of_two_processes_that_start_at_once_one_makes_the_keys(tmp_path):
    path = tmp_path / "keys.json"
    barrier = threading.Barrier(8)
    made = []

    def start():
        barrier.wait()
        try:
            made.append(KeyFile.create(path))
        except FileExistsError:
            KeyFile.load(path)  # whole from the first moment on

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_key_file_is_said_in_words(tmp_path):
    with pytest.raises(KeysMissing, match="cannot be read: No such file or directory; restore it from its backup"):
        KeyFile.load(tmp_path / "keys.json")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_file_open_to_others_is_refused(tmp_path, mode):
    KeyFile.create(tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(mode)
    with pytest.raises(KeysMissing, match=f"may be read by others \\(mode {mode:04o}\\)"):
        KeyFile.load(tmp_path / "keys.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'{"format": "annogate-keys-1"}',
        b'{"format": "annogate-keys-1", "identity_secret": "AA"}',
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeysMissing, match="damaged"):
        KeyFile.load(path)


def test_a_short_key_is_refused(tmp_path):
    path = tmp_path / "keys.json"
    KeyFile.create(path)
    document = json.loads(path.read_text())
    document["identity_secret"] = "AAAA"
    path.write_text(json.dumps(document))
    with pytest.raises(KeysMissing, match="not 32 bytes"):
        KeyFile.load(path)


def test_two_projects_share_no_key():
    keys = KeyFile.ephemeral(counting_bytes())
    one, other = keys.project_keys("one"), keys.project_keys("other")
    secrets = [one.uid_key, one.pseudonym_key, one.date_key, one.digest_key]
    secrets += [other.uid_key, other.pseudonym_key, other.date_key, other.digest_key]
    assert len(set(secrets)) == 8
    assert one.fingerprint != other.fingerprint


def test_sealing_keys_differ_by_purpose():
    keys = KeyFile.ephemeral()
    assert keys.sealing_key("spool") != keys.sealing_key("quarantine")


def test_rotation_changes_the_vault_key_only(tmp_path):
    before = KeyFile.create(tmp_path / "keys.json")
    old = before.newest_vault_key
    before.rotated()
    after = KeyFile.load(tmp_path / "keys.json")
    assert after.project_keys("a") == before.project_keys("a")
    assert after.newest_vault_key.key_id != old.key_id
    assert after.vault_key(old.key_id) == old


def test_process_that_runs_seals_with_a_key_that_another_one_added(tmp_path):
    running = KeyFile.create(tmp_path / "keys.json")
    rotated = KeyFile.load(tmp_path / "keys.json").rotated()
    assert running.newest_vault_key == rotated.newest_vault_key


def test_process_that_runs_opens_with_a_key_that_another_one_dropped(tmp_path):
    running = KeyFile.create(tmp_path / "keys.json")
    old = running.newest_vault_key
    KeyFile.load(tmp_path / "keys.json").rotated().without(old.key_id)
    assert running.newest_vault_key != old
    assert running.vault_key(old.key_id) == old
    with pytest.raises(KeysMissing, match="not in the key file"):
        KeyFile.load(tmp_path / "keys.json").vault_key(old.key_id)


def test_key_file_that_is_replaced_under_a_process_is_refused(tmp_path):
    running = KeyFile.create(tmp_path / "keys.json")
    KeyFile.create(tmp_path / "other.json")
    (tmp_path / "other.json").replace(tmp_path / "keys.json")
    with pytest.raises(KeysMissing, match="was replaced by another one"):
        _ = running.newest_vault_key


def test_process_that_runs_goes_on_with_what_it_knows_when_the_file_is_gone(tmp_path):
    running = KeyFile.create(tmp_path / "keys.json")
    known = running.newest_vault_key
    (tmp_path / "keys.json").unlink()
    assert running.newest_vault_key == known


def test_newest_key_is_never_dropped(tmp_path):
    keys = KeyFile.create(tmp_path / "keys.json")
    with pytest.raises(ValueError, match="only an older key"):
        keys.without(keys.newest_vault_key.key_id)


def test_copy_of_a_key_file_is_one_and_for_its_owner_only(tmp_path):
    keys = KeyFile.create(tmp_path / "keys.json")
    keys.copy_to(tmp_path / "copy.key")
    assert stat.S_IMODE((tmp_path / "copy.key").stat().st_mode) == 0o600
    assert KeyFile.load(tmp_path / "copy.key").content_digest == keys.content_digest


def test_copy_overwrites_nothing(tmp_path):
    keys = KeyFile.create(tmp_path / "keys.json")
    (tmp_path / "copy.key").write_text("something else")
    with pytest.raises(FileExistsError):
        keys.copy_to(tmp_path / "copy.key")
    assert (tmp_path / "copy.key").read_text() == "something else"


def test_rotation_keeps_the_file_closed(tmp_path):
    KeyFile.create(tmp_path / "keys.json").rotated()
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_an_unknown_vault_key_is_missing():
    with pytest.raises(KeysMissing, match="vault key abc is not in the key file"):
        KeyFile.ephemeral().vault_key("abc")


def test_no_secret_stands_in_a_repr(tmp_path):
    keys = KeyFile.create(Path(tmp_path / "keys.json"))
    shown = repr(keys) + repr(keys.project_keys("a")) + repr(keys.newest_vault_key)
    secret = json.loads((tmp_path / "keys.json").read_text())["identity_secret"]
    assert secret not in shown
    assert "uid_key" not in shown
