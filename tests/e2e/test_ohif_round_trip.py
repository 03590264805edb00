"""A reader marks a study in OHIF and saves; the archive serves it, our readers read it, and OHIF shows it again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.core.findings import Finding
from service.core.geometry import ImagePlace, Shape
from service.core.shape_sizes import length_of
from service.demo.phantom import generate_phantom
from service.objects import concepts
from service.objects.annotation_reader import annotations_of
from service.objects.segmentation_form import SegmentationKind
from service.objects.segmentation_reading import read_segmentation
from service.reading.comparison import Change, compare
from tests.e2e.ohif_page import OhifPage, Points, ohif
from tests.e2e.test_ohif import coloured, inside_segments, save
from tests.gateway_process import GatewayProcess, eventually

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.long, pytest.mark.xdist_group("ohif")]

READER = {"username": "ada", "password": "a long password"}
SIGNED_IN = (READER["username"], READER["password"])
LINE: Points = [(300, 300), (420, 380)]
LONG_AXIS: Points = [(600, 520), (760, 560)]
STROKES: tuple[Points, ...] = ([(420, 420), (480, 420)], [(520, 480), (560, 520)])
SLICES_BETWEEN = 3
REPORT, MASK = "Measurement Report", "Segmentation"


@dataclass(frozen=True)
class ReadStudy:
    """What a reader did in OHIF in one project, and what the archive answered.

    Parameters
    ----------
    line_mm, long_axis_mm : ends as the viewport has them, mm (LPS); shape (2, 3)
    painted : voxels of the segmentation as the viewer has it
    report_uid, segmentation_uid : SOP Instance UIDs
    """

    gateway: GatewayProcess
    project: str
    study_uid: str
    line_mm: np.ndarray
    long_axis_mm: np.ndarray
    painted: int
    report_uid: str
    segmentation_uid: str

    @property
    def root(self) -> str:
        return f"/projects/{self.project}/dicom-web/studies/{self.study_uid}"

    @property
    def api(self) -> str:
        return f"/api/v1/projects/{self.project}"

    def rows(self) -> dict[str, dict[str, list[str]]]:
        """Every instance of the study as QIDO-RS lists it, by SOP Instance UID."""
        answer = self.gateway.get(f"{self.root}/instances", auth=SIGNED_IN)
        answer.raise_for_status()
        return {row["00080018"]["Value"][0]: row for row in answer.json()}

    def saved(self, sop_instance_uid: str) -> Dataset:
        """An instance as WADO-RS serves it; an older version's as the API does."""
        row = self.rows().get(sop_instance_uid)
        if row is None:
            return self.older(sop_instance_uid)
        series_uid = row["0020000E"]["Value"][0]
        path = f"{self.root}/series/{series_uid}/instances/{sop_instance_uid}"
        accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        answer = self.gateway.get(path, auth=SIGNED_IN, headers=accept)
        answer.raise_for_status()
        content = answer.content
        return pydicom.dcmread(BytesIO(content[content.index(b"DICM") - 128 : content.rindex(b"\r\n--")]))

    def versions(self) -> list[dict[str, Any]]:
        """The versions of what was marked, by line, the newest first."""
        answer = self.gateway.get(f"{self.api}/studies/{self.study_uid}/annotations", auth=SIGNED_IN)
        answer.raise_for_status()
        versions: list[dict[str, Any]] = answer.json()["versions"]
        return versions

    def version_of(self, sop_instance_uid: str) -> dict[str, Any]:
        """The version that an object belongs to."""
        return next(
            one
            for one in self.versions()
            if any(held["sop_instance_uid"] == sop_instance_uid for held in one["objects"])
        )

    def older(self, sop_instance_uid: str) -> Dataset:
        """An object of a version, listed by DICOMweb or not."""
        number = self.version_of(sop_instance_uid)["id"]
        answer = self.gateway.get(f"{self.api}/annotations/{number}/objects/{sop_instance_uid}", auth=SIGNED_IN)
        answer.raise_for_status()
        return pydicom.dcmread(BytesIO(answer.content))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[GatewayProcess]:
    """A phantom study in a project that keeps identity and in one that removes it, and a reader of both."""
    if not (repository / "viewer" / "dist" / "index.html").is_file():
        words = "OHIF is not unpacked (make viewer)"
        pytest.fail(words) if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1" else pytest.skip(words)
    folder = tmp_path_factory.mktemp("round-trip")
    (folder / "study").mkdir()
    phantom = generate_phantom(3, folder / "study", slices=20, rows=256)
    common = {"annotators": [], "study_quiet_s": 1.0}
    projects = {
        "default": {"ae_titles": ["CLINIC"], "deidentify": "none", **common},
        "research": {"ae_titles": ["RESEARCH"], **common},
    }
    with GatewayProcess(folder / "gateway", {"projects": projects}) as running:
        for project, title in (("default", "CLINIC"), ("research", "RESEARCH")):
            peer = PeerAddress(title, running.dicom_host, running.dicom_port)
            assert all(sent.stored for sent in store(peer, [OutgoingObject.from_file(file) for file in phantom.files]))
            eventually(lambda name=project: len(running.instances(name)) == len(phantom.files), what="the study")
        add_reader(running)
        yield running


