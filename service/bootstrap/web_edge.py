"""The web edge: what pages, DICOMweb and the JSON interface are handed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from service import __version__
from service.bootstrap.deletion import Deletion
from service.bootstrap.delivery import Delivery
from service.bootstrap.fetching import Fetching
from service.bootstrap.ground import GIBIBYTE, MEBIBYTE, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores
from service.bootstrap.versions import Versions
from service.bootstrap.worklist import Worklist
from service.deident.keys import KeyFile

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from service.ingest.direct_intake import BeginIntake
    from service.settings.http import StoreSettings
    from service.web.dicomweb.services import DicomWebServices
    from service.web.dicomweb.store_body import StoreLimits

DEFAULT_PROJECT = "default"
# What `make viewer` unpacks beside the code.
UNPACKED_VIEWER = Path(__file__).resolve().parents[2] / "viewer" / "dist"


class WebEdge:
    """What speaks HTTP."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        identity: Identity,
        reception: Reception,
        delivery: Delivery,
        fetching: Fetching,
        deletion: Deletion,
        worklist: Worklist,
        versions: Versions,
    ) -> None:
        self._versions = versions
        self._ground = ground
        self._stores = stores
        self._identity = identity
        self._reception = reception
        self._delivery = delivery
        self._fetching = fetching
        self._deletion = deletion
        self._worklist = worklist

    def refuse_open_listener(self) -> None:
        """Refuse to serve the web to other machines while nobody has to say who they are.

        Raises
        ------
        SettingsInvalid : with the reason
        """
        from service.web.auth import refuse_open_listener

        http = self._ground.settings.http
        refuse_open_listener(
            http.host,
            self._stores.accounts.any_configured(),
            trusted_proxy=http.trusted_proxy,
            public_url=http.public_url,
        )

    @cached_property
    def viewer_directory(self) -> Path | None:
        """Where the unpacked viewer lies, if it is there."""
        directory = self._ground.settings.http.viewer_dir or UNPACKED_VIEWER
        return directory if directory.is_dir() else None

    def pings(self) -> dict[str, Callable[[], Any]]:
        """What tells whether each part is well; each raises when it is not."""
        directory = self._ground.directory
        return {
            "index": self._stores.project_table.names,
            "blobs": lambda: next(directory.blobs.iterdir(), None),
            "spool": lambda: next(directory.spool.iterdir(), None),
            "keys": lambda: KeyFile.load(directory.keys),
        }

    def web_application(self, new_helper: Callable[[], socket] | None = None) -> WSGIApplication:
        """The web edge as a WSGI application.

        Parameters
        ----------
        new_helper : starts a process that takes in what is stored, and gives the channel to it
        """
        from service.web.app import create_app
        from service.web.auth import is_loopback
        from service.web.services import WebServices
        from service.web.viewer.configuration import ViewerSettings

        ground, stores, reception = self._ground, self._stores, self._reception
        http, named = ground.settings.http, ground.settings.projects
        return create_app(
            WebServices(
                version=__version__,
                projects=tuple(named),
                default_project=DEFAULT_PROJECT,
                listens_on_loopback=is_loopback(http.host),
                dicomweb=self._dicomweb(self._store(new_helper)),
                instances=stores.instances,
                overview=stores.overview,
                quarantine=stores.quarantine_table,
                desk=reception.quarantine_desk,
                conflicts=stores.conflicts,
                accounts=stores.accounts,
                audit=stores.audit,
                accesses=stores.audit_buffer,
                viewer_settings=ViewerSettings.load(ground.config / "viewer"),
                viewer_directory=self.viewer_directory,
                pings=self.pings(),
                form_key=ground.key_file.sealing_key("forms"),
                why_held=self._delivery.why_held,
                standing=self._delivery.standing,
                releases=self._delivery.release_desk,
                outbox=self._delivery.outbox_desk,
                deletions=self._deletion.deletion_desk,
                versions=self._versions.version_desk,
                restoring=self._versions.version_restoring,
                author_name=self._versions.author_name,
                pulls=self._fetching.pull_desk,
                worklist=self._worklist.services(),
                recall=self._delivery.recall_desk,
                rejections=self._delivery.rejection_desk,
                lookup=self._identity.look_up,
                cleaning=stores.study_cleaning.of,
                problems=reception.arrival_judge.problems_held,
                crosswalk=self._identity.crosswalk,
                notices=lambda: self._identity.notices() + self._delivery.notices(),
                search_attributes=stores.search_attributes.all,
                blind_to_models=frozenset(name for name, one in named.items() if not one.readers_see_models),
                trusted_proxy=http.trusted_proxy,
                cors_origins=frozenset(http.cors_origins),
                clock=ground.clock,
            )
        )

    def _store(self, new_helper: Callable[[], socket] | None) -> BeginIntake:
        """What takes instances in for STOW-RS: with helpers, if they can be had."""
        from service.ingest.intake_helper import IntakeHelpers

        here, most = self._reception.pipeline.begin_batch, self._ground.settings.http.store.helpers
        if new_helper is None or not most:
            return here
        helpers = IntakeHelpers(here, new_helper, most)
        self._ground.opened.callback(helpers.close)
        return helpers.begin

    def _dicomweb(self, store: BeginIntake) -> DicomWebServices:
        from service.archive.search import InstanceSearch
        from service.web.dicomweb.services import DicomWebServices
        from service.web.dicomweb.store_body import Keeping
        from service.web.guard import audit_target

        ground, stores = self._ground, self._stores
        http, named = ground.settings.http, ground.settings.projects
        return DicomWebServices(
            index=stores.instances,
            search=InstanceSearch(stores.database),
            blobs=stores.blobs,
            store=store,
            projects=tuple(named),
            trash=stores.trash,
            public_url=http.public_url,
            trusted_proxy=http.trusted_proxy,
            note=audit_target,
            deidentified=tuple(name for name, project in named.items() if project.deidentify != "none"),
            store_limits=_store_limits(http.store),
            keeping=Keeping(ground.scratch.keep, ground.scratch.shelf),
            clock=ground.clock,
        )


def _store_limits(settings: StoreSettings) -> StoreLimits:
    from service.web.dicomweb.store_body import StoreLimits

    return StoreLimits(
        part_bytes=int(settings.part_gib * GIBIBYTE),
        parts=settings.parts,
        metadata_bytes=settings.metadata_mib * MEBIBYTE,
        inflated_bytes=int(settings.inflated_gib * GIBIBYTE),
    )
