"""Sections of what speaks DIMSE: the node, who may call it, and its peers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from service.core.deliveries import AS_EVER, FURTHER_KINDS, SentKind
from service.settings.tls import PeerTlsSettings, TlsSettings
from service.settings.values import AeTitle, HttpUrl, Name, Network, Port, Section, Uid


class DicomSettings(Section):
    """The DICOM node."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AeTitle = "ANNOGATE"
    maximum_associations: int = Field(64, ge=1, le=4096)
    maximum_pdu_bytes: int = Field(131072, ge=4096, le=4194304)
    network_timeout_s: float = Field(60.0, gt=0)
    acse_timeout_s: float = Field(30.0, gt=0)
    dimse_timeout_s: float = Field(60.0, gt=0)
    unknown_callers: Literal["accept", "reject"] | None = None
    extra_sop_classes: tuple[Uid, ...] = ()
    receive_path: Literal["fast", "pynetdicom"] = "fast"
    receivers: int = Field(2, ge=1, le=64)
    tls: TlsSettings = TlsSettings()


class CallerSettings(Section):
    """One DIMSE caller that is known: its AE title, where it may call from, and which projects it may reach."""

    ae_title: AeTitle
    addresses: tuple[Network, ...] = ()
    projects: tuple[Name, ...] = ()
    user: Literal["none", "name", "password"] = "none"
    maximum_associations: int | None = Field(None, ge=1, le=4096)
    associations_per_minute: float | None = Field(None, gt=0)
    objects_per_s: float | None = Field(None, ge=0.1)


class PeerSettings(Section):
    """A peer: its DIMSE address, and how results are brought to it.

    With ``protocol = "dicomweb"`` results go by STOW-RS to ``dicomweb_url``, not to the DIMSE address.
    """

    ae_title: AeTitle
    host: str
    port: Port
    protocol: Literal["dimse", "dicomweb"] = "dimse"
    dicomweb_url: HttpUrl | None = None
    authorization_file: Path | None = None
    check_identity: bool = True
    segmentation: Literal["auto", "binary", "label-map"] = "auto"
    objects: tuple[SentKind, ...] = AS_EVER
    instead: tuple[SentKind, ...] = ()
    storage_commitment: bool = False
    commits_for: tuple[AeTitle, ...] = ()
    tls: PeerTlsSettings | None = None
    username: str | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _has_address(self) -> PeerSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("username is missing: there is a password_file")
        if self.protocol == "dicomweb" and self.dicomweb_url is None:
            raise ValueError("dicomweb_url is missing: protocol is dicomweb")
        return self

    @model_validator(mode="after")
    def _gets_something(self) -> PeerSettings:
        if not self.objects:
            raise ValueError("objects: nothing is left that the peer could get; leave it out of deliver_to instead")
        if unfit := [str(kind) for kind in self.instead if kind in AS_EVER or kind in self.objects]:
            raise ValueError(f"instead: {', '.join(unfit)} cannot stand for what the peer does not take")
        if self.instead and self.protocol == "dicomweb":
            raise ValueError("instead: over STOW-RS nothing is negotiated; say in objects what the peer gets")
        return self

    @property
    def further_kinds(self) -> tuple[SentKind, ...]:
        """What results have to be written in for this peer, beside segmentation and report."""
        return tuple(kind for kind in FURTHER_KINDS if kind in (*self.objects, *self.instead))
