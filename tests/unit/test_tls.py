from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_nodes.tls import TlsAcceptor, TlsFiles, TlsProfile, TlsRequestor, TlsUnusable, expires_at, words_of
from tests.certificates import Certificates
from tests.patience import PATIENCE_S

DAY_S = 86400.0


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "pki")


@contextlib.contextmanager
def joined(acceptor: TlsAcceptor, requestor: TlsRequestor) -> Iterator[tuple[ssl.SSLSocket, list[str], list[str]]]:
    """A requestor's end of a connection after its handshake, and what either side said of failures."""
    ours, theirs = socket.socketpair()
    accepted: list[str] = []

    def accept() -> None:
        theirs.settimeout(PATIENCE_S)
        try:
            with acceptor.context().wrap_socket(theirs, server_side=True) as secured:
                secured.sendall(b"well")
                secured.recv(1)
        except OSError as error:
            accepted.append(words_of(error))

    thread = threading.Thread(target=accept)
    thread.start()
    told: list[str] = []
    context, name = requestor.arguments("127.0.0.1", told.append)
    ours.settimeout(PATIENCE_S)
    try:
        with context.wrap_socket(ours, server_hostname=name) as secured:
            yield secured, told, accepted
    finally:
        ours.close()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("profile", list(TlsProfile))
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_profile_agrees_on_one_of_its_suites(
    certificates: Certificates, profile: TlsProfile, version: ssl.TLSVersion
) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), profile, clock=time.time)
    acceptor.context().maximum_version = version
    requestor = TlsRequestor(certificates.issue("pacs"), profile, "127.0.0.1")
    with joined(acceptor, requestor) as (secured, told, _):
        cipher = secured.cipher()
        assert secured.recv(4) == b"well"
    assert cipher is not None
    assert not told
    assert version is ssl.TLSVersion.TLSv1_3 or cipher[0] in profile.cipher_suites


@pytest.mark.parametrize("profile", list(TlsProfile))
def test_nothing_below_tls_1_2_is_negotiated(certificates: Certificates, profile: TlsProfile) -> None:
    context = TlsAcceptor(certificates.issue("node"), profile, clock=time.time).context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_weaker_suites_are_refused_by_the_extended_profile(certificates: Certificates) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), TlsProfile.EXTENDED, clock=time.time)
    acceptor.context().maximum_version = ssl.TLSVersion.TLSv1_2
    requestor = TlsRequestor(certificates.issue("pacs"), TlsProfile.BCP_195)
    theirs, _ = requestor.arguments("127.0.0.1", lambda _: None)
    shared = {suite["name"] for suite in theirs.get_ciphers()} & set(TlsProfile.EXTENDED.cipher_suites)
    theirs.set_ciphers(":".join(name for name in TlsProfile.BCP_195.cipher_suites if name not in shared))
    ours, other = socket.socketpair()
    with ours, other:
        thread = threading.Thread(target=_handshake, args=(theirs, ours))
        thread.start()
        other.settimeout(PATIENCE_S)
        with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
            acceptor.context().wrap_socket(other, server_side=True)
        thread.join(PATIENCE_S)


def _handshake(context: ssl.SSLContext, connection: socket.socket) -> None:
    connection.settimeout(PATIENCE_S)
    with contextlib.suppress(OSError):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_a_caller_without_a_certificate_is_refused(certificates: Certificates) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), clock=time.time)
    nobody = TlsRequestor(TlsFiles(None, None, certificates.trusted))
    with (
        contextlib.suppress(OSError),
        joined(acceptor, nobody) as (secured, _, accepted),
    ):
        secured.recv(4)
    assert accepted == ["peer did not return a certificate"]


def test_without_mutual_authentication_it_is_welcome(certificates: Certificates) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), mutual=False, clock=time.time)
    with joined(acceptor, TlsRequestor(TlsFiles(None, None, certificates.trusted))) as (secured, _, _):
        assert secured.recv(4) == b"well"


@pytest.mark.parametrize(
    ("days", "name", "words"),
    [
        (-1.0, None, "certificate has expired"),
        (90.0, "pacs.example", "(?i)hostname mismatch"),
    ],
    ids=["expired", "another name"],
)
def test_why_a_peer_is_refused_is_told(certificates: Certificates, days: float, name: str | None, words: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = certificates.issue("node", days=days)
    assert files.certificate
    context.load_cert_chain(files.certificate, files.key)
    told: list[str] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=_accept, args=(context, theirs))
        thread.start()
        asked, host = TlsRequestor(certificates.issue("pacs"), server_name=name).arguments("127.0.0.1", told.append)
        ours.settimeout(PATIENCE_S)
        with pytest.raises(ssl.SSLCertVerificationError):
            asked.wrap_socket(ours, server_hostname=host)
        thread.join(PATIENCE_S)
    assert [bool(re.search(words, one)) for one in told] == [True]


def _accept(context: ssl.SSLContext, connection: socket.socket) -> None:
    connection.settimeout(PATIENCE_S)
    with contextlib.suppress(OSError):
        context.wrap_socket(connection, server_side=True)


def test_a_renewed_certificate_is_used_for_the_next_connection(certificates: Certificates) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), clock=time.time)
    requestor = TlsRequestor(certificates.issue("pacs"))
    numbers = []
    for _ in range(2):
        with joined(acceptor, requestor) as (secured, _, _):
            shown = secured.getpeercert()
            assert shown
            numbers.append(shown["serialNumber"])
        certificates.issue("node")
    assert numbers[0] != numbers[1]


def test_what_does_not_fit_together_yet_leaves_the_earlier_in_use(certificates: Certificates) -> None:
    files = certificates.issue("node")
    acceptor = TlsAcceptor(files, clock=time.time)
    earlier = acceptor.context()
    other = Certificates(certificates.folder / "other").issue("node")
    assert files.certificate
    assert other.certificate
    files.certificate.write_bytes(other.certificate.read_bytes())
    assert acceptor.context() is earlier


def test_our_own_expired_certificate_is_not_offered(certificates: Certificates) -> None:
    acceptor = TlsAcceptor(certificates.issue("node"), clock=lambda: time.time() + 91 * DAY_S)
    with pytest.raises(TlsUnusable, match=r"node\.pem expired on \d{4}-\d\d-\d\d"):
        acceptor.context()


def test_the_end_of_a_certificate_is_known(certificates: Certificates) -> None:
    certificate = certificates.issue("node", days=10.0).certificate
    assert certificate
    assert expires_at(certificate) == pytest.approx(time.time() + 10 * DAY_S, abs=3600)


@pytest.mark.parametrize("broken", ["certificate", "key", "trusted"])
@pytest.mark.parametrize("content", [None, b"nonsense"], ids=["missing", "damaged"])
def test_files_that_cannot_be_used_are_named(certificates: Certificates, broken: str, content: bytes | None) -> None:
    wrong = certificates.folder / "wrong"
    if content is not None:
        wrong.write_bytes(content)
    files = certificates.issue("node")
    files = replace(files, **{broken: wrong})
    with pytest.raises(TlsUnusable, match=r"wrong|its key cannot be used"):
        TlsAcceptor(files, clock=time.time).context()
