"""Users and tokens as rows of the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.accounts import Accounts
from service.archive.database import Database
from service.core.access import Role
from service.errors import BadRequest, ContentConflict, InstanceNotFound


class Setting:
    """Accounts with a clock that the test moves."""

    def __init__(self, database: Database) -> None:
        self.now = 1_000_000.0
        self.database = database
        self.accounts = Accounts(database, lambda: self.now)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield Setting(database)


def test_nothing_is_configured_at_first(setting: Setting) -> None:
    assert not setting.accounts.any_configured()


def test_user_is_found_by_name(setting: Setting) -> None:
    setting.accounts.add_user("ada", "hash", Role.LEAD, ["default"])
    user = setting.accounts.user("ada")
    assert user is not None
    assert (user.role, user.projects, user.password_hash) == (Role.LEAD, {"default"}, "hash")


def test_unknown_user_is_none(setting: Setting) -> None:
    assert setting.accounts.user("ada") is None


def test_second_user_of_a_name_is_refused(setting: Setting) -> None:
    setting.accounts.add_user("ada", "hash", Role.LEAD, ["*"])
    with pytest.raises(ContentConflict, match="ada"):
        setting.accounts.add_user("ada", "other", Role.ADMIN, ["*"])


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "<b>", "x/y", "-x"])
def test_name_that_is_none_is_refused(setting: Setting, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        setting.accounts.add_user(name, "hash", Role.LEAD, ["*"])


def test_user_without_a_project_is_refused(setting: Setting) -> None:
    with pytest.raises(BadRequest, match="project"):
        setting.accounts.add_user("ada", "hash", Role.LEAD, [])


def test_disabled_user_still_closes_the_door(setting: Setting) -> None:
    setting.accounts.add_user("ada", "hash", Role.LEAD, ["*"])
    assert setting.accounts.set_disabled("ada", True).disabled
    assert setting.accounts.any_configured()


def test_grant_of_a_user_changes(setting: Setting) -> None:
    setting.accounts.add_user("ada", "hash", Role.LEAD, ["*"])
    assert setting.accounts.set_grant("ada", Role.READER, ["a", "b"]).projects == {"a", "b"}


def test_change_of_nobody_is_refused(setting: Setting) -> None:
    with pytest.raises(InstanceNotFound, match="grace"):
        setting.accounts.set_disabled("grace", True)


def test_users_are_listed_by_name(setting: Setting) -> None:
    for name in ("grace", "ada"):
        setting.accounts.add_user(name, "hash", Role.READER, ["*"])
    assert [user.name for user in setting.accounts.users()] == ["ada", "grace"]


def test_password_hash_is_not_in_a_repr(setting: Setting) -> None:
    assert "hash" not in repr(setting.accounts.add_user("ada", "the-hash", Role.READER, ["*"])).replace("_hash", "")


def test_token_is_recognised_by_its_secret(setting: Setting) -> None:
    made = setting.accounts.add_token("ci", Role.INTEGRATOR, ["default"])
    assert setting.accounts.token_of(made.secret) == made.token


def test_tokens_secret_has_256_bits_and_a_recognisable_beginning(setting: Setting) -> None:
    secret = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"]).secret
    assert secret.startswith("annogate_")
    assert len(secret.removeprefix("annogate_")) == 43


def test_two_tokens_differ(setting: Setting) -> None:
    secrets = {setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"]).secret for _ in range(10)}
    assert len(secrets) == 10


@pytest.mark.sqlite
def test_secret_is_not_kept(setting: Setting, tmp_path: Path) -> None:
    secret = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"]).secret
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("index.sqlite*"))
    assert secret.encode() not in kept
    assert secret.removeprefix("annogate_").encode() not in kept


def test_secret_is_not_in_a_repr(setting: Setting) -> None:
    made = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"])
    assert made.secret not in repr(made)


@pytest.mark.parametrize("secret", ["", "annogate_", "annogate_AAAA", "x"])
def test_other_secret_is_nobody(setting: Setting, secret: str) -> None:
    setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"])
    assert setting.accounts.token_of(secret) is None


def test_token_ends_when_it_expires(setting: Setting) -> None:
    made = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"], expires_at=setting.now + 10)
    assert setting.accounts.token_of(made.secret) is not None
    setting.now += 10
    assert setting.accounts.token_of(made.secret) is None


def test_token_that_has_expired_is_not_made(setting: Setting) -> None:
    with pytest.raises(BadRequest, match="past"):
        setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"], expires_at=setting.now)


def test_revoked_token_ends_at_once(setting: Setting) -> None:
    made = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"])
    setting.accounts.revoke_token(made.token.id)
    assert setting.accounts.token_of(made.secret) is None


def test_second_revocation_keeps_the_time_of_the_first(setting: Setting) -> None:
    token = setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"]).token
    first = setting.accounts.revoke_token(token.id)
    setting.now += 10
    assert setting.accounts.revoke_token(token.id) == first


def test_revocation_of_no_token_is_refused(setting: Setting) -> None:
    with pytest.raises(InstanceNotFound, match="token"):
        setting.accounts.revoke_token("0000")


def test_revoked_token_still_closes_the_door(setting: Setting) -> None:
    setting.accounts.revoke_token(setting.accounts.add_token("ci", Role.INTEGRATOR, ["*"]).token.id)
    assert setting.accounts.any_configured()


def test_accounts_of_another_process_are_seen(setting: Setting, tmp_path: Path) -> None:
    with Database.open(tmp_path / "index.sqlite") as other:
        Accounts(other, lambda: setting.now).add_user("ada", "hash", Role.ADMIN, ["*"])
    assert setting.accounts.any_configured()
