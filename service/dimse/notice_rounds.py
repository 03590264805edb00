"""Tells peers of studies that became complete (PS3.4 Annex R, SCU); those that are away are told later, for days."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import structlog

from dicom_nodes.commitment import Reference
from dicom_nodes.errors import GatewayError
from dicom_nodes.instance_availability import Availability, AvailabilityNotice, AvailableInstance, notify
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from service.archive.availability_notices import AvailabilityNoticeTable, NoticeRow
from service.archive.instances import InstanceIndex
from service.core.fault_place import fault_place

_LEASE_S: Final = 600.0
_REST_S: Final = 10.0
_FIRST_PAUSE_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 3600.0
_GIVE_UP_S: Final = 7 * 86400.0

_log = structlog.get_logger("annogate.notices")


class NoticeRounds:
    """Sends what is due; any number may go round beside each other, on any host.

    Parameters
    ----------
    peer : address of a peer by its name, and how it is called
    retrieve_ae_title : by project, the title at which its objects can be retrieved
    new_uid : makes a UID that nobody had before
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        table: AvailabilityNoticeTable,
        index: InstanceIndex,
        peer: Callable[[str], tuple[PeerAddress, RequestorSettings]],
        retrieve_ae_title: Callable[[str], str],
        new_uid: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._index = index
        self._peer = peer
        self._retrieve_ae_title = retrieve_ae_title
        self._new_uid = new_uid
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Go round until ``stop`` is set."""
        while not stop.is_set():
            try:
                while not stop.is_set() and self.work():
                    pass
            except GatewayError as error:
                _log.error("notices.trouble", reason=str(error))
            except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next round does it
                _log.error("notices.trouble", reason=fault_place(error))
            stop.wait(_REST_S)

    def work(self) -> bool:
        """Tell what has been due longest; whether anything was.

        Raises
        ------
        GatewayError : the index failed
        """
        row = self._table.lease(_LEASE_S)
        if row is None:
            return False
        notice = self._notice(row)
        try:
            if notice.series:
                address, settings = self._peer(row.peer)
                notify(address, notice, self._new_uid(), settings)
        except GatewayError as error:
            self._put_off(row, str(error))
        else:
            self._table.sent(row)
            _log.info("study.told", project=row.project, peer=row.peer)
        return True

    def _put_off(self, row: NoticeRow, words: str) -> None:
        _log.warning("study.not_told", project=row.project, peer=row.peer, reason=words)
        if self._clock() - row.completed_at > _GIVE_UP_S:
            self._table.give_up(row, words)
        else:
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(row.attempts, 30), _LONGEST_PAUSE_S)
            self._table.put_off(row, pause_s, words)

    def _notice(self, row: NoticeRow) -> AvailabilityNotice:
        """What can be had of the study now, in the UIDs under which it is served."""
        title = self._retrieve_ae_title(row.project)
        series: dict[str, list[AvailableInstance]] = defaultdict(list)
        for one in self._index.instances_of(row.project, row.study_uid):
            if one.author:
                continue  # peers are served no reader's annotations
            reference = Reference(one.sop_class_uid, one.sop_instance_uid)
            series[one.series_uid].append(AvailableInstance(reference, Availability.ONLINE, title))
        return AvailabilityNotice(row.study_uid, tuple((uid, tuple(found)) for uid, found in series.items()))
