"""How many instances a peer has of a study, by its own account (C-FIND, PS3.4 C.6.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress
from dicom_nodes.query_model import Model, QueryLevel
from dicom_nodes.query_scu import find
from dicom_nodes.requestor import RequestorSettings

_AWAY_S: Final = 60.0

_log = structlog.get_logger("annogate.jobs")


@dataclass(frozen=True, slots=True)
class CountingPeer:
    """Who is asked for the studies of one project.

    Parameters
    ----------
    original_uid : the Study Instance UID under which a served one came in; None where nobody knows
    """

    name: str
    address: PeerAddress
    settings: RequestorSettings
    original_uid: Callable[[str], str | None]


class PeerCounts:
    """Asks each project's peer; one that is away is left alone for a minute.

    Parameters
    ----------
    peers : by project
    clock : seconds since the epoch, UTC
    """

    def __init__(self, peers: Mapping[str, CountingPeer], clock: Callable[[], float]) -> None:
        self._peers = dict(peers)
        self._clock = clock
        self._away_until: dict[str, float] = {}

    def count(self, project: str, study_uid: str) -> int | None:
        """How many instances the project's peer has of a study, by its UID as served; None where it does not tell."""
        peer = self._peers.get(project)
        if peer is None or self._away_until.get(peer.name, 0.0) > self._clock():
            return None
        original = peer.original_uid(study_uid)
        if original is None:
            return None
        asked = Dataset()
        asked.StudyInstanceUID = original
        asked.NumberOfStudyRelatedInstances = None
        try:
            found = list(find(peer.address, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=peer.settings, limit=2))
        except GatewayError as error:
            self._away_until[peer.name] = self._clock() + _AWAY_S
            _log.warning("study.not_counted", project=project, peer=peer.name, reason=type(error).__name__)
            return None
        return _number(found[0]) if len(found) == 1 else None


def _number(found: Dataset) -> int | None:
    try:
        return int(found.NumberOfStudyRelatedInstances)
    except (AttributeError, TypeError, ValueError):
        return None
