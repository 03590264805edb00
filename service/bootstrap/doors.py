"""What is asked of DIMSE callers before they are let in: TLS, who they are, how much they may."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from service.bootstrap.ground import Ground
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores

if TYPE_CHECKING:
    from dicom_nodes.admission import Admission
    from dicom_nodes.caller_limits import CallerGate
    from dicom_nodes.object_sink import ObjectSink
    from dicom_nodes.tls import TlsAcceptor
    from dicom_nodes.user_identity import IdentityPolicy
    from service.web.passwords import Passwords


class Doors:
    """The doors of the DICOM node."""

    def __init__(self, ground: Ground, stores: Stores, reception: Reception) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._stores = stores
        self._reception = reception

    def admission(self) -> Admission:
        """What the node asks of callers."""
        from dicom_nodes.admission import Admission

        return Admission(
            identities=self._identities(), gate=self._gate, tls=self.tls, tls_port=self._settings.dicom.tls.port
        )

    def paced(self, sink: ObjectSink) -> ObjectSink:
        """The sink, slowed down for callers who send more than they may."""
        from dicom_nodes.caller_limits import PacedSink

        return sink if self._gate is None else PacedSink(sink, self._gate.pace)

    @cached_property
    def tls(self) -> TlsAcceptor | None:
        """What secures connections; None without a certificate."""
        from dicom_nodes.tls import TlsAcceptor, TlsFiles, TlsProfile

        tls = self._settings.dicom.tls
        if tls.certificate is None:
            return None
        files = TlsFiles(tls.certificate, tls.key, tls.trusted)
        return TlsAcceptor(files, TlsProfile(tls.profile), mutual=tls.mutual, clock=self._ground.clock)

    @cached_property
    def _gate(self) -> CallerGate | None:
        from dicom_nodes.caller_limits import CallerGate, CallerLimits

        limits = {
            caller.ae_title: CallerLimits(
                caller.maximum_associations, caller.associations_per_minute, caller.objects_per_s
            )
            for caller in self._settings.callers.values()
        }
        limits = {title: one for title, one in limits.items() if one != CallerLimits()}
        if not limits:
            return None
        gate = CallerGate(limits, self._ground.directory.run / "callers")
        self._ground.opened.callback(gate.close)
        return gate

    def _identities(self) -> IdentityPolicy:
        from service.dimse.caller_identity import AccountIdentities, UserRequirement

        accounts = self._stores.accounts
        return AccountIdentities(
            user=accounts.user,
            any_accounts=accounts.any_configured,
            matches=self._matches,
            requirements={caller.ae_title: UserRequirement(caller.user) for caller in self._settings.callers.values()},
            project_of=self._reception.callers.project_of,
        )

    def _matches(self, password_hash: str | None, password: str) -> bool:
        return self._passwords.verify(password_hash, password)

    @cached_property
    def _passwords(self) -> Passwords:
        from service.web.passwords import Passwords

        return Passwords(time.monotonic)
