"""Sections of TLS: that of the node, and what differs from peer to peer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from service.settings.values import Port, Section

TlsProfileName = Literal["bcp195", "non-downgrading", "extended"]


class TlsSettings(Section):
    """TLS of the DICOM node, and of its calls unless a peer's own section says otherwise.

    Without ``port`` the node's only port is secured as soon as there is a certificate; with it, both are open.
    """

    certificate: Path | None = None
    key: Path | None = None
    trusted: Path | None = None
    mutual: bool = True
    profile: TlsProfileName = "bcp195"
    port: Port | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> TlsSettings:
        if self.certificate is None and self.port is not None:
            raise ValueError("certificate is missing: a TLS port needs one")
        if self.certificate is not None and self.mutual and self.trusted is None:
            raise ValueError("trusted is missing: with mutual = true callers are held against it")
        return self


class PeerTlsSettings(Section):
    """TLS towards one peer; what is left out is that of [dicom.tls]."""

    certificate: Path | None = None
    key: Path | None = None
    trusted: Path | None = None
    profile: TlsProfileName | None = None
    server_name: str | None = None
