"""An index on another host goes away under load and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import storescu
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.postgresql_server import postgresql_server


@pytest.mark.peer("dcmtk", "postgresql")
def test_objects_are_taken_while_the_index_is_away_and_served_when_it_is_back(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "ct", 8, rows=64, columns=64)
    with postgresql_server() as server:
        server.create("archive")
        settings = {
            "projects": {"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}},
            "storage": {"index_url": server.url("archive")},
        }
        with GatewayProcess(tmp_path / "gateway", settings) as gateway:

            def acknowledged(some: list[Path]) -> int:
                sent = storescu.send(gateway.dicom_host, gateway.dicom_port, some, called="ANNOGATE")
                return len(sent.acknowledged)

            assert acknowledged(files[:4]) == 4
            eventually(lambda: len(gateway.instances()) == 4, what="the first")
            server.kill()
            assert acknowledged(files[4:]) == 4
            answer = gateway.get("/dicom-web/studies")
            assert (answer.status_code, answer.json()["detail"]) == (503, "the index cannot be reached")
            server.start()
            eventually(lambda: gateway.get("/health/ready").ok and len(gateway.instances()) == 8, what="the others")
