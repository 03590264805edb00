from __future__ import annotations

import pytest

from dicom_nodes.callers import Rejection
from dicom_nodes.service_port import Caller
from dicom_nodes.user_identity import UserIdentity
from service.archive.accounts import User
from service.core.access import Role
from service.dimse.caller_identity import AccountIdentities, UserRequirement

UNKNOWN, MISSING = Rejection.USER_NOT_KNOWN, Rejection.USER_MISSING
ACCOUNTS = {
    name: User(name, Role.READER, frozenset(projects), disabled, 1.0, f"hash of {name}")
    for name, projects, disabled in [
        ("ann", ["default"], False),
        ("everywhere", ["*"], False),
        ("elsewhere", ["research"], False),
        ("gone", ["*"], True),
    ]
}
SAML = UserIdentity("", kind=4)


def verdict(identity: UserIdentity | None, needed: str = "none", *, accounts: bool = True) -> Rejection | bool:
    identities = AccountIdentities(
        user=(ACCOUNTS if accounts else {}).get,
        any_accounts=lambda: accounts,
        matches=lambda hashed, password: hashed is not None and password == f"secret of {hashed[8:]}",
        requirements={"SCANNER": UserRequirement(needed)},
        project_of={"ANNOGATE": "default"}.get,
    )
    return identities.verify(Caller("SCANNER", "ANNOGATE", "192.0.2.1"), identity)


def named(name: str, password: str | None = None) -> UserIdentity:
    return UserIdentity(name, password, 1 if password is None else 2)


@pytest.mark.parametrize(
    ("identity", "needed", "expected"),
    [
        (None, "none", False),
        (None, "name", MISSING),
        (None, "password", MISSING),
        (SAML, "none", False),
        (SAML, "name", UNKNOWN),
        (SAML, "password", UNKNOWN),
        (named("nobody"), "none", False),
        (named("nobody"), "name", UNKNOWN),
        (named("ann"), "name", True),
        (named("ann"), "password", UNKNOWN),
        (named("ann", "secret of ann"), "none", True),
        (named("ann", "secret of ann"), "name", True),
        (named("ann", "secret of ann"), "password", True),
        (named("ann", "guess"), "none", UNKNOWN),
        (named("ann", "guess"), "name", UNKNOWN),
        (named("ann", "guess"), "password", UNKNOWN),
        (named("nobody", "guess"), "none", UNKNOWN),
        (named("everywhere", "secret of everywhere"), "password", True),
        (named("elsewhere", "secret of elsewhere"), "password", UNKNOWN),
        (named("gone", "secret of gone"), "password", UNKNOWN),
    ],
)
def test_who_may_come_in(identity: UserIdentity | None, needed: str, expected: Rejection | bool) -> None:
    assert verdict(identity, needed) is expected


def test_without_accounts_nobody_is_confirmed() -> None:
    assert verdict(named("ann", "secret of ann"), accounts=False) is False
    assert verdict(named("ann", "secret of ann"), "password", accounts=False) is UNKNOWN
