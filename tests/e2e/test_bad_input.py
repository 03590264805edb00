"""Bad input gets an answer or a row in words; the process lives, and the other objects go on."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ImplicitVRLittleEndian,
    generate_uid,
)

from tests import storescu
from tests.ct_series import ct_template, write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.raw_scu import associated, store_bytes

QUIET_S = 1.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {
        "projects": {"default": {"ae_titles": ["ANNOGATE"], "annotators": ["lungs", "bones"], "study_quiet_s": QUIET_S}}
    }
    with GatewayProcess(tmp_path_factory.mktemp("bad-input") / "gateway", settings) as running:
        yield running


def encoded(data_set: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, data_set, implicit_vr=True, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def image(**attributes: object) -> Dataset:
    made = ct_template(16, 16, SOPInstanceUID=generate_uid(), **attributes)
    made.PixelData = np.zeros((16, 16), np.int16).tobytes()
    return made


def store(gateway: GatewayProcess, data_set: bytes, sop_instance_uid: str = "") -> tuple[int, str]:
    with associated(gateway.dicom_host, gateway.dicom_port, {CTImageStorage: [ImplicitVRLittleEndian]}) as association:
        return store_bytes(association, data_set, CTImageStorage, sop_instance_uid or generate_uid())


def held(gateway: GatewayProcess) -> list[dict[str, Any]]:
    return list(gateway.api("/quarantine?project=default&limit=1000")["entries"])


def reasons_after(gateway: GatewayProcess, send: Callable[[], object]) -> list[str]:
    """The reasons of what is new in quarantine after ``send``."""
    before = {row["id"] for row in held(gateway)}
    send()
    return [row["reason"] for row in eventually(lambda: [r for r in held(gateway) if r["id"] not in before])]


def without(keyword: str) -> bytes:
    data_set = image()
    delattr(data_set, keyword)
    return encoded(data_set)


BROKEN = {
    "not DICOM": lambda: b"this is no DICOM data set, but it is long enough to look at " * 20,
    "cut in the header": lambda: encoded(image())[:300],
    "cut in the pixel data": lambda: encoded(image())[:-100],
    "no SOP Instance UID": lambda: without("SOPInstanceUID"),
    "CT without pixel data": lambda: without("PixelData"),
    "no Study Instance UID": lambda: without("StudyInstanceUID"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_object_is_acknowledged_and_held_with_its_reason(gateway: GatewayProcess, what: str) -> None:
    data_set = BROKEN[what]()
    status = []
    reasons = reasons_after(gateway, lambda: status.append(store(gateway, data_set)[0]))
    assert status == [0x0000]
    assert len(reasons) == 1
    assert len(reasons[0]) > 15


@pytest.mark.parametrize(
    ("data_set", "sop_instance_uid", "status"),
    [(b"", "1.2.3.4.5", 0xC001), (encoded(image()), "1.2.3.not-a-uid", 0xC001), (encoded(image()), "1..2", 0xC001)],
    ids=["no data set", "not a UID", "an empty component"],
)
def test_what_the_command_set_tells_is_answered_at_once(
    gateway: GatewayProcess, data_set: bytes, sop_instance_uid: str, status: int
) -> None:
    answered, comment = store(gateway, data_set, sop_instance_uid)
    assert answered == status
    assert comment


def test_other_objects_of_the_association_go_on_after_a_broken_one(gateway: GatewayProcess) -> None:
    study_uid = generate_uid()
    good = [image(StudyInstanceUID=study_uid, PatientID="GOES-ON") for _ in range(3)]
    before = len(gateway.instances())
    with associated(gateway.dicom_host, gateway.dicom_port, {CTImageStorage: [ImplicitVRLittleEndian]}) as association:
        for data_set in good:
            store_bytes(association, b"broken" * 100, CTImageStorage, generate_uid())
            status, _ = store_bytes(association, encoded(data_set), CTImageStorage, data_set.SOPInstanceUID)
            assert status == 0
    eventually(lambda: len(gateway.instances()) == before + 3)


def test_second_patient_under_one_study_uid_is_held(gateway: GatewayProcess) -> None:
    study_uid = generate_uid()
    store(gateway, encoded(image(StudyInstanceUID=study_uid, PatientID="FIRST")))
    eventually(lambda: gateway.get("/health/ready").ok)
    reasons = reasons_after(
        gateway, lambda: store(gateway, encoded(image(StudyInstanceUID=study_uid, PatientID="SECOND")))
    )
    assert len(reasons) == 1
    assert "patient" in reasons[0].lower()
    assert "SECOND" not in reasons[0]


def test_network_cut_in_the_middle_of_an_object_leaves_nothing(gateway: GatewayProcess) -> None:
    before = len(gateway.instances()), len(held(gateway))
    data_set = encoded(image())
    with associated(gateway.dicom_host, gateway.dicom_port, {CTImageStorage: [ImplicitVRLittleEndian]}) as association:
        raw: socket.socket = association.dul.socket.socket
        # Half of a P-DATA-TF PDU (PS3.8 9.3.5), and the cable is pulled.
        raw.sendall(struct.pack(">BBI", 4, 0, len(data_set)) + data_set[: len(data_set) // 2])
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        association.dul.socket.close()
        association.kill()
    status, _ = store(gateway, encoded(image(PatientID="AFTER-CUT")))
    assert status == 0
    eventually(lambda: len(gateway.instances()) == before[0] + 1)
    assert len(held(gateway)) == before[1]


def runs_on(gateway: GatewayProcess, files: list[Path], *options: str) -> dict[str, dict[str, Any]]:
    """Send a study and say how the annotators' runs on it ended, by annotator."""
    before = {study["0020000D"]["Value"][0] for study in gateway.studies()}
    sent = storescu.send(gateway.dicom_host, gateway.dicom_port, files, *options)
    assert len(sent.acknowledged) == len(files), sent.output

    def ended() -> dict[str, dict[str, Any]]:
        new = [s["0020000D"]["Value"][0] for s in gateway.studies() if s["0020000D"]["Value"][0] not in before]
        runs = gateway.api(f"/projects/default/studies/{new[0]}")["runs"] if new else []
        ready = len(runs) == 2 and all(run["state"] in ("done", "refused", "failed") for run in runs)
        return {run["annotator"]: run for run in runs} if ready else {}

    return eventually(ended, what="ended runs")


