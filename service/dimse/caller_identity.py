"""User identities of DIMSE callers (PS3.7 D.3.3.7), held against the accounts of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from dicom_nodes.callers import Rejection
from dicom_nodes.service_port import Caller
from dicom_nodes.user_identity import UserIdentity
from service.archive.accounts import User

EVERY_PROJECT = "*"


class UserRequirement(StrEnum):
    """What a caller has to say of its user."""

    NONE = "none"
    """Nothing; a password that it gives has to be right all the same, once there are accounts."""
    NAME = "name"
    """The name of an account that may reach the project."""
    PASSWORD = "password"  # noqa: S105 -- the word
    """Name and password of one."""


class AccountIdentities:
    """Fills ``dicom_nodes.user_identity.IdentityPolicy``.

    Parameters
    ----------
    user : the account of a name
    any_accounts : whether there are accounts at all
    matches : whether a password is the one that was hashed; takes as long for no hash, and says no
    requirements : by calling AE title; none is required of others
    project_of : the project of a called AE title
    """

    def __init__(
        self,
        *,
        user: Callable[[str], User | None],
        any_accounts: Callable[[], bool],
        matches: Callable[[str | None, str], bool],
        requirements: Mapping[str, UserRequirement],
        project_of: Callable[[str], str | None],
    ) -> None:
        self._user = user
        self._any_accounts = any_accounts
        self._matches = matches
        self._requirements = dict(requirements)
        self._project_of = project_of

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | bool:
        """Why the caller may not come in; otherwise whether its identity was confirmed, or just let pass."""
        needed = self._requirements.get(caller.calling_ae_title, UserRequirement.NONE)
        if identity is None:
            return False if needed is UserRequirement.NONE else Rejection.USER_MISSING
        if needed is UserRequirement.NONE and (identity.passcode is None or not self._any_accounts()):
            return False
        if not identity.is_understood or (needed is UserRequirement.PASSWORD and identity.passcode is None):
            return Rejection.USER_NOT_KNOWN
        return self._is_right(caller, identity) or Rejection.USER_NOT_KNOWN

    def _is_right(self, caller: Caller, identity: UserIdentity) -> bool:
        user = self._user(identity.username)
        if user is not None and user.disabled:
            user = None
        hashed = None if user is None else user.password_hash
        if identity.passcode is not None and not self._matches(hashed, identity.passcode):
            return False
        if user is None:
            return False
        return bool(user.projects & {EVERY_PROJECT, self._project_of(caller.called_ae_title)})
