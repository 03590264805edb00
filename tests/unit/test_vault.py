"""The vault: opens for its own project, kind and key, and for nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from service.deident.keys import KeyFile
from service.deident.vault import Vault
from service.errors import KeysMissing

VALUE = {"elements": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]}}, "shift_days": 500}


@pytest.fixture
def keys():
    return KeyFile.ephemeral()


def test_a_sealed_value_opens_again(keys):
    vault = Vault(keys, "p")
    assert vault.open(vault.seal("patient", "ANON-1", VALUE)) == VALUE


def test_a_sealed_value_shows_nothing(keys):
    sealed = Vault(keys, "p").seal("patient", "ANON-1", VALUE)
    assert "Müller".encode() not in sealed.sealed
    assert "sealed=" not in repr(sealed)


def test_the_same_value_is_never_sealed_to_the_same_bytes(keys):
    vault = Vault(keys, "p")
    assert vault.seal("patient", "ANON-1", VALUE).sealed != vault.seal("patient", "ANON-1", VALUE).sealed


@pytest.mark.parametrize("change", [{"kind": "study"}, {"key": "ANON-2"}])
def test_an_entry_moved_to_another_row_does_not_open(keys, change):
    vault = Vault(keys, "p")
    moved = dataclasses.replace(vault.seal("patient", "ANON-1", VALUE), **change)
    with pytest.raises(KeysMissing):
        vault.open(moved)


def test_an_entry_of_another_project_does_not_open(keys):
    entry = Vault(keys, "p").seal("patient", "ANON-1", VALUE)
    with pytest.raises(KeysMissing):
        Vault(keys, "q").open(entry)


@pytest.mark.parametrize("position", [0, 12, -1])
def test_an_altered_entry_does_not_open(keys, position):
    vault = Vault(keys, "p")
    entry = vault.seal("patient", "ANON-1", VALUE)
    altered = bytearray(entry.sealed)
    altered[position] ^= 1
    with pytest.raises(KeysMissing):
        vault.open(dataclasses.replace(entry, sealed=bytes(altered)))


def test_a_cut_entry_does_not_open(keys):
    vault = Vault(keys, "p")
    entry = vault.seal("patient", "ANON-1", VALUE)
    with pytest.raises(KeysMissing):
        vault.open(dataclasses.replace(entry, sealed=entry.sealed[:4]))


def test_old_entries_open_after_rotation(keys):
    entry = Vault(keys, "p").seal("patient", "ANON-1", VALUE)
    assert Vault(keys.rotated(), "p").open(entry) == VALUE


def test_resealing_moves_an_entry_to_the_newest_key(keys):
    entry = Vault(keys, "p").seal("patient", "ANON-1", VALUE)
    rotated = keys.rotated()
    resealed = Vault(rotated, "p").resealed(entry)
    assert resealed.key_id == rotated.newest_vault_key.key_id
    assert Vault(rotated, "p").open(resealed) == VALUE


def test_an_entry_without_its_key_says_so(keys):
    entry = Vault(KeyFile.ephemeral(), "p").seal("patient", "ANON-1", VALUE)
    with pytest.raises(KeysMissing, match="not in the key file"):
        Vault(keys, "p").open(entry)
