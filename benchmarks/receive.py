"""Objects a second by C-STORE, durable: Annogate's node beside a bare receiver that syncs, Orthanc and storescp.

``python -m benchmarks.receive [--help]``. All four run side by side and take the same objects from dcmtk's storescu, in
alternation; what counts is the median of the ratios of runs that followed each other, since absolute figures drift.
The time is that of the senders, their start included. Prints a table and writes ``receive.json`` and ``receive.png``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.receivers import Annogate, Bare, Orthanc, OrthancLongPdu, Receiver, Storescp, disk_objects_per_s
from tests.ct_series import write_ct_series
from tests.storescu import STORESCU, environment

KINDS = {"annogate": [Annogate], "bare": [Bare], "orthanc": [Orthanc, OrthancLongPdu], "storescp": [Storescp]}
SMALL = {"rows": 8, "columns": 8}
OBJECT_KIB = {"ct": "0.53 MB", "small": "1 KiB"}


@dataclass(frozen=True)
class Case:
    """How the objects are sent."""

    objects: str
    sender: str
    associations: int
    pdu: str

    @property
    def words(self) -> str:
        """The case for people."""
        size = OBJECT_KIB[self.objects]
        nagle = "TCP_NODELAY" if self.sender == "nodelay" else "stock sender"
        return f"{size}, {nagle}, {self.associations} assoc., PDU {self.pdu}"


@dataclass
class Measured:
    """All runs of one receiver in one case."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    pss: int = 0


def send(receiver: Receiver, files: list[Path], case: Case) -> float:
    """Send files over as many associations at once; the seconds until the last sender has ended."""
    pdu = ["-pdu", "131072"] if case.pdu == "128K" else []
    count = min(case.associations, len(files))
    commands = [
        [STORESCU, "-aec", receiver.title, *pdu, "127.0.0.1", str(receiver.port), *map(str, files[number::count])]
        for number in range(count)
    ]
    env = environment(nodelay=case.sender == "nodelay")
    started = time.perf_counter()
    senders = [subprocess.Popen(command, env=env) for command in commands]
    failed = [sender.wait(600) for sender in senders if sender.wait(600)]
    assert not failed, f"{receiver.name}: {len(failed)} senders failed"
    return time.perf_counter() - started


def measure(receiver: Receiver, files: list[Path], case: Case, into: Measured) -> None:
    """One run, and what it cost."""
    os.sync()
    cpu = receiver.cpu_s()
    seconds = send(receiver, files, case)
    into.rates.append(len(files) / seconds)
    into.cpu_ms.append((receiver.cpu_s() - cpu) * 1000 / len(files))
    into.pss = max(into.pss, receiver.largest_pss())
    held = receiver.forget()
    assert held in (None, len(files)), f"{receiver.name}: {held} of {len(files)} objects are there"


def ratio(one: Measured, other: Measured) -> float:
    """The median of how many times as fast one was as the other."""
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def run(case: Case, receivers: list[Receiver], files: list[Path], pairs: int, warm: bool) -> dict[str, Measured]:
    """Alternate between the receivers, in another order each time: what one leaves to the disk hits the next."""
    order = random.Random(1)
    measured = {receiver.name: Measured() for receiver in receivers}
    if warm:
        for receiver in receivers:
            measure(receiver, files, case, Measured())
    for _ in range(pairs):
        for receiver in order.sample(receivers, len(receivers)):
            measure(receiver, files, case, measured[receiver.name])
    return measured


def table(results: dict[Case, dict[str, Measured]], disk: dict[Case, float]) -> Table:
    """One row for each receiver in each case; ratios of the first Annogate to the others."""
    shown = Table(title="C-STORE, time to the last acknowledgement (medians)")
    for heading in ("case", "receiver", "objects/s", "Annogate is", "of the disk", "CPU ms/object", "PSS MB"):
        shown.add_column(heading, justify="left" if heading in ("case", "receiver") else "right")
    for case, measured in results.items():
        ours = next((one for name, one in measured.items() if name.startswith("Annogate")), None)
        for number, (name, one) in enumerate(measured.items()):
            rate = statistics.median(one.rates)
            shown.add_row(
                case.words if not number else "",
                name,
                f"{rate:.0f}",
                "" if ours is None or one is ours else f"{ratio(ours, one):.2f} ×",
                f"{rate / disk[case]:.0%}",
                f"{statistics.median(one.cpu_ms):.2f}",
                f"{one.pss / 1e6:.0f}",
                end_section=number == len(measured) - 1,
            )
    return shown


def plot(results: dict[Case, dict[str, Measured]], file: Path) -> None:
    """Objects a second as bars, a group for each case."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(next(iter(results.values())))
    figure, axes = plt.subplots(figsize=(9, 0.5 + 0.25 * len(names) * len(results)), layout="constrained")
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        places = [row + number * height for row in range(len(results))]
        axes.barh(places, [statistics.median(one[name].rates) for one in results.values()], height, label=name)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(results))], [case.words for case in results])
    axes.invert_yaxis()
    axes.set_xlabel("objects a second, median")
    axes.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def setting(words: str) -> dict[str, object]:
    """``receivers=2`` as a setting of [dicom]."""
    key, _, value = words.partition("=")
    return {key: int(value) if value.isdigit() else value}


def arguments(words: list[str]) -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="objects a run")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--objects", nargs="+", default=["ct"], choices=["ct", "small"])
    parser.add_argument("--senders", nargs="+", default=["nodelay"], choices=["nodelay", "stock"])
    parser.add_argument("--associations", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--pdu", nargs="+", default=["default", "128K"], choices=["default", "128K"])
    parser.add_argument("--receivers", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--variants", nargs="*", default=[], help="more nodes of ours, such as receive_path=pynetdicom")
    parser.add_argument("--cold", action="store_true", help="no run before the first that counts")
    parser.add_argument("--out", type=Path, help="folder for receive.json and receive.png")
    return parser.parse_args(words)


def main(words: list[str]) -> None:
    """Measure what the options ask for."""
    options = arguments(words)
    console = Console(width=150)
    results: dict[Case, dict[str, Measured]] = {}
    disk: dict[Case, float] = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        folder = Path(temporary)
        receivers: list[Receiver] = [kind(folder / kind.__name__) for name in options.receivers for kind in KINDS[name]]
        receivers += [Annogate(folder / words, setting(words)) for words in options.variants]
        for receiver in receivers:
            running.enter_context(receiver)
        for objects in options.objects:
            files = write_ct_series(folder / f"send-{objects}", options.count, **(SMALL if objects == "small" else {}))
            size = files[0].stat().st_size
            for sender in options.senders:
                for associations in options.associations:
                    for pdu in options.pdu:
                        case = Case(objects, sender, associations, pdu)
                        taking = [receiver for receiver in receivers if receiver.pdu in (None, pdu)]
                        results[case] = run(case, taking, files, options.pairs, warm=not options.cold)
                        disk[case] = disk_objects_per_s(folder / "disk", size, min(300, options.count))
                        console.print(table({case: results[case]}, disk))
    if len(results) > 1:
        console.print(table(results, disk))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        rows = [
            {**asdict(case), "receiver": name, "disk_per_s": disk[case], **asdict(one)}
            for case, measured in results.items()
            for name, one in measured.items()
        ]
        written = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "runs": rows}
        (options.out / "receive.json").write_text(json.dumps(written, indent=1))
        plot(results, options.out / "receive.png")


if __name__ == "__main__":
    main(sys.argv[1:])
