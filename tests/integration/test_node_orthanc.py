"""Orthanc as a PACS that pushes by its own configuration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread

from service.ingest.spool import SpoolReader
from tests.ct_series import write_ct_series
from tests.listening_node import listening
from tests.orthanc_process import OrthancProcess
from tests.spooling import KEY, spool_at


@pytest.mark.peer("orthanc")
@pytest.mark.usefixtures("receive_path")
def test_orthanc_pushes_a_study(tmp_path: Path):
    files = write_ct_series(tmp_path / "ct", 12, rows=128, columns=128)
    with closing(spool_at(tmp_path / "spool")) as spool, listening(spool) as node:
        host, port = node.node.address
        with OrthancProcess(tmp_path / "orthanc", "ANNOGATE", host, port) as orthanc:
            for file in files:
                orthanc.upload(file)
            job = orthanc.push(orthanc.studies())
    spooled = {found.header.sop_instance_uid for found in SpoolReader(tmp_path / "spool", KEY).committed()}
    expected = {dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files}
    assert (job["FailedInstancesCount"], spooled) == (0, expected)
