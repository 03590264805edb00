"""Key objects and presentation states hold before other people's tools: dciodvfy, dcmtk, Orthanc."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import VLEndoscopicImageStorage

from service.core.annotations import AnnotationSet, Answer, PersonObserver
from service.core.findings import Finding, Measurement
from service.core.geometry import ImagePlace, PatientPlace, Shape, ShapeKind, rectangle
from service.objects.annotation_groups import BulkAnnotations
from service.objects.bulk_annotations import write_bulk_annotations
from service.objects.bulk_findings import groups_of_findings
from service.objects.key_object import BEST_IN_SET, KeyObjectTitle, write_key_object
from service.objects.presentation_state import write_presentation_states
from service.objects.source_images import SourceImages
from service.objects.summary_capture import write_summary_captures
from tests.annotated_images import AREA, MM, SOURCES, flat_image, slide
from tests.datasets import as_file, ct_slice
from tests.integration.test_annotation_reports_dciodvfy import one_of_each
from tests.integration.test_objects_dciodvfy import errors_in
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S
from tests.unit.test_key_object import OF_SERIES
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, LUNG, NODULE, nodule
from tests.written_results import VOLUMES, context, write

READER = PersonObserver("Reader^First", "reader1", "Clinic")


def colour_image() -> list[Dataset]:
    return [flat_image(VLEndoscopicImageStorage, "ES", SamplesPerPixel=3, PhotometricInterpretation="RGB")]


IMAGES = {**SOURCES, "colour": colour_image}


def near_enough(sources: SourceImages) -> tuple[Finding, ...]:
    """A finding for each kind of shape that lies on the images."""
    return tuple(
        one
        for one in one_of_each(sources)
        if all(shape.on_image for shape in one.shapes)
        and all(number.shape is None or number.shape.on_image for number in one.measurements)
    )


def reading_of(sources: SourceImages) -> AnnotationSet:
    header = sources.headers[0]
    place = ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID))
    return AnnotationSet(READER, near_enough(sources), (Answer(NODULE, LEFT, place),), summary="All kinds")


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("kind", IMAGES)
def test_marks_on_any_image_have_no_error(kind: str, tmp_path: Path) -> None:
    sources = SourceImages.of_images(IMAGES[kind]())
    made = reading_of(sources)
    for state in write_presentation_states(
        [made, AnnotationSet(ALGORITHM, made.findings)], "Marks", sources, context()
    ):
        assert errors_in(state, tmp_path) == []
    title = KeyObjectTitle(BEST_IN_SET, (OF_SERIES,))
    assert errors_in(write_key_object(made, sources, (), context(), selected_for=title), tmp_path) == []


def bulk_annotations() -> Dataset:
    """Points, polygons with holes in their numbers, and rectangles on a slide."""
    image = slide()
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    shapes = [
        Shape(ShapeKind.POINT, ((10.5, 20.5),), place),
        Shape(ShapeKind.POLYGON, ((1, 1), (9, 1), (9, 9.1)), place),
        Shape(ShapeKind.POLYGON, ((100, 100), (200, 100), (200, 300), (50, 300)), place),
        rectangle(4000, 2000, 4500, 2500, place),
    ]
    measured = (Measurement(AREA, 12.5, MM, shapes[2]),)
    mark = Finding("Mitoses", "2.25.7", ABNORMAL, NODULE, LUNG, LEFT, None, tuple(shapes), measured, comment="Words")
    made = BulkAnnotations(ALGORITHM, place, groups_of_findings([mark]))
    return write_bulk_annotations(made, "Mitoses", image, context())


@pytest.mark.peer("dicom3tools")
def test_bulk_annotations_have_no_error(tmp_path: Path) -> None:
    # The dciodvfy of 2022 says so of every object in pixels, of those that have no such attribute as well.
    unfounded = "Error - Only valid for AnnotationCoordinateType of 3D - attribute <CommonZCoordinateValue> = <>"
    assert set(errors_in(bulk_annotations(), tmp_path)) <= {unfounded}


@pytest.mark.peer("dicom3tools")
def test_bulk_annotations_on_the_slide_have_no_error(tmp_path: Path) -> None:
    place = PatientPlace("2.25.4242")
    mark = Finding("Mitosis", "2.25.7", ABNORMAL, NODULE, shapes=(Shape(ShapeKind.POINT, ((1.5, 2, 0),), place),))
    made = BulkAnnotations(READER, place, groups_of_findings([mark]))
    assert errors_in(write_bulk_annotations(made, "Mitoses", slide(), context()), tmp_path) == []


@pytest.mark.peer("dicom3tools", "dcmtk")
@pytest.mark.parametrize("name", VOLUMES)
def test_result_of_a_run_has_no_error(name: str, tmp_path: Path) -> None:
    volume = VOLUMES[name]()
    written = write(volume, nodule(volume))
    assert written.segmentation is not None
    made, sources = AnnotationSet(ALGORITHM, (nodule(volume),)), SourceImages.of_volume(volume)
    assert errors_in(write_key_object(made, sources, (written.segmentation, written.report), context()), tmp_path) == []
    for state in write_presentation_states([made], "Nodules", sources, context()):
        assert errors_in(state, tmp_path) == []
        path = tmp_path / "state.dcm"
        state.save_as(path, enforce_file_format=True)
        told = subprocess.run(["dcmpschk", str(path)], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert "Test passed" in told.stdout + told.stderr, told.stdout + told.stderr


def black(header: Dataset, _: int) -> np.ndarray:
    """Stored pixels of a frame."""
    colours = (3,) if int(header.SamplesPerPixel) == 3 else ()
    return np.zeros((header.Rows, header.Columns, *colours), dtype=np.uint8)


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("kind", IMAGES)
def test_pictures_of_a_reading_of_any_image_have_no_error(kind: str, tmp_path: Path) -> None:
    sources = SourceImages.of_images(IMAGES[kind]())
    captures = write_summary_captures(reading_of(sources), "Marks", sources, context(), stored=black)
    # The words alone are one; a slide's matrix of tiles is no image that a page could show.
    assert len(captures) > (0 if kind == "slide" else 1)
    for capture in captures[:4]:
        assert errors_in(capture, tmp_path) == []


@pytest.mark.peer("dicom3tools")
def test_pictures_of_the_summary_have_no_error(tmp_path: Path) -> None:
    volume = VOLUMES["axial"]()
    made = AnnotationSet(ALGORITHM, (nodule(volume),), summary="1 nodule")
    for capture in write_summary_captures(made, "Nodules", SourceImages.of_volume(volume), context()):
        assert errors_in(capture, tmp_path) == []


@pytest.mark.peer("dcmtk")
def test_dcmtk_shows_the_image_through_the_window_of_the_state(tmp_path: Path) -> None:
    image = ct_slice(1, rows=64, columns=64, pixels=np.tile(np.arange(64, dtype=np.int16), (64, 1)))
    image.WindowCenter, image.WindowWidth, image.RescaleIntercept = 22, 20, -10
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    mark = Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=(rectangle(20, 10, 50, 40, place),))
    made, sources = AnnotationSet(READER, (mark,)), SourceImages.of_images([image])
    (state,) = write_presentation_states([made], "Marks", sources, context())
    (tmp_path / "image.dcm").write_bytes(as_file(image))
    state.save_as(tmp_path / "state.dcm", enforce_file_format=True)
    subprocess.run(
        ["dcmp2pgm", "--pstate", "state.dcm", "image.dcm", "shown.pgm"], cwd=tmp_path, check=True, timeout=PATIENCE_S
    )
    with Image.open(tmp_path / "shown.pgm") as shown:
        row = np.asarray(shown)[0]
    assert row[22] == 0
    assert 0 < row[32] < 255
    assert row[42] == 255


@pytest.mark.peer("orthanc")
@pytest.mark.xdist_group("orthanc")
def test_orthanc_takes_them(tmp_path: Path) -> None:
    (image,) = IMAGES["radiograph"]()
    sources = SourceImages.of_images([image])
    made = reading_of(sources)
    written = [
        write_key_object(made, sources, (), context()),
        *write_presentation_states([made], "Marks", sources, context()),
        bulk_annotations(),
        *write_summary_captures(
            made, "Marks", sources, context(), stored=lambda header, _: np.zeros((header.Rows, header.Columns))
        ),
    ]
    for number, one in enumerate(written):
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"2.25.61{number}"
    with OrthancProcess(tmp_path / "orthanc", "NOBODY", "127.0.0.1", 104) as orthanc:
        for one in written:
            path = tmp_path / "one.dcm"
            one.save_as(path, enforce_file_format=True)
            tags = requests.get(
                f"{orthanc.http}/instances/{orthanc.upload(path)}/simplified-tags", timeout=PATIENCE_S
            ).json()
            assert tags["SOPInstanceUID"] == one.SOPInstanceUID
            assert tags["Modality"] == one.Modality
