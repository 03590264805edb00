"""An unmodified OHIF shows the study, its segments and its measurements, as the objects say them."""

from __future__ import annotations

import os
import re
import subprocess
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
from service.demo.gateway_client import GatewayClient
from service.demo.phantom import generate_phantom
from service.objects.findings_reader import findings_of
from tests.e2e.ohif_page import OhifPage, ohif
from tests.gateway_process import GatewayProcess, eventually

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.long, pytest.mark.xdist_group("ohif")]

TITLE = "Lung nodules"
GREY = 12  # how far channels of a grey pixel may differ after scaling
LONG_AXIS = re.compile(r"L: ([\d.]+) mm")


@dataclass
class Served:
    """A phantom study that went the whole way."""

    gateway: GatewayProcess
    study_uid: str
    segmentation: Dataset
    report: Dataset


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Served]:
    if not (repository / "viewer" / "dist" / "index.html").is_file():
        words = "OHIF is not unpacked (make viewer)"
        pytest.fail(words) if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1" else pytest.skip(words)
    folder = tmp_path_factory.mktemp("ohif")
    (folder / "study").mkdir()
    phantom = generate_phantom(3, folder / "study")
    project = {"ae_titles": ["ANNOGATE"], "annotators": ["lungs", "nodules"], "study_quiet_s": 2.0}
    with GatewayProcess(folder / "gateway", {"projects": {"default": project}}) as gateway:
        peer = PeerAddress(gateway.ae_title, gateway.dicom_host, gateway.dicom_port)
        assert all(sent.stored for sent in store(peer, [OutgoingObject.from_file(file) for file in phantom.files]))
        results = eventually(lambda: nodule_results(gateway), what="results")
        client = GatewayClient(gateway.http)
        study_uid = gateway.studies()[0]["0020000D"]["Value"][0]
        objects = {}
        for made in results:
            path = f"/studies/{study_uid}/series/{made['series_uid']}/instances/{made['sop_instance_uid']}"
            objects[made["modality"]] = pydicom.dcmread(BytesIO(next(client.instances(path))))
        yield Served(gateway, study_uid, objects["SEG"], objects["SR"])


def nodule_results(gateway: GatewayProcess) -> list[dict[str, str]]:
    """The objects of the nodules once every run of the one study has ended."""
    for study in gateway.studies():
        detail = gateway.api(f"/projects/default/studies/{study['0020000D']['Value'][0]}")
        if len(detail["runs"]) == 2 and all(run["state"] == "done" for run in detail["runs"]):
            return [made for made in detail["results"] if made["annotator"] == "nodules"]
    return []


@pytest.fixture
def viewer(served: Served) -> Iterator[OhifPage]:
    with ohif() as page:
        yield page
        assert page.errors == []
        assert page.foreign == []


def open_study(viewer: OhifPage, served: Served) -> None:
    viewer.open(f"{served.gateway.http}/viewer/viewer/default?StudyInstanceUIDs={served.study_uid}")
    viewer.wait_for_pixels()


def test_study_stands_in_the_list(viewer: OhifPage, served: Served) -> None:
    viewer.open(f"{served.gateway.http}/viewer/")
    viewer.page.get_by_text(str(served.report.PatientID)).first.wait_for()
    assert viewer.page.get_by_text("CT\\SEG\\SR").count() == 1


def test_pixels_are_not_blank(viewer: OhifPage, served: Served) -> None:
    open_study(viewer, served)
    shades = eventually(lambda: len(np.unique(viewer.canvas()[..., 0])) > 30, what="pixels")
    assert shades


