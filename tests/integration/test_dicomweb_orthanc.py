"""Orthanc's DICOMweb plugin as a client of ours: it stores by STOW-RS, searches by QIDO-RS and fetches by WADO-RS."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from pydicom import dcmread

from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.gateway_process import GatewayProcess
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.peer("orthanc", "orthanc-dicomweb"), pytest.mark.xdist_group("orthanc")]

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
NUMBERS = (1, 2, 3)
KEPT = {"deidentify": "none", "annotators": [], "ae_titles": ["KEPT"]}
CLEANED = {"annotators": [], "ae_titles": ["CLEANED"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {"projects": {"default": KEPT, "cleaned": CLEANED}}
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, gateway: GatewayProcess) -> Iterator[OrthancProcess]:
    servers = {
        "kept": [f"{gateway.http}/dicom-web/"],
        "cleaned": [f"{gateway.http}/projects/cleaned/dicom-web/"],
    }
    settings = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": servers}}
    with OrthancProcess(tmp_path_factory.mktemp("orthanc"), "ANNOGATE", "127.0.0.1", 11112, settings) as running:
        yield running


def ask(orthanc: OrthancProcess, server: str, what: str, question: dict[str, object]) -> requests.Response:
    answer = requests.post(f"{orthanc.http}/dicom-web/servers/{server}/{what}", json=question, timeout=PATIENCE_S)
    assert answer.status_code == 200, (answer.text, (orthanc.folder / "orthanc.log").read_text()[-2000:])
    return answer


def fill(orthanc: OrthancProcess, folder: Path) -> str:
    """Give Orthanc the study anew; its own identifier of it."""
    for study in orthanc.studies():
        requests.delete(f"{orthanc.http}/studies/{study}", timeout=PATIENCE_S).raise_for_status()
    for number in NUMBERS:
        file = folder / f"{number}.dcm"
        file.write_bytes(as_file(ct_slice(number, rows=128, columns=128, pixels=np.full((128, 128), number, "i2"))))
        orthanc.upload(file)
    (study,) = orthanc.studies()
    return study


def test_study_that_orthanc_stores_comes_back_to_it_as_it_was(
    gateway: GatewayProcess, orthanc: OrthancProcess, tmp_path: Path
) -> None:
    study = fill(orthanc, tmp_path)
    ask(orthanc, "kept", "stow", {"Resources": [study], "Synchronous": True})
    assert len(gateway.instances()) == len(NUMBERS)
    found = ask(orthanc, "kept", "qido", {"Uri": "/studies", "Arguments": {"PatientID": "PAT-4711"}}).json()
    assert STUDY_UID in str(found)
    requests.delete(f"{orthanc.http}/studies/{study}", timeout=PATIENCE_S).raise_for_status()
    ask(orthanc, "kept", "retrieve", {"Resources": [{"Study": STUDY_UID}], "Synchronous": True})
    assert orthanc.studies() == [study]
    for identifier in requests.get(f"{orthanc.http}/instances", timeout=PATIENCE_S).json():
        file = requests.get(f"{orthanc.http}/instances/{identifier}/file", timeout=PATIENCE_S).content
        came_back = dcmread(BytesIO(file))
        sent = dcmread(tmp_path / f"{came_back.InstanceNumber}.dcm")
        assert came_back == sent


def test_study_that_orthanc_stores_is_de_identified(
    gateway: GatewayProcess, orthanc: OrthancProcess, tmp_path: Path
) -> None:
    ask(orthanc, "cleaned", "stow", {"Resources": [fill(orthanc, tmp_path)], "Synchronous": True})
    (served,) = gateway.studies("cleaned")
    assert served["00201208"]["Value"] == [len(NUMBERS)]
    assert served["0020000D"]["Value"] != [STUDY_UID]
    assert "Doe" not in str(served)
