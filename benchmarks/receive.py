"""Objects a second by C-STORE: our node with its synced, encrypted spool beside a bare pynetdicom handler.

``python -m benchmarks.receive [ROUNDS]``. Both receive the same 200 CT objects of 0.5 MB from dcmtk's storescu, in
alternation, with and without TCP_NODELAY on the sender's side; only the ratios of one run mean anything.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ct_series import write_ct_series
from tests.node_process import NodeProcess
from tests.storescu import send

OBJECTS = 200
HANDLER = """
import sys
from pathlib import Path
from pynetdicom import AE, evt, AllStoragePresentationContexts, _config
_config.LOG_HANDLER_LEVEL = "none"
folder = Path(sys.argv[1])

def store(event):
    (folder / event.request.AffectedSOPInstanceUID).write_bytes(event.encoded_dataset())
    return 0

ae = AE("ANNOGATE")
ae.supported_contexts = AllStoragePresentationContexts[:120]
ae.maximum_pdu_size = 131072
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
print("127.0.0.1", server.server_address[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def bare_handler(folder: Path) -> Iterator[tuple[str, int]]:
    """A pynetdicom handler that writes each object to a file and syncs nothing."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HANDLER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    host, port = process.stdout.readline().split()
    yield host, int(port)
    process.kill()
    process.wait()


@contextmanager
def node(folder: Path) -> Iterator[tuple[str, int]]:
    """Our node with a spool."""
    with NodeProcess.start(folder) as running:
        yield running.host, running.port


def rate(receiver: tuple[str, int], files: list[Path], *, nodelay: bool) -> float:
    """Objects a second of one run."""
    started = time.perf_counter()
    sent = send(*receiver, files, nodelay=nodelay)
    assert len(sent.acknowledged) == len(files), sent.output[-500:]
    return len(files) / (time.perf_counter() - started)


def main(rounds: int) -> None:
    """Measure in alternation and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_ct_series(Path(folder) / "ct", OBJECTS)
        rates: dict[tuple[str, bool], list[float]] = {}
        for number in range(rounds):
            for nodelay in (True, False):
                for name, receiver in (("node", node), ("bare handler", bare_handler)):
                    with receiver(Path(folder) / f"{name}-{nodelay}-{number}") as address:
                        rates.setdefault((name, nodelay), []).append(rate(address, files, nodelay=nodelay))
        for nodelay in (True, False):
            ours, bare = (rates[name, nodelay] for name in ("node", "bare handler"))
            ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
            sender = "TCP_NODELAY" if nodelay else "Nagle"
            print(
                f"{sender:12} node {statistics.median(ours):5.0f}/s  bare handler {statistics.median(bare):5.0f}/s"
                f"  ratio {ratio:.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
