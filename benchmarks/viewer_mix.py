"""What a day of many viewers does to the gateway: ``python -m benchmarks.viewer_mix [--help]``.

Sixteen clients, a process each, ask as OHIF does: studies are searched, series opened, frames fetched in bursts over
four connections, with pictures, thumbnails, bulk data, ranges, a segmentation as a whole, what they hold already, what
is not there, and answers that they do not read to the end. Each answer is held against the one that a single client
got before: status and length have to be the same. Meanwhile the web processes' memory (PSS), descriptors and threads
are looked at; the last line says whether memory stayed within 5 % of its mean after the warm-up.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.dicomweb_retrieve import OHIF_FRAMES, OHIF_INSTANCE, path_of, segmentation, store
from benchmarks.receivers import tree
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess
from tests.patience import PATIENCE_S

JSON = "application/dicom+json"
BULK_PARTS = 'multipart/related; type="application/octet-stream"'
CONNECTIONS = 4
BURST = 16
ABORTED_BYTES = 64 * 1024
MOST_TOLD = 20
SHOWN = 20
LIMIT_PERCENT = 5.0
GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Question:
    """A request; ``kind`` names its row of the table."""

    kind: str
    path: str
    accept: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a single client was answered, and all others have to be."""

    status: int
    length: int
    etag: str = ""


class Connection:
    """One connection that is kept, as a browser keeps it."""

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
        self._path = parts.path
        self._buffer = memoryview(bytearray(1 << 20))

    def ask(self, question: Question) -> Answer:
        """Read an answer to its end."""
        response = self._asked(question)
        length = 0
        while count := response.readinto(self._buffer):
            length += count
        return Answer(response.status, length, response.headers.get("ETag", ""))

    def abort(self, question: Question) -> Answer:
        """Read the start of an answer and go away."""
        response = self._asked(question)
        response.read(ABORTED_BYTES)
        self._connection.close()
        return Answer(response.status, -1)

    def _asked(self, question: Question) -> http.client.HTTPResponse:
        headers = {"Accept": question.accept, "Accept-Encoding": "gzip", **dict(question.headers)}
        for last in (False, True):
            try:
                self._connection.request("GET", self._path + question.path, headers=headers)
                return self._connection.getresponse()
            except GONE:  # the server closes what was not used for a while
                self._connection.close()
                if last:
                    raise
        raise AssertionError


@dataclass(slots=True)
class Tally:
    """What one client found."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)


class Client:
    """One viewer: opens series after series until the time is over.

    Parameters
    ----------
    known : every question with its answer; a question by its kind
    """

    def __init__(self, root: str, known: dict[Question, Answer], number: int) -> None:
        self._root = root
        self._known = known
        self._by_kind: dict[str, list[Question]] = defaultdict(list)
        for question in known:
            self._by_kind[question.kind].append(question)
        self._random = random.Random(number)
        self._tally = Tally()
        self._lock = threading.Lock()
        self._own = threading.local()

    def run(self, until: float) -> Tally:
        """Work until then."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while time.monotonic() < until:
                self._open_series(pool)
        return self._tally

    def _open_series(self, pool: ThreadPoolExecutor) -> None:
        for kind in ("search", "nothing found", "series of a study", "metadata", "thumbnail"):
            self._one(self._pick(kind))
        frames = self._by_kind["frame"]
        start = self._random.randrange(len(frames))
        list(pool.map(self._one, [frames[(start + k) % len(frames)] for k in range(BURST)]))
        for kind in ("rendered", "bulk data", "range", "not modified", "not there"):
            self._one(self._pick(kind))
        if self._random.random() < 0.2:
            self._one(self._pick("segmentation"))
        if self._random.random() < 0.3:
            self._one(self._pick(self._random.choice(["segmentation", "frame", "metadata"])), abort=True)

    def _pick(self, kind: str) -> Question:
        return self._random.choice(self._by_kind[kind])

    def _one(self, question: Question, *, abort: bool = False) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = Connection(self._root)
        started = time.perf_counter()
        trouble = ""
        try:
            answer = connection.abort(question) if abort else connection.ask(question)
            trouble = differs(answer, self._known[question])
        except (OSError, http.client.HTTPException) as error:
            self._own.connection = None
            trouble = type(error).__name__
        passed = time.perf_counter() - started
        kind = "broken off" if abort else question.kind
        with self._lock:
            self._tally.seconds[kind].append(passed)
            if trouble:
                self._tally.errors[f"{kind}: {trouble}"] += 1


