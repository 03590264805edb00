"""A study's life: pushed, complete, annotated once, re-opened by a late image, untouched by our own objects."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.demo.gateway_client import GatewayClient
from tests import storescu
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.orthanc_process import OrthancProcess

PROJECT = {"ae_titles": ["ANNOGATE"], "annotators": ["bones"], "study_quiet_s": 1.0}


def bone(_: int) -> np.ndarray:
    """Soft tissue with a dense block, as stored values."""
    voxels = np.full((64, 64), 40, np.int16)
    voxels[20:40, 20:40] = 900
    return voxels


def detail(gateway: GatewayProcess) -> dict[str, Any]:
    """The one study, as the API tells of it."""
    study_uid = gateway.studies()[0]["0020000D"]["Value"][0]
    return dict(gateway.api(f"/projects/default/studies/{study_uid}"))


def completed(gateway: GatewayProcess, version: int) -> dict[str, Any]:
    """The one study once it is complete for the ``version``-th time and its run has ended."""

    def ended() -> dict[str, Any]:
        if not gateway.studies():
            return {}
        now = detail(gateway)
        done = now["state"] == "complete" and now["version"] == version
        return now if done and now["runs"] and all(run["state"] == "done" for run in now["runs"]) else {}

    return eventually(ended, what=f"completion {version}")


def send(gateway: GatewayProcess, files: list[Path], *options: str, nodelay: bool = True) -> None:
    sent = storescu.send(gateway.dicom_host, gateway.dicom_port, files, *options, nodelay=nodelay)
    assert len(sent.acknowledged) == len(files), sent.output


@pytest.mark.peer("dcmtk")
@pytest.mark.long
def test_late_image_makes_a_new_version_and_our_own_objects_change_nothing(
    gateways: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    files = write_ct_series(tmp_path / "ct", 14, rows=64, columns=64, voxels=bone)
    gateway = gateways(projects={"default": PROJECT}).start()
    send(gateway, files[:12])
    first = completed(gateway, 1)
    assert [run["version"] for run in first["runs"]] == [1]
    assert sorted(made["modality"] for made in first["results"]) == ["SEG", "SR"]

    # What the PACS got from us comes back: acknowledged, and nothing changes.
    client = GatewayClient(gateway.http)
    returned = [
        pydicom.dcmread(BytesIO(body))
        for made in first["results"]
        for body in client.instances(
            f"/studies/{first['study_uid']}/series/{made['series_uid']}/instances/{made['sop_instance_uid']}"
        )
    ]
    original = pydicom.dcmread(files[0], stop_before_pixels=True)
    for data_set in returned:
        data_set.StudyInstanceUID, data_set.PatientID = original.StudyInstanceUID, original.PatientID
        data_set.PatientName = original.PatientName
    peer = PeerAddress(gateway.ae_title, gateway.dicom_host, gateway.dicom_port)
    assert all(sent.stored for sent in store(peer, [OutgoingObject.from_data_set(d) for d in returned]))
    instances = len(gateway.instances())

    # The same study again, without and with Nagle's algorithm at the sender: still once, still complete.
    send(gateway, files[:12])
    send(gateway, files[:3], nodelay=False)
    assert len(gateway.instances()) == instances
    assert detail(gateway)["version"] == 1

    # A restart runs nothing again.
    assert gateway.stop() == 0
    gateway.start()
    assert completed(gateway, 1)["results"] == first["results"]

    # Late images re-open it; the new version's objects are shown, the old ones are not.
    send(gateway, files[12:])
    second = completed(gateway, 2)
    assert [run["version"] for run in second["runs"]] == [2]
    assert not {made["sop_instance_uid"] for made in second["results"]} & {
        made["sop_instance_uid"] for made in first["results"]
    }
    assert len(gateway.instances()) == instances + 2
    report = next(made for made in second["results"] if made["modality"] == "SR")
    path = f"/studies/{second['study_uid']}/series/{report['series_uid']}/instances/{report['sop_instance_uid']}"
    written = pydicom.dcmread(BytesIO(next(GatewayClient(gateway.http).instances(path))))
    replaced = written.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert replaced.ReferencedSOPInstanceUID in {made["sop_instance_uid"] for made in first["results"]}


@pytest.mark.peer("orthanc")
@pytest.mark.long
def test_orthanc_pushes_a_study_by_its_own_configuration(
    gateways: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    gateway = gateways(
        projects={"default": PROJECT},
        callers={"pacs": {"ae_title": "ORTHANC", "addresses": ["127.0.0.0/8"]}},
    ).start()
    files = write_ct_series(tmp_path / "ct", 12, rows=64, columns=64, voxels=bone)
    folder = tmp_path / "orthanc"
    with OrthancProcess(folder, gateway.ae_title, gateway.dicom_host, gateway.dicom_port) as orthanc:
        for file in files:
            orthanc.upload(file)
        job = orthanc.push(orthanc.studies())
        assert job["InstancesCount"] == 12
        assert job["FailedInstancesCount"] == 0
    assert completed(gateway, 1)["results"]
    # Nobody else is known here.
    refused = storescu.send(gateway.dicom_host, gateway.dicom_port, files[:1], calling="STRANGER")
    assert refused.acknowledged == []
    assert "Calling AE Title Not Recognized" in refused.output


@pytest.mark.peer("dcmtk")
def test_called_title_chooses_the_project_and_an_unknown_one_is_refused(
    gateways: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    files = write_ct_series(tmp_path / "ct", 2, rows=16, columns=16)
    gateway = gateways(
        projects={
            "default": {**PROJECT, "annotators": []},
            "clinic": {"ae_titles": ["CLINIC"], "deidentify": "none", "annotators": []},
        }
    ).start()
    host, port = gateway.dicom_host, gateway.dicom_port
    assert len(storescu.send(host, port, files, called="CLINIC").acknowledged) == 2
    assert storescu.send(host, port, files, called="NOBODY").acknowledged == []
    eventually(lambda: len(gateway.instances("clinic")) == 2)
    assert gateway.instances("default") == []
    # In-house use keeps every byte of the data set.
    study_uid = gateway.studies("clinic")[0]["0020000D"]["Value"][0]
    served = {data_set_of(body) for body in GatewayClient(gateway.http).instances(f"/studies/{study_uid}", "clinic")}
    assert served == {data_set_of(file.read_bytes()) for file in files}


def data_set_of(file: bytes) -> bytes:
    """What follows the file meta information, by its group length (0002,0000)."""
    return file[144 + int.from_bytes(file[140:144], "little") :]
