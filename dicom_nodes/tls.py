"""TLS for associations, by the BCP 195 profiles of PS3.15 Annex B, as acceptor and as requestor.

Below TLS 1.2 nothing is negotiated (RFC 8996), whatever the profile. Certificates are read again when their files
change, so a renewal needs no restart. One that has expired is not offered: the association fails, with the reason.
"""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from dicom_nodes.errors import GatewayError

_ECDHE: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_DHE: Final = ("DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384")
_STRONG: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-CHACHA20-POLY1305",
)


class TlsUnusable(GatewayError):
    """A certificate, key or list of trusted authorities that cannot be used; the message says which and why."""


class TlsProfile(StrEnum):
    """How strict the negotiation is; the suites of TLS 1.2 differ, those of TLS 1.3 are all strong."""

    BCP_195 = "bcp195"
    """PS3.15 B.12 (RFC 8996, RFC 9325); DHE is taken as well, for older peers (RFC 7525 4.2)."""
    NON_DOWNGRADING = "non-downgrading"
    """PS3.15 B.10: the same without DHE, whose group a peer may choose too small."""
    EXTENDED = "extended"
    """PS3.15 B.11 and B.13: 256 bits alone."""

    @property
    def cipher_suites(self) -> tuple[str, ...]:
        """The suites of TLS 1.2, the preferred first."""
        return {
            TlsProfile.BCP_195: _ECDHE + _DHE,
            TlsProfile.NON_DOWNGRADING: _ECDHE,
            TlsProfile.EXTENDED: _STRONG,
        }[self]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates lie, all in PEM.

    Parameters
    ----------
    certificate : our own, with its chain; None where a requestor shows none
    key : its private key; None where the certificate's file holds it
    trusted : authorities, or single certificates, that peers' certificates are held against
    """

    certificate: Path | None
    key: Path | None
    trusted: Path | None

    @property
    def state(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when one of the files is replaced."""
        return tuple(None if path is None else _state(path) for path in (self.certificate, self.key, self.trusted))


class TlsAcceptor:
    """Gives accepted connections their TLS, always by the files as they are now; for any number of threads.

    Parameters
    ----------
    mutual : peers have to show a certificate that we trust
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        files: TlsFiles,
        profile: TlsProfile = TlsProfile.BCP_195,
        *,
        mutual: bool = True,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._profile = profile
        self._mutual = mutual
        self._clock = clock
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._seen: object = None
        self._expires_at = 0.0

    def context(self) -> ssl.SSLContext:
        """The context for the next connection.

        Raises
        ------
        TlsUnusable : the files cannot be used, or the certificate has expired
        """
        with self._lock:
            seen = self._files.state
            if self._context is None or seen != self._seen:
                # A renewal writes two files: what does not fit together yet leaves the earlier context in use.
                try:
                    self._load()
                    self._seen = seen
                except TlsUnusable:
                    if self._context is None:
                        raise
            context, expires_at = self._context, self._expires_at
        if context is None or self._clock() >= expires_at:
            raise TlsUnusable(f"our certificate {self._files.certificate} expired on {_day(expires_at)}")
        return context

    def _load(self) -> None:
        if self._files.certificate is None:
            raise TlsUnusable("an acceptor needs a certificate")
        context = _context(ssl.PROTOCOL_TLS_SERVER, self._files, self._profile)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_ECDH_USE
        context.verify_mode = ssl.CERT_REQUIRED if self._mutual else ssl.CERT_NONE
        if self._mutual and self._files.trusted is None:
            raise TlsUnusable("mutual authentication needs a file of trusted certificates")
        self._expires_at = expires_at(self._files.certificate)
        self._context = context


@dataclass(frozen=True, slots=True)
class TlsRequestor:
    """How we call a peer over TLS; files are read at each association.

    Parameters
    ----------
    server_name : what the peer's certificate has to be made out to; None does not look
    """

    files: TlsFiles
    profile: TlsProfile = TlsProfile.BCP_195
    server_name: str | None = None

    def arguments(self, host: str, tell: Callable[[str], None]) -> tuple[ssl.SSLContext, str]:
        """What pynetdicom wraps the socket by; ``tell`` hears why a handshake failed.

        Raises
        ------
        TlsUnusable : the files cannot be used
        """
        if self.files.trusted is None:
            raise TlsUnusable("a file of trusted certificates is needed")
        context = _context(ssl.PROTOCOL_TLS_CLIENT, self.files, self.profile)
        context.check_hostname = self.server_name is not None
        context.verify_mode = ssl.CERT_REQUIRED
        context.sslsocket_class = _telling_socket(tell)
        return context, self.server_name or host


def expires_at(certificate: Path) -> float:
    """When the first certificate of a file expires, seconds since the epoch.

    Raises
    ------
    TlsUnusable : it cannot be read
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise TlsUnusable(f"{certificate}: {error.strerror}") from error
    except ValueError as error:
        raise TlsUnusable(f"{certificate} is no certificate in PEM") from error
    return loaded.not_valid_after_utc.timestamp()


def words_of(error: OSError) -> str:
    """Why a handshake failed, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return "the handshake took too long" if isinstance(error, TimeoutError) else "the connection broke"


def _context(protocol: int, files: TlsFiles, profile: TlsProfile) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(":".join(profile.cipher_suites))
    _load_files(context, files)
    return context


def _load_files(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        if files.certificate is not None:
            # Without a password to give, an encrypted key would be asked for on the terminal.
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsUnusable(f"certificate {files.certificate} and its key cannot be used: {_why(error)}") from error
    try:
        if files.trusted is not None:
            context.load_verify_locations(files.trusted)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsUnusable(f"the trusted certificates {files.trusted} cannot be used: {_why(error)}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM").lower().replace("_", " ")
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _telling_socket(tell: Callable[[str], None]) -> type[ssl.SSLSocket]:
    class TellingSocket(ssl.SSLSocket):
        """Says why a handshake failed; pynetdicom says that there is no connection."""

        def do_handshake(self, block: bool = False) -> Any:
            try:
                return super().do_handshake(block)
            except OSError as error:
                tell(words_of(error))
                raise

    return TellingSocket


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d")