def differs(answer: Answer, expected: Answer) -> str:
    """How an answer differs from what it should be, in words; "" where it does not."""
    if answer.status != expected.status:
        return f"{answer.status} in place of {expected.status}"
    if answer.length not in (-1, expected.length):
        return f"{answer.length} bytes in place of {expected.length}"
    return ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the web processes held at one time."""

    at: float
    pss: int
    descriptors: int
    threads: int


class Watch(threading.Thread):
    """Looks at the web processes again and again until it is told to end."""

    def __init__(self, pid: int, every_s: float) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._every_s = every_s
        self._end = threading.Event()
        self.samples: list[Sample] = []

    def look(self) -> Sample:
        """Look once."""
        pss = descriptors = threads = 0
        for pid in tree(self._pid):
            process = Path(f"/proc/{pid}")
            with suppress(OSError):  # it has ended
                if (process / "comm").read_text().strip() != "annogate-web":
                    continue
                lines = (process / "smaps_rollup").read_text().splitlines()
                pss += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
                descriptors += len(list((process / "fd").iterdir()))
                threads += len(list((process / "task").iterdir()))
        return Sample(time.monotonic(), pss, descriptors, threads)

    def run(self) -> None:
        """Look until it is told to end."""
        while not self._end.wait(self._every_s):
            self.samples.append(self.look())

    def stop(self) -> None:
        """End it."""
        self._end.set()
        self.join()


def questions(series: list[list[Path]], seg: Path) -> Iterator[Question]:
    """What viewers ask of these files."""
    fields = "includefield=00081030%2C00080060"
    for offset in (0, 2):
        yield Question("search", f"/studies?limit=101&offset={offset}&fuzzymatching=false&{fields}")
    for word in ("CT", "SEG"):
        yield Question("search", f"/studies?ModalitiesInStudy={word}&StudyDate=20240101-20241231&limit=25&{fields}")
    for name in ("NOBODY-1", "NOBODY-2"):
        yield Question("nothing found", f"/studies?PatientID={name}&limit=101")
    yield Question("segmentation", path_of(seg), OHIF_INSTANCE)
    for number, files in enumerate(series):
        instances = [path_of(file) for file in files]
        of_series = instances[0].partition("/instances/")[0]
        yield Question("series of a study", of_series.partition("/series/")[0] + f"/series?{fields}")
        yield Question("metadata", f"{of_series}/metadata")
        yield Question("thumbnail", f"{of_series}/thumbnail?viewport=128,128", "image/jpeg")
        yield Question("not there", f"{of_series}/instances/1.2.3.{number}/frames/1", OHIF_FRAMES)
        for path in instances:
            yield Question("frame", f"{path}/frames/1", OHIF_FRAMES)
        for path in instances[::8]:
            yield Question("rendered", f"{path}/rendered?viewport=512,512", "image/jpeg")
            value = f"{path}/bulkdata/7FE00010"
            yield Question("bulk data", value, BULK_PARTS)
            yield Question("range", value, "application/octet-stream", (("Range", "bytes=1000-200999"),))


def learnt(root: str, asked: Iterator[Question]) -> dict[Question, Answer]:
    """Each question with its answer, and with each tag of an entity the same question again, as who holds it asks."""
    connection, known = Connection(root), {}
    for question in asked:
        answer = connection.ask(question)
        expected = {"not there": (404,), "range": (206,), "nothing found": (200, 204)}.get(question.kind, (200,))
        assert answer.status in expected, f"{answer.status} for {question}"
        known[question] = answer
        if answer.etag and question.kind in ("metadata", "frame"):
            again = Question("not modified", question.path, question.accept, (("If-None-Match", answer.etag),))
            known[again] = connection.ask(again)
            assert known[again].status == 304, f"{known[again].status} for {again}"
    return known


def _client(root: str, known: dict[Question, Answer], number: int, until: float, results: Any) -> None:
    tally = Client(root, known, number).run(until)
    results.put((dict(tally.seconds), dict(tally.errors)))


def run_clients(root: str, known: dict[Question, Answer], clients: int, seconds: float) -> Tally:
    """Let so many viewers work at once; what they found together."""
    fork = multiprocessing.get_context("fork")  # they start at once, with what is known
    results, until, whole = fork.Queue(), time.monotonic() + seconds, Tally()
    processes = [fork.Process(target=_client, args=(root, known, k, until, results)) for k in range(clients)]
    for process in processes:
        process.start()
    for _ in processes:
        found, errors = results.get(timeout=seconds + 10 * PATIENCE_S)
        whole.errors.update(errors)
        for kind, times in found.items():
            whole.seconds[kind] += times
    for process in processes:
        process.join()
    return whole


def tell_times(tally: Tally, seconds: float) -> None:
    """Print a row for each kind of request."""
    count = sum(map(len, tally.seconds.values()))
    print(f"\n{count:,} requests in {seconds:.0f} s, {count / seconds:.1f} a second; errors: {tally.errors.total()}")
    for words, times in tally.errors.most_common(MOST_TOLD):
        print(f"  {times} × {words}")
    print(f"{'ms':<20}{'requests':>9}{'median':>9}{'p95':>9}{'p99':>9}{'most':>9}")
    for kind, times in sorted(tally.seconds.items()):
        cuts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
        row = [1000 * one for one in (statistics.median(times), cuts[94], cuts[98], max(times))]
        print(f"{kind:<20}{len(times):>9,}" + "".join(f"{one:>9.1f}" for one in row))


def tell_memory(samples: list[Sample], warm_s: float, before: Sample, after: Sample) -> bool:
    """Print how memory went after the warm-up; whether it stayed within the limit of its mean."""
    warm = [one for one in samples if one.at - samples[0].at >= warm_s] or samples
    sizes = [one.pss / 2**20 for one in warm]
    mean = statistics.fmean(sizes)
    spread = max(abs(max(sizes) - mean), abs(mean - min(sizes))) / mean * 100
    slope = 0.0
    if len(warm) > 1:
        slope = statistics.linear_regression([one.at for one in warm], sizes).slope * 600 / mean * 100
    print(f"\n{'web processes':<20}{'PSS MiB':>9}{'fds':>6}{'threads':>9}")
    busiest = max(samples, key=lambda one: one.pss)
    for name, one in (("before", before), ("most", busiest), ("at the end", samples[-1]), ("after a rest", after)):
        print(f"{name:<20}{one.pss / 2**20:>9.1f}{one.descriptors:>6}{one.threads:>9}")
    print(f"after {warm_s:.0f} s: mean {mean:.1f} MiB, within {spread:.1f} % of it, {slope:+.1f} % in ten minutes")
    picked = samples[:: max(1, len(samples) // SHOWN)]
    print("MiB over time: " + ", ".join(f"{one.at - samples[0].at:.0f} s {one.pss / 2**20:.1f}" for one in picked))
    flat = spread <= LIMIT_PERCENT
    print("memory is flat" if flat else f"memory is not within {LIMIT_PERCENT:g} % of its mean")
    return flat


def measure(gateway: GatewayProcess, folder: Path, options: argparse.Namespace) -> bool:
    """Fill, warm up, run, print; whether there was no error and memory stayed flat."""
    series = [write_ct_series(folder / f"ct{k}", options.slices, StudyDate="20240312") for k in range(options.series)]
    seg = segmentation(folder, options.megabytes)
    store(gateway, [seg, *(file for files in series for file in files)])
    assert gateway.process is not None
    root = f"{gateway.http}/dicom-web"
    watch = Watch(gateway.process.pid, options.every)
    before = watch.look()
    known = learnt(root, questions(series, seg))
    watch.start()
    seconds = options.minutes * 60
    tally = run_clients(root, known, options.clients, seconds)
    watch.stop()
    time.sleep(options.rest)
    tell_times(tally, seconds)
    flat = tell_memory(watch.samples, min(options.warm_up, seconds / 2), before, watch.look())
    return flat and not tally.errors


def main() -> None:
    """Start a gateway and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--clients", type=int, default=16, help="viewers at once")
    parser.add_argument("--series", type=int, default=4, help="CT series")
    parser.add_argument("--slices", type=int, default=60, help="instances of each")
    parser.add_argument("--megabytes", type=int, default=50, help="of the segmentation")
    parser.add_argument("--warm-up", type=float, default=120.0, help="seconds that memory is not judged by")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks at memory")
    parser.add_argument("--rest", type=float, default=40.0, help="seconds after which kept connections have ended")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"projects": {"default": {"ae_titles": ["ANNOGATE"], "deidentify": "none", "annotators": []}}}
        with GatewayProcess(folder / "annogate", settings) as gateway:
            good = measure(gateway, folder, options)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
