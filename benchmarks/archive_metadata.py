"""Measures the metadata cache and the index: ``python -m benchmarks.archive_metadata [DICOM file]``.

Pairs alternate in one run, since absolutes drift with the machine; the best of each is shown.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.archive.database import Database
from service.archive.dicom_json import JsonWriter
from service.archive.instances import InstanceIndex
from service.archive.metadata_cache import assemble, encode
from service.archive.prepared import PreparedInstance
from service.core.records import PixelLocation, SealedEntry
from tests.archived import new_instance
from tests.datasets import as_file, ct_slice

URL = "http://127.0.0.1:8080/dicom-web"
PIXELS = PixelLocation(0x7FE00010, 1000, 524288, encapsulated=False)
SERIES = 600
BATCH = 32


def best(works: dict[str, Callable[[], Any]], rounds: int = 9) -> dict[str, float]:
    """Milliseconds of the fastest round of each, in turns."""
    times: dict[str, float] = {}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name] = min(times.get(name, float("inf")), (time.perf_counter() - start) * 1e3)
    return times


def show(title: str, times: dict[str, float]) -> None:
    """One line each, with the ratio to the last."""
    print(title)
    *_, reference = times.values()
    for name, ms in times.items():
        print(f"  {name:<42}{ms:9.3f} ms  {reference / ms:6.2f} ×")


def measure_header(content: bytes) -> None:
    """One header: ours, its compressed form, pydicom."""

    def read() -> Dataset:
        return dcmread(io.BytesIO(content), stop_before_pixels=True)

    headers = iter([read() for _ in range(60)])
    show(
        f"one header, {len(read())} elements",
        best(
            {
                "ours, text": lambda: JsonWriter("/studies/1").data_set(next(headers)),
                "ours, text and compressed pieces": lambda: encode(next(headers), pixels=PIXELS),
                "pydicom's to_json": lambda: next(headers).to_json(1024, lambda _: URL),
            }
        ),
    )


def measure_series(content: bytes) -> None:
    """One answer over a series."""
    header = dcmread(io.BytesIO(content), stop_before_pixels=True)
    blobs = []
    for number in range(SERIES):
        header.SOPInstanceUID = f"1.2.3.{number}"
        header.InstanceNumber = number
        blobs.append(encode(header, pixels=PIXELS))
    items = json.loads(assemble(blobs, URL, gzip=False))
    works = {
        "gzip, joined": lambda: assemble(blobs, URL, gzip=True),
        "identity": lambda: assemble(blobs, URL, gzip=False),
        "gzip, compact": lambda: assemble(blobs, URL, gzip=True, compact=True),
        "json.dumps and gzip": lambda: gzip.compress(json.dumps(items).encode(), 6),
    }
    show(f"metadata of {SERIES} instances", best(works, rounds=5))
    for name, work in works.items():
        print(f"  {name:<42}{len(work()) / 1e3:9.0f} kB")


def measure_index(instances: int) -> None:
    """Adding by batches while the index grows."""
    template = PreparedInstance.of(new_instance())
    print(f"adding by {BATCH} in one transaction, 400 to a series, with two vault rows each")
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder, "index.db")) as database:
        index = InstanceIndex(database, time.time)
        start, window = time.perf_counter(), max(instances // 5, BATCH)
        for first in range(0, instances, BATCH):
            index.add_all([_instance(template, number) for number in range(first, first + BATCH)])
            if (first + BATCH) % window < BATCH:
                now = time.perf_counter()
                print(f"  {first + BATCH:>9} instances {window / (now - start):9.0f} /s")
                start = time.perf_counter()


def _instance(template: PreparedInstance, number: int) -> PreparedInstance:
    uid, series = f"1.2.3.{number}", f"1.2.{number // 400}"
    vault = tuple(SealedEntry("uid", f"{uid}.{part}", "key", b"x" * 120) for part in range(2))
    return replace(
        template,
        new=replace(template.new, vault=vault),
        study_uid=f"1.{number // 400}",
        series_uid=series,
        sop_instance_uid=uid,
        columns=template.columns | {"sop_instance_uid": uid, "instance_number": number % 400},
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    file = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else as_file(ct_slice())
    measure_header(file)
    measure_series(file)
    measure_index(50_000)
