"""How each DIMSE peer of the settings is called: address, titles, timeouts, TLS, user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from service.bootstrap.ground import Ground
from service.errors import SettingsInvalid
from service.settings import PeerSettings, PeerTlsSettings

if TYPE_CHECKING:
    from dicom_nodes.peer import PeerAddress
    from dicom_nodes.requestor import RequestorSettings
    from dicom_nodes.tls import TlsRequestor
    from dicom_nodes.user_identity import UserIdentity


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

    def calling(self, name: str) -> RequestorSettings:
        """How we call it.

        Raises
        ------
        SettingsInvalid : its password cannot be read
        """
        from dicom_nodes.requestor import RequestorSettings

        dicom, peer = self._settings.dicom, self._settings.peers[name]
        return RequestorSettings(
            calling_ae_title=dicom.ae_title,
            maximum_pdu_bytes=dicom.maximum_pdu_bytes,
            acse_timeout_s=dicom.acse_timeout_s,
            network_timeout_s=dicom.network_timeout_s,
            tls=None if peer.tls is None else self._tls(peer.tls),
            identity=self._identity(name, peer),
        )

    def certificates(self) -> dict[str, Path]:
        """Our own certificates, by the setting that names each."""
        named = {"dicom.tls.certificate": self._settings.dicom.tls.certificate}
        named |= {
            f"peers.{name}.tls.certificate": peer.tls.certificate
            for name, peer in self._settings.peers.items()
            if peer.tls is not None
        }
        return {setting: path for setting, path in named.items() if path is not None}

    def _tls(self, peer: PeerTlsSettings) -> TlsRequestor:
        from dicom_nodes.tls import TlsFiles, TlsProfile, TlsRequestor

        own = self._settings.dicom.tls
        certificate, key = (peer.certificate, peer.key) if peer.certificate else (own.certificate, own.key)
        files = TlsFiles(certificate, key, peer.trusted or own.trusted)
        return TlsRequestor(files, TlsProfile(peer.profile or own.profile), peer.server_name)

    @staticmethod
    def _identity(name: str, peer: PeerSettings) -> UserIdentity | None:
        from dicom_nodes.user_identity import UserIdentity

        if peer.username is None:
            return None
        if peer.password_file is None:
            return UserIdentity(peer.username)
        try:
            return UserIdentity(peer.username, peer.password_file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"peers.{name}.password_file: it cannot be read ({type(error).__name__})") from error
