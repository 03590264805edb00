"""Time until CT objects sent by C-STORE are found by QIDO-RS: Annogate, which de-identifies them, beside Orthanc.

``python -m benchmarks.ingest [PAIRS [OBJECTS]]``. Both are fresh for each pair and take the same objects of 0.53 MB
from dcmtk's storescu over one association with TCP_NODELAY, in alternation; a first object warms them up. Orthanc
runs with SyncStorageArea, without StorageCompression. Only the ratios of one run mean anything.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess
from tests.orthanc_process import OrthancProcess
from tests.storescu import send

ORTHANC_DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
PATIENCE_S = 300
POLL_S = 0.05
NOBODY = ("NOBODY", "127.0.0.1", 104)  # Orthanc asks for a peer; nothing is sent to it


def found(qido: str) -> int:
    """How many instances of all studies QIDO-RS tells of: the sum of Number of Study Related Instances (0020,1208)."""
    answer = requests.get(qido, params={"includefield": "00201208"}, timeout=60)
    answer.raise_for_status()
    studies = answer.json() if answer.status_code == 200 else []
    return sum(int(study["00201208"]["Value"][0]) for study in studies)


def seconds(address: tuple[str, int], title: str, qido: str, files: list[Path]) -> tuple[float, float]:
    """Until the last acknowledgement, and until QIDO-RS finds all of them."""
    before = found(qido)
    started = time.perf_counter()
    sent = send(*address, files, called=title)
    acknowledged = time.perf_counter() - started
    assert len(sent.acknowledged) == len(files), sent.output[-500:]
    while found(qido) < before + len(files):
        assert time.perf_counter() - started < PATIENCE_S, "not all objects were found"
        time.sleep(POLL_S)
    return acknowledged, time.perf_counter() - started


def ours(folder: Path, warm: list[Path], files: list[Path]) -> tuple[float, float]:
    """One run of a gateway with its default settings."""
    with GatewayProcess(folder) as gateway:
        address, qido = (gateway.dicom_host, gateway.dicom_port), f"{gateway.http}/dicom-web/studies"
        seconds(address, gateway.ae_title, qido, warm)
        return seconds(address, gateway.ae_title, qido, files)


def orthanc(folder: Path, warm: list[Path], files: list[Path]) -> tuple[float, float]:
    """One run of Orthanc with its DICOMweb plugin."""
    settings = {"Plugins": [ORTHANC_DICOMWEB], "SyncStorageArea": True, "StorageCompression": False}
    with OrthancProcess(folder, *NOBODY, settings=settings) as process:
        address, qido = ("127.0.0.1", process.dicom_port), f"{process.http}/dicom-web/studies"
        seconds(address, "ORTHANC", qido, warm)
        return seconds(address, "ORTHANC", qido, files)


def main(pairs: int, objects: int) -> None:
    """Measure in alternation; print each pair and the median ratio."""
    sides: tuple[tuple[str, Callable[..., tuple[float, float]]], ...] = (("annogate", ours), ("orthanc", orthanc))
    ratios = []
    os.environ["TCP_NODELAY"] = "1"  # dcmtk's own switch, for storescu and Orthanc
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = write_ct_series(folder / "warm", 1)
        files = write_ct_series(folder / "ct", objects)
        for pair in range(pairs):
            rates = {}
            for side, run in sides if pair % 2 == 0 else sides[::-1]:
                acknowledged, whole = run(folder / f"{side}-{pair}", warm, files)
                rates[side] = objects / whole
                print(f"{side:9} acknowledged {objects / acknowledged:5.0f}/s, found {rates[side]:5.0f}/s", flush=True)
            ratios.append(rates["annogate"] / rates["orthanc"])
    print(f"found by QIDO-RS: {statistics.median(ratios):.2f} times Orthanc (pairs {[f'{r:.2f}' for r in ratios]})")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0] if numbers else 5, numbers[1] if len(numbers) > 1 else 600)
