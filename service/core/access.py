"""Who calls, and what a role is: the words that every edge decides with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

EVERY_PROJECT = "*"


class Role(StrEnum):
    """What somebody may do; the table of routes says which role may which route."""

    ADMIN = "admin"
    """Sets up users and tokens, decides on quarantine, sees everything."""
    LEAD = "lead"
    """Runs projects: sees their studies and results, decides on their quarantine."""
    READER = "reader"
    """Reads images and stores annotations."""
    INTEGRATOR = "integrator"
    """A program: sends, searches and fetches over DICOMweb and the API."""
    AUDITOR = "auditor"
    """Reads the audit trail and the state of things, never an image."""


class CallerKind(StrEnum):
    """How a caller was recognised."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 - a word of the audit trail
    LOCAL = "local"
    """Somebody on this host, where no users or tokens are configured."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody we know, with what was granted to them.

    Parameters
    ----------
    name : user name, or the token's name
    projects : names of the projects that they may reach; ``*`` among them is every one
    account : stays with the user or token whatever it is called; "" on this host
    """

    name: str
    kind: CallerKind
    role: Role
    projects: frozenset[str]
    account: str = ""

    def may_reach(self, project: str) -> bool:
        """Whether the grant covers this project."""
        return EVERY_PROJECT in self.projects or project in self.projects

    @property
    def stores_as(self) -> str:
        """Under what is kept who stored something: their account, or "local" on this host, where there are none."""
        return self.account or str(self.kind)

    @property
    def reaches_every_project(self) -> bool:
        """Whether the grant names no single projects."""
        return EVERY_PROJECT in self.projects


LOCAL_ADMINISTRATOR = Caller("local", CallerKind.LOCAL, Role.ADMIN, frozenset({EVERY_PROJECT}))
