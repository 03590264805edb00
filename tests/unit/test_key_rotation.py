"""The vault's key rotates while the gateway runs; a kill at any point loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dicom_nodes.errors import GatewayError
from service.archive.vault_keys import VaultKeyTable
from service.core.records import OutcomeKind, SealedEntry
from service.custody.key_rotation import KeyRotation
from service.deident.keys import KeyFile
from service.deident.vault import Vault
from service.errors import ContentConflict, KeysMissing
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.patience import PATIENCE_S


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def rotation(house: IngestHouse) -> KeyRotation:
    table = VaultKeyTable(house.database, house.clock)
    return KeyRotation(house.folder / "keys.json", table, house.folder / "rotation.lock")


def fill(house: IngestHouse, count: int) -> None:
    vault = Vault(house.keys, "research")
    house.vault.put_all("research", (vault.seal("uid", f"2.25.{number}", {"n": number}) for number in range(count)))


def opened(house: IngestHouse) -> dict[str, object]:
    vault = Vault(KeyFile.load(house.folder / "keys.json"), "research")
    return {entry.key: vault.open(entry) for entry in house.vault.entries("research")}


def test_every_entry_moves_to_the_new_key(house: IngestHouse) -> None:
    fill(house, 1203)
    before = opened(house)
    (old,) = house.keys.vault_key_ids
    done = rotation(house).rotate()
    assert (done.resealed, done.unopened, done.resumed, done.dropped) == (1203, 0, False, (old,))
    assert {entry.key_id for entry in house.vault.entries("research")} == {done.key_id}
    assert opened(house) == before
    assert KeyFile.load(house.folder / "keys.json").vault_key_ids == (done.key_id,)


def test_identity_keys_stay_as_they_are(house: IngestHouse) -> None:
    before = house.keys.project_keys("research")
    rotation(house).rotate()
    assert KeyFile.load(house.folder / "keys.json").project_keys("research") == before


class KilledError(BaseException):
    """What a kill is to the code that it meets."""


@pytest.mark.parametrize("after_pages", [1, 2, 3])
def test_killed_rotation_is_ended_by_the_next(house: IngestHouse, after_pages: int) -> None:
    fill(house, 1203)
    before = opened(house)
    (old,) = house.keys.vault_key_ids
    pages = []

    def kill(count: int) -> None:
        pages.append(count)
        if len(pages) == after_pages:
            raise KilledError

    with pytest.raises(KilledError):
        rotation(house).rotate(kill)
    assert opened(house) == before
    done = rotation(house).rotate()
    assert done.resumed
    assert done.dropped == (old,)
    assert opened(house) == before
    assert KeyFile.load(house.folder / "keys.json").vault_key_ids == (done.key_id,)


def test_gateway_that_runs_seals_with_the_new_key(house: IngestHouse) -> None:
    house.pipeline.process(house.incoming(ct_slice(1), "research"))
    done = rotation(house).rotate()
    house.pipeline.process(house.incoming(ct_slice(2), "research"))
    assert {entry.key_id for entry in house.vault.entries("research")} == {done.key_id}
    assert opened(house)


def test_what_was_sealed_with_a_retired_key_is_not_stored(house: IngestHouse) -> None:
    late = Vault(house.keys, "research").seal("uid", "2.25.1", {})
    rotation(house).rotate()
    with pytest.raises(GatewayError, match="retired"):
        house.vault.put_all("research", [late])
    assert house.vault.count("research") == 0


def test_objects_that_come_while_the_key_rotates_are_all_kept(house: IngestHouse) -> None:
    fill(house, 2000)
    other = IngestHouse(house.folder)
    outcomes = []

    def receive() -> None:
        for number in range(1, 25):
            for _ in range(5):  # as the spool offers it again
                with suppress(GatewayError):
                    outcomes.append(other.pipeline.process(other.incoming(ct_slice(number), "research")))
                    break

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    done = rotation(house).rotate()
    thread.join(PATIENCE_S)
    other.close()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ARCHIVED] * 24
    assert {entry.key_id for entry in house.vault.entries("research")} == {done.key_id}
    assert len(opened(house)) > 2024


def test_key_of_an_entry_that_does_not_open_stays(house: IngestHouse) -> None:
    fill(house, 3)
    (old,) = house.keys.vault_key_ids
    house.vault.put_all("research", [SealedEntry("uid", "2.25.9", old, bytes(40))])
    done = rotation(house).rotate()
    assert (done.resealed, done.unopened, done.dropped) == (3, 1, ())
    assert KeyFile.load(house.folder / "keys.json").vault_key_ids == (old, done.key_id)


def test_second_rotation_at_once_is_refused(house: IngestHouse) -> None:
    fill(house, 1)

    def again(_: int) -> None:
        with pytest.raises(ContentConflict, match="under way"):
            rotation(house).rotate()

    rotation(house).rotate(again)


def test_lost_key_file_is_not_made_anew(house: IngestHouse) -> None:
    fill(house, 1)
    (house.folder / "keys.json").unlink()
    with pytest.raises(KeysMissing, match="cannot be read"):
        rotation(house).rotate()
