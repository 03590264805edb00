"""User Identity Negotiation (PS3.7 D.3.3.7), as acceptor and as requestor.

User names and passwords are understood. Kerberos tickets, SAML assertions and JSON Web Tokens are never confirmed:
there is nobody here who could say whether they hold. A password is never kept, shown or logged.
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
    """Who a requestor says that it is.

    Parameters
    ----------
    passcode : None where it gives none
    kind : User Identity Type; of those that are not understood nothing else is kept
    """

    username: str
    passcode: str | None = field(default=None, repr=False)
    kind: int = IdentityType.USERNAME

    @property
    def is_understood(self) -> bool:
        """Whether it is a user name, with or without a password."""
        return self.kind in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE)


class IdentityPolicy(Protocol):
    """Decides over user identities, at association."""

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | bool:
        """Why the caller may not come in; otherwise whether its identity was confirmed, or just let pass."""


class AnyIdentity:
    """Asks nobody who they are, and confirms nobody."""

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | bool:  # noqa: ARG002 -- the port's
        """False."""
        return False


def offered_identity(negotiated: Any) -> UserIdentity | None:
    """The identity of pynetdicom's negotiation item; None where there is none."""
    if negotiated is None:
        return None
    kind = int(negotiated.user_identity_type or 0)
    if kind not in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
        return UserIdentity("", kind=kind)
    try:
        username = (negotiated.primary_field or b"").decode("utf-8")
        passcode = (negotiated.secondary_field or b"").decode("utf-8")
    except UnicodeDecodeError:
        return UserIdentity("", kind=0)
    return UserIdentity(username, passcode if kind == IdentityType.USERNAME_AND_PASSCODE else None, kind)


def identity_response() -> Any:
    """The positive response to a user name, with or without a password: it is empty (PS3.7 D.3.3.7.2)."""
    item = UserIdentityNegotiation()
    item.server_response = b""
    return item


def identity_item(identity: UserIdentity) -> Any:
    """The negotiation item by which we say who we are; a positive response is asked for."""
    item = UserIdentityNegotiation()
    kind = IdentityType.USERNAME if identity.passcode is None else IdentityType.USERNAME_AND_PASSCODE
    item.user_identity_type = int(kind)
    item.positive_response_requested = True
    item.primary_field = identity.username.encode("utf-8")
    if identity.passcode is not None:
        item.secondary_field = identity.passcode.encode("utf-8")
    return item
