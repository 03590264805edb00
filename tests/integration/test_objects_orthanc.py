"""Orthanc takes every kind of object on every kind of image, by C-STORE and by STOW-RS, and gives back the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import ContextsRefused, PeerAddress
from dicom_nodes.sender import store
from service.core.frame_streams import DEFLATED_FRAMES
from service.objects.frame_compression import RLE_FRAMES
from service.objects.key_object import write_key_object
from service.objects.parametric_map import write_parametric_map
from service.objects.presentation_state import write_presentation_states
from service.objects.report import write_annotation_report
from service.objects.segmentation_form import SegmentationForm, SegmentationKind
from service.objects.source_images import SourceImages
from service.objects.summary_capture import write_summary_captures
from tests.integration.test_dicomweb_orthanc import PLUGIN
from tests.integration.test_parametric_maps_peers import a_map
from tests.integration.test_presentation_objects import IMAGES, black, bulk_annotations, reading_of
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S
from tests.segmentation_sources import SOURCES
from tests.segmented import LABEL_MAP, as_form, drawn_masks, file_of
from tests.segmented import written as segmentation_of
from tests.structure_sets import written as structure_set_of
from tests.volumes import ALGORITHM, nodule, organ
from tests.written_results import VOLUMES, context

pytestmark = [pytest.mark.peer("orthanc", "orthanc-dicomweb"), pytest.mark.xdist_group("orthanc")]

Make = Callable[[], Sequence[Dataset]]
SEGMENTED = (
    *("axial", "enhanced", "legacy converted", "radiograph", "mammogram", "ultrasound loop", "endoscopy"),
    *("slide, TILED_FULL", "slide, TILED_SPARSE"),
)
DEFLATED = [as_form(kind, DEFLATED_FRAMES) for kind in (SegmentationKind.BINARY, SegmentationKind.LABELMAP)]


def segmentation(source: str, form: SegmentationForm) -> Make:
    def make() -> Sequence[Dataset]:
        frames = SOURCES[source]()
        return [segmentation_of(frames, drawn_masks(frames), form)]

    return make


def report(kind: str) -> Make:
    def make() -> Sequence[Dataset]:
        sources = SourceImages.of_images(IMAGES[kind]())
        return [write_annotation_report(reading_of(sources), "Marks", sources, None, context())]

    return make


def presentation_states(kind: str) -> Make:
    def make() -> Sequence[Dataset]:
        sources = SourceImages.of_images(IMAGES[kind]())
        return write_presentation_states([reading_of(sources)], "Marks", sources, context())

    return make


def key_object(kind: str) -> Make:
    def make() -> Sequence[Dataset]:
        sources = SourceImages.of_images(IMAGES[kind]())
        return [write_key_object(reading_of(sources), sources, (), context())]

    return make


def captures(kind: str) -> Make:
    def make() -> Sequence[Dataset]:
        sources = SourceImages.of_images(IMAGES[kind]())
        return write_summary_captures(reading_of(sources), "Marks", sources, context(), stored=black)

    return make


def structure_set(name: str) -> Make:
    def make() -> Sequence[Dataset]:
        volume = VOLUMES[name]()
        return [structure_set_of(SourceImages.of_volume(volume), nodule(volume), organ(volume)).data_set]

    return make


def parametric_map(name: str) -> Make:
    def make() -> Sequence[Dataset]:
        volume = VOLUMES[name]()
        return [write_parametric_map(a_map(volume), ALGORITHM, "Diffusion", volume, context())]

    return make


OBJECTS: dict[str, Make] = {
    **{
        f"{kind.value} on {source}": segmentation(source, as_form(kind))
        for kind in SegmentationKind
        for source in SEGMENTED
    },
    "Label Map in RLE": segmentation("axial", as_form(SegmentationKind.LABELMAP, RLE_FRAMES)),
    **{
        f"{what} on {kind}": make(kind)
        for what, make in (
            ("report", report),
            ("presentation state", presentation_states),
            ("key object", key_object),
            ("capture", captures),
        )
        for kind in IMAGES
    },
    **{f"structure set on {name}": structure_set(name) for name in VOLUMES},
    **{f"parametric map on {name}": parametric_map(name) for name in VOLUMES},
    "bulk annotations on slide": lambda: [bulk_annotations()],
}


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    settings = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with OrthancProcess(tmp_path_factory.mktemp("orthanc"), "NOBODY", "127.0.0.1", 104, settings) as running:
        yield running


def forget_all(orthanc: OrthancProcess) -> None:
    for study in orthanc.studies():
        requests.delete(f"{orthanc.http}/studies/{study}", timeout=PATIENCE_S).raise_for_status()


def held_by(orthanc: OrthancProcess) -> dict[str, Dataset]:
    """Every file as Orthanc's own interface gives it, by SOP Instance UID."""
    held = {}
    for identifier in requests.get(f"{orthanc.http}/instances", timeout=PATIENCE_S).json():
        content = requests.get(f"{orthanc.http}/instances/{identifier}/file", timeout=PATIENCE_S).content
        data_set = dcmread(BytesIO(content))
        held[str(data_set.SOPInstanceUID)] = data_set
    return held


