"""Storing CT objects by STOW-RS in one request: Annogate, which de-identifies them, beside Orthanc, which does not.

``python -m benchmarks.dicomweb_store [PAIRS [OBJECTS]]``. Both are fresh for each pair and take the same objects of
0.53 MB in one request, in alternation; a request with one object warms them up. Orthanc runs with its DICOMweb plugin
and SyncStorageArea, without StorageCompression. Both answer after the objects are durable and indexed, so the time is
that of the request. Only the ratios of one run mean anything. On a machine that has other work, times tell who got a
processor; the processor time that each side used for an object tells more.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.ingest import NOBODY, ORTHANC, found, processor_s
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess
from tests.orthanc_process import OrthancProcess

PATIENCE_S = 600
REST_S = 5.0  # after the first object, for what it has started
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary=part'
HEAD = b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n"
END = b"\r\n--part--"


@dataclass(frozen=True, slots=True)
class Run:
    """Objects a second until the answer came; processor time for each in ms."""

    stored: float
    processor_ms: float


def body(files: Sequence[Path]) -> bytes:
    """One request; in memory, so that nobody waits for its sender."""
    return b"".join(HEAD + file.read_bytes() for file in files) + END


def store(root: str, content: bytes, objects: int) -> None:
    """Send one request and look at its answer."""
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/dicom+json"}
    answer = requests.post(f"{root}/studies", data=content, headers=headers, timeout=PATIENCE_S)
    answer.raise_for_status()
    stored = len(answer.json().get("00081199", {}).get("Value", []))
    assert stored == objects, f"{stored} of {objects} stored"


def measured(root: str, pid: int, warm: Sequence[Path], content: bytes, objects: int) -> Run:
    """Send the first object, let it rest, then measure."""
    store(root, body(warm), len(warm))
    time.sleep(REST_S)
    os.sync()
    used, started = processor_s(pid), time.perf_counter()
    store(root, content, objects)
    whole, used = time.perf_counter() - started, processor_s(pid) - used
    assert found(f"{root}/studies") == len(warm) + objects
    return Run(objects / whole, 1000 * used / objects)


def annogate(folder: Path, warm: Sequence[Path], content: bytes, objects: int) -> Run:
    """One run of a gateway with its default settings."""
    with GatewayProcess(folder) as gateway:
        assert gateway.process is not None
        return measured(f"{gateway.http}/dicom-web", gateway.process.pid, warm, content, objects)


def orthanc(folder: Path, warm: Sequence[Path], content: bytes, objects: int) -> Run:
    """One run of Orthanc with its DICOMweb plugin."""
    with OrthancProcess(folder, *NOBODY, settings=ORTHANC) as process:
        assert process.process is not None
        return measured(f"{process.http}/dicom-web", process.process.pid, warm, content, objects)


def runs(folder: Path, pairs: int, objects: int) -> Iterator[dict[str, Run]]:
    """Alternate, and print each run."""
    sides: tuple[Callable[[Path, Sequence[Path], bytes, int], Run], ...] = (annogate, orthanc)
    warm = write_ct_series(folder / "warm", 1)
    content = body(write_ct_series(folder / "ct", objects))
    for pair in range(pairs):
        done: dict[str, Run] = {}
        for side in sides if pair % 2 == 0 else sides[::-1]:
            run = done[side.__name__] = side(folder / f"{side.__name__}-{pair}", warm, content, objects)
            print(
                f"{side.__name__:9} stored {run.stored:5.0f}/s, {run.processor_ms:5.1f} ms of processor an object",
                flush=True,
            )
        yield done


def main(pairs: int, objects: int) -> None:
    """Measure; print the median ratios."""
    with tempfile.TemporaryDirectory() as name:
        done = list(runs(Path(name), pairs, objects))
    ratios = [run["annogate"].stored / run["orthanc"].stored for run in done]
    of_processor = [run["annogate"].processor_ms / run["orthanc"].processor_ms for run in done]
    print(f"stored by STOW-RS: {statistics.median(ratios):.2f} times Orthanc (pairs {[f'{r:.2f}' for r in ratios]})")
    print(f"processor time an object: {statistics.median(of_processor):.2f} times Orthanc's")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(numbers[0] if numbers else 5, numbers[1] if len(numbers) > 1 else 300)