def add_reader(gateway: GatewayProcess) -> None:
    config = ("--config", str(gateway.folder / "annogate.toml"), "--data-dir", str(gateway.data_dir))
    command = [sys.executable, "-m", "service.cli", "user", "add", READER["username"], "--role", "reader", *config]
    subprocess.run(command, input=READER["password"] + "\n", text=True, check=True, capture_output=True)


@pytest.fixture(scope="module", params=["default", "research"])
def read(request: pytest.FixtureRequest, gateway: GatewayProcess) -> ReadStudy:
    """The study after a reader has drawn a length and two axes, painted on two slices, and saved both."""
    project: str = request.param
    studies = gateway.get(f"/projects/{project}/dicom-web/studies", auth=SIGNED_IN).json()
    study_uid = studies[0]["0020000D"]["Value"][0]
    with ohif(http_credentials=READER) as viewer:
        viewer.open_study(gateway.http, project, study_uid)
        line_mm, long_axis_mm = draw(viewer)
        report_uid = viewer.save_measurements(REPORT)
        viewer.open_study(gateway.http, project, study_uid, mode="segmentation")
        painted = paint(viewer)
        segmentation_uid = viewer.save_segmentation(MASK)
        assert viewer.errors == []
        assert viewer.foreign == []
    return ReadStudy(gateway, project, study_uid, line_mm, long_axis_mm, painted, report_uid, segmentation_uid)


@dataclass(frozen=True)
class Reopened:
    """What a fresh browser shows of the saved marks, and what was saved after an end of the line was pulled.

    Parameters
    ----------
    listed : the measurement panel's words
    painted : voxels of the loaded segmentation
    overlay_mm : where the viewport shows colour, mm (LPS); shape (n, 3)
    moved_mm : how far the line's end was pulled
    edited_uid : SOP Instance UID of the next report
    """

    listed: str
    painted: int
    overlay_mm: np.ndarray
    moved_mm: float
    edited_uid: str


@pytest.fixture(scope="module")
def reopened(read: ReadStudy) -> Reopened:
    with ohif(http_credentials=READER) as viewer:
        viewer.open_study(read.gateway.http, read.project, read.study_uid)
        viewer.page.locator("[data-cy=side-panel-header-right]").click()
        viewer.hydrate("SEG", MASK)
        painted = viewer.painted_voxels()
        overlay = eventually(lambda: coloured(viewer.canvas()), what="an overlay in colour")
        overlay_mm = viewer.world_of(np.asarray(overlay) + 0.5)

        viewer.hydrate("SR", REPORT)
        viewer.panel("trackedMeasurements")
        rows = viewer.page.locator("[data-cy^=measurement-table-row]")
        rows.nth(1).wait_for()
        listed = "\n".join(rows.all_inner_texts())
        save(viewer, f"ohif-round-trip-{read.project}.png")
        moved_mm = pull_end_of_line(viewer, read.line_mm[1])
        edited_uid = viewer.save_measurements()
        assert viewer.errors == []
        assert viewer.foreign == []
    return Reopened(listed, painted, overlay_mm, moved_mm, edited_uid)


def pull_end_of_line(viewer: OhifPage, end_mm: np.ndarray) -> float:
    """Take the handle at an end of the line and let it go elsewhere; how far, in mm."""
    x, y = viewer.canvas_of(end_mm)
    target = (x + 40, y + 10)
    viewer.drag([(x, y), target])
    return float(np.linalg.norm(viewer.world_of(np.asarray([target]))[0] - end_mm))


def image_of(finding: Finding) -> str:
    """SOP Instance UID of the image that a finding's first number was taken on."""
    shape = finding.measurements[0].shape
    assert shape is not None
    assert isinstance(shape.place, ImagePlace)
    return shape.place.sop_instance_uid


