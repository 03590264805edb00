"""Certificates made by the tests."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import trustme

from dicom_nodes.tls import TlsFiles


@dataclass
class Certificates:
    """An authority of a hospital, and what it issued, as files."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._authority = trustme.CA()
        self.trusted = self.folder / "trusted.pem"
        self._authority.cert_pem.write_to_path(self.trusted)

    def issue(self, name: str, host: str = "127.0.0.1", *, days: float = 90.0) -> TlsFiles:
        """A certificate and its key; ``days`` below 0 make one that expired so long ago."""
        now = datetime.datetime.now(datetime.UTC)
        issued = self._authority.issue_cert(
            host,
            common_name=name,
            not_before=now - datetime.timedelta(days=365),
            not_after=now + datetime.timedelta(days=days),
        )
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        new = certificate.with_suffix(".new")
        certificate.unlink(missing_ok=True)
        for part in issued.cert_chain_pems:
            part.write_to_path(new, append=True)
        issued.private_key_pem.write_to_path(key)
        new.rename(certificate)
        return TlsFiles(certificate, key, self.trusted)
