"""dcmtk's archives as peers: dcmqrscp answers queries and retrievals, wlmscpfs a modality worklist."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import echo
from tests.orthanc_process import free_port
from tests.patience import PATIENCE_S

QRSCP = """NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = ({title}, 127.0.0.1, {node_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
DCMQRSCP {folder} RW (200, 1024mb) ANY
AETable END
"""


@contextmanager
def dcmqrscp(
    folder: Path, files: list[Path], node_title: str = "ANNOGATE", node_port: int = 1
) -> Iterator[PeerAddress]:
    """An archive that holds these files, and knows us as a destination."""
    folder.mkdir(parents=True)
    port = free_port()
    configuration = folder.parent / f"{folder.name}.cfg"
    configuration.write_text(QRSCP.format(port=port, title=node_title, node_port=node_port, folder=folder))
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    held = sorted(str(path) for path in folder.iterdir())
    subprocess.run(["/usr/bin/dcmqridx", str(folder), *held], check=True, capture_output=True)
    with _running(["/usr/bin/dcmqrscp", "-c", str(configuration)], PeerAddress("DCMQRSCP", "127.0.0.1", port)) as peer:
        yield peer


@contextmanager
def worklist(folder: Path, dumps: list[str]) -> Iterator[PeerAddress]:
    """A worklist of these entries, in the text form of dump2dcm."""
    entries = folder / "WORKLIST"
    entries.mkdir(parents=True)
    (entries / "lockfile").touch()
    for number, dump in enumerate(dumps):
        text = entries / f"{number}.dump"
        text.write_text(dump)
        subprocess.run(["/usr/bin/dump2dcm", "-q", str(text), str(text.with_suffix(".wl"))], check=True)
    port = free_port()
    command = ["/usr/bin/wlmscpfs", "-dfr", "-dfp", str(folder), str(port)]
    with _running(command, PeerAddress("WORKLIST", "127.0.0.1", port)) as peer:
        yield peer


@contextmanager
def _running(command: list[str], peer: PeerAddress) -> Iterator[PeerAddress]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                echo(peer, RequestorSettings(connection_timeout_s=1))
            except GatewayError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            else:
                break
        yield peer
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