def draw(viewer: OhifPage) -> tuple[np.ndarray, np.ndarray]:
    """Draw a length and a bidirectional measurement; the ends of the line and of the long axis in mm (LPS)."""
    viewer.page.locator("[data-cy=side-panel-header-right]").click()
    viewer.take_tool("Length")
    viewer.drag(LINE)
    viewer.page.locator("[data-cy=prompt-begin-tracking-yes-btn]").click()
    viewer.take_tool("Bidirectional")
    viewer.drag(LONG_AXIS)
    viewer.panel("trackedMeasurements")
    viewer.page.locator("[data-cy^=measurement-table-row]").nth(1).wait_for()
    return viewer.world_of(np.asarray(LINE)), viewer.world_of(np.asarray(LONG_AXIS))


def paint(viewer: OhifPage) -> int:
    """Paint a segment on two slices; the number of its voxels."""
    viewer.page.locator("[data-cy=addSegmentation]").click()
    viewer.page.locator("[data-cy=data-row-title]").wait_for()
    viewer.page.locator("[data-cy=Brush-btn]").click()
    painted = 0
    for number, stroke in enumerate(STROKES):
        if number:
            viewer.scroll(SLICES_BETWEEN)
        viewer.drag(stroke)
        before = painted
        painted = eventually(lambda seen=before: more_than(seen, viewer.painted_voxels()), what="voxels")
    return painted


def more_than(before: int, now: int) -> int:
    return now if now > before else 0


def named(findings: tuple[Finding, ...], count: int) -> Finding:
    """The finding with so many measurements."""
    (found,) = (finding for finding in findings if len(finding.measurements) == count)
    return found


def direction(shape: Shape | None) -> np.ndarray:
    """Of a line, along columns and rows, without length."""
    assert shape is not None
    along = np.diff(np.asarray(shape.points), axis=0)[0]
    return along / np.linalg.norm(along)


def in_patient(image: Dataset, shape: Shape) -> np.ndarray:
    """The points of a shape on an image in mm (LPS); a pixel's centre is at (0.5, 0.5) of it (PS3.3 C.18.6.1.1)."""
    columns, rows = (np.asarray(shape.points) - 0.5).T
    row_spacing, column_spacing = map(float, image.PixelSpacing)
    orientation = np.array(image.ImageOrientationPatient, float)
    origin = np.array(image.ImagePositionPatient, float)
    return origin + np.outer(columns * column_spacing, orientation[:3]) + np.outer(rows * row_spacing, orientation[3:])


def assert_lies_on(read: ReadStudy, shape: Shape | None, ends_mm: np.ndarray) -> None:
    """The line has the ends that were drawn, to a tenth of a pixel."""
    assert shape is not None
    assert isinstance(shape.place, ImagePlace)
    image = read.saved(shape.place.sop_instance_uid)
    assert in_patient(image, shape) == pytest.approx(ends_mm, abs=0.1 * float(image.PixelSpacing[0]))


def test_archive_lists_what_the_reader_saved(read: ReadStudy) -> None:
    rows = read.rows()
    classes = {uid: rows[uid]["00080016"]["Value"][0] for uid in (read.report_uid, read.segmentation_uid)}
    assert classes[read.report_uid].startswith("1.2.840.10008.5.1.4.1.1.88.")
    assert classes[read.segmentation_uid] == "1.2.840.10008.5.1.4.1.1.66.7"


def test_saved_segmentation_is_served_as_it_was_compressed(read: ReadStudy) -> None:
    assert read.saved(read.segmentation_uid).file_meta.TransferSyntaxUID == pydicom.uid.RLELossless


def test_drawn_line_is_read_back_in_millimetres(read: ReadStudy) -> None:
    line = named(annotations_of(read.saved(read.report_uid)).findings, 1).measurements[0]
    assert line.name == concepts.LENGTH
    assert line.value == pytest.approx(np.linalg.norm(np.diff(read.line_mm, axis=0)), abs=1e-3)
    assert_lies_on(read, line.shape, read.line_mm)


