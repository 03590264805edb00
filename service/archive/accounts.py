"""Users and tokens, as rows of the index.

A password is kept as the hash that the web edge made of it (argon2id), a token as the SHA-256 of its 256 random bits:
neither can be read back. A token is shown once, when it is made.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from service.archive.database import Database
from service.archive.schema import tokens, users
from service.core.access import Role
from service.errors import BadRequest, ContentConflict, InstanceNotFound

TOKEN_PREFIX = "annogate_"  # noqa: S105 - what secret scanners can look for
# Asked with every request: built once.
_ANY = select(literal(1)).where(select(users.c.name).exists() | select(tokens.c.id).exists())
_USER = select(users).where(users.c.name == bindparam("wanted"))
_TOKEN = select(tokens).where(tokens.c.hash == bindparam("wanted"))
ACCOUNT_NAME = r"^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$"
_NAME = re.compile(ACCOUNT_NAME, re.ASCII)


@dataclass(frozen=True, slots=True)
class User:
    """A person with a password."""

    name: str
    role: Role
    projects: frozenset[str]
    disabled: bool
    created_at: float
    password_hash: str = field(repr=False)
    id: str = ""
    """Stays theirs when they are called otherwise."""


@dataclass(frozen=True, slots=True)
class Token:
    """A program's grant; its secret is not kept."""

    id: str
    name: str
    role: Role
    projects: frozenset[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def holds_at(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made: the only time that its secret can be seen."""

    token: Token
    secret: str = field(repr=False)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadRequest("a name has 1 to 64 letters, digits and . _ @ -, and begins and ends with a letter or digit")
    return name


def _projects_text(projects: Iterable[str]) -> str:
    names = sorted(set(projects))
    if not names:
        raise BadRequest("an account needs at least one project; * stands for every one")
    return json.dumps(names)


def _user(row: Row[Any]) -> User:
    return User(
        row.name,
        Role(row.role),
        frozenset(json.loads(row.projects)),
        bool(row.disabled),
        row.created_at,
        row.password_hash,
        row.id,
    )


def _token(row: Row[Any]) -> Token:
    grant = frozenset(json.loads(row.projects))
    return Token(row.id, row.name, Role(row.role), grant, row.created_at, row.expires_at, row.revoked_at)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class Accounts:
    """The users and tokens of a gateway.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    random_bytes : the source of tokens; ``os.urandom`` outside of tests
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes
        self._any_seen = False

    def any_configured(self) -> bool:
        """Whether there is a user or token at all, disabled, expired and revoked ones included.

        Disabling the last account must not open the door that the first one closed. Rows are never removed, so what
        was seen once holds.
        """
        if not self._any_seen:
            with self._database.read() as connection:
                self._any_seen = connection.execute(_ANY).first() is not None
        return self._any_seen

    def add_user(self, name: str, password_hash: str, role: Role, projects: Iterable[str]) -> User:
        """Add a user.

        Raises
        ------
        BadRequest : the name is not one, or no project is given
        ContentConflict : the name is taken
        """
        row = {
            "name": _checked_name(name),
            "password_hash": password_hash,
            "role": role.value,
            "projects": _projects_text(projects),
            "id": self._random_bytes(16).hex(),
            "created_at": self._clock(),
        }
        try:
            with self._database.write() as connection:
                connection.execute(insert(users).values(**row))
        except IntegrityError as error:
            raise ContentConflict(f"there is a user {name} already") from error
        return self._existing(name)

    def user(self, name: str) -> User | None:
        """The user of this name; what cannot be a name, such as one with NUL, is not looked for."""
        if not _NAME.fullmatch(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(_USER, {"wanted": name}).first()
        return _user(row) if row else None

    def users(self) -> list[User]:
        """All users, by name."""
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def set_password_hash(self, name: str, password_hash: str) -> User:
        """Give a user another password."""
        return self._change(name, password_hash=password_hash)

    def set_disabled(self, name: str, disabled: bool) -> User:
        """Lock a user out, or let them in again."""
        return self._change(name, disabled=disabled)

    def set_grant(self, name: str, role: Role, projects: Iterable[str]) -> User:
        """Change what a user may do."""
        return self._change(name, role=role.value, projects=_projects_text(projects))

    def _change(self, name: str, **values: object) -> User:
        with self._database.write() as connection:
            connection.execute(update(users).where(users.c.name == name).values(**values))
        return self._existing(name)

    def _existing(self, name: str) -> User:
        user = self.user(name)
        if user is None:
            raise InstanceNotFound(f"there is no user {name[:64]}")
        return user

    def add_token(self, name: str, role: Role, projects: Iterable[str], expires_at: float | None = None) -> NewToken:
        """Make a token of 256 random bits; its secret is in the answer and nowhere else.

        Raises
        ------
        BadRequest : the name is not one, no project is given, or it would expire in the past
        """
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise BadRequest("a token cannot expire in the past")
        secret = TOKEN_PREFIX + base64.urlsafe_b64encode(self._random_bytes(32)).rstrip(b"=").decode()
        row = {
            "id": self._random_bytes(8).hex(),
            "name": _checked_name(name),
            "hash": _digest(secret),
            "role": role.value,
            "projects": _projects_text(projects),
            "created_at": now,
            "expires_at": expires_at,
        }
        with self._database.write() as connection:
            connection.execute(insert(tokens).values(**row))
        return NewToken(self._existing_token(str(row["id"])), secret)

    def token_of(self, secret: str) -> Token | None:
        """The token with this secret, while it holds.

        It is looked up by the SHA-256 of what was presented: timing tells nothing of a secret that is not known.
        """
        if not secret.startswith(TOKEN_PREFIX):
            return None
        with self._database.read() as connection:
            row = connection.execute(_TOKEN, {"wanted": _digest(secret)}).first()
        token = _token(row) if row else None
        return token if token is not None and token.holds_at(self._clock()) else None

    def tokens(self) -> list[Token]:
        """All tokens, revoked and expired ones included, newest first."""
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.created_at.desc()))]

    def revoke_token(self, token_id: str) -> Token:
        """End a token at once; revoking it again changes nothing."""
        ended = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        with self._database.write() as connection:
            connection.execute(ended.values(revoked_at=self._clock()))
        return self._existing_token(token_id)

    def _existing_token(self, token_id: str) -> Token:
        with self._database.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
        if row is None:
            raise InstanceNotFound("there is no such token")
        return _token(row)
