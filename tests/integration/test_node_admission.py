"""TLS, user identity and limits at the door of a node, by pynetdicom, by our own requestor, and by openssl's rules."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.acse import ACSE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicom_nodes.admission import Admission
from dicom_nodes.caller_limits import CallerGate, CallerLimits, PacedSink
from dicom_nodes.callers import KnownCallers, Rejection
from dicom_nodes.listener import DicomNode, NodeSettings
from dicom_nodes.node_event import NodeEventKind
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.sender import echo, store
from dicom_nodes.service_port import Caller
from dicom_nodes.storage_classes import VERIFICATION
from dicom_nodes.tls import TlsAcceptor, TlsFiles, TlsRequestor
from dicom_nodes.user_identity import UserIdentity
from tests.certificates import Certificates
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import CT, EXPLICIT, IMPLICIT, TITLE, Listening, listening
from tests.patience import PATIENCE_S

MEGABYTES = bytes(range(256)) * 4096 * 3


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


def acceptor(certificates: Certificates, *, mutual: bool = True) -> TlsAcceptor:
    return TlsAcceptor(certificates.issue("node"), clock=time.time, mutual=mutual)


def calling(certificates: Certificates, name: str = "pacs", *, days: float = 90.0) -> RequestorSettings:
    return RequestorSettings(tls=TlsRequestor(certificates.issue(name, days=days), server_name="127.0.0.1"))


# TLS


@pytest.mark.parametrize("receive_path", ["fast", "pynetdicom"])
def test_objects_come_whole_through_tls(certificates: Certificates, receive_path: str) -> None:
    sink = InMemoryObjectSink()
    objects = [OutgoingObject.from_bytes(CT, f"1.2.3.{number}", EXPLICIT, MEGABYTES) for number in range(3)]
    with listening(sink, admission=Admission(tls=acceptor(certificates)), receive_path=receive_path) as node:
        results = [result.status for result in store(node.peer, objects, calling(certificates))]
    assert results == [0, 0, 0]
    assert [data for _, data in sink.stored] == [MEGABYTES] * 3


def test_pynetdicom_calls_over_tls(certificates: Certificates) -> None:
    with listening(InMemoryObjectSink(), admission=Admission(tls=acceptor(certificates))) as node:
        context, name = TlsRequestor(certificates.issue("pacs")).arguments("127.0.0.1", lambda _: None)
        ae = AE("SCANNER")
        ae.add_requested_context(VERIFICATION)
        association = ae.associate(*node.node.address, ae_title=TITLE, tls_args=(context, name))
        assert association.send_c_echo().Status == 0
        association.release()


@pytest.mark.parametrize("settings", ["plain", "no certificate", "expired", "stranger"])
def test_who_does_not_fit_is_turned_away_with_a_reason(
    certificates: Certificates, tmp_path: Path, settings: str
) -> None:
    callers = {
        "plain": RequestorSettings(acse_timeout_s=5),
        "no certificate": RequestorSettings(tls=TlsRequestor(TlsFiles(None, None, certificates.trusted))),
        "expired": calling(certificates, "old", days=-1),
        "stranger": calling(Certificates(tmp_path)),
    }
    words = {
        "plain": "wrong version number|http request|unexpected",
        "no certificate": "peer did not return a certificate",
        "expired": "certificate has expired",
        "stranger": "alert unknown ca",
    }
    with listening(InMemoryObjectSink(), admission=Admission(tls=acceptor(certificates))) as node:
        with pytest.raises(PeerUnavailable):
            echo(node.peer, callers[settings])
        event = node.event(NodeEventKind.ASSOCIATION_REJECTED)
    assert event.reason.startswith("TLS: ")
    assert any(part in event.reason for part in words[settings].split("|"))


def test_our_own_expired_certificate_is_told_on_both_sides(certificates: Certificates) -> None:
    past_its_end = TlsAcceptor(certificates.issue("node"), clock=lambda: time.time() + 91 * 86400)
    with listening(InMemoryObjectSink(), admission=Admission(tls=past_its_end)) as node:
        with pytest.raises(PeerUnavailable, match="cannot be reached"):
            echo(node.peer, calling(certificates))
        assert "expired on" in node.event(NodeEventKind.ASSOCIATION_REJECTED).reason


def test_why_the_peer_is_not_believed_is_told(certificates: Certificates, tmp_path: Path) -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(tls=acceptor(certificates, mutual=False))) as node,
        pytest.raises(PeerUnavailable, match="the peer's certificate is refused"),
    ):
        echo(node.peer, calling(Certificates(tmp_path)))


def test_a_silent_connection_does_not_wait_for_ever(certificates: Certificates) -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(tls=acceptor(certificates)), acse_timeout_s=0.2) as node,
        socket.create_connection(node.node.address, timeout=PATIENCE_S) as connection,
    ):
        assert connection.recv(1) == b""
        assert node.event(NodeEventKind.ASSOCIATION_REJECTED).reason == "TLS: the handshake took too long"


def test_a_plain_and_a_secured_port_side_by_side(certificates: Certificates) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    plain, secured = (PeerAddress(TITLE, *one.getsockname()) for one in sockets)
    doors = Admission(tls=acceptor(certificates), tls_port=secured.port)
    node = DicomNode(NodeSettings(), InMemoryObjectSink(), KnownCallers([TITLE]), admission=doors)
    node.start(*sockets)
    try:
        echo(plain)
        echo(secured, calling(certificates))
        with pytest.raises(PeerUnavailable):
            echo(secured, RequestorSettings(acse_timeout_s=5))
    finally:
        node.stop()


# User identity


class Users:
    """One user who may, by the password alone."""

    def __init__(self, *, required: bool = False) -> None:
        self._required = required
        self.seen: list[tuple[str, UserIdentity | None]] = []

    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | bool:
        self.seen.append((caller.calling_ae_title, identity))
        if identity is None:
            return Rejection.USER_MISSING if self._required else False
        return True if (identity.username, identity.passcode) == ("ann", "secret") else Rejection.USER_NOT_KNOWN


@contextlib.contextmanager
def offered(node: Listening, kind: int, primary: bytes, secondary: bytes = b"") -> Iterator[object]:
    item = UserIdentityNegotiation()
    item.user_identity_type, item.positive_response_requested, item.primary_field = kind, True, primary
    if secondary:
        item.secondary_field = secondary
    ae = AE("SCANNER")
    ae.add_requested_context(VERIFICATION)
    association = ae.associate(*node.node.address, ae_title=TITLE, ext_neg=[item])
    yield association
    if association.is_established:
        association.release()


def test_a_known_user_is_let_in_and_told_so() -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(Users(required=True))) as node,
        offered(node, 2, b"ann", b"secret") as association,
    ):
        assert association.is_established  # type: ignore[attr-defined]
        assert association.acceptor.user_identity.server_response == b""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [
        (2, b"ann", b"guess"),
        (1, b"ann", b""),
        (2, b"\xff\xfe", b"secret"),
        (3, b"ticket", b""),
        (4, b"<saml/>", b""),
        (5, b"a.b.c", b""),
    ],
    ids=["password", "no password", "not UTF-8", "Kerberos", "SAML", "JWT"],
)
def test_an_identity_that_is_not_believed_is_rejected(kind: int, primary: bytes, secondary: bytes) -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(Users())) as node,
        offered(node, kind, primary, secondary) as association,
    ):
        assert association.is_rejected  # type: ignore[attr-defined]
        event = node.event(NodeEventKind.ASSOCIATION_REJECTED)
    assert event.reason == "the user identity is not accepted"


def test_who_has_to_say_who_they_are_is_rejected_without() -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(Users(required=True))) as node,
        pytest.raises(PeerUnavailable, match="rejected"),
    ):
        echo(node.peer)


def test_we_say_who_we_are() -> None:
    users = Users(required=True)
    with listening(InMemoryObjectSink(), admission=Admission(users)) as node:
        echo(node.peer, RequestorSettings(identity=UserIdentity("ann", "secret")))
    assert users.seen == [("ANNOGATE", UserIdentity("ann", "secret", 2))]


def test_who_is_let_pass_unasked_is_not_confirmed() -> None:
    with listening(InMemoryObjectSink()) as node, offered(node, 2, b"ann", b"secret") as association:
        assert association.is_established  # type: ignore[attr-defined]
        assert association.acceptor.user_identity is None  # type: ignore[attr-defined]


class BrokenUsers:
    def verify(self, caller: Caller, identity: UserIdentity | None) -> Rejection | bool:
        raise ValueError("a bug of ours")


def test_broken_users_let_nobody_in() -> None:
    with (
        listening(InMemoryObjectSink(), admission=Admission(BrokenUsers())) as node,
        pytest.raises(PeerUnavailable, match="rejected"),
    ):
        echo(node.peer)


def test_a_password_is_shown_nowhere(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with listening(InMemoryObjectSink(), admission=Admission(Users())) as node:
        with pytest.raises(PeerUnavailable):
            echo(node.peer, RequestorSettings(identity=UserIdentity("ann", "hush-hush")))
        node.event(NodeEventKind.ASSOCIATION_REJECTED)
    shown = "".join([*capsys.readouterr(), *(record.getMessage() for record in caplog.records)])
    assert "hush-hush" not in shown + repr(UserIdentity("ann", "hush-hush"))


# Limits


def test_more_associations_of_a_caller_than_allowed_are_rejected(tmp_path: Path) -> None:
    gate = CallerGate({"SCANNER": CallerLimits(associations=1)}, tmp_path)
    scanner = RequestorSettings(calling_ae_title="SCANNER")
    with listening(InMemoryObjectSink(), admission=Admission(gate=gate)) as node:
        with Requestor(node.peer, [(VERIFICATION, IMPLICIT)], scanner):
            with pytest.raises(PeerUnavailable, match=r"(?i)local limit exceeded"):
                echo(node.peer, scanner)
            echo(node.peer)
        node.event(NodeEventKind.ASSOCIATION_CLOSED)
        _when_free(node, scanner)
    gate.close()


def test_a_rejection_is_told_however_late_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    send = ACSE.send_request

    def send_and_rest(acse: ACSE) -> None:
        send(acse)
        time.sleep(0.5)  # the peer's answer, and the end of the connection, come meanwhile

    monkeypatch.setattr(ACSE, "send_request", send_and_rest)
    with (
        listening(InMemoryObjectSink(), admission=Admission(BrokenUsers())) as node,
        pytest.raises(PeerUnavailable, match="rejected us"),
    ):
        echo(node.peer)


def _when_free(node: Listening, settings: RequestorSettings) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            echo(node.peer, settings)
        except PeerUnavailable:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return


def test_too_many_a_minute_are_asked_to_come_later(tmp_path: Path) -> None:
    gate = CallerGate({"SCANNER": CallerLimits(associations_per_minute=1)}, tmp_path)
    scanner = RequestorSettings(calling_ae_title="SCANNER")
    with listening(InMemoryObjectSink(), admission=Admission(gate=gate)) as node:
        echo(node.peer, scanner)
        with pytest.raises(PeerUnavailable, match=r"(?i)temporary congestion"):
            echo(node.peer, scanner)
    gate.close()


@pytest.mark.parametrize("receive_path", ["fast", "pynetdicom"])
def test_objects_above_a_callers_rate_are_read_later_and_taken(tmp_path: Path, receive_path: str) -> None:
    sink, waits = InMemoryObjectSink(), []
    limits = {"SCANNER": CallerLimits(objects_per_s=2)}
    # A clock that stands still, so that every object beyond those of the first second is early.
    gate = CallerGate(limits, tmp_path, now=lambda: 100.0, sleep=lambda s: waits.append((s, len(sink.stored))))
    objects = [OutgoingObject.from_bytes(CT, f"1.2.3.{number}", EXPLICIT, b"data" * 9) for number in range(4)]
    with listening(PacedSink(sink, gate.pace), receive_path=receive_path) as node:
        for title in ("OTHER", "SCANNER"):
            results = store(node.peer, objects, RequestorSettings(calling_ae_title=title))
            assert [result.status for result in results] == [0] * 4
    gate.close()
    # Each wait before its object: four of the other caller's were here, and those before.
    assert waits == [(0.5, 6), (1.0, 7)]