def air_and_bone(_: int) -> np.ndarray:
    """A slice of soft tissue with a bright square, as stored values."""
    voxels = np.full((64, 64), 40, np.int16)
    voxels[20:40, 20:40] = 900
    return voxels


@pytest.mark.peer("dcmtk")
def test_slice_missing_in_the_middle_is_refused_with_the_gap(gateway: GatewayProcess, tmp_path: Path) -> None:
    files = write_ct_series(tmp_path, 12, rows=64, columns=64, voxels=air_and_bone)
    runs = runs_on(gateway, [*files[:5], *files[6:]])
    assert runs["bones"]["state"] == "refused"
    assert "mm" in runs["bones"]["reason"]


@pytest.mark.peer("dcmtk")
def test_single_slice_series_is_served_and_its_runs_say_why_not(gateway: GatewayProcess, tmp_path: Path) -> None:
    runs = runs_on(gateway, write_ct_series(tmp_path, 1, rows=64, columns=64, voxels=air_and_bone))
    assert runs["lungs"]["state"] == "refused"
    assert "slice" in runs["lungs"]["reason"]
    assert runs["bones"]["state"] == "done"


@pytest.mark.peer("dcmtk")
def test_8_bit_pixels_are_read_as_they_are(gateway: GatewayProcess, tmp_path: Path) -> None:
    def shades(_: int) -> np.ndarray:
        voxels = np.full((64, 64), 10, np.uint8)
        voxels[20:40, 20:40] = 250
        return voxels

    files = write_ct_series(
        tmp_path,
        12,
        rows=64,
        columns=64,
        voxels=shades,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        RescaleSlope="4",
    )
    assert runs_on(gateway, files)["bones"]["state"] == "done"


@pytest.mark.peer("dcmtk")
def test_pixels_that_no_codec_reads_are_served_and_the_run_is_refused(gateway: GatewayProcess, tmp_path: Path) -> None:
    """A JPEG process that was retired long ago (1.2.840.10008.1.2.4.53): kept as it came, never guessed at."""
    files = write_ct_series(tmp_path, 3, rows=64, columns=64)
    for file in files:
        data_set = pydicom.dcmread(file)
        data_set.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.53"
        data_set.PixelData = encapsulate([b"\xff\xd8\xff\xda\0\2 not a picture that anything here can decode \xff\xd9"])
        data_set["PixelData"].is_undefined_length = True
        data_set.save_as(file, enforce_file_format=True)
    runs = runs_on(gateway, files, "-xf", str(profile(tmp_path)), "Unusual")
    for run in runs.values():
        assert run["state"] == "refused"
        assert "1.2.840.10008.1.2.4.53" in run["reason"] or "transfer syntax" in run["reason"].lower()


def profile(folder: Path) -> Path:
    """A storescu profile that proposes the transfer syntax that it has no option for."""
    file = folder / "storescu.cfg"
    file.write_text(
        "[[TransferSyntaxes]]\n[Unusual]\nTransferSyntax1 = 1.2.840.10008.1.2.4.53\n"
        "[[PresentationContexts]]\n[CT]\nPresentationContext1 = 1.2.840.10008.5.1.4.1.1.2\\Unusual\n"
        "[[Profiles]]\n[Unusual]\nPresentationContexts = CT\n"
    )
    return file