def test_segments_have_their_names_and_lie_inside_the_mask(viewer: OhifPage, served: Served) -> None:
    open_study(viewer, served)
    viewer.hydrate("SEG", TITLE)
    viewer.page.locator("[data-cy=side-panel-header-right]").click()
    viewer.panel("panelSegmentation")
    labels = [str(segment.SegmentLabel) for segment in served.segmentation.SegmentSequence]
    rows = viewer.page.locator("[data-cy=data-row-title]")
    rows.nth(len(labels) - 1).wait_for()
    assert rows.all_inner_texts() == labels

    overlay = eventually(lambda: coloured(viewer.canvas()), what="an overlay in colour")
    world = viewer.world_of(np.asarray(overlay) + 0.5)
    inside = inside_segments(served.segmentation, world)
    assert inside.mean() > 0.99, f"{(~inside).sum()} of {len(inside)} coloured pixels lie outside the mask"


def test_measurements_of_the_panel_are_those_of_the_report(viewer: OhifPage, served: Served) -> None:
    open_study(viewer, served)
    viewer.hydrate("SEG", TITLE)
    viewer.hydrate("SR", TITLE)
    viewer.page.locator("[data-cy=side-panel-header-right]").click()
    viewer.panel("trackedMeasurements")
    findings = findings_of(served.report, served.segmentation)
    rows = viewer.page.locator("[data-cy^=measurement-table-row]")
    rows.nth(len(findings) - 1).wait_for()
    texts = rows.all_inner_texts()
    assert len(texts) == len(findings) == 3
    for text, finding in zip(texts, findings, strict=True):
        assert finding.label in text
        shown = LONG_AXIS.search(text)
        assert shown, text
        long_axis = next(m.value for m in finding.measurements if m.name.value == "103339001")
        # OHIF rounds to three figures.
        assert float(shown[1]) == pytest.approx(long_axis, rel=5e-3)
    save(viewer, "ohif.png")


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_finds_no_error_in_what_was_made_of_the_phantom(served: Served, tmp_path: Path) -> None:
    client = GatewayClient(served.gateway.http)
    made = served.gateway.api(f"/projects/default/studies/{served.study_uid}")["results"]
    assert len(made) == 4
    for entry in made:
        path = f"/studies/{served.study_uid}/series/{entry['series_uid']}/instances/{entry['sop_instance_uid']}"
        file = tmp_path / f"{entry['annotator']}-{entry['modality']}.dcm"
        file.write_bytes(next(client.instances(path)))
        judged = subprocess.run(["/usr/bin/dciodvfy", str(file)], capture_output=True, text=True, check=False)
        errors = [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], file.name


def save(viewer: OhifPage, name: str) -> None:
    """Keep a screenshot; `make screenshot` has it kept where the README shows it."""
    folder = Path(os.environ.get("ANNOGATE_SCREENSHOTS", Path(__file__).parent / "output"))
    folder.mkdir(parents=True, exist_ok=True)
    viewer.page.wait_for_timeout(1000)  # toasts fade; for the eye alone
    viewer.page.screenshot(path=folder / name)


def coloured(canvas: np.ndarray) -> list[list[int]]:
    """Canvas points (x, y) whose colour is none of the image's greys."""
    spread = canvas.max(axis=2).astype(int) - canvas.min(axis=2)
    y, x = np.nonzero(spread > GREY)
    return np.stack([x, y], axis=1).tolist()


def inside_segments(segmentation: Dataset, world: np.ndarray) -> np.ndarray:
    """Whether points (mm, LPS) lie in any segment, or within a voxel of one (outlines are drawn on the edge)."""
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns).astype(bool)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    row_spacing, column_spacing = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    along_columns, along_rows = orientation[:3], orientation[3:]
    normal = np.cross(along_columns, along_rows)
    inside = np.zeros(len(world), bool)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        offset = world - origin
        column = offset @ along_columns / column_spacing
        row = offset @ along_rows / row_spacing
        near = np.abs(offset @ normal) < 0.5
        grown = np.pad(frame, 1)
        grown = sum(np.roll(grown, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)).astype(bool)[1:-1, 1:-1]
        r, c = np.rint(row).astype(int), np.rint(column).astype(int)
        valid = near & (r >= 0) & (c >= 0) & (r < frame.shape[0]) & (c < frame.shape[1])
        inside[valid] |= grown[r[valid], c[valid]]
    return inside
