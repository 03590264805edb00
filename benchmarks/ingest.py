"""Time until CT objects sent by C-STORE are found by QIDO-RS: Annogate, which de-identifies them, beside Orthanc.

``python -m benchmarks.ingest [PAIRS [OBJECTS]]``. Both are fresh for each pair and take the same objects of 0.53 MB
from dcmtk's storescu over one association with TCP_NODELAY, in alternation; a first object warms them up. Orthanc
runs with SyncStorageArea, without StorageCompression. Only the ratios of one run mean anything. On a machine that has
other work, times tell who got a processor; the processor time that each side used for an object tells more.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess
from tests.orthanc_process import OrthancProcess
from tests.storescu import send

ORTHANC_DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
ORTHANC = {"Plugins": [ORTHANC_DICOMWEB], "SyncStorageArea": True, "StorageCompression": False}
NOBODY = ("NOBODY", "127.0.0.1", 104)  # Orthanc asks for a peer; nothing is sent to it
PATIENCE_S = 300
POLL_S = 0.1
ASKING = 0.2  # the share of the time that asking may take: it is no part of what is measured
REST_S = 3.0  # how long a side must have been at rest after the first object, which starts much


@dataclass(frozen=True, slots=True)
class Run:
    """Objects a second until the last acknowledgement and until all were found; processor time for each in ms."""

    acknowledged: float
    found: float
    processor_ms: float


def found(qido: str) -> int:
    """How many instances of all studies QIDO-RS tells of: the sum of Number of Study Related Instances (0020,1208)."""
    answer = requests.get(qido, params={"includefield": "00201208"}, timeout=60)
    answer.raise_for_status()
    studies = answer.json() if answer.status_code == 200 else []
    return sum(int(study["00201208"]["Value"][0]) for study in studies)


def processor_s(pid: int) -> float:
    """User and system time of a process and of all that live below it."""
    ticks = sum(sum(map(int, _stat(one)[11:13])) for one in _family(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def measured(address: tuple[str, int], title: str, qido: str, pid: int, warm: list[Path], files: list[Path]) -> Run:
    """Send the first object, let it rest, then measure."""
    send(*address, warm, called=title)
    wait_for(qido, len(warm))
    wait_for_rest(pid)
    os.sync()
    used, started = processor_s(pid), time.perf_counter()
    sent = send(*address, files, called=title)
    acknowledged = time.perf_counter() - started
    assert len(sent.acknowledged) == len(files), sent.output[-500:]
    wait_for(qido, len(warm) + len(files))
    whole, used = time.perf_counter() - started, processor_s(pid) - used
    return Run(len(files) / acknowledged, len(files) / whole, 1000 * used / len(files))


def wait_for(qido: str, instances: int) -> None:
    """Ask until QIDO-RS tells of so many."""
    until = time.monotonic() + PATIENCE_S
    asked = time.monotonic()
    while found(qido) < instances:
        now = time.monotonic()
        assert now < until, "not all objects were found"
        time.sleep(max(POLL_S, (now - asked) / ASKING))
        asked = time.monotonic()


def wait_for_rest(pid: int) -> None:
    """Wait until the processes have hardly used a processor for a while."""
    until = time.monotonic() + PATIENCE_S
    used = -REST_S
    while processor_s(pid) - used > REST_S / 20:
        assert time.monotonic() < until, "it does not come to rest"
        used = processor_s(pid)
        time.sleep(REST_S)


def annogate(folder: Path, warm: list[Path], files: list[Path]) -> Run:
    """One run of a gateway with its default settings."""
    with GatewayProcess(folder) as gateway:
        assert gateway.process is not None
        address, qido = (gateway.dicom_host, gateway.dicom_port), f"{gateway.http}/dicom-web/studies"
        return measured(address, gateway.ae_title, qido, gateway.process.pid, warm, files)


def orthanc(folder: Path, warm: list[Path], files: list[Path]) -> Run:
    """One run of Orthanc with its DICOMweb plugin."""
    with OrthancProcess(folder, *NOBODY, settings=ORTHANC) as process:
        assert process.process is not None
        address, qido = ("127.0.0.1", process.dicom_port), f"{process.http}/dicom-web/studies"
        return measured(address, "ORTHANC", qido, process.process.pid, warm, files)


def main(pairs: int, objects: int) -> None:
    """Measure in alternation; print each run and the median ratios."""
    sides: tuple[Callable[[Path, list[Path], list[Path]], Run], ...] = (annogate, orthanc)
    ratios, of_processor = [], []
    os.environ["TCP_NODELAY"] = "1"  # dcmtk's own switch, for storescu and Orthanc
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = write_ct_series(folder / "warm", 1)
        files = write_ct_series(folder / "ct", objects)
        for pair in range(pairs):
            runs: dict[str, Run] = {}
            for side in sides if pair % 2 == 0 else sides[::-1]:
                run = runs[side.__name__] = side(folder / f"{side.__name__}-{pair}", warm, files)
                print(
                    f"{side.__name__:9} acknowledged {run.acknowledged:5.0f}/s, found {run.found:5.0f}/s, "
                    f"{run.processor_ms:5.1f} ms of processor an object",
                    flush=True,
                )
            ratios.append(runs["annogate"].found / runs["orthanc"].found)
            of_processor.append(runs["annogate"].processor_ms / runs["orthanc"].processor_ms)
    print(f"found by QIDO-RS: {statistics.median(ratios):.2f} times Orthanc (pairs {[f'{r:.2f}' for r in ratios]})")
    print(f"processor time an object: {statistics.median(of_processor):.2f} times Orthanc's")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0] if numbers else 5, numbers[1] if len(numbers) > 1 else 600)
