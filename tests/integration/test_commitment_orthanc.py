"""Orthanc's storage commitment, both roles: it asks us for what it sent, and answers what we ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from pydicom import dcmread

from service.core.commitment import CommitmentOutcome, CommitmentProgress
from tests.commitment_house import commitment_house
from tests.ct_series import write_ct_series
from tests.gateway_process import eventually
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S


@pytest.mark.peer("orthanc")
def test_orthanc_asks_and_answers(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "ct", 3, rows=16, columns=16)
    headers = [dcmread(file, stop_before_pixels=True) for file in files]
    named = [(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in headers]
    port = free_port()
    with (
        OrthancProcess(tmp_path / "orthanc", "ANNOGATE", "127.0.0.1", port) as orthanc,
        commitment_house(
            tmp_path / "data",
            dicom={"port": port},
            projects={"default": {"deidentify": "basic", "annotators": []}},
            peers={"pacs": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port}},
        ) as house,
    ):
        for file in files:
            orthanc.upload(file)
        orthanc.push(orthanc.studies())
        house.ingest()

        asked = requests.post(
            f"{orthanc.http}/modalities/annogate/storage-commitment",
            json={"DicomInstances": [*named, ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4")], "Timeout": 20},
            timeout=PATIENCE_S,
        )
        asked.raise_for_status()
        eventually(house.round, PATIENCE_S, "request of Orthanc")
        answered = eventually(
            lambda: _answered(f"{orthanc.http}{asked.json()['Path']}"), PATIENCE_S, "answer in Orthanc"
        )
        assert {one["SOPInstanceUID"] for one in answered["Success"]} == {uid for _, uid in named}
        assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in answered["Failures"]] == [("1.2.3.4", 0x0112)]

        requests_ = house.gateway.commitment_requests
        transaction = requests_.request_commitment("default", "pacs", [*named, (named[0][0], "1.2.3.4")])
        house.round()

        def answers() -> list[CommitmentOutcome]:
            outcome = requests_.outcome(transaction)
            return [outcome] if outcome and outcome.progress is CommitmentProgress.ANSWERED else []

        (outcome,) = eventually(answers, PATIENCE_S, "answer of Orthanc")
    assert outcome.committed == {uid for _, uid in named}
    assert outcome.failed == {"1.2.3.4": 0x0112}


def _answered(url: str) -> dict[str, list[dict[str, object]]]:
    report = requests.get(url, timeout=PATIENCE_S).json()
    found: dict[str, list[dict[str, object]]] = {} if report["Status"] == "Pending" else report
    return found
