"""OHIF shows each segment of our label map under its name, in its colour and where it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.core.annotator import AnnotatorResult
from service.core.findings import Finding, Mask
from service.demo.gateway_client import GatewayClient
from service.demo.phantom import generate_phantom
from service.objects.segmentation import write_segmentation
from service.objects.source_frames_reader import frames_of_images
from tests.e2e.ohif_page import OhifPage, ohif
from tests.e2e.test_ohif import save
from tests.e2e.test_ohif_marks import stow
from tests.gateway_process import GatewayProcess, eventually
from tests.segmented import LABEL_MAP
from tests.volumes import ABNORMAL, ALGORITHM, NODULE
from tests.written_results import context

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.long, pytest.mark.xdist_group("ohif")]

TITLE = "Segmentation"
SIZE = 60
SEGMENTS = {
    "left nodule": ((150, 150), (255, 0, 0)),
    "liver lesion": ((150, 320), (0, 255, 0)),
    "right tumor": ((320, 240), (0, 0, 255)),
}
"""First row and column of a square through all slices, and its colour."""


@dataclass
class Segmented:
    """A phantom study with a label map."""

    gateway: GatewayProcess
    study_uid: str
    image: Dataset

    def middle_mm(self, name: str) -> np.ndarray:
        """The middle of a square (mm, LPS), on the first slice."""
        (row, column), _ = SEGMENTS[name]
        origin = np.array(self.image.ImagePositionPatient, dtype=float)
        spacing = float(self.image.PixelSpacing[0])
        return origin + spacing * np.array([column + SIZE / 2, row + SIZE / 2, 0])


def findings_on(shape: tuple[int, int, int]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name,
            f"2.25.41{number}",
            ABNORMAL,
            NODULE,
            mask=Mask(np.ones((shape[0], SIZE, SIZE), dtype=bool), (0, row, column)),
            colour=colour,
        )
        for number, (name, ((row, column), colour)) in enumerate(SEGMENTS.items())
    )


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Segmented]:
    if not (repository / "viewer" / "dist" / "index.html").is_file():
        words = "OHIF is not unpacked (make viewer)"
        pytest.fail(words) if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1" else pytest.skip(words)
    folder = tmp_path_factory.mktemp("label-map")
    (folder / "study").mkdir()
    phantom = generate_phantom(3, folder / "study")
    project = {"ae_titles": ["ANNOGATE"], "annotators": [], "study_quiet_s": 1.0}
    with GatewayProcess(folder / "gateway", {"projects": {"default": project}}) as gateway:
        peer = PeerAddress(gateway.ae_title, gateway.dicom_host, gateway.dicom_port)
        assert all(sent.stored for sent in store(peer, [OutgoingObject.from_file(file) for file in phantom.files]))
        eventually(
            lambda: [one for one in gateway.studies() if one["00201208"]["Value"][0] == len(phantom.files)],
            what="study",
        )
        study_uid = gateway.studies()[0]["0020000D"]["Value"][0]
        parts = GatewayClient(gateway.http).instances(f"/studies/{study_uid}")
        images = [pydicom.dcmread(BytesIO(part)) for part in parts]
        images.sort(key=lambda one: float(one.ImagePositionPatient[2]))
        frames = frames_of_images(images)
        result = AnnotatorResult(findings_on(frames.shape), ALGORITHM, "three squares")
        label_map = write_segmentation(result, TITLE, frames, context(), LABEL_MAP)
        assert label_map is not None
        stow(gateway, label_map)
        yield Segmented(gateway, study_uid, images[0])


def test_each_segment_has_its_name_and_its_colour_where_it_is(segmented: Segmented) -> None:
    with ohif() as viewer:
        viewer.open_study(segmented.gateway.http, "default", segmented.study_uid)
        viewer.hydrate("SEG", TITLE)
        viewer.page.locator("[data-cy=side-panel-header-right]").click()
        viewer.panel("panelSegmentation")
        rows = viewer.page.locator("[data-cy=data-row-title]")
        rows.nth(len(SEGMENTS) - 1).wait_for()
        assert rows.all_inner_texts() == list(SEGMENTS)
        eventually(lambda: all(tint(viewer, segmented, name) for name in SEGMENTS), what="three squares in colour")
        save(viewer, "ohif-label-map.png")
        shown = {name: tint(viewer, segmented, name) for name in SEGMENTS}
        assert shown == {"left nodule": "red", "liver lesion": "green", "right tumor": "blue"}


def tint(viewer: OhifPage, segmented: Segmented, name: str) -> str:
    """Which channel stands out at the middle of a square; none where it is grey."""
    x, y = viewer.canvas_of(segmented.middle_mm(name))
    pixel = viewer.canvas()[y, x].astype(int)
    return "" if np.ptp(pixel) < 12 else ("red", "green", "blue")[int(pixel.argmax())]