def retrieved(orthanc: OrthancProcess, study_uid: str) -> dict[str, Dataset]:
    """Every instance of a study by WADO-RS, in its own transfer syntax."""
    answer = requests.get(
        f"{orthanc.http}/dicom-web/studies/{study_uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        timeout=PATIENCE_S,
    )
    answer.raise_for_status()
    whole = message_from_bytes(
        b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.content
    )
    parts = [dcmread(BytesIO(part.get_payload(decode=True))) for part in whole.get_payload()]  # type: ignore[union-attr,arg-type]
    return {str(one.SOPInstanceUID): one for one in parts}


def stow(orthanc: OrthancProcess, files: Sequence[bytes]) -> dict[str, Any]:
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--b--\r\n"
    answer = requests.post(
        f"{orthanc.http}/dicom-web/studies",
        data=body,
        headers={
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
            "Accept": "application/dicom+json",
        },
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("name", OBJECTS)
def test_object_comes_back_as_it_was_stored(name: str, orthanc: OrthancProcess, tmp_path: Path) -> None:
    files = [file_of(one) for one in OBJECTS[name]()]
    ours = {str(one.SOPInstanceUID): one for one in (dcmread(BytesIO(file)) for file in files)}
    assert len(ours) == len(files) > 0
    paths = [tmp_path / f"{number}.dcm" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)

    forget_all(orthanc)
    peer = PeerAddress("ORTHANC", "127.0.0.1", orthanc.dicom_port)
    sent = list(store(peer, [OutgoingObject.from_file(path) for path in paths]))
    assert [(one.status, one.comment) for one in sent] == [(0, "")] * len(files)
    assert held_by(orthanc) == ours

    forget_all(orthanc)
    told = stow(orthanc, files)
    assert not told.get("00081198", {}).get("Value"), "a Failed SOP Sequence"
    (study_uid,) = {str(one.StudyInstanceUID) for one in ours.values()}
    assert retrieved(orthanc, study_uid) == ours


def refuse(orthanc: OrthancProcess, form: SegmentationForm, path: Path) -> None:
    """Send a segmentation that is not to be taken."""
    (data_set,) = segmentation("axial", form)()
    path.write_bytes(file_of(data_set))
    peer = PeerAddress("ORTHANC", "127.0.0.1", orthanc.dicom_port)
    with pytest.raises(ContextsRefused):
        list(store(peer, [OutgoingObject.from_file(path)]))
    assert str(data_set.SOPInstanceUID) not in held_by(orthanc)


@pytest.mark.parametrize("form", DEFLATED, ids=lambda form: form.kind.name)
def test_orthanc_takes_no_deflated_frames(form: SegmentationForm, orthanc: OrthancProcess, tmp_path: Path) -> None:
    forget_all(orthanc)
    refuse(orthanc, form, tmp_path / "deflated.dcm")


def test_orthanc_that_takes_known_classes_alone_takes_no_label_map(tmp_path: Path) -> None:
    settings: dict[str, object] = {"UnknownSopClassAccepted": False}
    with OrthancProcess(tmp_path / "orthanc", "NOBODY", "127.0.0.1", 104, settings) as orthanc:
        refuse(orthanc, LABEL_MAP, tmp_path / "map.dcm")
