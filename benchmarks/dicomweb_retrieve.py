"""Retrieval over DICOMweb beside Orthanc and nginx: ``python -m benchmarks.dicomweb_retrieve [--help]``.

The same CT series is held by Annogate and by Orthanc with its DICOMweb plugin (Debian's; newer ones may differ); a
segmentation is held by Annogate and, as the very bytes of its multipart answer, by nginx. Rounds alternate, one client
in this process asks both sides in the same way; only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import requests
from pydicom import dcmread
from pydicom.uid import SegmentationStorage, generate_uid

from tests.ct_series import ct_template, write_ct_series, write_instance
from tests.gateway_process import GatewayProcess, eventually
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S

ORTHANC_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
OHIF_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
OHIF_INSTANCE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_BUFFER = 1 << 20
Ask = Callable[[], None]


class Client:
    """One connection that is kept, as a browser keeps it."""

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
        self._path = parts.path
        self._buffer = memoryview(bytearray(_BUFFER))

    def get(self, path: str, accept: str) -> int:
        """Read an answer to its end; its length. A server that closed the connection meanwhile is called again."""
        try:
            response = self._asked(path, accept)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            response = self._asked(path, accept)
        size = 0
        while count := response.readinto(self._buffer):
            size += count
        assert response.status == 200, f"{response.status} for {path}"
        return size

    def _asked(self, path: str, accept: str) -> http.client.HTTPResponse:
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        self._connection.request("GET", self._path + path, headers=headers)
        return self._connection.getresponse()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def seconds(ask: Ask) -> float:
    """How long one round took."""
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def alternate(name: str, ours: Ask, theirs: Ask, other: str, rounds: int) -> None:
    """Print how many times faster ours is, as the median of alternating rounds."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(rounds):
        sides = [("ours", ours), ("theirs", theirs)]
        for side, ask in sides if turn % 2 == 0 else sides[::-1]:
            times[side].append(seconds(ask))
    ratio = statistics.median(b / a for a, b in zip(times["ours"], times["theirs"], strict=True))
    ours_ms, theirs_ms = (statistics.median(one) * 1e3 for one in times.values())
    print(f"{name:<44}{ours_ms:10.1f} ms  {other} {theirs_ms:10.1f} ms  {ratio:6.2f} × {other}", flush=True)


