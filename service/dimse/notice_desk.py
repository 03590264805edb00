"""Where Instance Availability Notifications are taken: they say how many instances of a study there are to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from dicom_nodes.errors import CallerNotAllowed
from dicom_nodes.instance_availability import Availability, AvailabilityNotice
from dicom_nodes.service_port import Caller
from service.archive.study_routes import SignKind, StudyRouteTable

_log = structlog.get_logger("annogate.notices")
_TO_BE_HAD = frozenset({Availability.ONLINE, Availability.NEARLINE})


@dataclass(frozen=True, slots=True)
class NoticeProject:
    """One project whose studies may be complete by notices; ``served_uid`` gives the UID that a study is served by."""

    served_uid: Callable[[str], str]


class NoticeDesk:
    """Fills ``dicom_nodes.instance_availability.NoticeDesk``.

    Parameters
    ----------
    projects : those that go by notices, by name
    targets : the projects that a called AE title's objects may land in; empty where there is none
    on_sign : wakes whoever waits for studies to become complete
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        projects: Mapping[str, NoticeProject],
        targets: Callable[[str], frozenset[str]],
        routes: StudyRouteTable,
        on_sign: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._projects = dict(projects)
        self._targets = targets
        self._routes = routes
        self._on_sign = on_sign
        self._clock = clock

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may tell us: whoever reached a project may."""
        return bool(self._targets(caller.called_ae_title))

    def noticed(self, caller: Caller, notice: AvailabilityNotice) -> None:
        """Take a notice; durable when this returns.

        Raises
        ------
        CallerNotAllowed : no project answers to the title that was called
        """
        targets = self._targets(caller.called_ae_title)
        if not targets:
            raise CallerNotAllowed("no project answers to this AE title")
        images = sum(instance.availability in _TO_BE_HAD for instance in notice.instances)
        for name in sorted(targets & self._projects.keys()):
            study_uid = self._projects[name].served_uid(notice.study_uid)
            self._routes.give_sign(name, study_uid, SignKind.NOTIFICATION, self._clock(), images)
        _log.info("study.noticed", peer=caller.calling_ae_title, images=images)
        self._on_sign()
