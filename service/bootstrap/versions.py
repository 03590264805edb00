"""Versions of annotations: where people look at them, compare and restore them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from service import audit_events
from service.bootstrap.ground import IMPLEMENTATION_VERSION, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.stores import Stores
from service.core.implementation import random_uid

if TYPE_CHECKING:
    from service.core.versions import VersionRow
    from service.versions.conversion import VersionConversion
    from service.versions.desk import VersionDesk
    from service.versions.restoring import VersionRestoring


class Versions:
    """The parts of versions."""

    def __init__(self, ground: Ground, stores: Stores, identity: Identity) -> None:
        self._ground = ground
        self._stores = stores
        self._identity = identity

    @cached_property
    def version_desk(self) -> VersionDesk:
        """Where people look at them."""
        from service.versions.desk import VersionDesk

        stores = self._stores
        return VersionDesk(stores.annotation_versions, stores.instances.seen_by, stores.blobs)

    @cached_property
    def version_restoring(self) -> VersionRestoring:
        """Where people restore them."""
        from service.versions.restoring import VersionRestoring

        stores = self._stores
        return VersionRestoring(
            database=stores.database,
            index=stores.instances,
            blobs=stores.blobs,
            versions=stores.annotation_versions,
            desk=self.version_desk,
            moved_now=self._identity.moved_now,
            clock=self._ground.clock,
            new_uid=random_uid,
            version=IMPLEMENTATION_VERSION,
            on_restored=self._note,
        )

    @cached_property
    def version_conversion(self) -> VersionConversion:
        """What writes them as other kinds of objects."""
        from service.versions.conversion import VersionConversion

        stores = self._stores
        return VersionConversion(
            desk=self.version_desk,
            seen_by=stores.instances.seen_by,
            blobs=stores.blobs,
            moved_now=self._identity.moved_now,
            version=IMPLEMENTATION_VERSION,
        )

    def author_name(self, account: str) -> str:
        """What an account is called; empty where it is nobody's (any more)."""
        accounts = self._stores.accounts
        names = {user.id: user.name for user in accounts.users()} | {one.id: one.name for one in accounts.tokens()}
        return names.get(account, "")

    def _note(self, version: VersionRow, by: str) -> None:
        self._stores.audit.record(audit_events.of_restored_version(version, by))
