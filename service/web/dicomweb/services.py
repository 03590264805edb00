"""What DICOMweb is handed: every collaborator by name."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from service.core.ports import BlobStore, InstanceReader
from service.core.search import InstanceSearcher
from service.ingest.direct_intake import BeginIntake, IntakeLimits
from service.web.dicomweb.links import LinkBase
from service.web.dicomweb.resources import NothingDeleted, Trash
from service.web.dicomweb.store_body import Keeping, StoreLimits


class AuditNote(Protocol):
    """Says what the request that is being answered is about, where its address does not tell.

    ``target`` holds UIDs as served, ``detail`` numbers and words of our own; nothing that a caller brought.
    """

    def __call__(self, target: str, *, project: str = "", **detail: str | int | list[str]) -> None:
        """Note it for the row of the audit trail that the guard writes."""
        ...


def _note_nothing(target: str, *, project: str = "", **detail: str | int | list[str]) -> None:
    del target, project, detail


@dataclass(frozen=True, slots=True)
class DicomWebServices:
    """The collaborators of the DICOMweb blueprint.

    Parameters
    ----------
    store : takes incoming objects through ingest, several at once and in two steps, and says what became of each
    projects : names of the configured projects
    trash : what people deleted
    public_url : where callers reach the gateway, if that is not what their requests say
    trusted_proxy : whether X-Forwarded-Proto, -Host, -Port and -Prefix are believed
    note : tells the audit trail what was stored
    deidentified : names of those projects that hold nothing that tells who a patient is
    store_limits : how much one store request may bring
    keeping : keeps what it brings while it is stored
    intake : how much of it goes through ingest at once
    page_limit : results of a search at most, whatever is asked for
    boundary : makes the boundary of a multipart answer
    clock : seconds since the epoch, UTC
    """

    index: InstanceReader
    search: InstanceSearcher
    blobs: BlobStore
    store: BeginIntake
    projects: Collection[str]
    trash: Trash = field(default_factory=NothingDeleted)
    public_url: str | None = None
    trusted_proxy: bool = False
    note: AuditNote = _note_nothing
    deidentified: Collection[str] = ()
    store_limits: StoreLimits = field(default_factory=StoreLimits)
    keeping: Keeping = field(default_factory=Keeping)
    intake: IntakeLimits = field(default_factory=IntakeLimits)
    page_limit: int = 10_000
    boundary: Callable[[], str] = field(default=lambda: secrets.token_hex(16))
    clock: Callable[[], float] = time.time

    @property
    def links(self) -> LinkBase:
        """Where the links in answers begin."""
        return LinkBase(self.public_url, trust_forwarded=self.trusted_proxy)
