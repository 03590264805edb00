"""What DICOMweb is handed: every collaborator by name."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from service.core.encoded_bytes import Keep
from service.core.ports import BlobStore, InstanceStore
from service.core.records import Incoming, Outcome
from service.core.search import InstanceSearcher
from service.web.dicomweb.links import LinkBase


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
    store : takes one incoming object through ingest and says what became of it
    projects : names of the configured projects
    public_url : where callers reach the gateway, if that is not what their requests say
    trusted_proxy : whether X-Forwarded-Proto, -Host, -Port and -Prefix are believed
    note : tells the audit trail what was stored
    part_limit_bytes : the largest object that one store request may carry in a part
    keep : keeps a part while it is stored
    page_limit : results of a search at most, whatever is asked for
    boundary : makes the boundary of a multipart answer
    clock : seconds since the epoch, UTC
    """

    index: InstanceStore
    search: InstanceSearcher
    blobs: BlobStore
    store: Callable[[Incoming], Outcome]
    projects: Collection[str]
    public_url: str | None = None
    trusted_proxy: bool = False
    note: AuditNote = _note_nothing
    part_limit_bytes: int = 8 << 30
    keep: Keep = b"".join
    page_limit: int = 10_000
    boundary: Callable[[], str] = field(default=lambda: secrets.token_hex(16))
    clock: Callable[[], float] = time.time

    @property
    def links(self) -> LinkBase:
        """Where the links in answers begin."""
        return LinkBase(self.public_url, trust_forwarded=self.trusted_proxy)
