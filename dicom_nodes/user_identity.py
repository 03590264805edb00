"""User Identity Negotiation (PS3.7 D.3.3.7), as acceptor and as requestor.

User names and passwords are understood. Kerberos tickets, SAML assertions and JSON Web Tokens are refused: there is
nobody here who could say whether they hold. A password is never kept, shown or logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicom_nodes.callers import Rejection
from dicom_nodes.service_port import Caller


class IdentityType(IntEnum):
    """User Identity Type (PS3.7 Table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who a requestor says that it is; ``passcode`` is None where it gives none."""

    username: str
    passcode: str | None = field(default=None, repr=False)


class IdentityPolicy(Protocol):
    """Decides over user identities, at association."""

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | None:
        """None if the caller may come in as this user, or as nobody; otherwise why not."""


class AnyIdentity:
    """Asks nobody who they are, and believes whatever they say."""

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | None:  # noqa: ARG002 -- the port's
        """None."""
        return None


def offered_identity(negotiated: Any) -> UserIdentity | None:
    """The identity of pynetdicom's negotiation item; None where there is none.

    Raises
    ------
    ValueError : of a type that is not understood, or not in UTF-8
    """
    if negotiated is None:
        return None
    kind = negotiated.user_identity_type
    if kind not in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
        raise ValueError("a user identity of a type that is not understood")
    try:
        username = (negotiated.primary_field or b"").decode("utf-8")
        passcode = (negotiated.secondary_field or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("a user identity that is not in UTF-8") from None
    return UserIdentity(username, passcode if kind == IdentityType.USERNAME_AND_PASSCODE else None)


def identity_response() -> Any:
    """The positive response to a user name, with or without a password: it is empty (PS3.7 D.3.3.7.2)."""
    item = UserIdentityNegotiation()
    item.server_response = b""
    return item


def identity_item(identity: UserIdentity) -> Any:
    """The negotiation item by which we say who we are; a positive response is asked for."""
    item = UserIdentityNegotiation()
    item.user_identity_type = int(
        IdentityType.USERNAME if identity.passcode is None else IdentityType.USERNAME_AND_PASSCODE
    )
    item.positive_response_requested = True
    item.primary_field = identity.username.encode("utf-8")
    if identity.passcode is not None:
        item.secondary_field = identity.passcode.encode("utf-8")
    return item
