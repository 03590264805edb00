"""Instance Availability Notifications: what the node takes them by, and what sends them."""

from __future__ import annotations

import uuid
from functools import cached_property, partial
from typing import TYPE_CHECKING

from service.archive.availability_notices import AvailabilityNoticeTable
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import STUDIES_BELL, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores

if TYPE_CHECKING:
    from dicom_nodes.service_port import DimseService
    from service.dimse.notice_rounds import NoticeRounds


class Notices:
    """What senders tell of their studies, and what peers are told of ours."""

    def __init__(
        self, ground: Ground, stores: Stores, identity: Identity, reception: Reception, peers: DimsePeers
    ) -> None:
        self._ground = ground
        self._stores = stores
        self._peers = peers
        self._identity = identity
        self._reception = reception

    def services(self) -> tuple[DimseService, ...]:
        """What the node is given; nothing where no project goes by notices."""
        from dicom_nodes.instance_availability import AvailabilityService
        from service.dimse.notice_desk import NoticeDesk, NoticeProject

        projects = self._ground.settings.projects
        going_by_them = [name for name, project in projects.items() if "notification" in project.complete_when]
        if not going_by_them:
            return ()
        desk = NoticeDesk(
            projects={name: NoticeProject(partial(self._served_uid, name)) for name in going_by_them},
            targets=self._targets,
            routes=self._reception.study_routes,
            on_sign=self._ground.ring(STUDIES_BELL),
            clock=self._ground.clock,
        )
        return (AvailabilityService(desk),)

    @cached_property
    def notice_rounds(self) -> NoticeRounds:
        """What tells peers of studies that became complete."""
        from service.dimse.notice_rounds import NoticeRounds

        stores, clock = self._stores, self._ground.clock
        return NoticeRounds(
            table=AvailabilityNoticeTable(stores.database, clock),
            index=stores.instances,
            peer=lambda name: (self._peers.address(name), self._peers.calling(name)),
            retrieve_ae_title=self._retrieve_ae_title,
            new_uid=lambda: f"2.25.{uuid.uuid4().int}",
            clock=clock,
        )

    def _retrieve_ae_title(self, project: str) -> str:
        """The title at which a project's objects can be retrieved."""
        settings = self._ground.settings
        return next(iter(settings.projects[project].ae_titles), settings.dicom.ae_title)

    def _served_uid(self, project: str, uid: str) -> str:
        deidentifier = self._identity.deidentifiers[project]
        return uid if deidentifier is None else deidentifier.map_uid(uid)

    def _targets(self, called_ae_title: str) -> frozenset[str]:
        """The projects that objects sent to a title may land in."""
        project = self._reception.callers.project_of(called_ae_title)
        if project is None:
            return frozenset()
        ruled = (rule.project for rule in self._ground.settings.projects[project].rules)
        return frozenset({project, *(name for name in ruled if name is not None)})
