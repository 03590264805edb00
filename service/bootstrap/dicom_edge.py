"""The DICOM edge: the node that receives, and what asks peers for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service import audit_events
from service.bootstrap.commitment import Commitment
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.doors import Doors
from service.bootstrap.ground import Ground
from service.bootstrap.notices import Notices
from service.bootstrap.query_retrieve import QueryRetrieve
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores

if TYPE_CHECKING:
    from dicom_nodes.listener import DicomNode
    from dicom_nodes.node_event import NodeEvent


class DicomEdge:
    """What speaks DIMSE."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        reception: Reception,
        commitment: Commitment,
        peers: DimsePeers,
        query_retrieve: QueryRetrieve,
        doors: Doors,
        notices: Notices,
    ) -> None:
        self._notices = notices
        self._settings = ground.settings
        self._clock = ground.clock
        self._stores = stores
        self._reception = reception
        self._commitment = commitment
        self._peers = peers
        self._query_retrieve = query_retrieve
        self._doors = doors

    def node(self) -> DicomNode:
        """The DICOM node, not started."""
        from dicom_nodes.listener import DicomNode, NodeSettings

        dicom = self._settings.dicom
        return DicomNode(
            NodeSettings(
                host=dicom.host,
                port=dicom.port,
                ae_title=dicom.ae_title,
                maximum_pdu_bytes=dicom.maximum_pdu_bytes,
                maximum_associations=dicom.maximum_associations,
                acse_timeout_s=dicom.acse_timeout_s,
                dimse_timeout_s=dicom.dimse_timeout_s,
                network_timeout_s=dicom.network_timeout_s,
                extra_storage_classes=dicom.extra_sop_classes,
                receive_path=dicom.receive_path,
            ),
            self._doors.paced(self._reception.spool),
            self._reception.callers,
            self._audit_node_event,
            self._clock,
            services=(self._commitment.service(), *self._query_retrieve.services(), *self._notices.services()),
            admission=self._doors.admission(),
        )

    def echo(self, peer: str) -> None:
        """Ask a DIMSE peer for a C-ECHO.

        Raises
        ------
        GatewayError : it does not answer; says why
        """
        from dicom_nodes.sender import echo

        echo(self._peers.address(peer), self._peers.calling(peer))

    def _audit_node_event(self, event: NodeEvent) -> None:
        project = self._reception.callers.project_of(event.called_ae_title) or ""
        if (row := audit_events.of_node_event(event, project)) is not None:
            self._stores.audit_buffer.record(row)
