"""OHIF draws and lists every kind of mark of a reader's report that was cleaned like everything that readers store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.core.annotations import AnnotationSet, PersonObserver
from service.core.codes import ucum
from service.core.findings import Finding, Measurement
from service.core.geometry import ImagePlace, Shape, ShapeKind
from service.core.shape_sizes import angle_of, area_of, length_of
from service.demo.gateway_client import GatewayClient
from service.demo.phantom import generate_phantom
from service.objects import concepts
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from tests.e2e.ohif_page import ohif
from tests.e2e.test_ohif import save
from tests.gateway_process import GatewayProcess, eventually
from tests.patience import PATIENCE_S
from tests.volumes import ABNORMAL, LUNG, NODULE
from tests.written_results import context

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.long, pytest.mark.xdist_group("ohif")]

MARKS = {
    "lesion length": (ShapeKind.LINE, ((200, 200), (260, 240))),
    "spine angle": (ShapeKind.ANGLE, ((200, 300), (240, 260), (280, 300))),
    "spine curve": (ShapeKind.COBB_ANGLE, ((150, 150), (200, 160), (150, 250), (200, 230))),
    "left nodule": (ShapeKind.RECTANGLE, ((300, 300), (340, 300), (340, 330), (300, 330))),
    "liver lesion": (ShapeKind.CIRCLE, ((320, 200), (340, 200))),
    "Smith^John": (ShapeKind.ELLIPSE, ((180, 350), (240, 350), (210, 340), (210, 360))),
    "right tumor": (ShapeKind.FREEHAND, ((350, 380), (380, 390), (370, 420), (340, 410))),
}
TYPED_NAME = "Smith^John"
"""A label that a reader should not have typed: it goes, the mark stays."""


@dataclass
class Marked:
    """A phantom study with a report of all marks."""

    gateway: GatewayProcess
    study_uid: str
    findings: tuple[Finding, ...]


def measured(kind: ShapeKind, shape: Shape, spacing_mm: tuple[float, float]) -> Measurement:
    if kind is ShapeKind.LINE:
        return Measurement(concepts.LENGTH, length_of(shape, spacing_mm), concepts.MILLIMETRE, shape)
    if kind in (ShapeKind.ANGLE, ShapeKind.COBB_ANGLE):
        return Measurement(concepts.NUMBER_OF[kind], angle_of(shape, spacing_mm), ucum("deg", "degree"), shape)
    return Measurement(concepts.AREA, area_of(shape, spacing_mm), concepts.SQUARE_MILLIMETRE, shape)


def findings_on(images: list[Dataset]) -> tuple[Finding, ...]:
    """Each mark on a slice of its own."""
    sources = SourceImages.of_images(images)
    found = []
    for number, (label, (kind, points)) in enumerate(MARKS.items()):
        image = images[20 + number]
        place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
        shape = Shape(kind, tuple((float(column), float(row)) for column, row in points), place)
        spacing = sources.spacing_mm(place)
        assert spacing is not None
        number_of = measured(kind, shape, spacing)
        found.append(Finding(label, f"2.25.31{number}", ABNORMAL, NODULE, LUNG, measurements=(number_of,)))
    return tuple(found)


def stow(gateway: GatewayProcess, data_set: Dataset) -> None:
    written = BytesIO()
    data_set.save_as(written, enforce_file_format=True)
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + written.getvalue() + b"\r\n--b--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    answer = requests.post(f"{gateway.http}/dicom-web/studies", data=body, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Marked]:
    if not (repository / "viewer" / "dist" / "index.html").is_file():
        words = "OHIF is not unpacked (make viewer)"
        pytest.fail(words) if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1" else pytest.skip(words)
    folder = tmp_path_factory.mktemp("marks")
    (folder / "study").mkdir()
    phantom = generate_phantom(3, folder / "study")
    project = {"ae_titles": ["ANNOGATE"], "annotators": [], "study_quiet_s": 1.0, "deidentify": "default"}
    with GatewayProcess(folder / "gateway", {"projects": {"default": project}}) as gateway:
        peer = PeerAddress(gateway.ae_title, gateway.dicom_host, gateway.dicom_port)
        assert all(sent.stored for sent in store(peer, [OutgoingObject.from_file(file) for file in phantom.files]))
        eventually(
            lambda: [one for one in gateway.studies() if one["00201208"]["Value"][0] == len(phantom.files)],
            what="study",
        )
        study_uid = gateway.studies()[0]["0020000D"]["Value"][0]
        parts = GatewayClient(gateway.http).instances(f"/studies/{study_uid}")
        images = sorted((pydicom.dcmread(BytesIO(part)) for part in parts), key=lambda one: int(one.InstanceNumber))
        found = findings_on(images)
        made = AnnotationSet(PersonObserver("Reader^First"), found)
        stow(
            gateway,
            write_annotation_report(made, "Measurement Report", SourceImages.of_images(images), None, context()),
        )
        yield Marked(gateway, study_uid, found)


def test_every_kind_of_mark_is_listed_with_its_number(marked: Marked) -> None:
    with ohif() as viewer:
        viewer.open(f"{marked.gateway.http}/viewer/viewer/default?StudyInstanceUIDs={marked.study_uid}")
        viewer.wait_for_pixels()
        viewer.hydrate("SR", "Measurement Report")
        viewer.page.locator("[data-cy=side-panel-header-right]").click()
        viewer.panel("trackedMeasurements")
        rows = viewer.page.locator("[data-cy^=measurement-table-row]")
        rows.nth(len(marked.findings) - 1).wait_for()
        texts = rows.all_inner_texts()
        save(viewer, "ohif-marks.png")
        assert len(texts) == len(marked.findings)
        for finding in marked.findings:
            label = "REMOVED" if finding.label == TYPED_NAME else finding.label
            assert any(label in text for text in texts), (label, texts)
        assert not any("Smith" in text for text in texts)
        assert viewer.errors == []
        assert viewer.foreign == []
