"""Who shows a segmentation in `benchmarks.first_overlay`: this gateway, and Orthanc behind nginx with the same OHIF."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import requests
from pydicom import dcmread
from pydicom.dataset import Dataset

from benchmarks.dicomweb_retrieve import ORTHANC_PLUGIN, store
from benchmarks.objects_work import organs
from service.core.findings import Finding
from service.core.result_file import result_file
from service.core.volume import Volume
from service.objects.segmentation import write_segmentation
from service.objects.segmentation_form import SegmentationForm
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S
from tests.volumes import LUNG, ORGAN, result_of, volume_of
from tests.written_results import context

TITLE = "Organs"
DIST = Path(__file__).resolve().parents[1] / "viewer" / "dist"
PROJECT = {"ae_titles": ["ANNOGATE"], "deidentify": "none", "annotators": []}


@dataclass(frozen=True)
class Shown:
    """A study with one segmentation, as a browser opens it.

    Parameters
    ----------
    address : of the study in OHIF
    octets : of the segmentation's file
    frames : how many it has
    """

    name: str
    address: str
    octets: int
    frames: int


@dataclass(frozen=True)
class PhantomStudy:
    """A CT with a body of soft tissue in air, and what is drawn on it."""

    files: tuple[Path, ...]
    volume: Volume
    findings: tuple[Finding, ...]

    def segmentation(self, form: SegmentationForm) -> Dataset:
        """All findings in one object."""
        written = write_segmentation(result_of(*self.findings), TITLE, self.volume, context(), form)
        assert written is not None
        return written


def phantom_study(folder: Path, slices: int, side: int, segments: int) -> PhantomStudy:
    """Write the images; organs fill the body, none over another."""
    noise = np.random.default_rng(1).integers(-60, 60, (side, side), dtype=np.int16)
    row, column = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = np.where((row / 0.8) ** 2 + (column / 0.95) ** 2 <= 1, 40, -1000).astype(np.int16)
    files = write_ct_series(folder, slices, rows=side, columns=side, voxels=lambda k: body + np.roll(noise, k))
    headers = [dcmread(file, stop_before_pixels=True) for file in files]
    volume = replace(
        volume_of(headers),
        study_uid=str(headers[0].StudyInstanceUID),
        series_uid=str(headers[0].SeriesInstanceUID),
    )
    findings = tuple(
        Finding(f"Organ {number}", f"2.25.7{number}", ORGAN, LUNG, mask=mask)
        for number, mask in enumerate(organs((slices, side, side), segments), start=1)
    )
    return PhantomStudy(tuple(files), volume, findings)


def _file_of(segmentation: Dataset, path: Path) -> Path:
    path.write_bytes(b"".join(result_file(segmentation, "key", "0.1.0").parts))
    return path


@contextmanager
def from_gateway(folder: Path, study: PhantomStudy, form: SegmentationForm) -> Iterator[Shown]:
    """Images and segmentation in a gateway of its own, which serves OHIF too."""
    folder.mkdir()
    segmentation = study.segmentation(form)
    file = _file_of(segmentation, folder / "segmentation.dcm")
    with GatewayProcess(folder / "gateway", {"projects": {"default": PROJECT}}) as gateway:
        store(gateway, [*study.files, file])
        name = f"{segmentation.SegmentationType}, {segmentation.file_meta.TransferSyntaxUID.name}, Annogate"
        yield _shown(name, gateway.http, study, segmentation, file)


@contextmanager
def from_orthanc(folder: Path, study: PhantomStudy, form: SegmentationForm) -> Iterator[Shown]:
    """The same in Orthanc with its DICOMweb plugin; nginx serves OHIF with the gateway's page and configuration."""
    folder.mkdir()
    segmentation = study.segmentation(form)
    file = _file_of(segmentation, folder / "segmentation.dcm")
    settings = {"Plugins": [ORTHANC_PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with ExitStack() as stack:
        orthanc = stack.enter_context(OrthancProcess(folder / "orthanc", "NOBODY", "127.0.0.1", 104, settings))
        for one in (*study.files, file):
            orthanc.upload(one)
        address = stack.enter_context(_viewer_before(orthanc.http, folder / "nginx"))
        name = f"{segmentation.SegmentationType}, {segmentation.file_meta.TransferSyntaxUID.name}, Orthanc"
        yield _shown(name, address, study, segmentation, file)


def _shown(name: str, root: str, study: PhantomStudy, segmentation: Dataset, file: Path) -> Shown:
    address = f"{root}/viewer/viewer/default?StudyInstanceUIDs={study.volume.study_uid}"
    return Shown(name, address, file.stat().st_size, int(segmentation.NumberOfFrames))


@contextmanager
def _viewer_before(orthanc: str, folder: Path) -> Iterator[str]:
    """Debian's nginx: OHIF's files, the gateway's page and configuration, and Orthanc below /dicom-web."""
    pages = folder / "pages"
    pages.mkdir(parents=True)
    (folder / "nginx.conf").write_text(_configuration(folder, free_port(), orthanc, _pages_of_a_gateway(folder, pages)))
    address = (folder / "address").read_text()
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        eventually(lambda: _answers(f"{address}/viewer/"), what="nginx")
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=PATIENCE_S).ok
    except requests.ConnectionError:
        return False


def _pages_of_a_gateway(folder: Path, pages: Path) -> dict[str, str]:
    """Keep the page and the configuration that a gateway makes; the headers that isolate its page."""
    with GatewayProcess(folder / "gateway", {"projects": {"default": PROJECT}}) as gateway:
        page = gateway.get("/viewer/")
        (pages / "index.html").write_bytes(page.content)
        (pages / "app-config.js").write_bytes(gateway.get("/app-config.js").content)
    names = ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy")
    return {name: page.headers[name] for name in names if name in page.headers}


def _configuration(folder: Path, port: int, orthanc: str, headers: dict[str, str]) -> str:
    (folder / "address").write_text(f"http://127.0.0.1:{port}")
    added = "".join(f'add_header {name} "{value}" always; ' for name, value in headers.items())
    return (
        f"user root; worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; sendfile on; tcp_nopush on; include /etc/nginx/mime.types;\n"
        "types { text/javascript mjs; } default_type application/octet-stream;\n"
        f"server {{ listen 127.0.0.1:{port}; {added}\n"
        f"location /dicom-web/ {{ proxy_pass {orthanc}; proxy_http_version 1.1; proxy_set_header Host $http_host;\n"
        'proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 3600s; client_max_body_size 0; }\n'
        f"location = /app-config.js {{ root {folder}/pages; }}\n"
        f"location /viewer/ {{ root {folder}/pages; rewrite ^ /index.html break; }}\n"
        f"location / {{ root {DIST}; gzip_static on; }} }} }}\n"
    )
