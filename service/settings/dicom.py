"""Sections of what speaks DIMSE: the node, who may call it, and its peers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.settings.values import AeTitle, Name, Network, Port, Section, Uid


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


class CallerSettings(Section):
    """One DIMSE caller that is known: its AE title, where it may call from, and which projects it may reach."""

    ae_title: AeTitle
    addresses: tuple[Network, ...] = ()
    projects: tuple[Name, ...] = ()


class PeerSettings(Section):
    """A DIMSE peer."""

    ae_title: AeTitle
    host: str
    port: Port
