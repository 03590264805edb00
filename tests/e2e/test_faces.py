"""A head pushed into a project whose profile removes faces: nobody can read it before its face is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from service.demo.gateway_client import GatewayClient
from tests import storescu
from tests.ct_series import write_instance
from tests.gateway_process import GatewayProcess, eventually
from tests.unit.test_deident_face_series import masks_of, series
from tests.unit.test_ingest_faces import head_images

PROFILE = 'title = "No faces"\nextends = "default"\n[options]\nclean_recognizable_visual_features = true\n'
PROJECT = {"ae_titles": ["ANNOGATE"], "annotators": [], "study_quiet_s": 2.0, "deidentify": "no-faces"}


@pytest.mark.peer("dcmtk")
@pytest.mark.long
def test_a_head_is_served_without_its_face(
    gateways: Callable[..., GatewayProcess], tmp_path: Path, repository: Path
) -> None:
    config = tmp_path / "config"
    shutil.copytree(repository / "config", config)
    (config / "profiles" / "no-faces.toml").write_text(PROFILE)
    images = head_images()
    (tmp_path / "head").mkdir()
    files = [write_instance(image, tmp_path / "head" / f"{number}.dcm") for number, image in enumerate(images)]

    gateway = gateways(projects={"default": PROJECT}, storage={"config_dir": str(config)}).start()
    sent = storescu.send(gateway.dicom_host, gateway.dicom_port, files)
    assert len(sent.acknowledged) == len(files), sent.output
    held = eventually(lambda: gateway.api("/quarantine")["entries"], what="the series in quarantine")
    assert "Waits for the rest of its series" in held[0]["reason"]
    assert not gateway.instances()

    eventually(lambda: len(gateway.instances()) == len(files), what="every image")
    study_uid = gateway.studies()[0]["0020000D"]["Value"][0]
    bodies = GatewayClient(gateway.http).instances(f"/studies/{study_uid}")
    stored = sorted((pydicom.dcmread(BytesIO(body)) for body in bodies), key=lambda one: one.ImagePositionPatient[2])
    for one, image, mask in zip(stored, images, masks_of(*series()), strict=True):
        before = np.frombuffer(image.PixelData, "<u2").reshape(mask[0].shape)
        assert np.array_equal(one.pixel_array[~mask[0]], before[~mask[0]])
        assert np.all(one.pixel_array[mask[0]] == one.pixel_array.min())
        assert one.RecognizableVisualFeatures == "NO"
    eventually(lambda: not gateway.api("/quarantine")["entries"], what="an empty quarantine")