def frames_of(root: str, paths: list[str], clients: int) -> Ask:
    """Ask for one frame of each instance, by so many connections at once."""
    connections = [Client(root) for _ in range(clients)]

    def ask() -> None:
        waiting = itertools.chain(paths)
        lock = threading.Lock()

        def work(client: Client) -> None:
            while True:
                with lock:
                    path = next(waiting, None)
                if path is None:
                    return
                client.get(f"{path}/frames/1", OHIF_FRAMES)

        threads = [threading.Thread(target=work, args=(client,)) for client in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return ask


@contextmanager
def nginx(folder: Path, content_type: str) -> Iterator[str]:
    """Debian's nginx over a folder of files, sendfile on; its address."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"user root; worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; types {{ }} default_type '{content_type}';\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/files; }} }}\n"
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", str(folder), "-c", str(configuration)])
    try:
        address = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(address), what="nginx")
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(address: str) -> bool:
    try:
        requests.get(address, timeout=PATIENCE_S)
    except requests.ConnectionError:
        return False
    return True


def segmentation(folder: Path, megabytes: int) -> Path:
    """A binary segmentation of that size; what stands in its frames is of no matter here."""
    image = ct_template()
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = SegmentationStorage, generate_uid(), "SEG"
    image.BitsAllocated = image.BitsStored = 1
    image.HighBit = image.PixelRepresentation = 0
    image.NumberOfFrames = megabytes * 32  # 512 × 512 bits are 32 KiB
    image.PixelData = np.random.default_rng(1).bytes(megabytes << 20)
    return write_instance(image, folder / "segmentation.dcm")


def store(gateway: GatewayProcess, files: list[Path]) -> None:
    """By STOW-RS, one file a request."""
    for file in files:
        headers = {"Content-Type": "application/dicom"}
        with file.open("rb") as body:
            answer = requests.post(
                f"{gateway.http}/dicom-web/studies", data=body, headers=headers, timeout=10 * PATIENCE_S
            )
        answer.raise_for_status()


def path_of(file: Path) -> str:
    """Of an instance below the service's root."""
    head = dcmread(file, stop_before_pixels=True)
    return f"/studies/{head.StudyInstanceUID}/series/{head.SeriesInstanceUID}/instances/{head.SOPInstanceUID}"


def compare_series(gateway: GatewayProcess, folder: Path, options: argparse.Namespace) -> None:
    """Metadata and frames of one CT series, beside Orthanc; another study is asked for before, as in any day's work."""
    files = write_ct_series(folder / "ct", options.slices)
    paths = [path_of(file) for file in files]
    (other,) = write_ct_series(folder / "other", 1)
    store(gateway, [*files, other])
    settings = {"Plugins": [ORTHANC_PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with OrthancProcess(folder / "orthanc", "NOBODY", "127.0.0.1", 104, settings) as orthanc:
        for file in (*files, other):
            orthanc.upload(file)
        roots = (f"{gateway.http}/dicom-web", f"{orthanc.http}/dicom-web")
        metadata = f"{paths[0].partition('/instances/')[0]}/metadata"
        ours, theirs = (Client(root) for root in roots)

        def read(client: Client) -> Ask:
            return lambda: client.get(metadata, "application/dicom+json") and None

        for client in (ours, theirs):
            client.get(f"{path_of(other)}/metadata", "application/dicom+json")
        first_ours, first_theirs = seconds(read(ours)), seconds(read(theirs))
        again = statistics.median(seconds(read(ours)) for _ in range(3))
        print(f"{'metadata, first':<44}{first_ours * 1e3:10.1f} ms  Orthanc {first_theirs * 1e3:10.1f} ms")
        print(f"{'metadata, first against second of ours':<44}{first_ours / again:6.2f} ×")
        alternate("metadata, warm", read(ours), read(theirs), "Orthanc", options.rounds)
        for clients in (8, 16):
            sides = [frames_of(root, paths[: options.frames], clients) for root in roots]
            alternate(f"{options.frames} frames, {clients}-way", *sides, "Orthanc", options.rounds)


def compare_segmentation(gateway: GatewayProcess, folder: Path, options: argparse.Namespace) -> None:
    """One large instance as multipart, beside nginx with the same bytes in a file."""
    file = segmentation(folder, options.megabytes)
    path = path_of(file)
    store(gateway, [file])
    answer = requests.get(f"{gateway.http}/dicom-web{path}", headers={"Accept": OHIF_INSTANCE}, timeout=PATIENCE_S)
    answer.raise_for_status()
    (folder / "nginx" / "files").mkdir(parents=True)
    (folder / "nginx" / "files" / "segmentation").write_bytes(answer.content)
    size = len(answer.content)
    with nginx(folder / "nginx", answer.headers["Content-Type"].replace("'", "")) as address:
        ours, theirs = Client(f"{gateway.http}/dicom-web"), Client(address)

        def read(client: Client, where: str) -> Ask:
            def ask() -> None:
                assert client.get(where, OHIF_INSTANCE) == size

            return ask

        name = f"{options.megabytes} MB segmentation, multipart"
        alternate(name, read(ours, path), read(theirs, "/segmentation"), "nginx", options.rounds)


def main() -> None:
    """Start the sides, fill them, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=600, help="CT instances of the series")
    parser.add_argument("--frames", type=int, default=200, help="frames that are asked for in a round")
    parser.add_argument("--megabytes", type=int, default=200, help="of the segmentation")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"projects": {"default": {"ae_titles": ["ANNOGATE"], "deidentify": "none", "annotators": []}}}
        with GatewayProcess(folder / "annogate", settings) as gateway:
            compare_segmentation(gateway, folder, options)
            compare_series(gateway, folder, options)


if __name__ == "__main__":
    main()
