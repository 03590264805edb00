"""What the node answers from the archive: C-FIND, C-MOVE and C-GET."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from service import audit_events
from service.bootstrap.delivery import Delivery
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import Ground
from service.bootstrap.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_nodes.peer import PeerAddress
    from dicom_nodes.requestor import RequestorSettings
    from dicom_nodes.service_port import DimseService
    from service.core.archived import InstanceRow
    from service.dimse.query_event import QueryEvent
    from service.dimse.query_rights import ProjectAccess, QueryRights
    from service.web.dicomweb.whole_object import ObjectFiles


class QueryRetrieve:
    """The parts of query and retrieve as SCP."""

    def __init__(self, ground: Ground, stores: Stores, delivery: Delivery, peers: DimsePeers) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._stores = stores
        self._delivery = delivery
        self._peers = peers

    def services(self) -> tuple[DimseService, ...]:
        """What the node is given; nothing where nobody may ask."""
        if self._settings.query.who == "nobody":
            return ()
        from service.archive.archive_queries import ArchiveQueries
        from service.archive.query_answers import QueryAnswers
        from service.dimse.query_service import QueryService
        from service.dimse.retrieve_service import RetrieveService
        from service.dimse.served_objects import ServedObjects

        queries = ArchiveQueries(self._stores.database)
        rights = self._rights()
        return (
            QueryService(queries, QueryAnswers(self._stores.database), rights, self._audit),
            RetrieveService(
                queries,
                ServedObjects(self._stores.blobs, _LateRenditions(self._stores)),
                rights,
                self._peer,
                self._audit,
                self._settings.dicom.extra_sop_classes,
            ),
        )

    def _rights(self) -> QueryRights:
        from service.dimse.query_rights import QueryRights

        query, settings = self._settings.query, self._settings
        callers: dict[str, frozenset[str]] = {}
        for name, caller in settings.callers.items():
            if query.callers and name not in query.callers:
                continue
            every = frozenset(caller.projects) or frozenset(settings.projects)
            callers[caller.ae_title] = callers.get(caller.ae_title, frozenset()) | every
        titles = {title: name for name, project in settings.projects.items() for title in project.ae_titles}
        return QueryRights(titles, callers, self._access, query.who)

    def _access(self, project: str) -> ProjectAccess:
        """What a project lets callers have: results by the same rules as delivery."""
        from service.core.archive_query import ServedResults
        from service.dimse.query_rights import ProjectAccess

        settings, rules = self._settings.projects[project], self._delivery.rules[project]
        may_leave = frozenset(settings.annotators) if rules.allow_demonstrator else rules.serious
        return ProjectAccess(
            ServedResults(may_leave, without_approval=rules.approve == "automatic"),
            {self._settings.peers[name].ae_title: name for name in settings.move_to},
        )

    def _peer(self, name: str) -> tuple[PeerAddress, RequestorSettings]:
        return self._peers.address(name), self._peers.calling(name)

    def _audit(self, event: QueryEvent) -> None:
        self._stores.audit_buffer.record(audit_events.of_query(event))


class _LateRenditions:
    """Decodes stored objects by what WADO-RS decodes with, loaded when the first object has to be decoded."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @cached_property
    def _files(self) -> ObjectFiles:
        from service.web.dicomweb.frame_reader import FrameLayouts
        from service.web.dicomweb.whole_object import ObjectFiles

        return ObjectFiles(self._stores.blobs, FrameLayouts())

    def can_be_explicit(self, row: InstanceRow) -> bool:
        """Whether a codec for its pixels is at hand; native pixels need none."""
        return self._files.can_be_explicit(row)

    def explicit_data_set(self, row: InstanceRow) -> Iterator[bytes]:
        """The data set in Explicit VR Little Endian with every length defined."""
        return self._files.explicit_data_set(row)
