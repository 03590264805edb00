"""A gateway with a plain and a secured port, behind them two receivers; dcmtk's storescu sends over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import echo
from dicom_nodes.tls import TlsRequestor
from service.bootstrap import Gateway
from service.cli.check import Finding, findings
from service.settings import load_settings
from tests import storescu
from tests.certificates import Certificates
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.orthanc_process import free_port


@pytest.mark.peer("dcmtk")
def test_both_ports_take_objects(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "pki")
    own, scanner = certificates.issue("node"), certificates.issue("scanner")
    tls = {"certificate": str(own.certificate), "key": str(own.key), "trusted": str(own.trusted), "port": free_port()}
    settings = {
        "storage": {"disk_reserve_gib": 0.0},
        "dicom": {"receivers": 2, "tls": tls},
        "projects": {"default": {"deidentify": "none", "annotators": []}},
    }
    files = write_ct_series(tmp_path / "ct", 4, rows=16, columns=16)
    with GatewayProcess(tmp_path / "gateway", settings) as gateway:
        plain = PeerAddress("ANNOGATE", gateway.dicom_host, gateway.dicom_port)
        secured = PeerAddress("ANNOGATE", gateway.dicom_host, int(str(tls["port"])))
        echo(plain)
        echo(secured, RequestorSettings(tls=TlsRequestor(scanner, server_name="127.0.0.1")))
        with pytest.raises(PeerUnavailable):
            echo(secured, RequestorSettings(acse_timeout_s=5))
        options = ["+tls", str(scanner.key), str(scanner.certificate), "+cf", str(scanner.trusted)]
        sent = [
            storescu.send(plain.host, plain.port, files[:2]),
            storescu.send(secured.host, secured.port, files[2:], *options),
        ]
        assert [len(one.acknowledged) for one in sent] == [2, 2], sent[1].output
        eventually(lambda: len(gateway.instances()) == 4)


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [(90.0, "ok", "is valid for"), (20.0, "warning", "expires in 20 days"), (-1.0, "error", "has expired")],
)
def test_check_tells_of_certificates_that_end(tmp_path: Path, days: float, level: str, words: str) -> None:
    own = Certificates(tmp_path / "pki").issue("node", days=days)
    tls = {"certificate": str(own.certificate), "key": str(own.key), "trusted": str(own.trusted)}
    overrides = {"storage": {"data_dir": str(tmp_path / "data"), "disk_reserve_gib": 0}, "dicom": {"tls": tls}}
    with Gateway(load_settings(environ={}, overrides=overrides)) as gateway:
        found: dict[str, Finding] = {finding.what: finding for finding in findings(gateway)}
    assert found["dicom.tls.certificate"].level == level
    assert words in found["dicom.tls.certificate"].words
    assert found["dicom.tls"].level == ("error" if days < 0 else "ok")
