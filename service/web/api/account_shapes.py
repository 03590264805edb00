"""Users and tokens."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from service.archive.accounts import ACCOUNT_NAME, NewToken, Token, User
from service.core.access import Role
from service.web.api.shapes import AskedMoment, Moment, Shape, Text, moment, moment_or_none


class UserShape(Shape):
    """A person with a password."""

    name: str = Field(description="The user name")
    role: Role = Field(description="What they may do")
    projects: list[str] = Field(description="Where; * is everywhere")
    disabled: bool = Field(description="Locked out")
    created_at: Moment = Field(description="Since when")

    @classmethod
    def of(cls, user: User) -> Self:
        """From a row of the index; the password's hash stays there."""
        return cls(
            name=user.name,
            role=user.role,
            projects=sorted(user.projects),
            disabled=user.disabled,
            created_at=moment(user.created_at),
        )


class UserList(Shape):
    """All users."""

    users: list[UserShape] = Field(description="The users, by name")


class NewUser(Shape):
    """A user to be added."""

    name: str = Field(pattern=ACCOUNT_NAME, description="1 to 64 letters, digits and . _ @ -")
    password: Text = Field(min_length=12, max_length=1024, repr=False, description="12 characters or more")
    role: Role = Field(description="What they may do")
    projects: list[Text] = Field(min_length=1, description="Where; * is everywhere")


class UserChange(Shape):
    """What to change about a user; what is absent stays."""

    password: Text | None = Field(None, min_length=12, max_length=1024, repr=False, description="Another password")
    role: Role | None = Field(None, description="Another role")
    projects: list[Text] | None = Field(None, min_length=1, description="Other projects")
    disabled: bool | None = Field(None, description="Lock out, or let in again")


class TokenShape(Shape):
    """A program's grant, without its secret."""

    id: str = Field(description="What it is called here")
    name: str = Field(description="What people call it")
    role: Role = Field(description="What it may do")
    projects: list[str] = Field(description="Where; * is everywhere")
    created_at: Moment = Field(description="Since when")
    expires_at: Moment | None = Field(description="Until when")
    revoked_at: Moment | None = Field(description="When it was ended")

    @classmethod
    def of(cls, token: Token) -> Self:
        """From a row of the index."""
        return cls(
            id=token.id,
            name=token.name,
            role=token.role,
            projects=sorted(token.projects),
            created_at=moment(token.created_at),
            expires_at=moment_or_none(token.expires_at),
            revoked_at=moment_or_none(token.revoked_at),
        )


class TokenList(Shape):
    """All tokens."""

    tokens: list[TokenShape] = Field(description="The tokens, the newest first")


class NewTokenRequest(Shape):
    """A token to be made."""

    name: str = Field(pattern=ACCOUNT_NAME, description="1 to 64 letters, digits and . _ @ -")
    role: Role = Field(description="What it may do")
    projects: list[Text] = Field(min_length=1, description="Where; * is everywhere")
    expires_at: AskedMoment | None = Field(None, description="Until when; for ever otherwise")


class NewTokenShape(Shape):
    """A token just made."""

    token: TokenShape = Field(description="The grant")
    secret: str = Field(repr=False, description="What the program sends as Bearer; it is shown this once")

    @classmethod
    def of(cls, made: NewToken) -> Self:
        """From the token just made."""
        return cls(token=TokenShape.of(made.token), secret=made.secret)
