"""Instance Availability Notifications: what the node takes them by."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from service.bootstrap.ground import STUDIES_BELL, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.reception import Reception

if TYPE_CHECKING:
    from dicom_nodes.service_port import DimseService


class Notices:
    """What senders tell of their studies."""

    def __init__(self, ground: Ground, identity: Identity, reception: Reception) -> None:
        self._ground = ground
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
