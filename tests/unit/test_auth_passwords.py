"""Passwords are hashed with argon2id, and a right one is remembered for a minute."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from service.errors import BadRequest
from service.web.passwords import Passwords

RIGHT, WRONG = "correct horse battery", "correct horse batterz"


class CountingHasher(PasswordHasher):
    """argon2 at its lowest cost, which says how often it was asked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - argon2's own name
        self.verified += 1
        return bool(super().verify(hash, password))


class Setting:
    """Passwords with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.hasher = CountingHasher()
        self.passwords = Passwords(lambda: self.now, remember_s=60, hasher=self.hasher)
        self.hash = self.passwords.hash(RIGHT)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_default_hash_is_argon2id() -> None:
    assert Passwords(lambda: 0.0).hash(RIGHT).startswith("$argon2id$")


def test_right_password_is_verified(setting: Setting) -> None:
    assert setting.passwords.verify(setting.hash, RIGHT)


def test_wrong_password_is_refused(setting: Setting) -> None:
    assert not setting.passwords.verify(setting.hash, WRONG)


def test_wrong_password_is_refused_after_the_right_one(setting: Setting) -> None:
    setting.passwords.verify(setting.hash, RIGHT)
    assert not setting.passwords.verify(setting.hash, WRONG)


def test_right_password_is_hashed_once_within_a_minute(setting: Setting) -> None:
    for _ in range(5):
        setting.passwords.verify(setting.hash, RIGHT)
    assert setting.hasher.verified == 1


def test_remembered_password_is_forgotten_after_a_minute(setting: Setting) -> None:
    setting.passwords.verify(setting.hash, RIGHT)
    setting.now += 61
    setting.passwords.verify(setting.hash, RIGHT)
    assert setting.hasher.verified == 2


def test_changed_hash_is_not_served_from_memory(setting: Setting) -> None:
    setting.passwords.verify(setting.hash, RIGHT)
    assert not setting.passwords.verify(setting.passwords.hash("another password"), RIGHT)


def test_unknown_user_costs_one_hash_and_is_refused(setting: Setting) -> None:
    assert not setting.passwords.verify(None, RIGHT)
    assert setting.hasher.verified == 1


def test_hash_that_is_none_is_refused(setting: Setting) -> None:
    assert not setting.passwords.verify("not a hash", RIGHT)


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1025])
def test_password_of_unfit_length_is_not_taken(setting: Setting, password: str) -> None:
    with pytest.raises(BadRequest, match="12 to 1024"):
        setting.passwords.hash(password)
