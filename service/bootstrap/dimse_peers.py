"""How each DIMSE peer of the settings is called: address, titles, timeouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bootstrap.ground import Ground
from service.errors import SettingsInvalid

if TYPE_CHECKING:
    from dicom_nodes.peer import PeerAddress
    from dicom_nodes.requestor import RequestorSettings


class DimsePeers:
    """Everything that opens associations asks here, so that all of them call a peer in the same way."""

    def __init__(self, ground: Ground) -> None:
        self._settings = ground.settings

    def address(self, name: str) -> PeerAddress:
        """Where a peer listens.

        Raises
        ------
        SettingsInvalid : there is no such peer
        """
        from dicom_nodes.peer import PeerAddress

        if name not in self._settings.peers:
            raise SettingsInvalid(f"there is no peer {name!r} in [peers]")
        peer = self._settings.peers[name]
        return PeerAddress(peer.ae_title, peer.host, peer.port)

    def calling(self, name: str) -> RequestorSettings:  # noqa: ARG002 -- what differs from peer to peer
        """How we call it."""
        from dicom_nodes.requestor import RequestorSettings

        dicom = self._settings.dicom
        return RequestorSettings(
            calling_ae_title=dicom.ae_title,
            maximum_pdu_bytes=dicom.maximum_pdu_bytes,
            acse_timeout_s=dicom.acse_timeout_s,
            network_timeout_s=dicom.network_timeout_s,
        )