def test_drawn_axes_are_read_back_in_millimetres(read: ReadStudy) -> None:
    long_axis, short_axis = named(annotations_of(read.saved(read.report_uid)).findings, 2).measurements
    assert (long_axis.name.value, short_axis.name.value) == (concepts.LONG_AXIS.value, concepts.SHORT_AXIS.value)
    assert long_axis.value == pytest.approx(np.linalg.norm(np.diff(read.long_axis_mm, axis=0)), abs=1e-3)
    assert_lies_on(read, long_axis.shape, read.long_axis_mm)
    image = read.saved(short_axis.shape.place.sop_instance_uid)
    spacing = tuple(float(value) for value in image.PixelSpacing)
    assert short_axis.value == pytest.approx(length_of(short_axis.shape, spacing), abs=1e-3)
    assert 0 < short_axis.value < long_axis.value
    assert np.dot(direction(long_axis.shape), direction(short_axis.shape)) == pytest.approx(0, abs=1e-3)


def test_painted_voxels_are_read_back(read: ReadStudy, tmp_path: Path) -> None:
    file = tmp_path / "painted.dcm"
    read.saved(read.segmentation_uid).save_as(file)
    segmentation = read_segmentation(file)
    assert segmentation.kind is SegmentationKind.LABELMAP
    counts = [np.count_nonzero(frame.pixels) for frame in segmentation.frames()]
    assert len(counts) == len(STROKES)
    assert all(counts)
    assert sum(counts) == read.painted


def test_saved_measurements_are_listed_again(read: ReadStudy, reopened: Reopened) -> None:
    for ends in (read.line_mm, read.long_axis_mm):
        assert f"{np.linalg.norm(np.diff(ends, axis=0)):.1f} mm" in reopened.listed


def test_painted_segment_is_shown_again(read: ReadStudy, reopened: Reopened) -> None:
    assert reopened.painted == read.painted
    inside = inside_segments(read.saved(read.segmentation_uid), reopened.overlay_mm)
    assert inside.mean() > 0.99, f"{(~inside).sum()} of {len(inside)} coloured pixels lie outside the mask"


def test_edited_report_names_the_one_that_it_replaces(read: ReadStudy, reopened: Reopened) -> None:
    edited = read.saved(reopened.edited_uid)
    (of_study,) = edited.PredecessorDocumentsSequence
    (of_series,) = of_study.ReferencedSeriesSequence
    (before,) = of_series.ReferencedSOPSequence
    assert before.ReferencedSOPInstanceUID == read.report_uid
    assert edited.SeriesInstanceUID == read.saved(read.report_uid).SeriesInstanceUID


def test_edited_line_is_changed_and_the_axes_are_accepted(read: ReadStudy, reopened: Reopened) -> None:
    before = annotations_of(read.saved(read.report_uid))
    after = annotations_of(read.saved(reopened.edited_uid))
    spacing = tuple(float(value) for value in read.saved(image_of(before.findings[0])).PixelSpacing)
    compared = compare(before, after, spacing_of=lambda _: spacing)
    changes = {one.label: one for one in compared.findings}
    assert changes["Bidirectional"].change is Change.ACCEPTED
    assert changes["Length"].change is Change.CHANGED
    (moved,) = changes["Length"].differences
    assert moved.distance_mm == pytest.approx(reopened.moved_mm, abs=0.2 * spacing[0])


def test_viewer_gives_new_tracking_uids_when_it_saves(read: ReadStudy, reopened: Reopened) -> None:
    before, after = (annotations_of(read.saved(uid)).findings for uid in (read.report_uid, reopened.edited_uid))
    assert {one.tracking_uid for one in before}.isdisjoint(one.tracking_uid for one in after)


def test_what_was_saved_is_filed_under_the_reader(read: ReadStudy) -> None:
    for uid in (read.report_uid, read.segmentation_uid):
        version = read.version_of(uid)
        assert (version["author"], version["number"], version["parent"]) == (READER["username"], 1, None)


def test_the_edited_report_is_the_next_version_and_is_shown_alone(read: ReadStudy, reopened: Reopened) -> None:
    before, after = read.version_of(read.report_uid), read.version_of(reopened.edited_uid)
    assert (after["line"], after["number"], after["parent"]) == (before["line"], 2, before["id"])
    assert [one["shown"] for one in (*before["objects"], *after["objects"])] == [False, True]
    assert read.report_uid not in read.rows()
    told = read.gateway.get(f"{read.api}/annotations/{after['id']}/comparison", auth=SIGNED_IN).json()
    assert told["counts"] == {"accepted": 1, "changed": 1, "added": 0, "removed": 0}
    (moved,) = (one for finding in told["findings"] for one in finding["differences"])
    assert moved["distance_mm"] == pytest.approx(reopened.moved_mm, rel=0.05)
