"""A PACS pushes a study and gets the results back under its own identifiers, through every process of a gateway."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
import requests
from pydicom import dcmread

from service.demo.phantom import generate_phantom
from tests.gateway_process import GatewayProcess, eventually
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S


@pytest.mark.peer("orthanc")
def test_results_come_back_to_the_pacs_that_pushed_the_study(tmp_path: Path) -> None:
    phantom = generate_phantom(7, _made(tmp_path / "study"))
    dicom_port = free_port()
    project = {
        "annotators": ["nodules"],
        "study_quiet_s": 1,
        "approve": "person",
        "allow_demonstrator": True,
        "deliver_to": ["pacs"],
    }
    with OrthancProcess(tmp_path / "orthanc", "ANNOGATE", "127.0.0.1", dicom_port) as orthanc:
        peer = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port, "storage_commitment": True}
        peer["objects"] = ["seg", "sr", "key-object"]
        settings = {"projects": {"default": project}, "peers": {"pacs": peer}, "delivery": {"sweep_s": 1.0}}
        gateway = GatewayProcess(tmp_path, settings)
        with gateway:
            for file in phantom.files:
                orthanc.upload(file)
            address = {"AET": gateway.ae_title, "Host": gateway.dicom_host, "Port": gateway.dicom_port}
            requests.put(f"{orthanc.http}/modalities/annogate", json=address, timeout=PATIENCE_S).raise_for_status()
            assert orthanc.push(orthanc.studies())["FailedInstancesCount"] == 0
            (waiting,) = eventually(lambda: gateway.api("/results?state=waiting")["results"], what="result")
            assert waiting["held"] == "waits for a person's approval"
            released = requests.post(f"{gateway.http}/api/v1/results/{waiting['id']}/release", timeout=PATIENCE_S)
            assert released.json()["state"] == "released"

            def ended() -> dict[str, str] | None:
                (delivery,) = gateway.api("/deliveries")["deliveries"]
                return None if delivery["state"] == "waiting" else delivery

            delivery = eventually(ended, what="end of the delivery")
            assert (delivery["state"], delivery["words"]) == ("sent", "")
            # Orthanc answers on an association of its own.
            eventually(
                lambda: gateway.api("/deliveries")["deliveries"][0]["commitment"] == "committed", what="commitment"
            )
            sent = gateway.api(f"/projects/default/studies/{waiting['study_uid']}")["results"]
            assert {one["held"] for one in sent} == {"sent to pacs"}
        (study,) = orthanc.studies()
        found = requests.get(f"{orthanc.http}/studies/{study}/instances", timeout=PATIENCE_S).json()
        results = [one["ID"] for one in found if _modality(orthanc, one) != "CT"]
        original = dcmread(phantom.files[0], stop_before_pixels=True)
        for identifier in results:
            content = requests.get(f"{orthanc.http}/instances/{identifier}/file", timeout=PATIENCE_S).content
            result = dcmread(BytesIO(content))
            assert (result.PatientID, result.PatientName) == (original.PatientID, original.PatientName)
            assert result.StudyDate == original.StudyDate
        assert sorted(_modality(orthanc, {"ID": identifier}) for identifier in results) == ["KO", "SEG", "SR"]
    assert list((gateway.data_dir / "outbox").iterdir()) == []


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _modality(orthanc: OrthancProcess, instance: dict[str, str]) -> str:
    return str(
        requests.get(f"{orthanc.http}/instances/{instance['ID']}/content/0008-0060", timeout=PATIENCE_S).text
    ).strip()
